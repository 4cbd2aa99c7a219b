"""The log's sink: it never raises, never blocks, and forgets nothing silently."""

from __future__ import annotations

import io
import logging
import os
import threading
from pathlib import Path
from typing import Any

import pytest
import structlog

from cli import logs
from cli.log_sink import (
    MAX_KINDS,
    MAX_LINES,
    MAX_OF_A_KIND,
    WINDOW_S,
    LineRing,
    LineSink,
    RateLimit,
    SinkHandler,
)
from stream.clock import ManualClock


def test_lines_arrive_in_order() -> None:
    stream = io.StringIO()
    sink = LineSink(stream)
    for number in range(3):
        sink.write(f"{number}\n")
    sink.close(10)
    assert stream.getvalue() == "0\n1\n2\n"
    sink.write("late\n")
    assert sink.lost == 1


def test_a_full_disk_costs_lines_and_raises_nothing() -> None:
    with Path("/dev/full").open("w") as full:
        sink = LineSink(full)
        sink.write("a\n")
        sink.close(10)
    assert sink.lost == 1


def test_a_reader_that_has_gone_costs_lines_and_raises_nothing() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "w") as gone:
        sink = LineSink(gone)
        sink.write("a\n")
        sink.close(10)
    assert sink.lost == 1


def test_a_reader_that_stops_reading_holds_nobody_up() -> None:
    class Stuck(io.StringIO):
        def __init__(self) -> None:
            super().__init__()
            self.go = threading.Event()

        def write(self, text: str) -> int:
            self.go.wait()
            return super().write(text)

    stuck = Stuck()
    sink = LineSink(stuck)
    for number in range(MAX_LINES + 50):
        sink.write(f"{number}\n")
    assert 49 <= sink.lost <= 50  # one may be in the thread's hands
    sink.close(0)  # returns
    stuck.go.set()
    sink.close(10)
    assert "lines were lost" in stuck.getvalue() or stuck.getvalue().startswith("0\n")


def test_lines_of_one_kind_are_limited_and_the_rest_is_counted() -> None:
    clock = ManualClock()
    limit = RateLimit(clock.monotonic)
    admitted = [limit.admit("flood") for _ in range(MAX_OF_A_KIND + 7)]
    assert admitted == [0] * MAX_OF_A_KIND + [None] * 7
    assert limit.admit("other") == 0
    clock.advance(WINDOW_S)
    assert limit.admit("flood") == 7
    assert limit.left_out == 7


def test_kinds_are_bounded() -> None:
    limit = RateLimit(ManualClock().monotonic)
    for number in range(5000):
        assert limit.admit(number) == 0
    assert len(limit) == MAX_KINDS


def test_a_log_call_that_is_wrong_raises_nothing() -> None:
    stream = io.StringIO()
    sink = LineSink(stream)
    handler = SinkHandler(sink, RateLimit())
    handler.emit(logging.LogRecord("a", logging.ERROR, "", 1, "%d", ("no number",), None))
    sink.close(10)
    assert stream.getvalue() == "a log line could not be made: TypeError\n"


class Unshowable:
    """A value that cannot be shown."""

    def __repr__(self) -> str:
        raise RuntimeError


@pytest.mark.parametrize("form", ["console", "json"])
def test_a_value_that_cannot_be_shown_raises_nothing(
    form: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    stream = io.StringIO()
    monkeypatch.setattr("sys.stderr", stream)
    before = structlog.get_config()
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    try:
        logs.configure("info", form)
        structlog.get_logger().info("told", value=Unshowable())
        logs.configure("info", form)  # the first one's lines are written
    finally:
        structlog.configure(**before)
        root.handlers, root.level = handlers, level
    assert "told" in stream.getvalue()


def test_lines_for_another_process_are_read_from_where_it_was() -> None:
    ring = LineRing(3)
    ring.write("a\n")
    assert ring.read(0) == (1, ("a\n",))
    assert ring.read(1) == (1, ())
    for text in "bcde":
        ring.write(f"{text}\n")
    end, lines = ring.read(1)
    assert (end, lines) == (5, ("(1 log lines were lost before this one)\n", "c\n", "d\n", "e\n"))
    assert ring.read(99) == ring.read(0)


def test_lines_of_a_worker_say_whose_they_are() -> None:
    ring = LineRing()
    before = structlog.get_config()
    handlers = list(logging.getLogger().handlers)
    try:
        logs.configure("info", "console", elsewhere=ring, worker="worker-2", colors=False)
        structlog.get_logger("test").info("stream added", stream="lobby")
    finally:
        structlog.configure(**before)
        logging.getLogger().handlers = handlers
    (line,) = ring.read(0)[1]
    assert "stream added" in line
    assert "stream=lobby worker=worker-2" in line
