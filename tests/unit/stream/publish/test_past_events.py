"""Coming back from before what is in memory: every missed event once, in order, none early."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream.event_log.event_log import StampedEvent
from stream.events import Score
from stream.publish.client_messages import ResumePoint
from stream.publish.encode import Context, encode
from stream.publish.hub import Filter, HubSettings, Subscription
from tests.support.wire import (
    INFO,
    HubRig,
    added,
    removed,
    report,
    score,
    track_ended,
    track_started,
    verdict_changed,
)

FAST = Filter(max_hz=60.0)


def nothing_comes_early(messages: list[dict[str, Any]]) -> bool:
    """Return whether no number comes before an event that is below it, stream by stream."""
    seen: dict[str, int] = {}
    for message in messages:
        newest = seen.get(message["stream"], -1)
        if message["type"] == "event" and message["seq"] < newest:
            return False
        seen[message["stream"]] = max(newest, message["seq"] or -1)
    return True


def nothing() -> None:
    """Stand in for a waker when the test reads by itself."""


class Stored:
    """What a store would have: every event but scores and reports; it may be behind."""

    def __init__(self) -> None:
        self.events: list[tuple[int, str, str]] = []
        self.late = 0  # newest events that are not committed yet

    def accept(self, stamped: StampedEvent) -> None:
        """Keep an event."""
        event = stamped.event
        if not isinstance(event, Score) and type(event).__name__ != "StreamReport":
            context = Context(INFO, stamped.id, stamped.now, stamped.utc)
            self.events.append((stamped.id, event.stream, encode(event, context)))

    def after(self, stream: str, seq: int, limit: int) -> Sequence[tuple[int, str]]:
        """Return a page."""
        committed = self.events[: len(self.events) - self.late]
        return [(n, text) for n, whose, text in committed if whose == stream and n > seq][:limit]

    def seqs(self, stream: str, seq: int) -> list[int]:
        """Return the numbers of every event of a stream above one."""
        return [n for n, whose, _ in self.events if whose == stream and n > seq]


class Rig(HubRig):
    """A hub that keeps four events in memory, and a store that keeps all."""

    def __init__(self, *streams: str) -> None:
        self.stored = Stored()
        super().__init__(HubSettings(log_events=4), ())
        self.log.attach(self.stored)
        self.publish(*(added(stream) for stream in streams or ("lobby",)))

    def number(self, event: int) -> int:
        """Return the number of the n-th event of all."""
        return self.stored.events[event][0]

    def back(self, seq: int, stream: str = "lobby", epoch: int = 1) -> Subscription:
        """Come back to one stream, having seen an event of this number."""
        points = {stream: ResumePoint(epoch=epoch, seq=seq)}
        lost = self.hub.beyond_memory(FAST, points)
        return self.hub.subscribe(FAST, nothing, resume=points, stored=lost)

    def page(self, reader: Subscription, limit: int = 3) -> None:
        """Read one page for a subscription, as its connection would."""
        wanted = reader.wanted_past
        if wanted is not None:
            reader.supply(wanted.stream, self.stored.after(wanted.stream, wanted.seq, limit))

    def everything(self, reader: Subscription, limit: int = 3) -> list[dict[str, Any]]:
        """Read until there is nothing left."""
        taken = self.read(reader)
        while reader.wanted_past is not None:
            self.page(reader, limit)
            taken += self.read(reader)
        return taken


def events_of(messages: list[dict[str, Any]]) -> list[int]:
    """Return the numbers of the event messages."""
    return [m["seq"] for m in messages if m["type"] == "event"]


def test_whoever_comes_back_late_gets_every_missed_event_and_then_the_states() -> None:
    rig = Rig()
    rig.publish(*(track_started(track=t) for t in range(2, 22)), score(track=21))
    reader = rig.back(rig.number(3))
    assert (reader.resumed, reader.gaps) == (("lobby",), ())
    messages = rig.everything(reader)
    assert events_of(messages) == rig.stored.seqs("lobby", rig.number(3))
    assert [m["type"] for m in messages][-1] == "score"
    assert "snapshot" not in [m["type"] for m in messages]
    assert "lagged" not in [m["type"] for m in messages]


def test_nothing_newer_is_sent_before_stored_events_are() -> None:
    """Events, scores and statuses that happen meanwhile wait."""
    rig = Rig()
    rig.publish(*(track_started(track=t) for t in range(2, 12)))
    reader = rig.back(rig.number(0))
    rig.publish(verdict_changed(), score(), report())
    assert rig.read(reader) == []
    rig.page(reader)
    first = rig.read(reader)
    rig.publish(verdict_changed(), score())
    messages = first + rig.everything(reader)
    assert nothing_comes_early(messages)
    assert events_of(messages) == rig.stored.seqs("lobby", rig.number(0))


def test_what_memory_loses_while_it_is_read_comes_from_the_store_too() -> None:
    rig = Rig()
    rig.publish(*(track_started(track=t) for t in range(2, 12)))
    reader = rig.back(rig.number(0))
    messages = []
    for t in range(20, 30):
        rig.page(reader)
        messages += rig.read(reader)
        rig.publish(track_started(track=2 * t), track_started(track=2 * t + 1))
    messages += rig.everything(reader)
    assert events_of(messages) == rig.stored.seqs("lobby", rig.number(0))
    assert rig.hub.lagged == 0


def test_a_stream_that_is_removed_meanwhile_is_told_to_its_end() -> None:
    rig = Rig()
    rig.publish(*(track_started(track=t) for t in range(2, 12)))
    reader = rig.back(rig.number(0))
    rig.page(reader)
    rig.publish(removed("lobby"))
    rig.publish(added("lobby"), track_started())
    messages = rig.everything(reader)
    assert events_of(messages) == rig.stored.seqs("lobby", rig.number(0))
    kinds = [m["data"].get("kind", m["type"]) for m in messages]
    assert kinds.index("stream_removed") < kinds.index("stream_added")


def test_after_a_restart_of_the_server_the_events_before_it_come_first() -> None:
    """Numbers go on and epochs begin anew, so an epoch of before may be above today's."""
    before = Rig()
    before.publish(*(track_started(track=t) for t in range(2, 6)))
    after = Rig()
    earlier = [(n - 1000, stream, text) for n, stream, text in before.stored.events]
    after.stored.events[:0] = earlier
    after.publish(track_started(track=9))
    reader = after.back(earlier[1][0], epoch=7)
    assert (reader.resumed, reader.gaps) == (("lobby",), ())
    messages = after.everything(reader)
    assert len(events_of(messages)) == len(after.stored.seqs("lobby", earlier[1][0])) == 5
    assert messages[-1]["data"]["track"] == 9


