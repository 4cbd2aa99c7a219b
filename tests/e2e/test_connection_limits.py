"""Connections that say little or nothing, at a real server on a loopback port."""

from __future__ import annotations

import asyncio
import resource
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path

import httpx
import pytest
from websockets.asyncio.client import connect

from stream.clock import SystemClock
from tests.support.server import Server
from tests.support.web import WebRig, served
from web.settings import ConnectionSettings

pytestmark = pytest.mark.e2e

Peer = tuple[asyncio.StreamReader, asyncio.StreamWriter]
BEGUN = b"GET /livez HTTP/1.1\r\nHost: 127.0.0.1\r\n"
BODY = (
    b"POST /predict HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
    b'Content-Length: 100\r\n\r\n{"file'
)


@asynccontextmanager
async def peer(port: int, text: bytes = b"") -> AsyncIterator[Peer]:
    """Connect and send a part of something."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(text)
        await writer.drain()
        yield reader, writer
    finally:
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()


async def all_of(reader: asyncio.StreamReader) -> bytes:
    """Return what comes until the server closes."""
    async with asyncio.timeout(30):
        try:
            return await reader.read(-1)
        except ConnectionResetError:
            return b""


async def livez(port: int) -> int:
    async with httpx.AsyncClient(timeout=30) as http:
        return (await http.get(f"http://127.0.0.1:{port}/livez")).status_code


@pytest.mark.parametrize(("text", "answer"), [(b"", b""), (BEGUN, b" 408 "), (BODY, b" 408 ")])
async def test_a_request_that_does_not_arrive_in_time_is_given_up(
    text: bytes, answer: bytes
) -> None:
    limits = ConnectionSettings(header_s=0.3, body_s=0.3)
    async with served(WebRig().app, connections=limits) as port, peer(port, text) as (reader, _):
        told = await all_of(reader)
    assert answer in told
    assert bool(told) is bool(answer)


async def test_a_request_in_drips_has_no_more_time_than_others() -> None:
    limits = ConnectionSettings(header_s=0.5)
    async with (
        served(WebRig().app, connections=limits) as port,
        peer(port, BEGUN) as (reader, writer),
    ):
        told = asyncio.create_task(all_of(reader))
        while not told.done():
            with suppress(OSError):
                writer.write(b"X: y\r\n")
                await writer.drain()
            await asyncio.sleep(0.05)
        assert b" 408 " in told.result() or told.result() == b""


async def test_1100_half_sent_requests_take_no_places_of_those_who_ask() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(4096, hard), hard))
    try:
        async with AsyncExitStack() as stack, served(WebRig().app) as port:
            peers = [await stack.enter_async_context(peer(port, BEGUN)) for _ in range(1100)]
            for _ in range(5):
                assert await livez(port) == 200
            assert [await all_of(reader) for reader, _ in peers[:800]] == [b""] * 800
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


async def test_beyond_the_limit_of_connections_the_answer_is_503() -> None:
    limits = ConnectionSettings(most=8, per_address=2)
    rig = WebRig(clock=SystemClock())
    async with served(rig.app, connections=limits) as port:
        url = f"ws://127.0.0.1:{port}/api/v1/scores"
        async with connect(url), connect(url), peer(port) as (reader, _):
            assert b" 503 " in await all_of(reader)
        for _ in range(100):  # places are given back, those of WebSockets too
            with suppress(httpx.TransportError):
                if await livez(port) == 200:
                    break
            await asyncio.sleep(0.05)
        else:
            pytest.fail("no place was given back")


async def test_a_connection_that_asks_again_and_again_keeps_its_place() -> None:
    limits = ConnectionSettings(waiting=2, per_address=2)
    async with (
        served(WebRig().app, connections=limits) as port,
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=20) as http,
    ):
        for _ in range(20):
            assert (await http.get("/livez")).status_code == 200
            assert (await http.post("/predict", json={"x": 1})).status_code == 422


@pytest.mark.timeout(180)
async def test_serve_counts_whom_it_refused_and_may_open_as_much_as_the_system_lets_it(
    tmp_path: Path,
) -> None:
    """Shells allow few open files; fewer than connections would mean that nobody is answered."""
    config = tmp_path / "limits.yaml"
    config.write_text(
        "web:\n"
        "  connections: {header_s: 8, per_address: 8}\n"
        "  sockets: {before_hello: 1, hello_s: 8}\n"
        "streams: [{id: a, source: {url: demo://authentic}}]\n"
    )
    with Server(config, under=["prlimit", "--nofile=256:2048"]) as server:
        assert resource.prlimit(server.pid, resource.RLIMIT_NOFILE) == (2048, 2048)
        assert server.metric("styleflow_streams") == 1
        told = [line for line in server.log if "open files" in line]
        assert "at_most=2048" in told[0]
        assert "before=256" in told[0]
        async with AsyncExitStack() as stack:
            for _ in range(3):
                await stack.enter_async_context(peer(server.port, BEGUN))
            await metric(server, "styleflow_connections_waiting", 3)
            await metric(server, "styleflow_connections_refused_total", 3, "no_request_late")
        async with AsyncExitStack() as stack:
            for _ in range(2):
                url = f"ws://127.0.0.1:{server.port}/api/v1/scores"
                await stack.enter_async_context(connect(url))
            await metric(server, "styleflow_ws_before_hello", 1)
            await metric(server, "styleflow_connections_refused_total", 1, "no_hello_full")
            await metric(server, "styleflow_connections_refused_total", 1, "no_hello_late")
        async with AsyncExitStack() as stack:
            peers = [await stack.enter_async_context(peer(server.port, BEGUN)) for _ in range(12)]
            await all_of(peers[-1][0])  # held until the server has seen that they are too many
        await metric(server, "styleflow_connections_refused_total", 1, "address_full")
        assert server.metric("styleflow_connections") >= 1


async def metric(server: Server, name: str, least: float, reason: str = "") -> None:
    """Wait until a metric has reached a value."""
    labels = {"reason": reason} if reason else {}
    await asyncio.to_thread(server.wait_for_metric, name, least, **labels)
