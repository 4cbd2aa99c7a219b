"""Scopes: what a token may do."""

from __future__ import annotations

import pytest

from tests.support.web import CAMERA, WebRig, problem
from web.security.auth import Role, Token, TokenDigest
from web.settings import WebSettings

OPERATOR = "an operator's long token"
VIEWER = "a viewer's own long token"
TOKENS = (Token(TokenDigest(OPERATOR), Role.OPERATOR), Token(TokenDigest(VIEWER), Role.VIEWER))


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
