"""A running stream: what people are told of it, and since when it may hang."""

from __future__ import annotations

import random

import pytest

from stream.analyzer.ingest_worker import IngestWorker
from stream.analyzer.running_stream import RunningStream
from stream.analyzer.streams import StreamSpec
from stream.clock import ManualClock
from stream.events import ConnectionState, DegradationLevel, StreamAdded, StreamChanged
from stream.ingest.context import IngestContext
from stream.ingest.ingest import Ingest
from stream.ingest.packets import PacketLog
from stream.ingest.source import SourceSettings, SourceUrl
from stream.stream_state import StreamState
from tests.support.threads import SteppedThreads
from tests.support.wire import CARD, INFO, report, score

STALLED = StreamChanged("lobby", 1, ConnectionState.STALLED)


def running(url: str = "rtsp://user:secret@camera/1") -> RunningStream:
    source, clock = SourceSettings(SourceUrl.parse(url)), ManualClock(start=50.0)

    def make(first_epoch: int, log: PacketLog) -> Ingest:
        context = IngestContext(12.5, random.Random(0), log, first_epoch=first_epoch)
        return Ingest("lobby", source, clock, context)

    worker = IngestWorker("lobby", make, lambda item: None, clock, SteppedThreads())
    stream = RunningStream(StreamSpec("lobby", source), worker, StreamState("lobby"))
    waits = StreamAdded("lobby", 0, "Lobby", INFO.models, detail="waiting for a peer")
    stream.state.apply(waits, 50.0)
    return stream


def test_before_its_source_says_anything_a_stream_is_connecting() -> None:
    status = running().status((CARD,), DegradationLevel.NONE)
    assert (status.state, status.detail) == (ConnectionState.CONNECTING, "waiting for a peer")
    assert "secret" not in status.source
    assert (status.fps, status.loss, status.age_s, status.scores) == (None, None, None, ())


def test_a_status_is_what_the_events_amount_to() -> None:
    stream = running()
    for event in (StreamChanged("lobby", 1, ConnectionState.LIVE), report(), score()):
        stream.state.apply(event, 51.0)
    status = stream.status((CARD,), DegradationLevel.LONGER_HOP)
    assert stream.is_live
    assert (status.epoch, status.fps, status.scores) == (1, 25.0, (score(),))
    assert status.overload is DegradationLevel.LONGER_HOP


def test_only_a_stalled_stream_may_hang_and_not_before_its_reader_was_started() -> None:
    stream = running()
    assert stream.hangs_since is None
    stream.state.apply(STALLED, 60.0)
    assert stream.hangs_since == 60.0
    stream.worker.started_at = 75.0
    assert stream.hangs_since == 75.0


@pytest.mark.parametrize("state", set(ConnectionState) - {ConnectionState.STALLED})
def test_in_no_other_state_does_it_hang(state: ConnectionState) -> None:
    stream = running()
    stream.state.apply(StreamChanged("lobby", 1, state), 60.0)
    assert stream.hangs_since is None


def test_a_peer_may_be_silent_for_as_long_as_it_likes() -> None:
    stream = running("whip://")
    stream.state.apply(STALLED, 60.0)
    assert stream.hangs_since is None
