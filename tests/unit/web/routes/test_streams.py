"""Streams over HTTP: added, shown, changed and removed, and what may not be added."""

from __future__ import annotations

from pathlib import Path

import pytest

from stream.errors import Overloaded
from tests.support.web import CAMERA, WebRig, problem, resolver
from web.settings import WebSettings


async def test_a_stream_is_added_shown_changed_and_removed() -> None:
    rig = WebRig()
    async with rig.client() as http:
        added = await http.post("/api/v1/streams", json=CAMERA)
        assert added.status_code == 201
        place = added.headers["location"]
        assert place == "/api/v1/streams/lobby"
        changed = await http.patch(place, json={"name": "Lobby", "source": {"transport": "tcp"}})
        assert changed.json()["name"] == "Lobby"
        spec = rig.control.specs["lobby"]
        assert spec.source.transport.value == "tcp"
        assert "hunter2" in spec.source.url.reveal()
        assert [s["id"] for s in (await http.get("/api/v1/streams")).json()["streams"]] == ["lobby"]
        assert (await http.delete(place)).status_code == 204
        problem(await http.get(place), 404)
        problem(await http.delete(place), 404)


async def test_an_overloaded_analyzer_says_when_to_come_back() -> None:
    rig = WebRig()
    rig.control.full = Overloaded(12.5)
    async with rig.client() as http:
        refused = await http.post("/api/v1/streams", json=CAMERA)
    assert problem(refused, 429)["code"] == "overloaded"
    assert refused.headers["retry-after"] == "13"


async def test_a_stream_keeps_its_priority() -> None:
    async with WebRig().client() as http:
        added = await http.post("/api/v1/streams", json={**CAMERA, "priority": "low"})
        assert added.json()["priority"] == "low"
        renamed = await http.patch("/api/v1/streams/lobby", json={"name": "Lobby"})
        assert renamed.json()["priority"] == "low"
        raised = await http.patch("/api/v1/streams/lobby", json={"priority": "normal"})
        assert raised.json()["priority"] == "normal"
        problem(await http.patch("/api/v1/streams/lobby", json={"priority": "high"}), 422)


async def test_credentials_of_a_source_are_in_no_answer() -> None:
    """Not even in the answer to a request that is wrong elsewhere."""
    rig = WebRig()
    async with rig.client() as http:
        answers = [
            await http.post("/api/v1/streams", json=CAMERA),
            await http.post("/api/v1/streams", json=CAMERA),
            await http.get("/api/v1/streams"),
            await http.get("/api/v1/streams/lobby"),
            await http.get("/api/v1/streams/lobby/status"),
            await http.patch("/api/v1/streams/lobby", json={"name": "x"}),
            await http.post("/api/v1/streams", json={**CAMERA, "surprise": 1}),
            await http.post("/api/v1/streams", json={"id": "a b", **CAMERA["source"]}),  # type: ignore[dict-item]
            await http.post(
                "/api/v1/streams", json={"id": "b", "source": {"url": "http://u:hunter2@x/y"}}
            ),
            await http.post(
                "/api/v1/streams", json={"id": "b", "source": {"url": ["rtsp://u:hunter2@x"]}}
            ),
        ]
    assert [a.status_code for a in answers] == [201, 409, 200, 200, 200, 200, 422, 422, 400, 422]
    for answer in answers:
        assert "hunter2" not in answer.text


@pytest.mark.parametrize("id", [".", "..", "....", ""])
async def test_a_stream_is_not_named_by_dots_alone(id: str) -> None:
    rig = WebRig()
    async with rig.client() as http:
        answer = await http.post("/api/v1/streams", json=CAMERA | {"id": id})
    assert answer.status_code == 422
    assert rig.control.specs == {}


async def test_the_status_of_a_stream_says_how_far_to_believe_its_scores() -> None:
    rig = WebRig()
    async with rig.client() as http:
        await http.post("/api/v1/streams", json={"id": "d", "source": {"url": "demo://tampered"}})
        status = (await http.get("/api/v1/streams/d/status")).json()
    assert status["demo"] is True
    for notice in (status["notice"], status["scores"][0]["notice"]):
        assert "untrained" in notice
        assert "demo" in notice


