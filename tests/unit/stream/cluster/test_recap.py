"""What a new reader is told first: the newest of everything, and nothing that is over."""

from __future__ import annotations

from datetime import UTC, datetime

from stream.cluster.recap import Recap
from stream.event_log.event_log import StampedEvent
from stream.events import (
    ConnectionState,
    EpochCause,
    EpochStarted,
    Event,
    StreamAdded,
    StreamChanged,
    StreamDescribed,
    StreamRemoved,
    StreamReport,
    TrackEnd,
    TrackEnded,
)
from stream.stream_state import StreamState
from tests.support.wire import score

AT = datetime(2026, 11, 30, tzinfo=UTC)


class Rig:
    """A recap that is told events with rising numbers."""

    def __init__(self) -> None:
        self.recap = Recap()
        self.number = 0

    def tell(self, *events: Event) -> None:
        """Tell events, one a second."""
        for event in events:
            self.number += 1
            self.recap.accept(StampedEvent(self.number, float(self.number), AT, event))

    def events(self, stream: str = "a") -> list[Event]:
        """Return the recap of a stream without its stamps."""
        return [stamped.event for stamped in self.recap.of(stream)]


def added(stream: str = "a", name: str = "Lobby") -> StreamAdded:
    return StreamAdded(stream, 0, name, ())


def changed(state: ConnectionState) -> StreamChanged:
    return StreamChanged("a", 1, state)


def report(tracks: int) -> StreamReport:
    return StreamReport("a", 1, 25.0, 0.0, tracks, (), 0.1)


def test_the_newest_of_everything_is_told_in_order() -> None:
    rig = Rig()
    epoch = EpochStarted("a", 1, EpochCause.CONNECTED)
    first, second = score(stream="a", epoch=1, track=1), score(stream="a", epoch=1, track=2)
    rig.tell(added(), changed(ConnectionState.CONNECTING), changed(ConnectionState.LIVE), epoch)
    rig.tell(first, report(0), second, report(2), second)
    told = rig.events()
    assert told == [added(), changed(ConnectionState.LIVE), epoch, report(2), first, second]


def test_all_are_stamped_with_the_newest_number_and_their_own_time() -> None:
    rig = Rig()
    rig.tell(added(), changed(ConnectionState.LIVE), report(0))
    assert [(s.id, s.now) for s in rig.recap.of("a")] == [(3, 1.0), (3, 2.0), (3, 3.0)]


def test_a_description_changes_what_was_said_first() -> None:
    rig = Rig()
    rig.tell(added(), StreamDescribed("a", 0, "Entrance", ("vip",)))
    (told,) = rig.events()
    assert isinstance(told, StreamAdded)
    assert (told.name, told.tags) == ("Entrance", ("vip",))


def test_scores_of_ended_tracks_and_earlier_epochs_are_left_out() -> None:
    rig = Rig()
    rig.tell(added(), score(stream="a", epoch=1, track=1), score(stream="a", epoch=1, track=2))
    rig.tell(TrackEnded("a", 1, 1, 3.0, TrackEnd.LOST))
    assert rig.events()[1:] == [score(stream="a", epoch=1, track=2)]
    rig.tell(EpochStarted("a", 2, EpochCause.PTS_JUMP), score(stream="a", epoch=1, track=2))
    assert rig.events()[1:] == [EpochStarted("a", 2, EpochCause.PTS_JUMP)]


def test_a_stream_that_is_gone_is_left_out_and_one_of_its_id_begins_anew() -> None:
    rig = Rig()
    rig.tell(added(), report(1), StreamRemoved("a", 1), added("b"))
    assert rig.recap.streams == ("b",)
    rig.tell(added(name="Again"))
    assert rig.events() == [added(name="Again")]


def test_whoever_folds_a_recap_stands_where_somebody_stands_who_heard_everything() -> None:
    rig, heard = Rig(), StreamState("a")
    events: list[Event] = [added(), changed(ConnectionState.LIVE)]
    events += [EpochStarted("a", 1, EpochCause.CONNECTED), report(1)]
    events += [score(stream="a", epoch=1, track=track) for track in (1, 2, 1)]
    rig.tell(*events)
    for number, event in enumerate(events, 1):
        heard.apply(event, float(number))
    told = StreamState("a")
    for stamped in rig.recap.of("a"):
        told.apply(stamped.event, stamped.now)
    assert told == heard
