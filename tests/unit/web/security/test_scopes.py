"""Scopes: what a token may do."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import create_engine

from stream.analyzer.remembered_streams import RememberedStreams
from stream.clock import ManualClock
from stream.store import audit
from stream.store.access import DirectStore
from stream.store.desired import DesiredStreams
from stream.store.secret_box import SecretBox
from stream.store.tables import metadata
from tests.support.web import CAMERA, WebRig, problem
from web.security.auth import Role, Token, TokenDigest
from web.settings import WebSettings

OPERATOR = "an operator's long token"
VIEWER = "a viewer's own long token"
PUBLISHER = "a publisher's long token"
METRICS = "a long token of Prometheus"
ROLES = {
    OPERATOR: Role.OPERATOR,
    VIEWER: Role.VIEWER,
    PUBLISHER: Role.PUBLISHER,
    METRICS: Role.METRICS,
}
TOKENS = tuple(Token(TokenDigest(secret), role) for secret, role in ROLES.items())


@pytest.mark.parametrize(
    ("token", "read", "change", "metrics"),
    [
        (None, 401, 401, 401),
        ("wrong but long enough", 401, 401, 401),
        (VIEWER, 200, 403, 200),
        (OPERATOR, 200, 201, 200),
        (PUBLISHER, 403, 403, 403),
        (METRICS, 403, 403, 200),
    ],
)
async def test_a_token_opens_what_its_role_allows(
    token: str | None, read: int, change: int, metrics: int
) -> None:
    async with WebRig(WebSettings(tokens=TOKENS)).client(token) as http:
        assert (await http.get("/api/v1/streams")).status_code == read
        assert (await http.get("/metrics")).status_code == metrics
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
    ("path", "roles"), [("/api/v1/streams", "viewer or operator"), ("/metrics", "metrics")]
)
async def test_a_refusal_names_the_roles_that_may(path: str, roles: str) -> None:
    async with WebRig(WebSettings(tokens=TOKENS)).client(PUBLISHER) as http:
        assert roles in problem(await http.get(path), 403)["hint"]


async def test_a_token_for_metrics_neither_calls_nor_predicts_nor_shows_pictures() -> None:
    async with WebRig(WebSettings(tokens=TOKENS)).client(METRICS) as http:
        offer = {"Content-Type": "application/sdp"}
        answers = [
            await http.post("/whip/me", content="v=0", headers=offer),
            await http.post("/predict", json={"file_path": "a.mp4"}),
            await http.get("/api/v1/streams/lobby/picture.jpg"),
            await http.get("/api/v1/streams/lobby/history"),
        ]
    assert [answer.status_code for answer in answers] == [403] * 4


@pytest.mark.parametrize(
    ("tokens", "name"),
    [
        ((), "local"),
        ((Token(TokenDigest(OPERATOR), Role.OPERATOR, "night shift"),), "night shift"),
        ((Token(TokenDigest(OPERATOR), Role.OPERATOR),), "operator"),
    ],
)
async def test_who_changed_a_stream_is_in_the_audit_log(
    tokens: tuple[Token, ...], name: str, tmp_path: Path
) -> None:
    engine = create_engine(f"sqlite:///{tmp_path / 'store.db'}")
    metadata.create_all(engine)
    desired = DesiredStreams(SecretBox(tmp_path / "store.key"))
    rig = WebRig(
        WebSettings(tokens=tokens),
        editor=lambda control: RememberedStreams(
            control, DirectStore(engine), desired, ManualClock()
        ),
    )
    async with rig.client(OPERATOR) as http:
        assert (await http.post("/api/v1/streams", json=CAMERA)).status_code == 201
        assert (await http.patch("/api/v1/streams/lobby", json={"name": "L"})).status_code == 200
        change = {"enter": 0.9}
        answer = await http.patch("/api/v1/streams/lobby/thresholds", json=change)
        assert answer.status_code == 200
        assert (await http.delete("/api/v1/streams/lobby")).status_code == 204
    with engine.connect() as connection:
        found = audit.entries(connection)
    assert [(entry.action, entry.by) for entry in found] == [
        ("stream.removed", name),
        ("stream.changed", name),
        ("stream.changed", name),
        ("stream.added", name),
    ]
    assert found[1].detail == {"thresholds": {"enter": 0.9}}
