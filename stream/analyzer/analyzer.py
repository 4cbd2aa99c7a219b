"""Everything that happens at the same time, in one place.

Theory of operation. One event loop holds the state that people see, and speaks with WebRTC peers.
Each stream has one ingest thread, because opening and reading a source block; it offers sampled
frames to the batcher and hands connection events over. One device thread takes batches of frames,
steps the pipeline and hands its events over. Both hand over through one bounded mailbox that the
loop drains. A ticker on the loop notices stalls, asks for reports and copies counters into metrics;
another looks after the calls.

    ingest thread ──frames──▶ batcher ──▶ device thread ──┐
          └────────connection events──▶ mailbox ◀─events──┘
                                           └──▶ event loop ──▶ hub

What belongs to the device thread (pipeline) is touched by nobody else: the loop sends it small
functions through `_orders`. Every queue here is bounded and counts what it lets go.
"""

from __future__ import annotations

import asyncio
import random
import threading
import zlib
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from types import TracebackType

import structlog

from stream.analyzer.settings import AnalyzerSettings as AnalyzerSettings
from stream.analyzer.streams import Health, Priority, StreamSpec, StreamStatus
from stream.clock import Clock
from stream.engine.engine import EngineSettings
from stream.errors import (
    NotACall,
    OverlayUnavailable,
    Overloaded,
    StreamError,
    StreamExists,
    StreamUnknown,
    TooManyStreams,
)
from stream.events import (
    ConnectionState,
    EpochStarted,
    Event,
    Frame,
    Score,
    StreamChanged,
    StreamReport,
    TrackEnded,
)
from stream.explain.pictures import Pictures, Still
from stream.ingest.check import check
from stream.ingest.context import IngestContext, SourceAccess
from stream.ingest.ingest import Ingest
from stream.ingest.open import is_demo
from stream.ingest.packets import PacketLog
from stream.ingest.source import SourceSettings, SourceUrl
from stream.monitoring.metrics import CounterCopy, Metrics
from stream.monitoring.telemetry import Telemetry
from stream.offline.analysis import DetectorUnknown
from stream.pipeline import Pipeline, Processed
from stream.problems import DEGRADATION_WORDS
from stream.publish.encode import ScoringModel, StreamInfo
from stream.publish.hub import Hub
from stream.scheduling.batcher import Batcher, BatcherSettings, BatcherStats
from stream.scheduling.degradation import Degradation, OverloadSettings, Work
from stream.scheduling.mailbox import Mailbox, Overflow
from stream.webrtc.calls import CallAnswer, WebRtcSettings
from stream.webrtc.sdp import check_offer
from stream.webrtc.sessions import Switchboard
from styleflow.overlay import PointsAt

log = structlog.get_logger(__name__)

Order = Callable[[], tuple[Event, ...]]
"""Something that only the device thread may do; its events are published."""


@dataclass(frozen=True, slots=True, eq=False)
class _Offered:
    """A frame, and when it was offered to the batcher."""

    frame: Frame
    at: float


@dataclass(frozen=True, slots=True, eq=False)
class _Handed:
    """An event, and when it was handed to the event loop."""

    event: Event
    at: float


@dataclass(slots=True, eq=False)
class _Stream:
    """One stream's parts and what is known of it; only the event loop changes it."""

    spec: StreamSpec
    ingest: Ingest
    thread: threading.Thread
    stop: threading.Event
    change: StreamChanged
    demo: bool = False
    changed_at: float = 0.0
    epoch: int = 0
    report: StreamReport | None = None
    scores: dict[tuple[int, str], Score] = field(default_factory=dict)
    reconnects: int = 0
    engine: EngineSettings | None = None  # thresholds of its own
    copied: CounterCopy = field(default_factory=CounterCopy)
    leaving: asyncio.Event | None = None


