"""Sessions: what one publisher may hold, and how long its calls last; peers answer on loopback."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

from stream.clock import ManualClock
from stream.errors import CallNotYours, CallUnknown, PublisherFull, StreamBusy
from stream.events import ReasonCode
from stream.publish.hub import Hub
from stream.webrtc.calls import Publisher, WebRtcSettings
from stream.webrtc.sdp import check_offer
from stream.webrtc.sessions import Sessions
from tests.support.offers import CHROMIUM

OFFER = check_offer(CHROMIUM)
ANN = Publisher("ann", max_streams=2)
BOB = Publisher("bob", max_streams=2)


def started(clock: ManualClock) -> Sessions:
    settings = WebRtcSettings(bind=("127.0.0.1",), connect_s=600.0)
    return Sessions(settings, Hub(clock), clock, lambda seconds, function: None)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(100.0)


@pytest.fixture
async def sessions(clock: ManualClock) -> AsyncIterator[Sessions]:
    made = started(clock)
    yield made
    await made.close()


async def call(sessions: Sessions, stream: str, publisher: Publisher) -> str:
    with sessions.claim(stream, publisher):
        return (await sessions.call(stream, OFFER, publisher)).session


async def test_one_publisher_token_does_not_fill_all_streams(sessions: Sessions) -> None:
    await call(sessions, "a", ANN)
    name = await call(sessions, "b", ANN)
    with pytest.raises(PublisherFull):
        await call(sessions, "c", ANN)
    with pytest.raises(StreamBusy):
        await call(sessions, "a", ANN)  # its own place is not counted twice
    await call(sessions, "c", BOB)
    await call(sessions, "d", Publisher())
    await sessions.hang_up("b", name, ANN)
    await call(sessions, "e", ANN)


async def test_a_stream_that_a_call_left_behind_counts_until_it_is_removed(
    sessions: Sessions,
) -> None:
    """Else one token fills all streams with calls that it hangs up at once."""
    for stream in ("a", "b"):
        sessions.created(stream, ANN)
        await sessions.hang_up(stream, await call(sessions, stream, ANN), ANN)
    with pytest.raises(PublisherFull):
        await call(sessions, "c", ANN)
    await call(sessions, "a", ANN)
    await sessions.drop("b")
    await call(sessions, "c", ANN)


async def test_calls_that_are_being_answered_count_as_well(sessions: Sessions) -> None:
    with sessions.claim("a", ANN), sessions.claim("b", ANN):
        with pytest.raises(PublisherFull), sessions.claim("c", ANN):
            pass
        with sessions.claim("a", ANN):
            pass
    with sessions.claim("c", ANN):
        pass


async def test_a_running_call_ends_when_its_token_expires(
    sessions: Sessions, clock: ManualClock
) -> None:
    end = clock.utc() + timedelta(seconds=60)
    await call(sessions, "a", Publisher("ann", valid_at=lambda now: now < end))
    await call(sessions, "b", Publisher())
    clock.advance(59.0)
    await sessions.tend()
    assert sessions.called("a")
    clock.advance(1.0)
    await sessions.tend()
    assert not sessions.called("a")
    assert sessions.called("b")
    assert sessions.ends == {ReasonCode.ENDED: 1}


async def test_a_call_is_ended_only_below_its_own_stream(sessions: Sessions) -> None:
    name = await call(sessions, "a", ANN)
    for wrong in ("b", "", "A"):
        with pytest.raises(CallUnknown):
            sessions.etag(wrong, name, ANN)
        with pytest.raises(CallUnknown):
            await sessions.trickle(wrong, name, "a=mid:0", ANN)
        with pytest.raises(CallUnknown):
            await sessions.hang_up(wrong, name, ANN)
    assert sessions.called("a")
    await sessions.hang_up("a", name, ANN)
    assert not sessions.called("a")


async def test_one_publisher_neither_changes_nor_ends_the_call_of_another(
    sessions: Sessions,
) -> None:
    name = await call(sessions, "a", ANN)
    for stranger in (BOB, Publisher()):
        with pytest.raises(CallNotYours):
            sessions.etag("a", name, stranger)
        with pytest.raises(CallNotYours):
            await sessions.trickle("a", name, "a=mid:0", stranger)
        with pytest.raises(CallNotYours):
            await sessions.hang_up("a", name, stranger)
    assert sessions.called("a")
    await sessions.hang_up("a", name, Publisher("eve", manages=True))
    assert not sessions.called("a")
