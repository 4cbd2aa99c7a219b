"""The blocking client against a server on a loopback port."""

from __future__ import annotations

import asyncio
import os
import re
import ssl
import sys
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine

from stream.incident import Incident
from stream.incidents import records
from stream.store.access import DirectStore
from stream.store.tables import metadata
from styleflow.client import AnalyzerAway, Client, Lost, Reconnect, RequestRefused
from styleflow.client.errors import SubscriptionRefused
from styleflow.client.messages import (
    EventMessage,
    Message,
    SubscribedMessage,
)
from styleflow.client.sync_client import Subscription
from tests.support.certificates import self_signed
from tests.support.incidents import incident
from tests.support.web import WebRig, lobby, resolver, served
from tests.support.wire import score, track_started
from web.security.auth import Role, Token, TokenDigest
from web.settings import WebSettings

ROOT = Path(__file__).resolve().parents[4]
OPERATOR, VIEWER = "operator token 123456", "viewer token 12345678"
TOKENS = WebSettings(
    tokens=(
        Token(TokenDigest(OPERATOR), Role.OPERATOR, "ann"),
        Token(TokenDigest(VIEWER), Role.VIEWER, "bob"),
    )
)
SOON = Reconnect(first_s=0.01, most_s=0.02, attempts=500)


@asynccontextmanager
async def at_port(rig: WebRig, port: int = 0) -> AsyncIterator[str]:
    """Serve a rig; yields the address."""
    async with served(rig.app, port) as bound:
        yield f"http://127.0.0.1:{bound}"


async def blocking(work: Callable[[], Any]) -> Any:
    """Do blocking work beside the server."""
    return await asyncio.to_thread(work)


def until(subscription: Subscription, wanted: Callable[[Message], bool]) -> list[Message]:
    """Read up to a message that is wanted; return all of them."""
    read = []
    for message in subscription:
        read.append(message)
        if wanted(message):
            return read
    raise AssertionError("iteration ended")


def is_track(number: int) -> Callable[[Message], bool]:
    """Return a test for the beginning of a track."""
    return lambda m: isinstance(m, EventMessage) and getattr(m.data, "track", 0) == number


async def test_streams_are_listed_added_changed_and_removed() -> None:
    rig = await lobby(resolve=resolver(["192.0.2.7"]))

    def work(url: str) -> None:
        with Client(url) as client:
            assert client.caller().name == "local"
            made = client.streams.add("hall", "rtsp://u:hunter2@camera.example/1", name="Hall")
            assert (made.id, made.name, made.state) == ("hall", "Hall", "connecting")
            assert "hunter2" not in repr(made)
            assert [stream.id for stream in client.streams.list()] == ["hall", "lobby"]
            assert client.streams.change("hall", name="The hall").name == "The hall"
            assert client.streams.status("lobby").scores[0].track == 1
            client.streams.remove("hall")
            assert [stream.id for stream in client.streams.list()] == ["lobby"]

    async with at_port(rig) as url:
        await blocking(lambda: work(url))


async def test_a_refusal_says_what_the_analyzer_says() -> None:
    rig = await lobby(settings=TOKENS)

    def work(url: str) -> None:
        with Client(url, token=VIEWER) as client:
            assert [stream.id for stream in client.streams.list()] == ["lobby"]
            with pytest.raises(RequestRefused) as caught:
                client.streams.remove("lobby")
            assert caught.value.status == 403
            assert caught.value.hint
        with Client(url) as nobody, pytest.raises(RequestRefused) as caught:
            nobody.streams.list()
        assert caught.value.status == 401
        with Client(url, token=OPERATOR) as client, pytest.raises(RequestRefused) as caught:
            client.streams.status("nowhere")
        assert caught.value.code == "stream_unknown"

    async with at_port(rig) as url:
        await blocking(lambda: work(url))


async def test_a_wrong_token_ends_a_subscription_at_once() -> None:
    rig = await lobby(settings=TOKENS)

    def work(url: str) -> None:
        with Client(url, token="wrong token 12345678") as client:
            with pytest.raises(SubscriptionRefused) as caught:
                next(client.subscribe(reconnect=SOON))
            assert caught.value.close_code == 1008

    async with at_port(rig) as url:
        await blocking(lambda: work(url))