class Analyzer:
    """Runs streams from source to hub; an async context manager.

    Args:
        pipeline: from frame to event; this analyzer's device thread owns it from now on.
        hub: where events go; used on the event loop only.
        metrics: where figures go.
        clock: where time comes from.
        settings: how much it takes on.
        batching: how frames of several streams share the device.
        seed: seeds the jitter of reconnection.
        calls: which WebRTC peers are answered.
        overload: what is left out when there is more work than the machine can do.
    """

    def __init__(
        self,
        pipeline: Pipeline,
        hub: Hub,
        metrics: Metrics,
        clock: Clock,
        settings: AnalyzerSettings | None = None,
        batching: BatcherSettings | None = None,
        seed: int | None = None,
        calls: WebRtcSettings | None = None,
        overload: OverloadSettings | None = None,
    ) -> None:
        self.hub = hub
        self.metrics = metrics
        self.settings = settings or AnalyzerSettings()
        self._pipeline = pipeline
        self._scoring_models = tuple(
            ScoringModel(o.card, o.calibration.fitted) for o in pipeline.scorers
        )
        self._pointers = {o.card.name: o.points_at for o in pipeline.scorers}
        self._cadence_hz = pipeline.cadence_hz
        self._engine = pipeline.settings
        self._pictures = Pictures()
        self._drawing = asyncio.Semaphore(1)  # one worker thread makes pictures, never more
        self._clock = clock
        self._rng = random.Random(seed)
        self._batcher: Batcher[_Offered] = Batcher(batching or BatcherSettings())
        self._batcher_lock = threading.Lock()
        self._degradation = Degradation(overload)
        self._busy_s = 0.0  # written by the device thread only
        self._streams: dict[str, _Stream] = {}
        self._orders: deque[tuple[Order, Callable[[], object] | None]] = deque()
        self._wake = threading.Event()
        self._stopping = threading.Event()
        self._outbox: Mailbox[_Handed] = Mailbox(
            self.settings.events, Overflow.DROP_OLDEST, wake=self._ring
        )
        self._ringing = threading.Event()
        self._device_thread = threading.Thread(target=self._device_loop, name="device", daemon=True)
        self._beat = clock.monotonic()
        self._device_healthy = True
        self._abandoned = 0
        self._telemetry = Telemetry(metrics)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._ticker: asyncio.Task[None] | None = None
        self._tender: asyncio.Task[None] | None = None
        self._board = Switchboard(calls or WebRtcSettings(), hub, clock, self._later)

    # --- life -----------------------------------------------------------------------------

    async def __aenter__(self) -> Analyzer:
        self._loop = asyncio.get_running_loop()
        for device in self._pipeline.devices:
            device.warm_up()
        self._device_thread.start()
        self._ticker = self._loop.create_task(self._tick(), name="ticker")
        self._tender = self._loop.create_task(self._tend_calls(), name="calls")
        for device in self._pipeline.devices:
            self.metrics.slots.labels(device.detector.card.name).set(device.stats.slots)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for stream in list(self._streams):
            self._stop(self._streams[stream])
        await self._board.close()
        for stream in list(self._streams):
            await self.remove(stream)
        assert self._ticker is not None
        assert self._tender is not None
        self._ticker.cancel()
        self._tender.cancel()
        await asyncio.gather(self._ticker, self._tender, return_exceptions=True)
        self._stopping.set()
        self._wake.set()
        await asyncio.to_thread(self._device_thread.join, self.settings.stop_s)

    # --- control: on the event loop ---------------------------------------------------------

    async def add(self, spec: StreamSpec) -> StreamStatus:
        """Start a stream; its source need not be reachable yet.

        Raises:
            StreamExists: the id is taken.
            TooManyStreams: the limit is reached.
            Overloaded: the machine has more to do than it can.
            SourceUrlInvalid: the source can never be opened.
        """
        check(spec.source)
        if spec.id in self._streams:
            raise StreamExists(spec.id)
        if len(self._streams) >= self.settings.max_streams:
            raise TooManyStreams(self.settings.max_streams)
        if self._degradation.refuses:
            self.metrics.streams_refused.inc()
            raise Overloaded(self._degradation.settings.retry_after_s)
        return self._start(spec)

    def _start(self, spec: StreamSpec) -> StreamStatus:
        ingest, thread, stop = self._ingest(spec, 0, PacketLog())
        demo = is_demo(spec.source.url)
        self._streams[spec.id] = _Stream(spec, ingest, thread, stop, _at_first(spec), demo=demo)
        self.hub.announce(
            spec.id,
            StreamInfo(
                name=spec.name or spec.id,
                model=self._scoring_models[0].model,
                calibrated=self._scoring_models[0].calibrated,
                demo=demo,
                others=self._scoring_models[1:],
            ),
        )
        self.metrics.streams.set(len(self._streams))
        self._order(lambda: self._open(spec.id))
        thread.start()
        log.info("stream added", stream=spec.id, source=spec.source.url.redacted)
        return self.status(spec.id)

    def _access(self, spec: StreamSpec) -> SourceAccess:
        """Return the way to a stream's source: it is opened, or called by peers."""
        if not spec.source.url.is_call:
            return SourceAccess()
        limits, line = self._board.settings, self._board.line(spec.id)
        return SourceAccess(
            line.open,
            line.ready,
            loss=lambda: self._board.loss(spec.id),
            max_pixels=limits.max_width * limits.max_height,
        )

    def _ingest(
        self, spec: StreamSpec, epoch: int, log: PacketLog
    ) -> tuple[Ingest, threading.Thread, threading.Event]:
        """Return a new ingest with its thread, not started, and what stops it."""
        stop = threading.Event()
        context = IngestContext(
            self._cadence_hz,
            random.Random(self._rng.random()),
            log,
            self._access(spec),
            first_epoch=epoch + 1,
        )
        ingest = Ingest(spec.id, spec.source, self._clock, context)
        thread = threading.Thread(
            target=self._read, args=(ingest, stop, spec), name=f"ingest-{spec.id}", daemon=True
        )
        return ingest, thread, stop

    def _replace(self, state: _Stream) -> None:
        """Give a stream a new ingest; the old one hangs, and ends when the network lets it."""
        self._stop(state)
        self._abandoned += 1
        log.warning("a stalled ingest is replaced", stream=state.spec.id)
        state.ingest, state.thread, state.stop = self._ingest(
            state.spec, state.epoch, state.ingest.log
        )
        state.copied = CounterCopy()
        state.changed_at = self._clock.monotonic()
        state.thread.start()

    async def change(self, spec: StreamSpec) -> StreamStatus:
        """Restart a stream with other settings."""
        if spec.id not in self._streams:
            raise StreamUnknown(spec.id)
        engine = self._streams[spec.id].engine
        await self.remove(spec.id)
        status = self._start(spec)  # what was there already is never refused
        if engine is not None:
            await self.retune(engine, spec.id)
        return status

    async def remove(self, stream: str) -> None:
        """Stop and forget a stream, in any state, in bounded time."""
        state = self._streams.get(stream)
        if state is None:
            raise StreamUnknown(stream)
        if state.leaving is not None:
            await state.leaving.wait()
            return
        state.leaving = asyncio.Event()
        self._stop(state)
        await self._board.drop(stream)
        await asyncio.to_thread(state.thread.join, self.settings.stop_s)
        if state.thread.is_alive():
            self._abandoned += 1
            log.warning("ingest thread abandoned", stream=stream)
        with self._batcher_lock:
            self._batcher.forget(stream)
        closed = asyncio.Event()
        loop = asyncio.get_running_loop()
        self._order(
            lambda: self._pipeline.close(stream), lambda: loop.call_soon_threadsafe(closed.set)
        )
        try:
            await asyncio.wait_for(closed.wait(), self.settings.stop_s)
        except TimeoutError:
            log.warning("device thread is busy; a stream's slots are released later", stream=stream)
        self._drain()
        del self._streams[stream]
        self.hub.retire(stream)
        self._pictures.forget(stream)
        self.metrics.forget(stream)
        self.metrics.streams.set(len(self._streams))
        state.leaving.set()
        log.info("stream removed", stream=stream)

    # --- calls: on the event loop -------------------------------------------------------------

    async def call(self, stream: str, offer: str) -> CallAnswer:
        """Answer a WebRTC peer that offers to send a stream; see `CallControl.call`."""
        checked = check_offer(offer)
        self._board.check_room()
        state = self._streams.get(stream)
        if state is not None and state.leaving is not None:
            await state.leaving.wait()
            state = self._streams.get(stream)
        if state is None:
            if not self._board.settings.create_streams:
                raise StreamUnknown(stream)
            await self.add(StreamSpec(stream, SourceSettings(SourceUrl.parse("whip://"))))
            self._board.created(stream)
        elif not state.spec.source.url.is_call:
            raise NotACall(stream)
        try:
            return await self._board.call(stream, checked)
        except StreamError:
            if state is None and not self._board.called(stream):
                await self.remove(stream)
            raise

    def etag(self, session: str) -> str:
        """Return the entity tag of a call's ICE session."""
        return self._board.etag(session)

    async def trickle(self, session: str, fragment: str) -> None:
        """Take further ICE candidates of a peer."""
        await self._board.trickle(session, fragment)

    async def hang_up(self, session: str) -> None:
        """End a call because its peer wishes so."""
        await self._board.hang_up(session)

    def _later(self, seconds: float, function: Callable[[], None]) -> object:
        assert self._loop is not None
        return self._loop.call_later(seconds, function)

    async def _tend_calls(self) -> None:
        """Look after the calls, apart from the ticker: saying goodbye may take its time."""
        while True:
            await self._board.tend()
            for stream in self._board.idle(self._clock.monotonic()):
                await self.remove(stream)
            await self._clock.sleep(self.settings.tick_s)

    def spec(self, stream: str) -> StreamSpec:
        """Return a stream's settings as they were given."""
        return self._state(stream).spec

    def status(self, stream: str) -> StreamStatus:
        """Return how one stream stands."""
        state = self._state(stream)
        report = state.report
        return StreamStatus(
            id=state.spec.id,
            name=state.spec.name or state.spec.id,
            source=state.spec.source.url.redacted,
            demo=state.demo,
            state=state.change.state,
            code=state.change.code,
            detail=state.change.detail,
            retry_in_s=state.change.retry_in_s,
            epoch=state.epoch,
            fps=report.fps if report else 0.0,
            loss=report.loss if report else 0.0,
            age_s=report.age_s if report else None,
            reconnects=state.reconnects,
            reasons=report.reasons if report else (),
            models=tuple(scorer.model for scorer in self._scoring_models),
            scores=tuple(state.scores.values()),
            link=report.link if report else None,
            priority=state.spec.priority,
            overload=self._degradation.level,
        )

    def statuses(self) -> tuple[StreamStatus, ...]:
        """Return how every stream stands, ordered by id."""
        return tuple(self.status(stream) for stream in sorted(self._streams))

    def thresholds(self, stream: str | None = None) -> EngineSettings:
        """Return what one stream is judged by; None means what holds for the others."""
        state = self._state(stream) if stream is not None else None
        return (state.engine if state else None) or self._engine

    async def retune(self, settings: EngineSettings, stream: str | None = None) -> None:
        """Change thresholds of one stream, or of all, without losing history."""
        if stream is None:
            self._engine = settings
            for state in self._streams.values():
                state.engine = None
        else:
            self._state(stream).engine = settings

        def retune() -> tuple[Event, ...]:
            self._pipeline.retune(settings, stream)
            return ()

        self._order(retune)

    async def picture(
        self, stream: str, width: int, overlay: str | None = None, *, drawn: bool = False
    ) -> Still | None:
        """Return the newest picture of a stream, and have more of them kept for a while."""
        self._state(stream)
        if overlay is not None:
            self._check_pointer(overlay)
        self._pictures.watch(stream, self._clock.monotonic(), overlay)
        done = self._pictures.ready(stream, width, overlay, drawn=drawn)
        if done is not None:
            return done
        async with self._drawing:
            return await asyncio.to_thread(
                self._pictures.still, stream, width, overlay, drawn=drawn
            )

    def pointers(self, stream: str) -> Mapping[str, PointsAt | None]:
        """Return what each of a stream's detectors can point at; None says that it cannot."""
        self._state(stream)
        return dict(self._pointers)

    def _check_pointer(self, detector: str) -> None:
        if detector not in self._pointers:
            raise DetectorUnknown(detector, tuple(self._pointers))
        if self._pointers[detector] is None:
            able = [name for name, points_at in self._pointers.items() if points_at is not None]
            raise OverlayUnavailable(detector, able)

    def _state(self, stream: str) -> _Stream:
        state = self._streams.get(stream)
        if state is None:
            raise StreamUnknown(stream)
        return state

    @property
    def busy(self) -> float:
        """Share of time that the device thread computed lately, 0..1."""
        return self._degradation.busy

    @property
    def batching(self) -> BatcherStats:
        """How frames have shared the device so far."""
        with self._batcher_lock:
            return self._batcher.stats

    def health(self) -> Health:
        """Return whether the process is live and ready."""
        silence = self._clock.monotonic() - self._beat
        turning = self._device_thread.is_alive() and silence < self.settings.stuck_s
        live = turning and self._device_healthy
        up = sum(s.change.state is ConnectionState.LIVE for s in self._streams.values())
        return Health(
            live=live,
            ready=live,
            details={
                "device_thread": "turning" if turning else f"silent for {silence:.0f} s",
                "device": "answers" if self._device_healthy else "fails; restart this process",
                "streams": f"{up} of {len(self._streams)} live",
                "slots": "; ".join(
                    f"{d.stats.used} of {d.stats.slots} in use" for d in self._pipeline.devices
                ),
                "overload": f"{DEGRADATION_WORDS[self._degradation.level]} "
                f"({self._degradation.level.word}), "
                f"device thread {self._degradation.busy:.0%} busy",
                "calls": f"{len(self._board)} of {self._board.settings.max_peers}",
                "events_dropped": str(self._outbox.dropped),
                "threads_abandoned": str(self._abandoned),
            },
        )

    # --- ingest threads ---------------------------------------------------------------------

    def _read(self, ingest: Ingest, stop: threading.Event, spec: StreamSpec) -> None:
        low, phase = spec.priority is Priority.LOW, _phase(spec.id)

        def emit(item: Frame | StreamChanged | EpochStarted) -> None:
            if stop.is_set():
                return  # nobody waits for it any more
            if isinstance(item, Frame):
                now = self._clock.monotonic()
                if low and not self._degradation.looks(now, phase):
                    with self._batcher_lock:
                        self._batcher.withhold(item.stream)
                    return
                with self._batcher_lock:
                    self._batcher.offer(item.stream, _Offered(item, now), item.arrived)
                self._wake.set()
                self._pipeline.observe("decode", now - item.arrived, "")
            else:
                self._hand_over((item,))

        try:
            ingest.run(emit, stop.wait)
        except Exception:
            log.exception("ingest thread failed", stream=ingest.stream)
            raise

    def _stop(self, state: _Stream) -> None:
        state.stop.set()
        state.ingest.close()

    # --- device thread ----------------------------------------------------------------------

    def _order(self, order: Order, done: Callable[[], object] | None = None) -> None:
        """Have the device thread call a function; `done` is called once its events are on the way.

        Bounded by who may ask: opening and closing streams, and changing thresholds.
        """
        self._orders.append((order, done))
        self._wake.set()

    def _obey(self) -> None:
        while self._orders:
            order, done = self._orders.popleft()
            self._hand_over(order())
            if done is not None:
                done()

    def _open(self, stream: str) -> tuple[Event, ...]:
        self._pipeline.open(stream)
        return ()

    def _device_loop(self) -> None:
        self._pipeline.device.prepare_thread()
        report_at = self._clock.monotonic()
        pause = self.settings.tick_s
        while not self._stopping.is_set():
            self._wake.wait(pause)
            self._wake.clear()
            self._obey()
            held = self._work_off()
            pause = self.settings.tick_s if held is None else min(held, self.settings.tick_s)
            now = self._clock.monotonic()
            self._beat = now
            if now >= report_at:
                report_at = now + self.settings.report_s
                self._hand_over(self._pipeline.reports(now))
        self._obey()

    def _work_off(self) -> float | None:
        """Process batches until none is ready or somebody wants the device thread.

        Returns:
            After how many seconds a batch will be ready that is held back; None when none is.
        """
        failures = 0
        while not self._orders and not self._stopping.is_set():
            now = self._clock.monotonic()
            with self._batcher_lock:
                held = self._batcher.hold(now)
                batch = [] if held else self._batcher.take(now)
            if not batch:
                return held
            self.metrics.batch_size.labels("frames").observe(len(batch))
            for item in batch:
                self._pipeline.observe("wait", max(now - item.value.at, 0.0), "")
                self.metrics.frame_age.labels("perceive").observe(max(now - item.arrived, 0.0))
                for reason, count in (("overrun", item.overrun), ("sampled", item.withheld)):
                    if count:
                        self.metrics.frames_dropped.labels(item.stream, reason).inc(count)
            try:
                frames = [(item.value.frame, item.overrun + item.withheld) for item in batch]
                done = self._pipeline.process(frames, self._asked)
            except Exception:
                failures += 1
                log.exception("the device failed on a batch", failures=failures)
                self._device_healthy = failures < 3 and all(
                    d.healthy() for d in self._pipeline.devices
                )
                if not self._device_healthy:
                    return None
                continue
            finally:
                self._busy_s += self._clock.monotonic() - now
            failures = 0
            self._beat = self._clock.monotonic()
            self._keep_pictures(done)
            for fault in done.faults:
                log.error("a frame could not be processed", stream=fault.stream, error=fault.error)
                self.metrics.frames_dropped.labels(fault.stream, "fault").inc()
            self._hand_over(done.events)
            if done.faults and not all(d.healthy() for d in self._pipeline.devices):
                # Not these streams are broken but what computes for all of them.
                self._device_healthy = False
                return None
        return None

    def _hand_over(self, events: tuple[Event, ...]) -> None:
        """Put events into the mailbox; for the device thread and the ingest threads."""
        now = self._clock.monotonic()
        for event in events:
            self._outbox.put(_Handed(event, now))

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

    # --- event loop: from mailbox to hub ----------------------------------------------------

    def _ring(self) -> None:
        """Wake the event loop, once for any number of waiting events."""
        if self._ringing.is_set() or self._loop is None:
            return
        self._ringing.set()
        try:
            self._loop.call_soon_threadsafe(self._drain)
        except RuntimeError:
            self._ringing.clear()  # the loop has closed: nobody is left to tell

    def _drain(self) -> None:
        self._ringing.clear()
        for _ in range(self.settings.events):
            handed = self._outbox.take()
            if handed is None:
                return
            self._pipeline.observe("hand_over", self._clock.monotonic() - handed.at, "")
            self._publish(handed.event)

    def _publish(self, event: Event) -> None:
        state = self._streams.get(event.stream)
        if state is None:
            return  # removed meanwhile
        now = self._clock.monotonic()
        match event:
            case StreamChanged():
                self._note_change(state, event)
            case EpochStarted():
                state.epoch = event.epoch
                state.scores.clear()
            case Score():
                if event.epoch != state.epoch:
                    return  # a late answer from before the reconnection
                state.scores[event.track, event.detector] = event
            case TrackEnded():
                for key in [key for key in state.scores if key[0] == event.track]:
                    del state.scores[key]
            case StreamReport():
                link = self._board.quality(event.stream)
                event = replace(event, link=link, overload=self._degradation.level)
                state.report = event
            case _:
                pass
        self._telemetry.event(event, now)
        self.hub.publish(event, now, self._clock.utc())

    def _note_change(self, state: _Stream, event: StreamChanged) -> None:
        if state.change.state is ConnectionState.LIVE and event.state in (
            ConnectionState.BACKING_OFF,
            ConnectionState.FAILED,
        ):
            state.reconnects += 1
        if event.state is ConnectionState.ENDED and state.spec.source.url.is_call:
            self._end_tracks(event)
        state.change = event
        state.changed_at = self._clock.monotonic()
        why = {"code": event.code.value, "detail": event.detail} if event.code else {}
        log.info("stream changed", stream=event.stream, state=event.state.value, **why)

    def _end_tracks(self, event: StreamChanged) -> None:
        """End the tracks of a call that is over; what of it still waits is not looked at."""
        with self._batcher_lock:
            self._batcher.forget(event.stream)
        self._order(lambda: self._pipeline.end(event.stream, event.epoch))

    # --- event loop: the ticker ---------------------------------------------------------------

    async def _tick(self) -> None:
        while True:
            now = self._clock.monotonic()
            for state in list(self._streams.values()):
                for change in state.ingest.tick(now):
                    self._publish(change)
                stalled = state.change.state is ConnectionState.STALLED
                hangs = stalled and not state.spec.source.url.is_call
                if hangs and now - state.changed_at > self.settings.replace_s:
                    self._replace(state)
                self._telemetry.ingest(state.spec.id, state.ingest.counters, state.copied)
            self._copy_totals()
            self._weigh(now)
            self._pictures.prune(now)
            await self._clock.sleep(self.settings.tick_s)

    def _weigh(self, now: float) -> None:
        """Leave out more work or less, as the device thread keeps up."""
        stats = self.batching
        dropped = stats.crowded + stats.stale
        offered = stats.items + stats.waiting + dropped
        degradation = self._degradation
        changed = degradation.observe(now, Work(self._busy_s, offered, dropped))
        self._telemetry.overload(degradation, changed=changed)
        if not changed:
            return
        relief = degradation.relief

        def relieve() -> tuple[Event, ...]:
            self._pipeline.relieve(relief)
            return ()

        self._order(relieve)
        log.warning(
            "overload",
            degradation=degradation.level.word,
            busy=degradation.busy,
            dropped=degradation.dropped,
        )

    def _copy_totals(self) -> None:
        self._telemetry.device(self.batching, self._pipeline.devices)
        self._telemetry.viewers(self.hub, self._pictures)
        self._telemetry.calls(self._board, self._streams)


def _phase(stream: str) -> float:
    """Return where in the round of sampled windows a stream begins, 0..1; always the same."""
    return zlib.crc32(stream.encode()) / 2**32


def _at_first(spec: StreamSpec) -> StreamChanged:
    """Return where a stream stands before its ingest has said anything."""
    detail = "waiting for a peer to call" if spec.source.url.is_call else ""
    return StreamChanged(spec.id, 0, ConnectionState.CONNECTING, detail=detail)
