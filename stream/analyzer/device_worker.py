"""The device worker: takes batches of frames, steps the pipeline, and hands its events over.

It owns the pipeline and runs in one thread; `step` is one turn of that thread. Other threads offer
frames, and ask for what only the device thread may do (open, close, retune), which is done between
two batches. Frames wait in the batcher, which is bounded; requests are bounded by who may ask.

While the networks compute one batch, the faces of the next are found, if it is there already.
"""

from __future__ import annotations

import threading
from collections import Counter, deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import structlog

from stream.analyzer.settings import AnalyzerSettings
from stream.analyzer.threads import StartThread, Thread, start_daemon
from stream.batch import Planned, Processed, Underway
from stream.challenge.observing import observe
from stream.challenge.watch import Watch
from stream.clock import Clock
from stream.engine.settings import EngineSettings
from stream.events import Event, Frame, Score
from stream.explain.pictures import Pictures
from stream.ingest.frame_log import FrameLog, FrameNote
from stream.monitoring.metrics import Metrics
from stream.pipeline import Pipeline
from stream.scheduling.batcher import Batcher, BatcherSettings, BatcherStats, Item
from stream.scheduling.degradation import Relief, Work

T = TypeVar("T")

log = structlog.get_logger(__name__)

HandOver = Callable[[Iterable[Event]], None]
"""Takes events on their way to the event loop; called on the device thread."""

DROPS = ("overrun", "sampled", "fault")
"""Why a sampled frame was never scored: others came first, less is asked for, or it failed."""

MAX_FAILURES = 3
"""Batches in a row that the device may fail on before the process counts as broken."""


@dataclass(frozen=True, slots=True, eq=False)
class _Offered:
    """A frame, and when it was offered to the batcher."""

    frame: Frame
    at: float


@dataclass(frozen=True, slots=True, eq=False)
class _Order:
    """Something that only the device thread may do; its events are handed over."""

    run: Callable[[], Iterable[Event] | None]
    done: Callable[[], object] | None = None