@pytest.mark.parametrize(
    "address", ["169.254.169.254", "fe80::1", "::ffff:169.254.169.254", "224.0.0.1", "0.0.0.0"]
)
async def test_no_camera_is_at_a_link_local_address(address: str) -> None:
    async with WebRig(resolve=resolver([address])).client() as http:
        assert (
            problem(await http.post("/api/v1/streams", json=CAMERA), 403)["code"]
            == "address_refused"
        )


async def test_cameras_in_private_networks_are_what_this_is_for() -> None:
    async with WebRig(resolve=resolver(["192.168.1.20"])).client() as http:
        assert (await http.post("/api/v1/streams", json=CAMERA)).status_code == 201


@pytest.mark.parametrize(
    "path", ["/etc/passwd", "../../../etc/passwd", "file:///etc/passwd", "link.mp4", "\x00"]
)
async def test_files_outside_the_roots_are_no_sources(path: str, tmp_path: Path) -> None:
    (tmp_path / "link.mp4").symlink_to("/etc/hostname")
    async with WebRig(WebSettings(source_roots=(tmp_path,))).client() as http:
        answer = await http.post("/api/v1/streams", json={"id": "f", "source": {"url": path}})
    assert answer.status_code in (400, 403)


async def test_files_below_a_root_are_sources(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").write_bytes(b"film")
    rig = WebRig(WebSettings(source_roots=(tmp_path,)))
    async with rig.client() as http:
        answer = await http.post(
            "/api/v1/streams", json={"id": "f", "source": {"url": "a.mp4", "loop": True}}
        )
    assert answer.status_code == 201
    assert rig.control.specs["f"].source.url.reveal() == str(tmp_path / "a.mp4")


async def test_a_name_and_tags_are_given_changed_and_taken_back() -> None:
    async with WebRig().client() as http:
        said = {**CAMERA, "name": "  North door ", "tags": ["Berlin", "doors", "Berlin"]}
        added = (await http.post("/api/v1/streams", json=said)).json()
        assert (added["name"], added["tags"]) == ("North door", ["Berlin", "doors"])
        place = "/api/v1/streams/lobby"
        renamed = (await http.patch(place, json={"name": "my camera, Tuesday 14:05"})).json()
        assert (renamed["name"], renamed["tags"]) == (
            "my camera, Tuesday 14:05",
            ["Berlin", "doors"],
        )
        back = (await http.patch(place, json={"name": "", "tags": []})).json()
        assert (back["name"], back["tags"]) == ("lobby", [])


async def test_labels_of_its_worker_are_given_changed_and_taken_back() -> None:
    async with WebRig().client() as http:
        said = {**CAMERA, "placement": {"gpu": True, "site": " north "}}
        added = (await http.post("/api/v1/streams", json=said)).json()
        assert added["placement"] == {"gpu": "true", "site": "north"}
        place = "/api/v1/streams/lobby"
        renamed = (await http.patch(place, json={"name": "Door"})).json()
        assert renamed["placement"] == {"gpu": "true", "site": "north"}
        moved = (await http.patch(place, json={"placement": {"site": "south"}})).json()
        assert moved["placement"] == {"site": "south"}
        assert (await http.get(f"{place}/status")).json()["placement"] == {"site": "south"}
        free = (await http.patch(place, json={"placement": {}})).json()
        assert free["placement"] == {}


@pytest.mark.parametrize(
    "change",
    [
        {"name": "x" * 129},
        {"name": "two\nlines"},
        {"name": "bell\x07"},
        {"name": "turned \u202e around"},
        {"tags": [""]},
        {"tags": ["a,b"]},
        {"tags": ["x" * 33]},
        {"tags": ["tab\there"]},
        {"tags": [str(n) for n in range(17)]},
        {"placement": {"site": ""}},
        {"placement": {"site": "a,b"}},
        {"placement": {"": "north"}},
        {"placement": {str(n): "x" for n in range(17)}},
        {"placement": ["site"]},
    ],
)
async def test_a_name_or_tag_that_could_mislead_is_refused(change: dict[str, object]) -> None:
    rig = WebRig()
    async with rig.client() as http:
        await http.post("/api/v1/streams", json=CAMERA)
        problem(await http.patch("/api/v1/streams/lobby", json=change), 422)
        problem(await http.post("/api/v1/streams", json={**CAMERA, "id": "b", **change}), 422)
    assert list(rig.control.specs) == ["lobby"]
    assert rig.control.specs["lobby"].name == ""