def test_what_is_neither_stored_nor_in_memory_is_a_gap_with_a_snapshot() -> None:
    rig = Rig()
    rig.publish(*(track_started(track=t) for t in range(2, 12)))
    reader = rig.back(rig.number(0))
    rig.stored.late = 8  # and never comes
    messages = rig.everything(reader)
    assert [m["type"] for m in messages] == ["event", "event", "snapshot"]
    assert reader.take_gaps() == ("lobby",)
    assert reader.take_gaps() == ()
    rig.publish(track_ended())
    assert [m["type"] for m in rig.everything(reader)] == ["event"]


def test_a_store_that_fails_is_a_gap_with_a_snapshot() -> None:
    rig = Rig()
    rig.publish(*(track_started(track=t) for t in range(2, 12)))
    reader = rig.back(rig.number(0))
    reader.give_up("lobby")
    reader.give_up("lobby")
    assert [m["type"] for m in rig.everything(reader)] == ["snapshot"]
    assert reader.take_gaps() == ("lobby",)


def test_a_point_that_memory_has_needs_no_store() -> None:
    rig = Rig()
    rig.publish(*(track_started(track=t) for t in range(2, 12)))
    reader = rig.back(rig.number(-3))
    assert reader.wanted_past is None
    assert len(events_of(rig.read(reader))) == 2


def test_a_point_of_another_server_is_a_gap() -> None:
    rig = Rig()
    reader = rig.back(rig.number(-1) + 1000)
    assert reader.gaps == ("lobby",)
    assert reader.wanted_past is None


def test_other_streams_events_do_not_wait() -> None:
    rig = Rig("lobby", "lift")
    rig.publish(*(track_started(track=t) for t in range(2, 12)))
    reader = rig.back(rig.number(0))
    rig.read(reader)  # the snapshot of the lift
    rig.publish(track_started("lift"))
    assert [m["stream"] for m in rig.read(reader)] == ["lift"]


@given(st.data())
def test_every_event_comes_once_and_in_order(data: st.DataObject) -> None:
    """Whatever happens, is removed and added again, and is read, in whatever order."""
    rig = Rig("lobby", "lift")
    rig.publish(*(track_started(track=t) for t in range(2, data.draw(st.integers(3, 16)))))
    point = data.draw(st.integers(rig.number(0), rig.number(-1)))
    reader = rig.back(point)
    assert not reader.gaps
    messages = []
    track = 100
    for _ in range(data.draw(st.integers(0, 25))):
        match data.draw(st.sampled_from(["event", "score", "page", "take", "lift", "again"])):
            case "again":
                rig.publish(removed("lobby"), added("lobby"))
            case "event":
                track += 1
                rig.publish(track_started(track=track))
            case "score":
                rig.publish(score(track=track))
            case "lift":
                rig.publish(track_started("lift", track=track), score("lift"))
            case "page":
                rig.page(reader, data.draw(st.integers(1, 5)))
            case _:
                text = reader.take(rig.clock.monotonic())
                messages += [json.loads(text)] if text is not None else []
    messages += rig.everything(reader)
    lobby = [m for m in messages if m["stream"] == "lobby"]
    if "lagged" not in [m["type"] for m in lobby]:  # slow with what memory had, as without a store
        assert events_of(lobby) == rig.stored.seqs("lobby", point)
    assert nothing_comes_early(messages)


@pytest.mark.parametrize("types", [frozenset({"score"}), frozenset({"score", "status"})])
def test_whoever_wants_no_events_needs_no_store(types: frozenset[Any]) -> None:
    rig = Rig()
    rig.publish(*(track_started(track=t) for t in range(2, 12)))
    points = {"lobby": ResumePoint(epoch=1, seq=rig.number(0))}
    assert rig.hub.beyond_memory(Filter(types=types), points) == {}
