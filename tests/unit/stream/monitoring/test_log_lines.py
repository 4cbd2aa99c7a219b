"""Log lines: one for what an operator wants to see, none for the rest."""

from __future__ import annotations

import structlog

from stream.events import ConnectionState, ReasonCode, StreamAdded, StreamChanged
from stream.monitoring.log_lines import LogLines
from tests.support.wire import INFO, removed, report, score, stamped


def test_streams_that_come_change_and_go_are_logged() -> None:
    added = StreamAdded("a", 0, "Lobby", INFO.models, source="rtsp://***@camera/1")
    failed = StreamChanged("a", 1, ConnectionState.FAILED, ReasonCode.AUTH, "wrong password", 30.0)
    live = StreamChanged("a", 1, ConnectionState.LIVE)
    with structlog.testing.capture_logs() as lines:
        for event in (added, failed, live, score("a"), report("a"), removed("a")):
            LogLines().accept(stamped(event))
    assert [line.pop("log_level") for line in lines] == ["info"] * 4
    assert lines == [
        {"event": "stream added", "stream": "a", "source": "rtsp://***@camera/1"},
        {
            "event": "stream changed",
            "stream": "a",
            "state": "failed",
            "code": "auth",
            "detail": "wrong password",
        },
        {"event": "stream changed", "stream": "a", "state": "live"},
        {"event": "stream removed", "stream": "a"},
    ]
