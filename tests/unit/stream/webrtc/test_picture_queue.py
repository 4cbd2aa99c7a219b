"""The way from event loop to ingest thread: bounded, in order, and never a picture out of place."""

from __future__ import annotations

import threading
from fractions import Fraction

import pytest

from stream.clock import ManualClock
from stream.errors import SourceError
from stream.events import ReasonCode
from stream.ingest.source import (
    KeyframeSource,
    Packet,
    SourceSettings,
    SourceUrl,
    StreamFormat,
)
from stream.webrtc.picture_queue import CallSource, Feed, Line

VP8 = StreamFormat("vp8", 0, 0, None)
CALL = SourceSettings(SourceUrl.parse("whip://"))
OVER = SourceError(ReasonCode.ENDED, "over")


def picture(pts: int, *, keyframe: bool = False, size: int = 10) -> Packet:
    return Packet(bytes(size), pts, None, Fraction(1, 90_000), keyframe, 0.0, VP8)


def drained(feed: Feed) -> list[int | None]:
    taken = []
    while (packet := feed.take(0.0)) is not None:
        taken.append(packet.pts)
    return taken


def filled(count: int, feed: Feed) -> Feed:
    for pts in range(count):
        feed.put(picture(pts, keyframe=pts == 0))
    return feed


def test_pictures_come_out_in_order() -> None:
    assert drained(filled(5, Feed())) == [0, 1, 2, 3, 4]


def test_nothing_is_taken_in_before_a_keyframe_and_one_is_asked_for() -> None:
    feed = Feed()
    assert feed.keyframe_wanted
    assert not feed.put(picture(1))
    assert feed.keyframe_wanted
    assert feed.put(picture(2, keyframe=True))
    assert not feed.keyframe_wanted
    assert drained(feed) == [2]


def test_a_full_feed_starts_anew_at_a_keyframe() -> None:
    """Any picture that were dropped alone would spoil all that refer to it."""
    feed = filled(4, Feed(capacity=4))
    assert not feed.put(picture(4))
    assert feed.keyframe_wanted
    assert not feed.put(picture(5))
    assert feed.put(picture(6, keyframe=True))
    assert feed.put(picture(7))
    assert drained(feed) == [6, 7]
    counters = feed.counters
    assert (counters.accepted, counters.dropped, counters.overflows) == (6, 6, 1)


def test_bytes_are_bounded_like_pictures() -> None:
    feed = Feed(max_bytes=100)
    assert feed.put(picture(0, keyframe=True, size=60))
    assert not feed.put(picture(1, size=60))
    assert len(feed) == 0
    assert feed.put(picture(2, keyframe=True, size=500))  # alone it may be as large as it is


def test_what_is_left_is_read_before_the_end_is_told() -> None:
    feed = filled(2, Feed())
    feed.end(OVER)
    feed.end(SourceError(ReasonCode.TIMEOUT, "later"))
    assert feed.take(0.0) is not None
    assert feed.take(0.0) is not None
    with pytest.raises(SourceError, match="over"):
        feed.take(0.0)
    assert not feed.put(picture(9, keyframe=True))


def test_a_reader_that_has_gone_costs_nothing() -> None:
    feed = filled(3, Feed())
    feed.abandon()
    assert feed.abandoned
    assert len(feed) == 0
    assert not feed.put(picture(9, keyframe=True))


def test_a_keyframe_that_waits_need_not_be_asked_for() -> None:
    feed = filled(1, Feed())
    feed.want_keyframe()
    assert not feed.keyframe_wanted
    drained(feed)
    feed.want_keyframe()
    assert feed.keyframe_wanted


def test_a_reader_is_woken_by_a_picture() -> None:
    feed = Feed()
    taken: list[Packet | None] = []
    reader = threading.Thread(target=lambda: taken.append(feed.take(30.0)))
    reader.start()
    feed.put(picture(0, keyframe=True))
    reader.join(10)
    assert [packet.pts for packet in taken if packet] == [0]


def test_a_line_hands_each_peer_over_once() -> None:
    line, feed = Line(), filled(1, Feed())
    line.connect(feed)
    assert line.ready(lambda _: False)
    source = line.open(CALL, ManualClock(), lambda _: False)
    assert isinstance(source, KeyframeSource)
    assert next(source.packets()).pts == 0
    with pytest.raises(SourceError, match="gone"):
        next(line.open(CALL, ManualClock(), lambda _: False).packets())


def test_a_line_that_is_closed_keeps_nobody() -> None:
    line = Line()
    line.close()
    assert not line.ready(lambda _: False)
    assert not Line().ready(lambda _: True)


def test_a_source_ends_when_the_stream_stops_and_lets_the_peer_know() -> None:
    feed = Feed()
    source = CallSource(feed, lambda _: True)
    assert list(source.packets()) == []
    source.close()
    assert feed.abandoned
