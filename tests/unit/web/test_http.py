"""The HTTP operations, in process: what they answer, and what they refuse."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from prometheus_client import Counter

from stream.analyzer.streams import Health
from stream.errors import Overloaded, SourceError
from stream.events import ReasonCode
from tests.support.web import WebRig, resolver
from web.security.auth import Role, Token, TokenDigest
from web.settings import FetchSettings, PredictSettings, WebSettings

OPERATOR = "an operator's long token"
VIEWER = "a viewer's own long token"
TOKENS = (Token(TokenDigest(OPERATOR), Role.OPERATOR), Token(TokenDigest(VIEWER), Role.VIEWER))
CAMERA = {"id": "lobby", "source": {"url": "rtsp://admin:hunter2@camera.example/stream1"}}


def problem(answer: httpx.Response, status: int) -> dict[str, Any]:
    """Return the problem in an answer, after checking that it is one."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    body: dict[str, Any] = answer.json()
    assert body["status"] == status
    assert body["title"]
    assert body["detail"]
    return body


# --- health and descriptions ----------------------------------------------------------------


async def test_healthcheck() -> None:
    async with WebRig().client() as http:
        assert (await http.get("/healthcheck")).json() == {"healthy": True}


@pytest.mark.parametrize(
    ("state", "codes"),
    [
        (Health(True, True, {}), (200, 200, 200)),
        (Health(True, False, {"model": "loading"}), (200, 200, 503)),
        (Health(False, False, {"device": "fails"}), (503, 503, 503)),
    ],
)
async def test_live_and_ready_are_different_questions(state: Health, codes: Any) -> None:
    rig = WebRig()
    rig.control.state = state
    async with rig.client() as http:
        got = [(await http.get(path)).status_code for path in ("/healthcheck", "/livez", "/readyz")]
        assert tuple(got) == codes
        assert (await http.get("/readyz")).json()["details"] == state.details


async def test_metrics_are_those_of_the_registry() -> None:
    rig = WebRig()
    Counter("styleflow_things", "Things.", registry=rig.registry).inc(3)
    async with rig.client() as http:
        assert "styleflow_things_total 3.0" in (await http.get("/metrics")).text


async def test_every_path_of_the_api_is_described() -> None:
    async with WebRig().client() as http:
        api = (await http.get("/openapi.json")).json()
        sockets = (await http.get("/asyncapi.json")).json()
    assert {"/predict", "/healthcheck", "/api/v1/streams", "/api/v1/streams/{id}"} <= set(
        api["paths"]
    )
    assert sockets["asyncapi"] == "3.0.0"
    assert "score" in sockets["components"]["messages"]


def _references(node: Any) -> list[str]:
    if isinstance(node, dict):
        own = [node["$ref"]] if isinstance(node.get("$ref"), str) else []
        return own + [ref for value in node.values() for ref in _references(value)]
    if isinstance(node, list):
        return [ref for value in node for ref in _references(value)]
    return []


@pytest.mark.parametrize("path", ["/openapi.json", "/asyncapi.json"])
async def test_every_reference_in_the_descriptions_leads_somewhere(path: str) -> None:
    async with WebRig().client() as http:
        described = (await http.get(path)).json()
    for reference in _references(described):
        at = described
        for part in reference.removeprefix("#/").split("/"):
            at = at[part.replace("~1", "/")]


@pytest.mark.parametrize("path", ["/docs", "/static/docs.js", "/static/style.css"])
async def test_pages_load_nothing_from_elsewhere(path: str) -> None:
    async with WebRig().client() as http:
        page = await http.get(path)
    assert page.status_code == 200
    policy = page.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "https://" not in page.text
    assert "http://" not in page.text
    assert "style=" not in page.text
    assert "onclick" not in page.text


async def test_unknown_paths_are_problems_too() -> None:
    async with WebRig().client() as http:
        problem(await http.get("/nothing"), 404)
        problem(await http.put("/predict", json={}), 405)


# --- streams --------------------------------------------------------------------------------


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


# --- who may --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("token", "read", "change"),
    [
        (None, 401, 401),
        ("wrong but long enough", 401, 401),
        (VIEWER, 200, 403),
        (OPERATOR, 200, 201),
    ],
)
async def test_a_token_opens_what_its_role_allows(
    token: str | None, read: int, change: int
) -> None:
    async with WebRig(WebSettings(tokens=TOKENS)).client(token) as http:
        assert (await http.get("/api/v1/streams")).status_code == read
        assert (await http.get("/metrics")).status_code == read
        assert (await http.post("/api/v1/streams", json=CAMERA)).status_code == change
        assert (await http.get("/healthcheck")).status_code == 200


async def test_a_missing_token_is_asked_for() -> None:
    async with WebRig(WebSettings(tokens=TOKENS)).client() as http:
        answer = await http.get("/api/v1/streams")
    assert answer.headers["www-authenticate"].startswith("Bearer")
    assert "Bearer" in problem(answer, 401)["hint"]


async def test_predict_is_for_operators() -> None:
    async with WebRig(WebSettings(tokens=TOKENS)).client(VIEWER) as http:
        problem(await http.post("/predict", json={"file_path": "a.mp4"}), 403)


@pytest.mark.parametrize(
    ("host", "code"),
    [
        ("127.0.0.1:8000", 200),
        ("localhost", 200),
        ("[::1]:8000", 200),
        ("evil.example", 421),
        ("127.0.0.1.evil.example", 421),
        ("styleflow.lan", 200),
    ],
)
async def test_on_loopback_only_our_own_names_are_answered(host: str, code: int) -> None:
    """A page of another site cannot rebind its name to us."""
    async with WebRig(WebSettings(allowed_hosts=("styleflow.lan",))).client(host=host) as http:
        assert (await http.get("/healthcheck")).status_code == code


@pytest.mark.parametrize(
    ("origin", "code"),
    [
        (None, 201),
        ("http://127.0.0.1:8000", 201),
        ("https://desk.example", 201),
        ("http://127.0.0.1:9999", 403),
        ("https://evil.example", 403),
        ("null", 403),
    ],
)
async def test_other_pages_cannot_change_anything(origin: str | None, code: int) -> None:
    rig = WebRig(WebSettings(allowed_origins=("https://desk.example",)))
    async with rig.client() as http:
        headers = {"Origin": origin} if origin else {}
        answer = await http.post("/api/v1/streams", json=CAMERA, headers=headers)
        assert answer.status_code == code


async def test_bodies_are_bounded_with_and_without_a_length() -> None:
    async def body() -> Any:
        for _ in range(3):
            yield b" " * 40_000

    async with WebRig().client() as http:
        problem(await http.post("/predict", content=b" " * 100_000), 413)
        headers = {"Content-Type": "application/json"}
        assert (await http.post("/predict", content=body(), headers=headers)).status_code == 413


# --- predict --------------------------------------------------------------------------------


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


def test_no_setting_shows_a_token() -> None:
    settings = replace(WebSettings(), tokens=TOKENS, fetch=FetchSettings())
    assert OPERATOR not in repr(settings)
    assert OPERATOR not in json.dumps(repr(settings.tokens[0].token))
