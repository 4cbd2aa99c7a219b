"""HEAD: every path that answers GET answers HEAD alike, without a body."""

from __future__ import annotations

import httpx
import pytest

from tests.support.web import WebRig, lobby, served


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/livez",
        "/metrics",
        "/openapi.json",
        "/asyncapi.json",
        "/api/v1/streams",
        "/api/v1/streams/lobby/status",
    ],
)
async def test_head_says_what_get_says_without_the_body(path: str) -> None:
    rig = await lobby()
    async with served(rig.app) as port, httpx.AsyncClient() as http:
        asked = f"http://127.0.0.1:{port}{path}"
        got, head = await http.get(asked), await http.head(asked)
        assert (head.status_code, head.content) == (got.status_code, b"")
        assert _said(head) == _said(got)


async def test_head_of_what_is_not_there_is_not_found() -> None:
    async with WebRig().client() as http:
        head = await http.head("/api/v1/streams/nobody")
    assert (head.status_code, head.content) == (404, b"")


async def test_head_is_for_paths_that_get_is_for() -> None:
    async with WebRig().client() as http:
        assert (await http.head("/predict")).status_code == 405
        assert (await http.post("/livez")).headers["allow"] == "GET, HEAD"


def _said(answer: httpx.Response) -> dict[str, str]:
    """Headers, but for those that differ from one answer to the next."""
    return {name: value for name, value in answer.headers.items() if name != "date"}
