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
from stream.webrtc.picture_queue import CallSource, PeerAccess, PictureQueue

VP8 = StreamFormat("vp8", 0, 0, None)
CALL = SourceSettings(SourceUrl.parse("whip://"))
OVER = SourceError(ReasonCode.ENDED, "over")


def picture(pts: int, *, keyframe: bool = False, size: int = 10) -> Packet:
    return Packet(bytes(size), pts, None, Fraction(1, 90_000), keyframe, 0.0, VP8)


def drained(pictures: PictureQueue) -> list[int | None]:
    taken = []
    while (packet := pictures.take(0.0)) is not None:
        taken.append(packet.pts)
    return taken


def filled(count: int, pictures: PictureQueue) -> PictureQueue:
    for pts in range(count):
        pictures.put(picture(pts, keyframe=pts == 0))
    return pictures


def test_pictures_come_out_in_order() -> None:
    assert drained(filled(5, PictureQueue())) == [0, 1, 2, 3, 4]


def test_nothing_is_taken_in_before_a_keyframe_and_one_is_asked_for() -> None:
    pictures = PictureQueue()
    assert pictures.keyframe_wanted
    assert not pictures.put(picture(1))
    assert pictures.keyframe_wanted
    assert pictures.put(picture(2, keyframe=True))
    assert not pictures.keyframe_wanted
    assert drained(pictures) == [2]


def test_a_full_queue_starts_anew_at_a_keyframe() -> None:
    """Any picture that were dropped alone would spoil all that refer to it."""
    pictures = filled(4, PictureQueue(capacity=4))
    assert not pictures.put(picture(4))
    assert pictures.keyframe_wanted
    assert not pictures.put(picture(5))
    assert pictures.put(picture(6, keyframe=True))
    assert pictures.put(picture(7))
    assert drained(pictures) == [6, 7]
    counters = pictures.counters
    assert (counters.accepted, counters.dropped, counters.overflows) == (6, 6, 1)


def test_bytes_are_bounded_like_pictures() -> None:
    pictures = PictureQueue(max_bytes=100)
    assert pictures.put(picture(0, keyframe=True, size=60))
    assert not pictures.put(picture(1, size=60))
    assert len(pictures) == 0
    assert pictures.put(picture(2, keyframe=True, size=500))  # alone it may be as large as it is


def test_what_is_left_is_read_before_the_end_is_told() -> None:
    pictures = filled(2, PictureQueue())
    pictures.end(OVER)
    pictures.end(SourceError(ReasonCode.TIMEOUT, "later"))
    assert pictures.take(0.0) is not None
    assert pictures.take(0.0) is not None
    with pytest.raises(SourceError, match="over"):
        pictures.take(0.0)
    assert not pictures.put(picture(9, keyframe=True))


def test_a_reader_that_has_gone_costs_nothing() -> None:
    pictures = filled(3, PictureQueue())
    pictures.abandon()
    assert pictures.abandoned
    assert len(pictures) == 0
    assert not pictures.put(picture(9, keyframe=True))


def test_a_keyframe_that_waits_need_not_be_asked_for() -> None:
    pictures = filled(1, PictureQueue())
    pictures.want_keyframe()
    assert not pictures.keyframe_wanted
    drained(pictures)
    pictures.want_keyframe()
    assert pictures.keyframe_wanted


def test_a_reader_is_woken_by_a_picture() -> None:
    pictures = PictureQueue()
    taken: list[Packet | None] = []
    reader = threading.Thread(target=lambda: taken.append(pictures.take(30.0)))
    reader.start()
    pictures.put(picture(0, keyframe=True))
    reader.join(10)
    assert [packet.pts for packet in taken if packet] == [0]


def test_each_peer_is_handed_over_once() -> None:
    access, pictures = PeerAccess(), filled(1, PictureQueue())
    access.connect(pictures)
    assert access.ready(lambda _: False)
    source = access.open(CALL, ManualClock(), lambda _: False)
    assert isinstance(source, KeyframeSource)
    assert next(source.packets()).pts == 0
    with pytest.raises(SourceError, match="gone"):
        next(access.open(CALL, ManualClock(), lambda _: False).packets())


def test_an_access_that_is_closed_keeps_nobody() -> None:
    access = PeerAccess()
    access.close()
    assert not access.ready(lambda _: False)
    assert not PeerAccess().ready(lambda _: True)


def test_a_source_ends_when_the_stream_stops_and_lets_the_peer_know() -> None:
    pictures = PictureQueue()
    source = CallSource(pictures, lambda _: True)
    assert list(source.packets()) == []
    source.close()
    assert pictures.abandoned
