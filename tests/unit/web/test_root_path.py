"""The path prefix: what the server says of itself has it once, and requests need not have it."""

from __future__ import annotations

import re
from importlib.resources import files

import pytest
from starlette.routing import Route

from tests.support.web import CAMERA, WebRig
from web.root_path import MAX_CHARS, OWN_SEGMENTS, checked
from web.routes import pages
from web.settings import WebSettings

BELOW = WebSettings(root_path="/tools/styleflow")
SDP = {"content-type": "application/sdp"}
ASKED = pytest.mark.parametrize("asked", ["", "/tools/styleflow"], ids=["stripped", "handed on"])


@ASKED
async def test_the_location_of_a_call_has_the_prefix_once(asked: str) -> None:
    rig = WebRig(BELOW)
    async with rig.client() as http:
        called = await http.post(f"{asked}/whip/me", content="v=0", headers=SDP)
        location = called.headers["location"]
        assert location == "/tools/styleflow/whip/me/session-0000000000000000"
        own = location.removeprefix("/tools/styleflow")
        assert (await http.delete(f"{asked}{own}")).status_code == 200
    assert rig.control.calls == {}


@ASKED
async def test_the_location_of_a_stream_has_the_prefix_once(asked: str) -> None:
    async with WebRig(BELOW).client() as http:
        added = await http.post(f"{asked}/api/v1/streams", json=CAMERA)
    assert added.headers["location"] == "/tools/styleflow/api/v1/streams/lobby"


@ASKED
async def test_descriptions_name_the_prefix_once(asked: str) -> None:
    async with WebRig(BELOW).client() as http:
        api = (await http.get(f"{asked}/openapi.json")).json()
        sockets = (await http.get(f"{asked}/asyncapi.json")).json()
    assert api["servers"] == [{"url": "/tools/styleflow"}]
    assert "/api/v1/streams" in api["paths"]
    assert sockets["channels"]["scores"]["address"] == "/tools/styleflow/api/v1/scores"


@ASKED
@pytest.mark.parametrize("path", ["/livez", "/readyz", "/healthz", "/healthcheck", "/metrics"])
async def test_probes_answer_with_and_without_the_prefix(asked: str, path: str) -> None:
    async with WebRig(BELOW).client() as http:
        assert (await http.get(f"{asked}{path}")).status_code == 200


@ASKED
async def test_a_redirect_stays_below_the_prefix(asked: str) -> None:
    async with WebRig(BELOW).client() as http:
        moved = await http.get(f"{asked}/docs/")
    assert moved.status_code == 307
    assert moved.headers["location"] == "http://127.0.0.1:8000/tools/styleflow/docs"


async def test_the_prefix_alone_leads_to_the_page() -> None:
    async with WebRig(BELOW).client() as http:
        moved = await http.get("/tools/styleflow")
    assert moved.headers["location"] == "http://127.0.0.1:8000/tools/styleflow/"


async def test_without_a_prefix_none_is_named() -> None:
    async with WebRig().client() as http:
        added = await http.post("/api/v1/streams", json=CAMERA)
        assert added.headers["location"] == "/api/v1/streams/lobby"
        assert "servers" not in (await http.get("/openapi.json")).json()
        assert (await http.get("/tools/styleflow/livez")).status_code == 404


@pytest.mark.parametrize("name", ["docs.html", "docs.js"])
def test_the_operations_page_asks_only_for_what_lies_beside_it(name: str) -> None:
    """An address that begins with / would leave the prefix."""
    text = files("web").joinpath("static", name).read_text()
    assert re.findall(r"""(?:href=|src=|fetch\()["'`]/[^"'`]*""", text) == []


@pytest.mark.parametrize("given", ["", "/styleflow", "/tools/style-flow_2", "/~anna/live.v1"])
def test_prefixes_that_can_be_served(given: str) -> None:
    assert checked(given) == given


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("styleflow", "begins with /"),
        ("https://scores.example/styleflow", "not an address"),
        ("/", "leave it empty"),
        ("/styleflow/", "no / at its end"),
        ("//styleflow", "'' cannot be a part"),
        ("/tools/../styleflow", "'..' cannot be a part"),
        ("/.", "'.' cannot be a part"),
        ("/styleflow?x=1", "'styleflow?x=1' cannot be a part"),
        ("/style#flow", "cannot be a part"),
        ("/style%66low", "cannot be a part"),
        ("/style flow", "cannot be a part"),
        ('/"><script>', "cannot be a part"),
        ("/styleflow\n", "cannot be a part"),
        ("/" + "x" * MAX_CHARS, f"{MAX_CHARS} are allowed"),
        ("/api", "a path of the server itself"),
        ("/streams/wall", "a path of the server itself"),
    ],
)
def test_prefixes_that_cannot(given: str, said: str) -> None:
    with pytest.raises(ValueError, match=re.escape(said)):
        checked(given)


async def test_no_prefix_looks_like_a_path_of_ours() -> None:
    """Where a proxy has stripped the prefix, such a path would be taken for one that has it."""
    async with WebRig().client() as http:
        described = (await http.get("/openapi.json")).json()["paths"]
    shown = [route.path for route in pages.routes().routes if isinstance(route, Route)]
    first = {path.split("/")[1] for path in (*described, *shown)}
    assert first - {""} <= OWN_SEGMENTS
    assert {"whip", "predict", "docs", "streams"} <= first