async def test_an_analyzer_that_is_not_there_is_said_at_once() -> None:
    def work() -> None:
        with Client("http://u:hunter2@127.0.0.1:1") as client:
            for ask in (client.streams.list, lambda: next(client.subscribe())):
                with pytest.raises(AnalyzerAway, match="nothing listens") as caught:
                    ask()
                assert "hunter2" not in str(caught.value)

    await blocking(work)


async def test_a_subscription_goes_on_where_it_was_after_a_restart() -> None:
    """What happened while the connection was away comes once, and nothing comes twice."""
    rig = await lobby()
    losses: list[Lost] = []
    read: list[Message] = []
    first = threading.Event()

    def work(url: str) -> None:
        with Client(url) as client:
            live = client.subscribe("lobby", types=["event"], reconnect=SOON, on_lost=losses.append)
            with live:
                read.extend(until(live, is_track(1)))
                first.set()
                read.extend(until(live, is_track(4)))
                assert live.reconnects == 1
                assert live.skipped == 0

    async with served(rig.app) as port:
        reading = asyncio.create_task(blocking(lambda: work(f"http://127.0.0.1:{port}")))
        while not first.is_set():
            rig.publish(track_started(track=1))
            await asyncio.sleep(0.02)
    rig.publish(track_started(track=2), track_started(track=3))
    async with served(rig.app, port):
        rig.publish(track_started(track=4))
        await reading
    tracks = [m.data.track for m in read if isinstance(m, EventMessage)]  # type: ignore[union-attr]
    assert tracks[-3:] == [2, 3, 4]
    numbers = [m.seq for m in read if isinstance(m, EventMessage)]
    assert numbers == sorted(set(numbers))
    assert losses
    assert [m.data.resumed for m in read if isinstance(m, SubscribedMessage)] == [(), ("lobby",)]


async def test_incidents_are_listed_read_and_judged(tmp_path: Path) -> None:
    store = stored(tmp_path, *(incident(f"20260301-02300{n}-1") for n in range(3)))
    rig = await lobby(settings=TOKENS, store=store)

    def work(url: str) -> None:
        with Client(url, token=OPERATOR) as client:
            page = client.incidents.page(limit=2)
            assert len(page.incidents) == 2
            rest = client.incidents.page(limit=2, cursor=page.next)
            assert len(rest.incidents) == 1
            names = [each.id for each in client.incidents.list(stream="lobby", acknowledged=False)]
            assert names == [each.id for each in (*page.incidents, *rest.incidents)]
            name = names[0]
            assert client.incidents.acknowledge(name).acknowledged is not None
            assert client.incidents.label(name, "false").label == "false"
            assert client.incidents.label(name, None).label is None
            client.incidents.note(name, "a poster on the wall")
            told = client.incidents.get(name)
            assert [(note.by, note.text) for note in told.notes] == [
                ("ann", "a poster on the wall")
            ]
            assert client.incidents.acknowledge(name, taken=False).acknowledged is None
            with pytest.raises(RequestRefused) as caught:
                client.incidents.get("20200101-000000-1")
            assert caught.value.status == 404

    async with at_port(rig) as url:
        await blocking(lambda: work(url))


def stored(folder: Path, *kept: Incident) -> DirectStore:
    """Return a store that holds incidents."""
    engine = create_engine(f"sqlite:///{folder / 'store.db'}")
    metadata.create_all(engine)
    store = DirectStore(engine)
    store.submit(lambda connection: [records.save(connection, each) for each in kept]).result()
    return store


async def test_certificates_are_checked_over_http_and_the_websocket(tmp_path: Path) -> None:
    rig = await lobby()
    certificate, key = self_signed(tmp_path)

    def work(url: str) -> None:
        with Client(url) as stranger:
            for ask in (stranger.streams.list, lambda: next(stranger.subscribe())):
                with pytest.raises(AnalyzerAway, match="its certificate is not trusted"):
                    ask()
        for known in (Client(url, ca_file=certificate), Client(url, verify=False)):
            with known, known.subscribe() as live:
                assert [stream.id for stream in known.streams.list()] == ["lobby"]
                assert isinstance(next(live), SubscribedMessage)

    async with served(rig.app, ssl_certfile=str(certificate), ssl_keyfile=str(key)) as port:
        await blocking(lambda: work(f"https://127.0.0.1:{port}"))


