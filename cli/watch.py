"""`styleflow watch`: live scores in the terminal, from a server or from a source analyzed here."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterator
from contextlib import AsyncExitStack, ExitStack, contextmanager
from pathlib import Path
from typing import Protocol

import typer
from prometheus_client import CollectorRegistry
from rich.console import Console
from rich.live import Live

from cli import logs
from cli.settings import Settings
from cli.watch_board import Board
from cli.watch_lines import Lines, json_lines, text_lines, until_nobody_reads
from stream.clock import Clock, SystemClock
from stream.errors import SourceUrlInvalid
from stream.ingest.source import SourceSettings, SourceUrl
from styleflow.client.errors import AnalyzerAway, SubscriptionRefused
from styleflow.client.following import parse
from styleflow.client.messages import Message, SubscribedMessage
from styleflow.client.reconnect import Lost, Reconnect
from styleflow.client.sync_client import Client

AGAIN = Reconnect(first_s=1.0, most_s=10.0, attempts=None)
"""A terminal that is watched goes on until somebody ends it, every ten seconds at the slowest."""

REFRESH_S = 0.1
"""Least time between two pictures of the table."""

TOKEN_HINT = "Check --token and --streams"


class Shown(Protocol):
    """What is done with messages: a table, or lines."""

    def note(self, message: Message) -> None:
        """Take in one message."""
        ...

    def lost(self, lost: Lost) -> None:
        """Say that the connection is lost, and will be tried again."""
        ...


class Screen:
    """Table that is drawn anew as messages come; a context manager."""

    def __init__(self, console: Console, clock: Clock) -> None:
        self._board = Board()
        self._console = console
        self._clock = clock
        self._live = Live(console=console, auto_refresh=False)
        self._drawn = 0.0
        self._stack = ExitStack()

    def __enter__(self) -> Screen:
        return self

    def __exit__(self, *error: object) -> None:
        self._stack.close()

    def note(self, message: Message) -> None:
        """Take in one message, and show it soon."""
        if isinstance(message, SubscribedMessage):
            self._board.line = ""
        self._board.note(message)
        self.draw(at_once=isinstance(message, SubscribedMessage))

    def lost(self, lost: Lost) -> None:
        """Say below the table that the connection is lost."""
        self._board.line = f"{lost.reason}; trying again"
        self.draw(at_once=True)

    def draw(self, *, at_once: bool = False) -> None:
        """Show the table, unless it was shown just now. The first one opens the display."""
        now = self._clock.monotonic()
        if not self._live.is_started:
            self._stack.enter_context(self._live)
        elif not at_once and now - self._drawn < REFRESH_S:
            return
        self._drawn = now
        self._live.update(self._board.table(self._console.width), refresh=True)


class Printed(Lines):
    """Lines on standard output; what is said of the connection goes to standard error."""

    def lost(self, lost: Lost) -> None:
        """Say it, and how long the next try waits."""
        typer.echo(f"{lost.reason}; trying again in {lost.wait_s:.1f} s", err=True)


@contextmanager
def shown(*, as_json: bool) -> Iterator[Shown]:
    """Return a table on a terminal, lines anywhere else, or JSON lines."""
    console = Console()
    if as_json or not console.is_terminal:
        with until_nobody_reads():
            yield Printed(json_lines if as_json else text_lines)
        return
    with Screen(console, SystemClock()) as screen:
        yield screen


def run(
    settings: Settings, target: str, streams: str, token: str | None, *, as_json: bool = False
) -> None:
    """Follow scores until interrupted, or until nobody reads them any more.

    Raises:
        AnalyzerAway: no analyzer is there, or it turns us away.
        SourceUrlInvalid: the target is neither an analyzer's address nor a source.
    """
    logs.configure("error", settings.log.format)
    if target.partition("://")[0] in ("http", "https", "ws", "wss"):
        with shown(as_json=as_json) as sink:
            watch_remote(sink, target, streams, token)
        return
    url = SourceUrl.parse(target)
    if url.is_file and not Path(url.redacted).is_file():
        known = "an analyzer's address begins with http://, a camera's with rtsp://"
        raise SourceUrlInvalid(url.redacted, f"no such file; {known}")
    with shown(as_json=as_json) as sink:
        asyncio.run(_local(settings, url, sink))


def watch_remote(sink: Shown, target: str, streams: str, token: str | None) -> None:
    """Show what a running analyzer publishes; connect again whenever the connection is lost.

    One that was never there is an error: the address may be wrong, and nobody sees that in a table.
    """
    with Client(target, token=token, name="styleflow watch") as client:
        messages = client.subscribe(*streams.split(","), reconnect=AGAIN, on_lost=sink.lost)
        with messages:
            try:
                for message in messages:
                    sink.note(message)
            except SubscriptionRefused as refused:
                raise AnalyzerAway(refused.address, refused.reason, TOKEN_HINT) from None


async def _local(settings: Settings, url: SourceUrl, sink: Shown) -> None:
    """Analyze one source in this process and show its scores; no server, no port."""
    from cli import wiring  # here: a client of a running analyzer does without torch
    from stream.analyzer.analyzer import Analyzer
    from stream.analyzer.streams import StreamSpec
    from stream.ingest.check import check
    from stream.monitoring.metrics import Metrics
    from stream.publish.hub import Filter, Hub

    check(SourceSettings(url), served=False)
    clock = SystemClock()
    with Console(stderr=True).status("loading the models"):
        pipeline = await asyncio.to_thread(wiring.pipeline, settings, clock)
    hub = Hub(clock)
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
        while True:
            while (text := subscription.take(clock.monotonic())) is not None:
                message = parse(text)
                if message is not None:
                    sink.note(message)
            wake.clear()
            try:
                await asyncio.wait_for(wake.wait(), 0.25)
            except TimeoutError:
                continue
