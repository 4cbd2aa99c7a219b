"""`styleflow watch`: live scores in the terminal, from a server or from a source analyzed here."""

from __future__ import annotations

import asyncio
import json
import random
from contextlib import AsyncExitStack, ExitStack
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from prometheus_client import CollectorRegistry
from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidURI
from websockets.typing import Subprotocol

from cli import logs, wiring
from cli.errors import AnalyzerAway, no_answer
from cli.settings import Settings
from stream.analyzer.analyzer import Analyzer
from stream.analyzer.streams import StreamSpec
from stream.clock import SystemClock
from stream.errors import SourceUrlInvalid
from stream.ingest.check import check
from stream.ingest.source import SourceSettings, SourceUrl, redact
from stream.monitoring.metrics import Metrics
from stream.publish.hub import Filter, Hub
from stream.publish.schema import SUBPROTOCOL, CloseCode

FINAL = frozenset({CloseCode.FORBIDDEN, CloseCode.BAD_MESSAGE, CloseCode.TOKEN_EXPIRED})
"""Closings after which connecting again the same way would fail the same way."""

STYLES = {"suspect": "bold red", "ok": "green", "abstain": "yellow", "warming": "dim"}
RETRY_S = 2.0
SCORES = "/api/v1/scores"
ADDRESS_HINT = "Start it with `styleflow serve`, or check the address: http://HOST:PORT"
TOKEN_HINT = "Check --token and --streams"


class Board:
    """Table on the terminal: one row per face, or one per stream without a face."""

    def __init__(self) -> None:
        self._streams: dict[str, dict[str, Any]] = {}
        self._scores: dict[tuple[str, int, str], dict[str, Any]] = {}
        self.line = ""

    def note(self, message: dict[str, Any]) -> None:
        """Take in one message of the analyzer."""
        stream, data = message.get("stream"), message["data"]
        match message["type"]:
            case "snapshot":
                self._streams[str(stream)] = data["status"]
                for score in data["scores"]:
                    self._scores[_key(str(stream), score)] = score
            case "status":
                self._streams[str(stream)] = data
            case "score":
                self._scores[_key(str(stream), data)] = data
            case "event":
                self._note_event(str(stream), data)
            case "lagged":
                self.line = f"this terminal is slow: {data['dropped']} events were skipped"
            case "error":
                self.line = f"{data['title']}: {data['detail']} {data['hint']}"

    def _note_event(self, stream: str, data: dict[str, Any]) -> None:
        match data["kind"]:
            case "track_ended":
                for key in [key for key in self._scores if key[:2] == (stream, data["track"])]:
                    del self._scores[key]
            case "epoch_started":
                self._forget_scores(stream)
            case "stream_removed":
                self._forget_scores(stream)
                self._streams.pop(stream, None)

    def _forget_scores(self, stream: str) -> None:
        for key in [key for key in self._scores if key[0] == stream]:
            del self._scores[key]

    def table(self) -> Table:
        """Return the rows, suspects first."""
        table = Table(expand=True, caption=self.line or "a score is evidence, not proof")
        for column in ("stream", "face", "detector", "score", "interval", "state", "note"):
            table.add_column(column, overflow="fold")
        rank = ("suspect", "abstain", "ok", "warming")
        rows = sorted(
            self._scores.items(), key=lambda item: (rank.index(item[1]["state"]), item[0])
        )
        for (stream, track, detector), score in rows:
            table.add_row(
                stream,
                str(track),
                detector,
                _number(score["p"]),
                f"{_number(score['lo'])} – {_number(score['hi'])}",
                Text(score["summary"], STYLES[score["state"]]),
                Text(score["notice"], "bold yellow"),
            )
        with_face = {stream for stream, _, _ in self._scores}
        for stream, status in sorted(self._streams.items()):
            if stream not in with_face or status.get("faces_waiting"):
                note = Text(status["notice"], "bold yellow")
                table.add_row(stream, "–", "–", "–", "–", Text(status["summary"], "dim"), note)
        return table


def _key(stream: str, score: dict[str, Any]) -> tuple[str, int, str]:
    return stream, score["track"], score.get("detector", "")  # older servers have one


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f}"


