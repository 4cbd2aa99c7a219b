"""Laws of the event log: every event once, in order, by numbers that never repeat."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from stream.event_log.event_log import EventLog, StampedEvent
from stream.event_log.ids import LIMIT, BlocksInFile, EventIds
from stream.event_log.queued_sink import Gap, QueuedSink
from stream.events import Event
from stream.scheduling.mailbox import Overflow
from tests.support.wire import score, track_ended, track_started, verdict_changed

KINDS = {"score": score, "started": track_started, "ended": track_ended, "verdict": verdict_changed}


@dataclass
class JumpingClock:
    """A wall clock that can be set to any time; the monotonic one only goes on."""

    utc_s: float = 0.0
    now: float = 0.0

    def monotonic(self) -> float:
        """Return seconds that never go back."""
        self.now += 0.001
        return self.now

    def utc(self) -> datetime:
        """Return what the wall clock was set to."""
        return datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=self.utc_s)

    async def sleep(self, seconds: float) -> None:
        """Wait for nothing."""


class Quick:
    """A sink that keeps up, and appends a further event to some."""

    def __init__(self, log: EventLog, *, answers: bool) -> None:
        self.seen: list[StampedEvent] = []
        self._log = log
        self._answers = answers

    def accept(self, stamped: StampedEvent) -> None:
        """Remember, and answer the end of a face."""
        self.seen.append(stamped)
        if self._answers and stamped.event == track_ended():
            self._log.append(verdict_changed())


class Slow:
    """A sink that gets to its events now and then."""

    def __init__(self) -> None:
        self.seen: list[int] = []
        self.gaps: list[Gap] = []

    def accept(self, stamped: StampedEvent) -> None:
        """Remember a number."""
        self.seen.append(stamped.id)

    def miss(self, gap: Gap) -> None:
        """Remember a gap, which begins above everything that was seen or missed."""
        assert gap.first_id > max([0, *self.seen, *(g.last_id for g in self.gaps)])
        self.gaps.append(gap)


STEPS = st.lists(
    st.one_of(
        st.sampled_from(sorted(KINDS)),
        st.just("deliver"),
        st.just("restart"),
        st.floats(-1e9, 1e9),  # the wall clock is set
    ),
    max_size=80,
)


@given(STEPS, st.integers(1, 5), st.sampled_from(Overflow))
@settings(max_examples=120)
def test_every_sink_sees_every_event_once_and_in_order(
    steps: list[str | float], capacity: int, overflow: Overflow
) -> None:
    """Across restarts and clock changes; a slow sink misses only what it is told of."""
    with tempfile.TemporaryDirectory() as folder:
        clock = JumpingClock()
        runs: list[list[int]] = []

        def start() -> tuple[EventLog, list[Quick], Slow, QueuedSink, list[Event]]:
            blocks = BlocksInFile(Path(folder) / "epoch", clock)
            log = EventLog(clock, EventIds(blocks))
            slow = Slow()
            queue = QueuedSink(slow, capacity, overflow)
            quick = [Quick(log, answers=False), Quick(log, answers=True), Quick(log, answers=False)]
            for sink in (quick[0], quick[1], queue, quick[2]):
                log.attach(sink)
            return log, quick, slow, queue, []

        def finish() -> None:
            """Check one run, from its start to the moment at which the process stops."""
            while queue.deliver():
                pass
            ids = [stamped.id for stamped in quick[0].seen]
            for sink in quick:
                assert sink.seen == quick[0].seen
            assert [s.event for s in quick[0].seen] == told
            missed = {id for gap in slow.gaps for id in ids if gap.first_id <= id <= gap.last_id}
            assert len(missed) == sum(gap.count for gap in slow.gaps) == queue.dropped
            assert sorted([*slow.seen, *missed]) == ids
            assert slow.seen == sorted(set(slow.seen))
            runs.append(ids)

        log, quick, slow, queue, told = start()
        for step in steps:
            if isinstance(step, float):
                clock.utc_s = step
            elif step == "restart":
                finish()
                log, quick, slow, queue, told = start()
            elif step == "deliver":
                queue.deliver()
            else:
                event = KINDS[step]()
                log.append(event)
                told += [event, verdict_changed()] if step == "ended" else [event]
                assert len(queue) <= capacity
        finish()
        everything = [id for run in runs for id in run]
        assert everything == sorted(set(everything))
        assert all(0 < id < LIMIT for id in everything)
