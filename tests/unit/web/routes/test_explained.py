"""`/api/v1/incidents/{id}/explanation`: the frame, its regions, and why there are none."""

from __future__ import annotations

from stream.clock import ManualClock
from stream.events import Verdict
from styleflow.overlay import PointsAt
from tests.support.wall import PlayedWall, cameras
from tests.support.web import WebRig, problem
from tests.support.wire import CARD


async def suspicious(*, able: bool) -> tuple[WebRig, str]:
    """Return an application with one incident, and the incident's id."""
    wall = PlayedWall(WebRig(clock=ManualClock(start=100.0)))
    if able:
        wall.rig.control.pointing[CARD.name] = PointsAt.TRACES
    await wall.add(cameras(1)[0])
    wall.beat()
    wall.streams["cam-1"].level, wall.streams["cam-1"].verdict = 0.93, Verdict.SUSPECT
    wall.beat()
    await wall.rig.explained.step()  # somebody watches from now on
    wall.beat()
    await wall.rig.explained.step()
    async with wall.rig.client() as http:
        (one,) = (await http.get("/api/v1/incidents")).json()["incidents"]
    return wall.rig, one["id"]


async def test_the_frame_comes_with_what_stands_out_in_it() -> None:
    rig, incident = await suspicious(able=True)
    async with rig.client() as http:
        told = (await http.get(f"/api/v1/incidents/{incident}/explanation")).json()
        picture = await http.get(f"/api/v1/incidents/{incident}/explanation.jpg")
    assert (told["state"], told["reason"]) == ("ready", "")
    frame = told["frame"]
    assert (frame["width"], frame["height"]) == (640, 360)
    assert frame["overlay"]["detector"] == CARD.name
    assert frame["overlay"]["points_at"] == "traces"
    (face,) = frame["overlay"]["faces"]
    assert [patch[4] for patch in face["patches"]] == [900, 400]
    assert len(frame["boxes"]) == 1
    assert picture.headers["content-type"] == "image/jpeg"
    assert picture.content[:2] == b"\xff\xd8"


async def test_a_detector_that_cannot_says_so() -> None:
    rig, incident = await suspicious(able=False)
    async with rig.client() as http:
        told = (await http.get(f"/api/v1/incidents/{incident}/explanation")).json()
        none = problem(await http.get(f"/api/v1/incidents/{incident}/explanation.jpg"), 404)
    assert told == {
        "state": "none",
        "reason": "this detector cannot explain its scores",
        "frame": None,
    }
    assert "cannot explain" in none["detail"]


async def test_an_incident_that_nobody_knows_is_unknown() -> None:
    async with WebRig().client() as http:
        problem(await http.get("/api/v1/incidents/never/explanation"), 404)
