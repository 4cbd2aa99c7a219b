"""What a detector points at, over real HTTP: painted into the picture, and only into the crop."""

from __future__ import annotations

import json
from typing import Any

import cv2
import httpx
import numpy as np
import pytest

from styleflow.faces.face import Image
from tests.support.calls import CallRig, call_rig
from tests.support.published import toy_pipeline_of

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(120)]

CADDM = "caddm-resnet34"
MARGIN_PX = 18
"""A JPEG block is 16 px wide where colours are halved, and smoothed into its neighbour."""


async def same_frame(http: httpx.AsyncClient, rig: CallRig) -> tuple[dict[str, Any], Image, Image]:
    """Return the overlay, the picture without and the picture with it, all of one frame."""
    plain: httpx.Response | None = None
    drawn: httpx.Response | None = None

    async def one(drawn: bool) -> httpx.Response | None:
        query = {"width": 1280, "overlay": CADDM, "drawn": drawn}
        got = await http.get("/api/v1/streams/demo/picture.jpg", params=query)
        return got if got.status_code == 200 else None

    def place(got: httpx.Response) -> tuple[str, str]:
        return got.headers["picture-epoch"], got.headers["picture-slot"]

    for _ in range(200):
        plain, drawn = await one(drawn=False), await one(drawn=True)
        if plain is not None and drawn is not None and place(plain) == place(drawn):
            said = json.loads(drawn.headers["picture-overlay"])
            assert said == json.loads(plain.headers["picture-overlay"])
            if said["explained"] and any(face["patches"] for face in said["faces"]):
                return said, decoded(plain), decoded(drawn)
        count = len(rig.messages)
        await rig.until(lambda count=count: len(rig.messages) > count, "further message")  # type: ignore[misc]
    raise AssertionError(f"no picture with patches: {plain} {drawn}")


def decoded(got: httpx.Response) -> Image:
    image = cv2.imdecode(np.frombuffer(got.content, np.uint8), cv2.IMREAD_COLOR_RGB)
    return np.asarray(image, np.uint8)


async def test_an_overlay_changes_the_picture_only_inside_the_faces_crop() -> None:
    def pipeline() -> Any:
        return toy_pipeline_of("styleflow-live", CADDM)

    async with (
        call_rig(pipeline=pipeline) as rig,
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{rig.port}", timeout=20) as http,
    ):
        body = {"id": "demo", "source": {"url": "demo://tampered"}}
        (await http.post("/api/v1/streams", json=body)).raise_for_status()
        offered = (await http.get("/api/v1/streams/demo/overlays")).json()["overlays"]
        said, plain, drawn = await same_frame(http, rig)
        metrics = (await http.get("/metrics")).text
    assert {o["detector"]: o["points_at"] for o in offered} == {
        "styleflow-live": "traces",
        CADDM: "artifacts",
    }
    crops = np.zeros(plain.shape[:2], np.uint8)
    for face in said["faces"]:
        cv2.fillPoly(crops, [np.rint(face["crop"]).astype(np.int32)], 1)
    near = cv2.dilate(crops, np.ones((2 * MARGIN_PX + 1,) * 2, np.uint8)) > 0
    changed = (plain != drawn).any(-1)
    assert changed[crops > 0].mean() > 0.01
    assert not changed[~near].any()
    assert (~near).mean() > 0.2
    assert "styleflow_explained_pictures_total" in metrics
