"""Who asks, and what they may do."""

from __future__ import annotations

from tests.support.web import WebRig, problem
from web.security.auth import Role, Token, TokenDigest
from web.settings import WebSettings

SECRETS = {
    Role.VIEWER: "viewers-know-this-one",
    Role.OPERATOR: "operators-know-this",
    Role.PUBLISHER: "publishers-know-this",
}
TOKENS = tuple(Token(TokenDigest(secret), role, role.value) for role, secret in SECRETS.items())


async def test_without_tokens_everybody_is_local_and_may_do_everything() -> None:
    async with WebRig().client() as http:
        said = (await http.get("/api/v1/caller")).json()
    assert said == {"name": "local", "scopes": ["control", "metrics", "publish", "read"]}


async def test_a_viewer_is_told_that_they_may_not_control() -> None:
    rig = WebRig(WebSettings(tokens=TOKENS))
    async with rig.client(SECRETS[Role.VIEWER]) as http:
        assert (await http.get("/api/v1/caller")).json() == {
            "name": "viewer",
            "scopes": ["metrics", "read"],
        }
    async with rig.client(SECRETS[Role.OPERATOR]) as http:
        assert "control" in (await http.get("/api/v1/caller")).json()["scopes"]


async def test_who_may_not_read_is_refused_as_everywhere() -> None:
    rig = WebRig(WebSettings(tokens=TOKENS))
    async with rig.client() as http:
        problem(await http.get("/api/v1/caller"), 401)
    async with rig.client(SECRETS[Role.PUBLISHER]) as http:
        problem(await http.get("/api/v1/caller"), 403)
