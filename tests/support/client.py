"""Messages of the wire as the Python client reads them."""

from __future__ import annotations

from typing import Any

from stream.clock import ManualClock
from stream.events import Event, Score, StreamReport
from stream.publish.encode import Context, StreamInfo, View, encode, encode_snapshot
from styleflow.client.following import parse
from styleflow.client.messages import Message
from tests.support.wire import INFO


def read(event: Event, info: StreamInfo = INFO, seq: int = 7) -> Message:
    """Return what a client reads when an event happens."""
    message = parse(encode(event, _context(info, seq)))
    assert message is not None
    return message


def snapshot(stream: str, *scores: Score, info: StreamInfo = INFO, **report: Any) -> Message:
    """Return what a client reads first of a stream."""
    told = StreamReport(stream, 1, 25.0, 0.0, len(scores), (), 0.04, **report)
    message = parse(encode_snapshot(stream, View(told, scores), _context(info, 7)))
    assert message is not None
    return message


def _context(info: StreamInfo, seq: int) -> Context:
    clock = ManualClock(start=100.0)
    return Context(info, seq=seq, now=clock.monotonic(), utc=clock.utc())