def run(settings: Settings, target: str, streams: str, token: str | None) -> None:
    """Follow scores until interrupted.

    Raises:
        AnalyzerAway: no analyzer is there, or it turns us away.
        SourceUrlInvalid: the target is neither an analyzer's address nor a source.
    """
    logs.configure("error", settings.log.format)
    if target.partition("://")[0] in ("http", "https", "ws", "wss"):
        asyncio.run(watch_remote(target, streams, token))
        return
    url = SourceUrl.parse(target)
    if url.is_file and not Path(url.redacted).is_file():
        known = "an analyzer's address begins with http://, a camera's with rtsp://"
        raise SourceUrlInvalid(url.redacted, f"no such file; {known}")
    asyncio.run(_local(settings, url))


async def watch_remote(target: str, streams: str, token: str | None) -> None:
    """Show what a running analyzer publishes; connect again whenever the connection is lost.

    One that was never there is an error: the address may be wrong, and nobody sees that in a table.
    """
    board = Board()
    shown = redact(target)
    clock = SystemClock()
    address = socket_address(target)
    hello = {"type": "hello", "client": "styleflow watch", "token": token}
    wanted = {"type": "subscribe", "id": "watch", "streams": streams.split(",")}
    screen = Live(board.table(), console=Console(), auto_refresh=False)
    with ExitStack() as shown_until_the_end:
        while True:
            try:
                async with connect(
                    address, subprotocols=[Subprotocol(SUBPROTOCOL)], max_size=1 << 22
                ) as socket:
                    board.line = ""
                    if not screen.is_started:
                        shown_until_the_end.enter_context(screen)
                    await socket.send(json.dumps(hello))
                    await socket.send(json.dumps(wanted))
                    await _follow(socket, board, screen)
            except ConnectionClosed as error:
                closed = error.rcvd
                if closed is not None and closed.code in FINAL:
                    raise AnalyzerAway(shown, closed.reason, TOKEN_HINT) from None
                board.line = f"connection lost{f' ({closed.reason})' if closed else ''}, retrying"
            except InvalidURI:
                raise AnalyzerAway(shown, "this is no address", ADDRESS_HINT) from None
            except (OSError, InvalidHandshake) as error:
                if not screen.is_started:
                    raise AnalyzerAway(shown, no_answer(error), ADDRESS_HINT) from None
                board.line = f"{shown}: {no_answer(error)}, retrying"
            screen.update(board.table(), refresh=True)
            await clock.sleep(RETRY_S)


async def _follow(socket: ClientConnection, board: Board, screen: Live) -> None:
    async for text in socket:
        board.note(json.loads(text))
        screen.update(board.table(), refresh=True)


def socket_address(target: str) -> str:
    """Return the WebSocket address of an analyzer, given its own or that of its page.

    A page may lie below a prefix (`web.root_path`); a ws(s) address with a path is taken as it is.
    """
    parts = urlsplit(target)
    scheme = {"http": "ws", "https": "wss"}.get(parts.scheme, parts.scheme)
    path = parts.path
    if not path.strip("/") or (scheme != parts.scheme and not path.endswith(SCORES)):
        path = path.rstrip("/") + SCORES
    return urlunsplit((scheme, parts.netloc, path, "", ""))


async def _local(settings: Settings, url: SourceUrl) -> None:
    """Analyze one source in this process and show its scores; no server, no port."""
    check(SourceSettings(url), served=False)
    clock = SystemClock()
    console = Console()
    with console.status("loading the models"):
        pipeline = await asyncio.to_thread(wiring.pipeline, settings, clock)
    hub = Hub(clock)
    board = Board()
    wake = asyncio.Event()
    async with AsyncExitStack() as stack:
        analyzer = await stack.enter_async_context(
            Analyzer(
                pipeline, hub, Metrics(CollectorRegistry()), clock, seed=random.getrandbits(32)
            )
        )
        subscription = hub.subscribe(Filter(), wake.set, name="watch")
        stack.callback(subscription.close)
        await analyzer.add(StreamSpec("watch", SourceSettings(url)))
        with Live(board.table(), console=console, auto_refresh=False) as screen:
            while True:
                while (text := subscription.take(clock.monotonic())) is not None:
                    board.note(json.loads(text))
                screen.update(board.table(), refresh=True)
                wake.clear()
                try:
                    await asyncio.wait_for(wake.wait(), 0.25)
                except TimeoutError:
                    continue
