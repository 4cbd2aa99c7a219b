"""Two detectors on one live stream, over real HTTP: each speaks for itself of the same face."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from tests.support.calls import call_rig
from tests.support.published import toy_pipeline_of

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(120)]

PAIR = ("styleflow-live", "caddm-resnet34")


async def test_two_detectors_speak_of_one_stream() -> None:
    def pipeline() -> Any:
        return toy_pipeline_of(*PAIR)

    async with (
        call_rig(pipeline=pipeline) as rig,
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{rig.port}", timeout=20) as http,
    ):
        body = {"id": "demo", "source": {"url": "demo://tampered"}}
        (await http.post("/api/v1/streams", json=body)).raise_for_status()

        def said_by(name: str) -> list[dict[str, Any]]:
            said = [message["data"] for message in rig.scores("demo")]
            return [score for score in said if score["detector"] == name]

        for name in PAIR:
            await rig.until(lambda name=name: len(said_by(name)) > 2, f"scores of {name}", 60)  # type: ignore[misc]
        faces = [{score["track"] for score in said_by(name)} for name in PAIR]
        logits = [{score["raw"] for score in said_by(name)} for name in PAIR]
    assert faces[0] & faces[1]
    assert not logits[0] & logits[1]
