"""Predictions: one video in, and what is refused."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from stream.errors import SourceError
from stream.events import ReasonCode
from tests.support.web import WebRig, problem, resolver
from web.settings import PredictSettings, WebSettings


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "a.mp4").write_bytes(b"film")
    (tmp_path / "folder.mp4").mkdir()
    (tmp_path / "link.mp4").symlink_to(Path(__file__).resolve())
    (tmp_path / "loop.mp4").symlink_to(tmp_path / "loop.mp4")
    return tmp_path


async def test_a_local_file_is_scored(folder: Path) -> None:
    rig = WebRig(WebSettings(predict_roots=(folder,)))
    async with rig.client() as http:
        answer = await http.post("/predict", json={"file_path": "a.mp4"})
    assert answer.status_code == 200
    body = answer.json()
    assert (body["p"], body["lo"], body["hi"], body["state"]) == (0.25, 0.1, 0.6, "ok")
    assert [body[key] for key in ("score", "low", "high", "verdict")] == [0.25, 0.1, 0.6, "clear"]
    assert body["tracks"][0]["p"] == body["tracks"][0]["score"] == 0.25
    assert body["tracks"][0]["state"] == "ok"
    assert body["tracks"][0]["scores"][0]["at"] == 1.28
    assert "untrained" in body["notice"]
    assert rig.predictor.asked == [(folder / "a.mp4", b"film")]


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/etc/passwd", 403),
        ("../secrets.mp4", 403),
        ("file:///etc/passwd", 403),
        ("link.mp4", 403),
        ("missing.mp4", 404),
        ("folder.mp4", 415),
        ("rtsp://camera/stream", 400),
        ("", 422),
        ("x" * 5000, 422),
        ("y" * 300, 404),
    ],
)
async def test_paths_that_may_not_be_read(folder: Path, path: str, status: int) -> None:
    rig = WebRig(WebSettings(predict_roots=(folder,)))
    async with rig.client() as http:
        problem(await http.post("/predict", json={"file_path": path}), status)
    assert rig.predictor.asked == []


async def test_without_roots_no_path_is_read() -> None:
    async with WebRig().client() as http:
        problem(await http.post("/predict", json={"file_path": "/etc/hostname"}), 403)


async def test_urls_inside_are_refused() -> None:
    async with WebRig(resolve=resolver(["127.0.0.1"])).client() as http:
        problem(await http.post("/predict", json={"file_path": "http://inside.example/a.mp4"}), 403)


@pytest.mark.parametrize(
    ("code", "status"),
    [
        (ReasonCode.CORRUPT, 415),
        (ReasonCode.CODEC, 415),
        (ReasonCode.ENDED, 415),
        (ReasonCode.TIMEOUT, 504),
    ],
)
async def test_what_is_no_video_is_a_readable_4xx(
    folder: Path, code: ReasonCode, status: int
) -> None:
    rig = WebRig(WebSettings(predict_roots=(folder,)))
    rig.predictor.error = SourceError(code, "no video stream")
    async with rig.client() as http:
        problem(await http.post("/predict", json={"file_path": "a.mp4"}), status)


async def test_a_video_without_a_face_is_422(folder: Path) -> None:
    rig = WebRig(WebSettings(predict_roots=(folder,)))
    rig.predictor.tracks = 0
    async with rig.client() as http:
        answer = await http.post("/predict", json={"file_path": "a.mp4"})
    assert problem(answer, 422)["code"] == "no_face"


async def test_an_unexpected_failure_says_nothing_about_the_inside(folder: Path) -> None:
    rig = WebRig(WebSettings(predict_roots=(folder,)))
    rig.predictor.error = RuntimeError("the secret is hunter2")
    async with rig.client() as http:
        answer = await http.post("/predict", json={"file_path": "a.mp4"})
    assert "hunter2" not in answer.text
    problem(answer, 500)


async def test_an_analysis_that_takes_too_long_is_504(folder: Path) -> None:
    settings = WebSettings(predict_roots=(folder,), predict=PredictSettings(timeout_s=0.02))
    rig = WebRig(settings)
    rig.predictor.hold = asyncio.Event()
    async with rig.client() as http:
        problem(await http.post("/predict", json={"file_path": "a.mp4"}), 504)


async def test_one_video_at_a_time_a_few_wait_and_the_rest_is_told_when_to_come_back(
    folder: Path,
) -> None:
    rig = WebRig(WebSettings(predict_roots=(folder,), predict=PredictSettings(waiting=2)))
    rig.predictor.hold = asyncio.Event()
    async with rig.client() as http:
        waiting = [
            asyncio.create_task(http.post("/predict", json={"file_path": "a.mp4"}))
            for _ in range(3)
        ]
        for _ in range(50):
            await asyncio.sleep(0)
        assert len(rig.predictor.asked) == 1
        busy = await http.post("/predict", json={"file_path": "a.mp4"})
        assert problem(busy, 429)["retry"] is True
        assert int(busy.headers["retry-after"]) > 0
        rig.predictor.hold.set()
        assert [(await task).status_code for task in waiting] == [200, 200, 200]
        assert (await http.post("/predict", json={"file_path": "a.mp4"})).status_code == 200


async def test_a_client_that_has_left_has_nothing_analysed_and_blocks_no_queue(
    folder: Path,
) -> None:
    rig = WebRig(WebSettings(predict_roots=(folder,), predict=PredictSettings(waiting=0)))
    rig.predictor.hold = asyncio.Event()
    body = b'{"file_path": "a.mp4"}'
    left = asyncio.Event()
    sent: list[Any] = []

    async def receive() -> Any:
        if not sent:
            sent.append("body")
            return {"type": "http.request", "body": body, "more_body": False}
        await left.wait()
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "POST",
        "scheme": "http",
        "path": "/predict",
        "raw_path": b"/predict",
        "query_string": b"",
        "root_path": "",
        "headers": [(b"host", b"127.0.0.1"), (b"content-type", b"application/json")],
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 8000),
    }
    asked = asyncio.create_task(rig.app(scope, receive, send))
    async with asyncio.timeout(10):
        while not rig.predictor.asked:  # noqa: ASYNC110 - it is played, without events
            await asyncio.sleep(0)
        left.set()
        await asked  # although the analysis would go on for ever
    rig.predictor.hold.set()
    async with rig.client() as http:
        assert (await http.post("/predict", json={"file_path": "a.mp4"})).status_code == 200
