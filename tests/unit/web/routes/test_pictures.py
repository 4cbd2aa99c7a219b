"""Pictures and explanations over HTTP."""

from __future__ import annotations

import json

import numpy as np

from stream.events import Frame
from stream.explain.overlay import Explanation
from stream.explain.pictures import Pictures, PictureSettings
from styleflow.faces.face import Box, Face
from styleflow.overlay import Patch, PointsAt
from tests.support.web import WebRig, lobby
from tests.support.wire import UNTRAINED, score

PICTURE = np.full((90, 160, 3), 90, dtype=np.uint8)


def show(rig: WebRig, slot: int, at: float = 1.28) -> None:
    """Have the analyzer keep a picture with one rated and one unrated face."""
    now = rig.clock.monotonic()
    rig.control.pictures.watch("lobby", now)
    frame = Frame("lobby", 1, slot, at, now - 0.5, PICTURE)
    faces = [(1, Box(10.4, 20, 50, 60)), (2, Box(80, 20, 120, 60))]
    kept = rig.control.pictures.offer(frame, faces, [score(value=0.25)], now + slot)
    assert kept


async def test_a_picture_says_which_frame_it_is_and_who_is_in_it() -> None:
    rig = await lobby()
    show(rig, slot=7)
    async with rig.client() as http:
        got = await http.get("/api/v1/streams/lobby/picture.jpg?width=300")
    assert got.headers["content-type"] == "image/jpeg"
    assert got.content[:2] == b"\xff\xd8"
    names = ("epoch", "slot", "at", "size")
    assert [got.headers[f"picture-{n}"] for n in names] == ["1", "7", "1.280", "160x90"]
    assert got.headers["picture-captured"] == "2025-12-31T23:59:59.500+00:00"
    rated, unrated = json.loads(got.headers["picture-faces"])["faces"]
    (said,) = rated["scores"]
    assert rated["track"] == 1
    assert (said["detector"], said["p"], said["state"]) == ("styleflow-live", 0.25, "ok")
    assert rated["box"] == {"x0": 10, "y0": 20, "x1": 50, "y1": 60}
    assert (unrated["track"], unrated["scores"]) == (2, [])


async def test_a_known_picture_is_not_sent_again() -> None:
    rig = await lobby()
    show(rig, slot=7)
    async with rig.client() as http:
        url = "/api/v1/streams/lobby/picture.jpg"
        tag = (await http.get(url)).headers["etag"]
        same = await http.get(url, headers={"if-none-match": tag})
        show(rig, slot=8)
        newer = await http.get(url, headers={"if-none-match": tag})
    assert (same.status_code, same.content) == (304, b"")
    assert newer.status_code == 200


async def test_no_picture_yet_is_no_error_but_no_stream_is() -> None:
    rig = await lobby()
    async with rig.client() as http:
        assert (await http.get("/api/v1/streams/lobby/picture.jpg")).status_code == 204
        assert (await http.get("/api/v1/streams/hall/picture.jpg")).status_code == 404
        assert (await http.get("/api/v1/streams/lobby/picture.jpg?width=9")).status_code == 422


async def pointing(rig: WebRig) -> None:
    """Have the analyzer keep a picture with what the stream's model points at in one face."""
    now, name = rig.clock.monotonic(), UNTRAINED.name
    rig.control.pointing[name] = PointsAt.ARTIFACTS
    frame = Frame("lobby", 1, 7, 1.28, now - 0.5, PICTURE)
    box = Box(10, 20, 50, 60)
    corners = np.array([[8.0, 12.0], [56.04, 12.0], [56.04, 60.0], [8.0, 60.0]])
    patches = (Patch(0.25, 0.5, 0.75, 1.0, 0.8125, "spatial"),)
    found = [Explanation(frame, Face(box, np.zeros((5, 2)), 0.9), 1, name, corners, patches)]
    rig.control.pictures.watch("lobby", now, name)
    assert rig.control.pictures.offer_explained(frame, [(1, box)], [score()], now, name, found)


async def test_a_picture_comes_with_what_a_detector_points_at_in_it() -> None:
    rig = await lobby()
    await pointing(rig)
    url = f"/api/v1/streams/lobby/picture.jpg?overlay={UNTRAINED.name}"
    async with rig.client() as http:
        got = await http.get(url)
        drawn = await http.get(url + "&drawn=true")
        plain = await http.get("/api/v1/streams/lobby/picture.jpg?drawn=true")
    assert json.loads(got.headers["picture-overlay"]) == {
        "detector": UNTRAINED.name,
        "points_at": "artifacts",
        "explained": True,
        "left_out": 0,
        "faces": [
            {
                "track": 1,
                "crop": [[8.0, 12.0], [56.0, 12.0], [56.0, 60.0], [8.0, 60.0]],
                "patches": [[250, 500, 750, 1000, 812]],
                "kinds": ["spatial"],
            }
        ],
    }
    assert got.headers["picture-slot"] == drawn.headers["picture-slot"] == "7"
    assert got.content != drawn.content
    assert got.headers["etag"] != drawn.headers["etag"]
    assert plain.status_code == 204  # nobody watches plain pictures yet


async def test_a_detector_that_cannot_point_says_so() -> None:
    rig = await lobby()
    async with rig.client() as http:
        (before,) = (await http.get("/api/v1/streams/lobby/overlays")).json()["overlays"]
        refused = await http.get(f"/api/v1/streams/lobby/picture.jpg?overlay={before['detector']}")
        await pointing(rig)
        (after,) = (await http.get("/api/v1/streams/lobby/overlays")).json()["overlays"]
        assert (await http.get("/api/v1/streams/hall/overlays")).status_code == 404
    assert before["points_at"] is None
    assert "cannot point at a region" in before["summary"]
    assert (refused.status_code, refused.json()["code"]) == (422, "overlay_unavailable")
    assert after["points_at"] == "artifacts"
    assert "boxes" in after["summary"]


async def test_one_viewer_too_many_is_told_to_come_back() -> None:
    rig = await lobby()
    rig.control.pictures = Pictures(PictureSettings(overlays=0))
    rig.control.pointing[UNTRAINED.name] = PointsAt.TRACES
    async with rig.client() as http:
        got = await http.get(f"/api/v1/streams/lobby/picture.jpg?overlay={UNTRAINED.name}")
    assert got.status_code == 429
    assert (got.json()["code"], got.json()["retry"]) == ("overlays_busy", True)
