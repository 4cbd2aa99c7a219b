from __future__ import annotations

import asyncio

import pytest
from rich.console import Console
from websockets.asyncio.server import ServerConnection, serve

from cli import watch
from cli.errors import problem_of
from cli.watch import Printed, Screen, watch_remote
from cli.watch_lines import text_lines
from stream.clock import ManualClock
from styleflow.client.errors import AnalyzerAway
from styleflow.client.reconnect import Lost
from tests.support.client import read
from tests.support.wire import score

NOBODY = Printed(text_lines)


async def test_watch_says_that_what_answers_is_no_analyzer() -> None:
    """Somebody else's web server, for example, or the wrong port of our own."""
    refuse = lambda socket, request: socket.respond(404, "nothing here")  # noqa: E731
    async with serve(
        lambda socket: socket.close(), "127.0.0.1", 0, process_request=refuse
    ) as other:
        address = f"http://127.0.0.1:{other.sockets[0].getsockname()[1]}"
        with pytest.raises(AnalyzerAway, match="no analyzer: HTTP 404"):
            await asyncio.to_thread(watch_remote, NOBODY, address, "*", None)


async def test_watch_says_why_it_is_turned_away() -> None:
    """A wrong token is not something wrong inside the analyzer."""

    async def refuse(socket: ServerConnection) -> None:
        await socket.close(1008, "this token is not known")

    async with serve(refuse, "127.0.0.1", 0) as analyzer:
        address = f"http://127.0.0.1:{analyzer.sockets[0].getsockname()[1]}"
        with pytest.raises(AnalyzerAway, match="this token is not known") as caught:
            await asyncio.to_thread(watch_remote, NOBODY, address, "*", "wrong")
    assert "--token" in problem_of(caught.value).line


def test_tries_to_come_back_never_end_and_are_never_rare() -> None:
    """A terminal that is left open over night shows the analyzer again in the morning."""
    assert watch.AGAIN.attempts is None
    assert watch.AGAIN.most_s <= 10.0


def test_the_table_is_drawn_at_most_ten_times_a_second() -> None:
    clock = ManualClock()
    console = Console(width=80, force_terminal=True, force_interactive=True)
    with console.capture() as capture, Screen(console, clock) as screen:
        for track in range(1, 20):
            screen.note(read(score("lobby", track, track / 100)))
        clock.advance(watch.REFRESH_S)
        screen.note(read(score("lobby", 1, 0.77)))
    text = capture.get()
    assert "0.77" in text
    assert "0.05" in text
    assert text.count("stream ") <= 4  # the first, the second, and what Live draws at its end


def test_a_lost_connection_is_said_beside_the_lines(capsys: pytest.CaptureFixture[str]) -> None:
    NOBODY.lost(Lost("it does not answer", 1, 0.75))
    out, err = capsys.readouterr()
    assert out == ""
    assert err == "it does not answer; trying again in 0.8 s\n"