class DeviceWorker:
    """The device thread, and what waits for it.

    Args:
        pipeline: from frame to event; only this worker's thread touches it from now on.
        clock: where time comes from.
        settings: how often it reports, and after what silence it counts as stuck.
        batching: how frames of several streams share the device.
        pictures: keep frames while somebody asks for pictures.
        metrics: where batch sizes and ages of frames go.
        hand_over: takes events.
        start_thread: runs the worker.
        watch: takes what is measured of streams that are asked for something; one of its own
            when left out.

    Attributes:
        healthy: whether the device answers; False is for good.
    """

    def __init__(
        self,
        pipeline: Pipeline,
        clock: Clock,
        settings: AnalyzerSettings,
        batching: BatcherSettings,
        pictures: Pictures,
        metrics: Metrics,
        hand_over: HandOver,
        start_thread: StartThread = start_daemon,
        watch: Watch | None = None,
    ) -> None:
        self.healthy = True
        self._pipeline = pipeline
        self._clock = clock
        self._settings = settings
        self._pictures = pictures
        self._watch = watch or Watch()
        self._metrics = metrics
        self._hand_over = hand_over
        self._start_thread = start_thread
        self._batcher: Batcher[_Offered] = Batcher(batching)
        self._lock = threading.Lock()  # of the batcher
        self._orders: deque[_Order] = deque()
        self._wake = threading.Event()
        self._stopping = threading.Event()
        self._thread: Thread | None = None
        self._failures = 0  # batches in a row
        self._busy_s = 0.0
        self._dropped: dict[str, Counter[str]] = {}
        self._logs: dict[str, FrameLog] = {}
        self._beat = self._report_at = clock.monotonic()

    # --- life: on the event loop ----------------------------------------------------------------

    def start(self) -> None:
        """Warm the devices up and start the thread."""
        for device in self._pipeline.devices:
            device.warm_up()
        second = self._pipeline.second
        if second is not None:
            second.warm_up()
            log.info(
                "second looks",
                detector=second.scoring.model.name,
                status=second.scoring.model.status.value,
                look_s=round(second.look_s, 3),
                one_every_s=round(second.least_pause_s, 1),
            )
        self._thread = self._start_thread(self.run, "device")

    def stop(self) -> None:
        """Let the thread end after the batch that it is at."""
        self._stopping.set()
        self._wake.set()

    def join(self, timeout: float) -> None:
        """Wait for the thread."""
        if self._thread is not None:
            self._thread.join(timeout)

    def silence_s(self, now: float) -> float:
        """Return for how long the thread has not been seen to turn."""
        return now - self._beat

    def turns(self, now: float) -> bool:
        """Return whether the thread is there and not stuck."""
        alive = self._thread is not None and self._thread.is_alive()
        return alive and self.silence_s(now) < self._settings.stuck_s

    # --- frames: on ingest threads --------------------------------------------------------------

    def offer(self, frame: Frame) -> None:
        """Let a frame wait for the device; the stream's oldest one may have to give way."""
        now = self._clock.monotonic()
        with self._lock:
            self._batcher.offer(frame.stream, _Offered(frame, now), frame.arrived)
        self._wake.set()
        self._pipeline.observe("decode", now - frame.arrived, "")

    def withhold(self, stream: str) -> None:
        """Take note of a frame that is left out to save work."""
        with self._lock:
            self._batcher.withhold(stream)

    def forget(self, stream: str) -> None:
        """Drop the frames of a stream that wait."""
        with self._lock:
            self._batcher.forget(stream)

    # --- requests: on any thread ----------------------------------------------------------------

    def open(self, stream: str) -> None:
        """Prepare for the frames of a stream."""

        def begin() -> None:
            self._logs[stream] = FrameLog()
            self._pipeline.open(stream)

        self._order(begin)

    def close(self, stream: str, done: Callable[[], object]) -> None:
        """End every track of a stream and forget it; `done` is called on the device thread."""

        def close() -> Iterable[Event]:
            self._dropped.pop(stream, None)
            self._logs.pop(stream, None)
            return self._pipeline.close(stream)

        self._order(close, done)

    def end(self, stream: str, epoch: int) -> None:
        """End every track of a stream whose caller has gone; a later epoch's are left alone."""
        self.forget(stream)
        self._order(lambda: self._pipeline.end(stream, epoch))

    def retune(self, settings: EngineSettings, stream: str | None) -> None:
        """Judge a stream, or all, by other thresholds."""
        self._order(lambda: self._pipeline.retune(settings, stream))

    def relieve(self, relief: Relief) -> None:
        """Leave out as much work as this says."""
        self._order(lambda: self._pipeline.relieve(relief))

    def _order(
        self, run: Callable[[], Iterable[Event] | None], done: Callable[[], object] | None = None
    ) -> None:
        self._orders.append(_Order(run, done))
        self._wake.set()

    # --- figures: on any thread -----------------------------------------------------------------

    @property
    def batching(self) -> BatcherStats:
        """How frames have shared the device so far."""
        with self._lock:
            return self._batcher.stats

    @property
    def work(self) -> Work:
        """How much was done so far, and how much gave way."""
        stats = self.batching
        dropped = stats.crowded + stats.stale
        return Work(self._busy_s, stats.items + stats.waiting + dropped, dropped)

    def dropped(self, stream: str) -> Mapping[str, int]:
        """Return how many sampled frames of a stream were never scored, by reason."""
        dropped = self._dropped.get(stream, Counter())
        return {reason: dropped[reason] for reason in DROPS}

    def looked_at(self, stream: str) -> tuple[FrameNote, ...]:
        """Return which frames of a stream were looked at lately, oldest first."""
        kept = self._logs.get(stream)
        return () if kept is None else kept.snapshot()

    # --- the device thread ----------------------------------------------------------------------

    def run(self) -> None:
        """Turn until told to stop; the body of the thread."""
        self._pipeline.device.prepare_thread()
        pause = self._settings.tick_s
        while not self._stopping.is_set():
            self._wake.wait(pause)
            self._wake.clear()
            pause = self.step()
        self._obey()

    def step(self) -> float:
        """Do what was asked for, work batches off, report; return after how long to come again."""
        self._obey()
        held = self._work_off()
        now = self._beat = self._clock.monotonic()
        if now >= self._report_at:
            self._report_at = now + self._settings.report_s
            self._hand_over(self._pipeline.reports(now))
        tick = self._settings.tick_s
        return tick if held is None else min(held, tick)

    def _obey(self) -> None:
        while self._orders:
            order = self._orders.popleft()
            self._hand_over(order.run() or ())
            if order.done is not None:
                order.done()

    def _work_off(self) -> float | None:
        """Process batches until none is ready or somebody asks for something.

        Returns:
            After how many seconds a batch will be ready that is held back; None when none is.
        """
        underway: Underway | None = None
        while True:
            batch, held = self._take() if self._may_take else ([], None)
            planned = self._plan(batch) if batch else None
            if underway is not None:
                self._settle(underway)
            elif not batch:
                return held
            underway = self._begin(planned) if planned is not None else None
            if not self.healthy:
                if underway is not None:
                    self._settle(underway)
                return None

    @property
    def _may_take(self) -> bool:
        return not self._orders and not self._stopping.is_set()

    def _take(self) -> tuple[list[Item[_Offered]], float | None]:
        """Return a batch that is ready, or after how many seconds one that is held back will be."""
        now = self._clock.monotonic()
        with self._lock:
            held = self._batcher.hold(now)
            batch = [] if held else self._batcher.take(now)
        if batch:
            self._observe(batch, now)
        return batch, held

    def _observe(self, batch: Sequence[Item[_Offered]], now: float) -> None:
        self._metrics.batch_size.labels("frames").observe(len(batch))
        for item in batch:
            self._pipeline.observe("wait", max(now - item.value.at, 0.0), "")
            self._metrics.frame_age.labels("perceive").observe(max(now - item.arrived, 0.0))
            self._drop(item.stream, "overrun", item.overrun)
            self._drop(item.stream, "sampled", item.withheld)

    def _plan(self, batch: Sequence[Item[_Offered]]) -> Planned | None:
        """Return a batch whose faces were found; None when that failed."""
        frames = [(item.value.frame, item.overrun + item.withheld) for item in batch]
        relief = self._pipeline.relief
        for frame, left_out in frames:
            if kept := self._logs.get(frame.stream):
                kept.add(frame, left_out, relief.detect_factor, relief.hop_factor)
        return self._try(lambda: self._pipeline.plan(frames))

    def _begin(self, planned: Planned) -> Underway | None:
        """Return a batch that was begun; None when the device failed on it."""
        return self._try(lambda: self._pipeline.begin(planned))

    def _settle(self, underway: Underway) -> None:
        """Hand over what came of a batch."""
        done = self._try(lambda: self._pipeline.conclude(underway, self._asked))
        if done is not None:
            self._failures = 0
            self._beat = self._clock.monotonic()
            self._conclude(done)

    def _try(self, run: Callable[[], T]) -> T | None:
        """Return what one step of a batch gives; None when it failed, which is counted."""
        begin = self._clock.monotonic()
        try:
            return run()
        except Exception:
            log.exception("the device failed on a batch")
            self._failures += 1
            self.healthy = self._failures < MAX_FAILURES and self._devices_answer()
            return None
        finally:
            self._busy_s += self._clock.monotonic() - begin

    def _conclude(self, done: Processed) -> None:
        self._keep_pictures(done)
        self._measure(done)
        for fault in done.faults:
            log.error("a frame could not be processed", stream=fault.stream, error=fault.error)
            self._drop(fault.stream, "fault", 1)
        self._hand_over(done.events)
        if done.faults and not self._devices_answer():
            self.healthy = False  # not these streams are broken but what computes for all

    def _measure(self, done: Processed) -> None:
        """Measure the faces of streams that are asked for something."""
        for seen in done.seen:
            frame = seen.frame
            if self._watch.watched(frame.stream):
                measured = observe(frame.image, seen.found, frame.arrived, frame.epoch)
                self._watch.offer(frame.stream, measured)

    def _devices_answer(self) -> bool:
        return all(device.healthy() for device in self._pipeline.devices)

    def _drop(self, stream: str, reason: str, count: int) -> None:
        if count:
            self._dropped.setdefault(stream, Counter())[reason] += count

    def _asked(self, stream: str) -> tuple[str, ...]:
        return self._pictures.due(stream, self._clock.monotonic())

    def _keep_pictures(self, done: Processed) -> None:
        for seen in done.seen:
            stream, pictures = seen.frame.stream, self._pictures
            plain, overlays = pictures.watched(stream), pictures.overlays(stream)
            if not plain and not overlays:
                continue
            now = self._clock.monotonic()
            scores = [e for e in done.events if isinstance(e, Score) and e.stream == stream]
            if plain:
                pictures.offer(seen.frame, seen.faces, scores, now)
            for name in overlays:
                explained = seen.explained.get(name)
                pictures.offer_explained(seen.frame, seen.faces, scores, now, name, explained)
