"""The ingest worker, stepped: start, stop, replacement and abandonment of one stream's thread."""

from __future__ import annotations

import random
from collections.abc import Callable
from fractions import Fraction

import pytest

from stream.analyzer.ingest_worker import IngestWorker
from stream.clock import Clock, ManualClock
from stream.events import EpochCause, EpochStarted, Frame, StreamChanged
from stream.ingest.context import IngestContext
from stream.ingest.ingest import Emit, Ingest
from stream.ingest.open import Wait
from stream.ingest.packets import PacketLog
from stream.ingest.source import Packet, SourceSettings, SourceUrl, StreamFormat
from tests.support.threads import SteppedThreads

Item = Frame | StreamChanged | EpochStarted


class Scripted(Ingest):
    """An ingest that keeps one packet, begins its epoch, and then does what the test wants."""

    def __init__(self, clock: Clock, context: IngestContext, then: Callable[[], None]) -> None:
        super().__init__("a", SourceSettings(SourceUrl.parse("clip.mp4")), clock, context)
        self._first = context.first_epoch
        self._then = then
        self._attempts = 0

    def run(self, emit: Emit, wait: Wait) -> None:
        """Emit one event before and one after."""
        self.log.append(packet(float(self._first)))
        emit(EpochStarted("a", self._first, EpochCause.CONNECTED))
        self._then()
        emit(EpochStarted("a", self._first, EpochCause.PTS_JUMP))


def packet(arrived: float) -> Packet:
    """Return a keyframe."""
    return Packet(
        b"\x00", 0, 0, Fraction(1, 90_000), keyframe=True, arrived=arrived,
        format=StreamFormat("h264", 16, 16, b""),
    )  # fmt: skip


class Rig:
    """A worker in the test's hands."""

    def __init__(self, then: Callable[[], None] = lambda: None) -> None:
        self.clock = ManualClock(start=10.0)
        self.threads = SteppedThreads()
        self.items: list[Item] = []
        self.then = then
        self.worker = IngestWorker("a", self.make, self.items.append, self.clock, self.threads)

    def make(self, first_epoch: int, log: PacketLog) -> Ingest:
        """Make an ingest."""
        context = IngestContext(12.5, random.Random(0), log, first_epoch=first_epoch)
        return Scripted(self.clock, context, lambda: self.then())

    def epochs(self) -> list[int]:
        """Return the epochs of what was delivered."""
        return [item.epoch for item in self.items]


def test_what_is_read_is_delivered() -> None:
    rig = Rig()
    rig.worker.start()
    rig.threads.named("ingest-a").run()
    assert rig.epochs() == [1, 1]
    assert rig.worker.join(0.0)
    assert rig.worker.abandoned == 0


def test_nothing_is_delivered_after_it_was_stopped() -> None:
    rig = Rig()
    rig.then = rig.worker.stop
    rig.worker.start()
    rig.threads.named("ingest-a").run()
    assert len(rig.items) == 1


def test_a_thread_that_does_not_end_is_abandoned() -> None:
    rig = Rig()
    rig.worker.start()
    rig.worker.stop()
    assert not rig.worker.join(0.0)
    assert rig.worker.abandoned == 1


def test_a_worker_that_was_never_started_has_nothing_to_wait_for() -> None:
    assert Rig().worker.join(0.0)


def test_a_replaced_ingest_counts_epochs_on_and_its_packets_stay() -> None:
    """The packet log belongs to the stream; what the old thread still says is ignored."""
    rig = Rig()

    def hang() -> None:
        rig.then = lambda: None
        rig.clock.advance(20.0)
        rig.worker.replace(epoch=1)
        rig.threads.named("ingest-a").run()

    rig.then = hang
    rig.worker.start()
    log = rig.worker.log
    rig.threads.started[0].run()
    assert rig.epochs() == [1, 2, 2]
    assert rig.worker.log is log
    assert [kept.arrived for kept in log.snapshot()] == [1.0, 2.0]
    assert rig.worker.abandoned == 1
    assert rig.worker.started_at == 30.0


def test_totals_are_those_of_all_ingests_of_a_stream() -> None:
    """A reader that is replaced takes no figure back: counters never fall."""
    rig = Rig()
    rig.worker.start()
    rig.threads.named("ingest-a").run()
    before = rig.worker.counters
    rig.worker.replace(epoch=1)
    rig.threads.named("ingest-a").run()
    after = rig.worker.counters
    assert before.log.packets == 1
    assert after.log.packets == 2
    assert after.packets >= before.packets


def test_an_ingest_that_breaks_says_so_and_ends_its_thread() -> None:
    def broken() -> None:
        raise RuntimeError("a bug")

    rig = Rig(broken)
    rig.worker.start()
    with pytest.raises(RuntimeError, match="a bug"):
        rig.threads.named("ingest-a").run()
    assert rig.worker.join(0.0)
