"""A real nginx in front, with TLS, below a prefix, and a real analyzer that wants tokens behind it.

The configuration is the one of `deploy/nginx.conf`, run both ways: the proxy strips the prefix, or
hands it on.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus

from stream.publish.schema import CloseCode
from tests.support.nginx import HOST, PREFIX, Door, Nginx
from tests.support.offers import CHROMIUM
from tests.support.server import Server
from web.routes.pages import NOT_BUILT, is_built

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(180)]

OPERATOR = "an operator's long token"
VIEWER = "a viewer's long token"
SETTINGS = f"""\
web:
  root_path: {PREFIX}
  allowed_hosts: [{HOST}]
  tokens:
    - {{token: "{VIEWER}", role: viewer}}
    - {{token: "{OPERATOR}", role: operator}}
webrtc: {{bind: [127.0.0.1]}}
overload: {{enabled: false}}
streams:
  - {{id: demo, source: {{url: demo://tampered}}}}
"""
SDP = {"content-type": "application/sdp"}
LINK = re.compile(r"""(?:href|src)="([^"]+)"|url\(["']?([^)"']+)""")


@pytest.fixture(scope="module")
def doors(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Door]]:
    """Both ways in."""
    folder = tmp_path_factory.mktemp("nginx")
    config = folder / "analyzer.yaml"
    config.write_text(SETTINGS)
    with Server(config) as server, Nginx(folder, server.port) as nginx:
        yield {"stripping": nginx.stripping, "handing on": nginx.handing_on}


@pytest.fixture(params=["stripping", "handing on"])
def door(doors: dict[str, Door], request: pytest.FixtureRequest) -> Door:
    return doors[request.param]


def files_of(http: httpx.Client, page: str) -> list[str]:
    """Return everything that a page loads or links to, after checking that it is there."""
    answer = http.get(page)
    assert answer.status_code == 200, page
    found = []
    for link in (a or b for a, b in LINK.findall(answer.text)):
        target = httpx.URL(f"{http.base_url}{page}").join(link).raw_path.decode()
        found.append(target)
        linked = http.get(target)
        assert linked.status_code == 200, f"{page} names {link}"
        if linked.headers["content-type"].startswith("text/css"):
            found += files_of(http, target)
    return found


@pytest.mark.skipif(not is_built(), reason=NOT_BUILT)
@pytest.mark.parametrize("page", ["/", "/streams/demo"])
def test_the_page_comes_with_all_its_files(door: Door, page: str) -> None:
    with door.http() as http:
        found = files_of(http, PREFIX + page)
    kinds = {name.rpartition(".")[2] for name in found}
    assert {"js", "css", "woff2", "svg"} <= kinds
    assert all(name.startswith(f"{PREFIX}/") for name in found)
    assert not any(name.startswith(PREFIX * 2) for name in found)


def test_the_operations_page_comes_with_all_its_files(door: Door) -> None:
    with door.http() as http:
        if is_built():
            found = files_of(http, f"{PREFIX}/docs")
            assert f"{PREFIX}/openapi.json" in found
        api = http.get(f"{PREFIX}/openapi.json").json()
        assert api["servers"] == [{"url": PREFIX}]
        sockets = http.get(f"{PREFIX}/asyncapi.json").json()
    assert sockets["channels"]["scores"]["address"] == f"{PREFIX}/api/v1/scores"


def test_a_call_is_ended_by_the_location_that_it_was_given(door: Door) -> None:
    """Neither doubled nor lost on the way."""
    with door.http(OPERATOR) as http:
        called = http.post(f"{PREFIX}/whip/me", content=CHROMIUM, headers=SDP)
        assert called.status_code == 201, called.text
        location = called.headers["location"]
        assert re.fullmatch(rf"{PREFIX}/whip/me/[\w-]+", location)
        assert http.delete(location).status_code == 200
        assert http.delete(location).status_code == 404


def test_a_stream_is_found_by_its_location(door: Door) -> None:
    with door.http(OPERATOR) as http:
        body = {"id": "later", "source": {"url": "whip://"}}
        added = http.post(f"{PREFIX}/api/v1/streams", json=body)
        assert added.status_code == 201
        assert http.get(added.headers["location"]).json()["id"] == "later"
        assert http.delete(added.headers["location"]).status_code == 204


async def test_scores_come_to_whoever_has_a_token(door: Door) -> None:
    async with door.scores(origin=door.origin) as socket:
        said = [
            {"type": "hello", "token": VIEWER},
            {"type": "subscribe", "id": "a", "streams": ["demo"]},
        ]
        for message in said:
            await socket.send(json.dumps(message))
        heard: list[dict[str, Any]] = []
        while not heard or heard[-1]["type"] != "score":
            heard.append(json.loads(await asyncio.wait_for(socket.recv(), 60)))
    assert heard[0]["type"] == "subscribed"
    assert heard[-1]["stream"] == "demo"


@pytest.mark.parametrize("token", [None, "a token that is not ours"])
async def test_without_a_token_nothing_is_said(door: Door, token: str | None) -> None:
    async with door.scores() as socket:
        await socket.send(json.dumps({"type": "hello", "token": token}))
        with pytest.raises(ConnectionClosed) as closed:
            await asyncio.wait_for(socket.recv(), 20)
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == CloseCode.FORBIDDEN
    with door.http(token) as http:
        assert http.get(f"{PREFIX}/api/v1/streams").status_code == 401
        assert http.get(f"{PREFIX}/metrics").status_code == 401
        assert http.post(f"{PREFIX}/whip/me", content=CHROMIUM, headers=SDP).status_code == 401


async def test_another_web_page_is_refused(door: Door) -> None:
    """Also one at another port of the same host."""
    for origin in ("https://evil.example", f"https://{HOST}"):
        with pytest.raises(InvalidStatus) as refused:
            await door.scores(origin=origin)
        assert refused.value.response.status_code == 403


def test_probes_and_metrics_answer_below_the_prefix(door: Door) -> None:
    with door.http(VIEWER) as http:
        for path in ("livez", "readyz", "healthz", "healthcheck", "metrics"):
            assert http.get(f"{PREFIX}/{path}").status_code == 200


def test_redirects_stay_below_the_prefix(door: Door) -> None:
    with door.http() as http:
        for given, meant in ((PREFIX, f"{PREFIX}/"), (f"{PREFIX}/docs/", f"{PREFIX}/docs")):
            moved = http.get(given)
            assert moved.status_code in (301, 307)
            assert moved.headers["location"] == f"{door.origin}{meant}"
        assert http.get("/").status_code == 404


def test_another_host_is_refused(door: Door) -> None:
    with door.http(VIEWER) as http:
        answer = http.get(f"{PREFIX}/livez", headers={"Host": "evil.example"})
    assert answer.json()["code"] == "host_refused"
    assert answer.status_code == 421


def test_the_documents_show_what_was_run() -> None:
    root = Path(__file__).resolve().parents[2]
    page = (root / "docs" / "operations.md").read_text(encoding="utf-8")
    assert f"```nginx\n{(root / 'deploy/nginx.conf').read_text()}```" in page