async def test_no_two_threads_use_one_tls_connection(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """OpenSSL does not allow it: now and then a subscription stood still before it had begun."""
    rig = await lobby()
    certificate, key = self_signed(tmp_path)
    used: dict[int, set[int]] = {}

    def take_note(connection: object) -> None:
        used.setdefault(id(connection), set()).add(threading.get_ident())

    class Socket(ssl.SSLSocket):
        def recv(self, *options: Any) -> bytes:
            take_note(self)
            return super().recv(*options)

        def send(self, *options: Any) -> int:
            take_note(self)
            return super().send(*options)

    class Memory(ssl.SSLObject):
        def read(self, *options: Any) -> Any:
            take_note(self)
            return super().read(*options)

        def write(self, data: Any) -> int:
            take_note(self)
            return super().write(data)

    made = ssl.create_default_context

    def watched(**options: Any) -> ssl.SSLContext:
        context = made(**options)
        context.sslsocket_class, context.sslobject_class = Socket, Memory
        return context

    def work(url: str) -> None:
        with Client(url, ca_file=certificate) as client, client.subscribe() as live:
            assert isinstance(next(live), SubscribedMessage)

    async with served(rig.app, ssl_certfile=str(certificate), ssl_keyfile=str(key)) as port:
        monkeypatch.setattr(ssl, "create_default_context", watched)
        await blocking(lambda: work(f"https://127.0.0.1:{port}"))
    assert used
    assert all(len(threads) == 1 for threads in used.values())


async def test_a_subscription_that_is_closed_leaves_no_thread() -> None:
    rig = await lobby()

    def work(url: str) -> None:
        before = set(threading.enumerate())
        with Client(url) as client:
            for _ in range(3):
                with client.subscribe("lobby") as live:
                    next(live)
        assert set(threading.enumerate()) <= before

    async with at_port(rig) as url:
        await blocking(lambda: work(url))


async def test_the_lines_of_the_readme_print_scores() -> None:
    """Up to the first line that they print."""
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```python\n(.*?)```", readme, re.DOTALL)
    (program,) = [block for block in blocks if "styleflow.client" in block]
    assert len(program.strip().splitlines()) <= 10
    rig = WebRig()
    async with at_port(rig) as url:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-u", "-c", program.replace("http://127.0.0.1:8000", url)),
            stdout=asyncio.subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )
        assert process.stdout is not None
        reading = asyncio.create_task(process.stdout.readline())
        while not reading.done():
            if "hall" in rig.control.specs:
                rig.publish(score("hall"))
            await asyncio.sleep(0.05)
        process.kill()
        await process.wait()
    said, state, *notice = (await reading).decode().split()
    assert (float(said), state) == (0.25, "ok")
    assert "untrained" in notice


async def test_a_subscription_can_be_closed_from_another_thread() -> None:
    rig = await lobby()

    def work(url: str) -> int:
        with Client(url) as client:
            live = client.subscribe("lobby")
            next(live)
            threading.Timer(0.05, live.close).start()
            return sum(1 for _ in live)

    async with at_port(rig) as url:
        assert await blocking(lambda: work(url)) >= 0


async def test_the_token_follows_no_redirect() -> None:
    """Neither over HTTP nor over the WebSocket."""
    asked: list[str] = []

    async def elsewhere(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append((await reader.readuntil(b"\r\n\r\n")).decode())
        place = b"HTTP/1.1 307 Temporary Redirect\r\nLocation: http://127.0.0.1:%d/\r\n"
        writer.write(place % trap_port + b"Content-Length: 0\r\nConnection: close\r\n\r\n")
        await writer.drain()
        writer.close()

    trapped: list[str] = []

    async def trap(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        trapped.append("somebody came")
        writer.close()

    def work(url: str) -> None:
        with Client(url, token=OPERATOR) as client:
            with pytest.raises(AnalyzerAway):
                client.streams.list()
            with pytest.raises(AnalyzerAway):
                next(client.subscribe())

    catcher = await asyncio.start_server(trap, "127.0.0.1", 0)
    trap_port = catcher.sockets[0].getsockname()[1]
    server = await asyncio.start_server(elsewhere, "127.0.0.1", 0)
    async with catcher, server:
        await blocking(lambda: work(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"))
    assert len(asked) == 2
    assert trapped == []
