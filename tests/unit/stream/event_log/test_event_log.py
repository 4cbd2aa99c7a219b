"""The event log: stamped once, handed to all in one order, and no sink is another's problem."""

from __future__ import annotations

from stream.clock import ManualClock
from stream.event_log.event_log import EventLog, StampedEvent
from tests.support.wire import score, track_ended, track_started, verdict_changed


class Recorder:
    """A sink that remembers."""

    def __init__(self) -> None:
        self.taken: list[StampedEvent] = []

    def accept(self, stamped: StampedEvent) -> None:
        self.taken.append(stamped)


def test_all_sinks_get_the_same_stamp() -> None:
    clock = ManualClock(start=5.0)
    log, one, two = EventLog(clock), Recorder(), Recorder()
    log.attach(one)
    log.attach(two)
    stamped = log.append(score())
    assert (stamped.now, stamped.utc) == (5.0, clock.utc())
    assert one.taken[0] is two.taken[0] is stamped


def test_canaries_reach_only_those_who_ask_for_them() -> None:
    log, everybody, keeper = EventLog(ManualClock()), Recorder(), Recorder()
    log.attach(everybody)
    log.attach(keeper, canaries=True)
    canary, watched = log.append(score(".canary.demo.real")), log.append(score("lobby"))
    assert everybody.taken == [watched]
    assert keeper.taken == [canary, watched]


def test_a_sink_that_comes_later_gets_what_comes_later() -> None:
    log, late = EventLog(ManualClock()), Recorder()
    log.append(score())
    log.attach(late)
    second = log.append(track_ended())
    assert late.taken == [second]


def test_a_sink_that_fails_keeps_nothing_from_the_others() -> None:
    class Broken:
        def accept(self, stamped: StampedEvent) -> None:
            raise RuntimeError("no room left")

    log, recorder = EventLog(ManualClock()), Recorder()
    log.attach(Broken())
    log.attach(recorder)
    log.append(score())
    log.append(track_ended())
    assert len(recorder.taken) == 2
    assert log.failures == 2


def test_what_a_sink_appends_comes_after_what_it_was_given_for_everybody() -> None:
    log, before, after = EventLog(ManualClock()), Recorder(), Recorder()

    class Answering:
        def accept(self, stamped: StampedEvent) -> None:
            if stamped.event == track_started():
                log.append(verdict_changed())

    for sink in (before, Answering(), after):
        log.attach(sink)
    log.append(track_started())
    log.append(track_ended())
    assert [s.event for s in after.taken] == [track_started(), verdict_changed(), track_ended()]
    assert before.taken == after.taken


def test_an_event_of_another_log_keeps_its_number_and_its_utc() -> None:
    clock = ManualClock(start=5.0)
    log, recorder = EventLog(clock), Recorder()
    log.attach(recorder)
    elsewhere = StampedEvent(77, 912.0, clock.utc(), score())
    relayed = log.relay(elsewhere)
    assert recorder.taken == [relayed]
    assert (relayed.id, relayed.utc, relayed.event) == (77, elsewhere.utc, elsewhere.event)
    assert relayed.now == 5.0


def test_an_event_that_is_relayed_waits_for_its_turn() -> None:
    log, recorder = EventLog(ManualClock()), Recorder()
    other = StampedEvent(1 << 50, 0.0, ManualClock().utc(), track_ended())

    class Answers:
        def accept(self, stamped: StampedEvent) -> None:
            if stamped.event == score():
                log.relay(other)

    log.attach(Answers())
    log.attach(recorder)
    first = log.append(score())
    assert [stamped.id for stamped in recorder.taken] == [first.id, other.id]
