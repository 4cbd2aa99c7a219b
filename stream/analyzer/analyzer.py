"""The analyzer: streams come and go, and everything that their threads deliver is told in order.

Theory of operation. One event loop holds the state that people see, and speaks with WebRTC peers.
Each stream has an ingest worker, because opening and reading a source block; it offers sampled
frames to the device worker and hands connection events over. The device worker steps the pipeline
and hands its events over. Both hand over through one bounded outbox that the loop drains into the
event log. A ticker on the loop notices stalls and overload; another tends the calls.

    ingest worker ──frames──▶ device worker ──┐
          └───connection events──▶ outbox ◀───┘
                                     └──▶ event loop ──▶ event log ──▶ hub, metrics, log lines, …

This module starts the two tickers and decides nothing that could be decided in a part. Every queue
is bounded and counts what it lets go.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Mapping
from dataclasses import replace
from types import TracebackType

import structlog

from stream.analyzer.device_worker import DeviceWorker
from stream.analyzer.ingest_worker import IngestWorker
from stream.analyzer.outbox import Outbox
from stream.analyzer.picture_desk import PictureDesk
from stream.analyzer.running_stream import RunningStream
from stream.analyzer.settings import AnalyzerSettings
from stream.analyzer.streams import Health, Priority, StreamSpec, StreamStatus
from stream.analyzer.threads import StartThread, start_daemon
from stream.analyzer.vitals import Vitals
from stream.canary import TAG, is_canary
from stream.challenge.watch import Watch
from stream.clock import Clock
from stream.engine.settings import EngineSettings
from stream.errors import (
    NotACall,
    Overloaded,
    StreamError,
    StreamExists,
    StreamIdReserved,
    StreamUnknown,
    TooManyStreams,
)
from stream.event_log.event_log import EventLog
from stream.events import (
    ConnectionState,
    EpochStarted,
    Event,
    Frame,
    Notice,
    ScoringModel,
    StreamAdded,
    StreamChanged,
    StreamDescribed,
    StreamRemoved,
    StreamReport,
)
from stream.explain.pictures import Pictures
from stream.explain.stills import Still
from stream.ingest.check import check
from stream.ingest.context import IngestContext, SourceAccess
from stream.ingest.counters import IngestCounters
from stream.ingest.frame_log import FrameNote
from stream.ingest.ingest import Emit, Ingest
from stream.ingest.open import is_demo
from stream.ingest.packets import PacketLog
from stream.ingest.source import SourceSettings, SourceUrl
from stream.monitoring.log_lines import LogLines
from stream.monitoring.metrics import Metrics
from stream.monitoring.telemetry import Telemetry
from stream.pipeline import Pipeline
from stream.publish.hub import Hub
from stream.scheduling.batcher import BatcherSettings, BatcherStats
from stream.scheduling.degradation import Degradation, OverloadSettings, Work
from stream.stream_state import StreamState
from stream.webrtc.calls import CallAnswer, Callers, Publisher, WebRtcSettings
from stream.webrtc.sdp import Offer, check_offer
from stream.webrtc.sessions import Sessions
from styleflow.cards import ModelCard
from styleflow.overlay import PointsAt

log = structlog.get_logger(__name__)

__all__ = ["Analyzer", "AnalyzerSettings"]


class Analyzer:
    """Runs streams from source to event log; an async context manager.

    Args:
        pipeline: from frame to event; this analyzer's device worker owns it from now on.
        hub: tells subscribers; used on the event loop only.
        metrics: where figures go.
        clock: where time comes from.
        settings: how much it takes on.
        batching: how frames of several streams share the device.
        seed: seeds the jitter of reconnection.
        calls: which WebRTC peers are answered.
        overload: what is left out when there is more work than the machine can do.
        events: where everything that happens is told; one of its own when left out. The hub,
            the metrics and the log lines are attached to it here.
        start_thread: runs the workers.
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
        events: EventLog | None = None,
        start_thread: StartThread = start_daemon,
    ) -> None:
        self.hub = hub
        self.metrics = metrics
        self.settings = settings or AnalyzerSettings()
        self.events = events or EventLog(clock)
        self._models = tuple(ScoringModel(s.card, s.calibration.fitted) for s in pipeline.scorers)
        self._second = pipeline.second.scoring if pipeline.second is not None else None
        self._cadence_hz, self._decoding = pipeline.cadence_hz, pipeline.decoding
        self._engine = pipeline.settings
        self._pictures = Pictures()
        self.watch = Watch()
        points_at = {s.card.name: s.points_at for s in pipeline.scorers}
        self._desk = PictureDesk(self._pictures, points_at, clock)
        self._clock = clock
        self._rng = random.Random(seed)
        self._start_thread = start_thread
        self._degradation = Degradation(overload)
        self._telemetry = Telemetry(metrics)
        self._streams: dict[str, RunningStream] = {}
        self._outbox = Outbox(
            self.settings.events,
            clock,
            self._publish,
            lambda seconds: pipeline.observe("hand_over", seconds, ""),
        )
        self._device = DeviceWorker(
            pipeline,
            clock,
            self.settings,
            batching or BatcherSettings(),
            self._pictures,
            metrics,
            self._outbox.put,
            start_thread,
            self.watch,
        )
        self._sessions = Sessions(calls or WebRtcSettings(), hub, clock, self._later)
        self._drift: Callable[[str], tuple[str, ...]] = lambda stream: ()
        self._epoch: Callable[[str], int] = lambda stream: 0
        self._loop: asyncio.AbstractEventLoop | None = None
        self._tickers: tuple[asyncio.Task[None], ...] = ()
        self.events.attach(hub, canaries=True)
        for sink in (self._telemetry, LogLines()):
            self.events.attach(sink)
        self._vitals = Vitals(
            self._streams,
            self._device,
            pipeline.devices,
            self._degradation,
            self._outbox,
            self._sessions,
            hub,
            self._pictures,
            clock,
            pipeline.second,
        )
        metrics.scraped.attach(self._vitals.figures)

    # --- life -----------------------------------------------------------------------------

    async def __aenter__(self) -> Analyzer:
        self._loop = asyncio.get_running_loop()
        self._outbox.open(self._loop)
        self._device.start()
        self._tickers = (
            self._loop.create_task(self._tick(), name="ticker"),
            self._loop.create_task(self._tend_calls(), name="calls"),
        )
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for stream in self._streams.values():
            stream.worker.stop()
        await self._sessions.close()
        until = self._clock.monotonic() + self.settings.stop_s
        await asyncio.gather(*(self._remove(id, until) for id in list(self._streams)))
        for ticker in self._tickers:
            ticker.cancel()
        await asyncio.gather(*self._tickers, return_exceptions=True)
        self._device.stop()
        await asyncio.to_thread(self._device.join, self.settings.stop_s)

    # --- streams: on the event loop -----------------------------------------------------------

    async def add(self, spec: StreamSpec, *, decided: bool = False) -> StreamStatus:
        """Start a stream; its source need not be reachable yet.

        Args:
            spec: its settings.
            decided: it is to run here even under overload, because it ran elsewhere before, or
                whoever gives it knows how busy all are.

        Raises:
            StreamIdReserved: the id is one of a canary.
            StreamExists: the id is taken.
            TooManyStreams: the limit is reached.
            Overloaded: the machine has more to do than it can.
            SourceUrlInvalid: the source can never be opened.
        """
        if is_canary(spec.id):
            raise StreamIdReserved(spec.id)
        check(spec.source)
        if spec.id in self._streams:
            raise StreamExists(spec.id)
        if sum(not is_canary(id) for id in self._streams) >= self.settings.max_streams:
            raise TooManyStreams(self.settings.max_streams)
        if self._degradation.refuses and not decided:
            self.metrics.streams_refused.inc()
            raise Overloaded(self._degradation.settings.retry_after_s)
        return self._start(spec)

    def _start(self, spec: StreamSpec) -> StreamStatus:
        make, emit, epoch = self._ingest_of(spec), self._emit_of(spec), self._epoch(spec.id)
        worker = IngestWorker(spec.id, make, emit, self._clock, self._start_thread, epoch + 1)
        stream = self._streams[spec.id] = RunningStream(spec, worker, StreamState(spec.id))
        self._log(
            stream,
            StreamAdded(
                stream=spec.id,
                epoch=epoch,
                name=spec.label,
                models=self._models,
                demo=is_demo(spec.source.url),
                source=spec.source.url.redacted,
                detail="waiting for a peer to call" if spec.source.url.is_call else "",
                tags=spec.tags,
                second_look=self._second,
            ),
        )
        self._device.open(spec.id)
        worker.start()
        return self.status(spec.id)

    def _ingest_of(self, spec: StreamSpec) -> Callable[[int, PacketLog], Ingest]:
        """Return what makes the ingests of a stream."""
        access, decoding = self._access(spec), self._decoding

        def make(first_epoch: int, packets: PacketLog) -> Ingest:
            rng = random.Random(self._rng.random())
            context = IngestContext(self._cadence_hz, rng, packets, access, first_epoch, decoding)
            return Ingest(spec.id, spec.source, self._clock, context)

        return make

    def _access(self, spec: StreamSpec) -> SourceAccess:
        """Return the way to a stream's source: it is opened, or called by peers."""
        if not spec.source.url.is_call:
            return SourceAccess()
        return self._sessions.access(spec.id)

    def _emit_of(self, spec: StreamSpec) -> Emit:
        """Return what takes a stream's frames and events, on its ingest's thread."""
        low, phase = spec.priority is Priority.LOW, spec.phase

        def emit(item: Frame | StreamChanged | EpochStarted) -> None:
            if not isinstance(item, Frame):
                self._outbox.put((item,))
            elif low and not self._degradation.looks(self._clock.monotonic(), phase):
                self._device.withhold(item.stream)
            else:
                self._device.offer(item)

        return emit

    async def change(self, spec: StreamSpec) -> StreamStatus:
        """Give a stream other settings; it restarts unless only words about it are new."""
        known = self._known(spec.id)
        kept = known.spec
        if spec == replace(kept, name=spec.name, tags=spec.tags, placement=spec.placement):
            known.spec = spec
            self._log(known, StreamDescribed(spec.id, known.state.epoch, spec.label, spec.tags))
            return self.status(spec.id)
        engine = known.engine
        await self.remove(spec.id)
        status = self._start(spec)  # what was there already is never refused
        if engine is not None:
            await self.retune(engine, spec.id)
        return status

    async def remove(self, stream: str, *, moved: bool = False) -> None:
        """Stop and forget a stream, in any state, in bounded time; it may go on elsewhere."""
        await self._remove(stream, self._clock.monotonic() + self.settings.stop_s, moved=moved)

    async def _remove(self, stream: str, until: float, *, moved: bool = False) -> None:
        """Stop and forget a stream, whose thread is waited for until this monotonic time."""
        known = self._known(stream)
        if known.leaving is not None:
            await known.leaving.wait()
            return
        known.leaving = asyncio.Event()
        known.worker.stop()
        await self._sessions.drop(stream)
        await asyncio.to_thread(
            lambda: known.worker.join(max(until - self._clock.monotonic(), 0.0))
        )
        self._device.forget(stream)
        await self._close(stream)
        self.drain()
        self._log(known, StreamRemoved(stream, known.state.epoch, moved))
        del self._streams[stream]
        self._vitals.abandoned += known.worker.abandoned
        self._pictures.forget(stream)
        known.leaving.set()

    async def _close(self, stream: str) -> None:
        """Wait until the device worker has ended a stream's tracks, but not for ever."""
        closed, loop = asyncio.Event(), asyncio.get_running_loop()
        self._device.close(stream, lambda: loop.call_soon_threadsafe(closed.set))
        try:
            await asyncio.wait_for(closed.wait(), self.settings.stop_s)
        except TimeoutError:
            log.warning("device thread is busy; a stream's slots are released later", stream=stream)

    # --- canaries: on the event loop ------------------------------------------------------------

    def no_room_for_canary(self) -> str:
        """Return why a canary would be in somebody's way now; empty when it would not."""
        if self._degradation.level:
            return "there is more to do than this machine can"
        return "every slot is taken" if self._vitals.slots_full else ""

    async def open_canary(self, stream: str, name: str) -> None:
        """Start a canary's stream, which counts for no limit, and waits for its call."""
        if stream in self._streams:
            await self.remove(stream)
        self._start(
            StreamSpec(stream, SourceSettings(SourceUrl.parse("whip://")), name, tags=(TAG,))
        )

    async def answer_canary(self, stream: str, offer: str) -> CallAnswer:
        """Answer the call of a canary; see `CallControl.call`."""
        self._known(stream)
        return await self._sessions.call(stream, check_offer(offer), Publisher())

    @property
    def sessions(self) -> Sessions:
        """The peers that are sending streams."""
        return self._sessions

    # --- calls: on the event loop -------------------------------------------------------------

    async def call(self, stream: str, offer: str, publisher: Publisher | None = None) -> CallAnswer:
        """Answer a WebRTC peer that offers to send a stream; see `CallControl.call`."""
        if is_canary(stream):
            raise StreamIdReserved(stream)
        checked, publisher = check_offer(offer), publisher or Publisher()
        self._sessions.check_room()
        with self._sessions.claim(stream, publisher):
            return await self._answer(stream, checked, publisher)

    async def _answer(self, stream: str, offer: Offer, publisher: Publisher) -> CallAnswer:
        state = self._streams.get(stream)
        if state is not None and state.leaving is not None:
            await state.leaving.wait()
            state = self._streams.get(stream)
        if state is None:
            if not self._sessions.settings.create_streams:
                raise StreamUnknown(stream)
            await self.add(StreamSpec(stream, SourceSettings(SourceUrl.parse("whip://"))))
            self._sessions.created(stream, publisher)
        elif not state.spec.source.url.is_call:
            raise NotACall(stream)
        try:
            return await self._sessions.call(stream, offer, publisher)
        except StreamError:
            if state is None and not self._sessions.called(stream):
                await self.remove(stream)
            raise

    async def etag(self, stream: str, session: str, publisher: Publisher) -> str:
        """Return the entity tag of a call's ICE session."""
        return self._sessions.etag(stream, session, publisher)

    async def trickle(self, stream: str, session: str, fragment: str, publisher: Publisher) -> None:
        """Take further ICE candidates of a peer."""
        await self._sessions.trickle(stream, session, fragment, publisher)

    async def hang_up(self, stream: str, session: str, publisher: Publisher) -> None:
        """End a call because its peer wishes so."""
        await self._sessions.hang_up(stream, session, publisher)

    def callers(self) -> Callers:
        """Return who sends streams now, and who holds which."""
        return self._sessions.callers()

    def has_page(self, stream: str) -> bool:
        """Say whether a stream's caller has a page open that shows prompts."""
        return self._sessions.has_page(stream)

    def prompt(self, stream: str, text: str) -> bool:
        """Send a prompt to the page of a stream's caller; say whether there is one."""
        return self._sessions.prompt(stream, text)

    def live_epoch(self, stream: str) -> int | None:
        """Return the epoch of a stream that gives pictures, else None. Raises StreamUnknown."""
        known = self._known(stream)
        return known.state.epoch if known.is_live else None

    def _later(self, seconds: float, function: Callable[[], None]) -> object:
        assert self._loop is not None
        return self._loop.call_later(seconds, function)

    async def _tend_calls(self) -> None:
        """Look after the calls, apart from the ticker: saying goodbye may take its time."""
        while True:
            await self._sessions.tend()
            for stream in self._sessions.idle(self._clock.monotonic()):
                await self.remove(stream)
            await self._clock.sleep(self.settings.tick_s)

    @property
    def models(self) -> tuple[ModelCard, ...]:
        """The models that score streams, the first one first."""
        return tuple(scored.model for scored in self._models)

    def spec(self, stream: str) -> StreamSpec:
        """Return a stream's settings as they were given."""
        return self._known(stream).spec

    def status(self, stream: str) -> StreamStatus:
        """Return how one stream stands."""
        return self._known(stream).status(self.models, self._degradation.level)

    def statuses(self) -> tuple[StreamStatus, ...]:
        """Return how every stream stands, ordered by id."""
        return tuple(self.status(id) for id in sorted(self._streams) if not is_canary(id))

    async def thresholds(self, stream: str | None = None) -> EngineSettings:
        """Return what one stream is judged by; None means what holds for the others."""
        return self.judged_by(stream)

    def judged_by(self, stream: str | None = None) -> EngineSettings:
        """Return what `thresholds` does, at once."""
        own = self._known(stream).engine if stream is not None else None
        return own or self._engine

    async def retune(self, settings: EngineSettings, stream: str | None = None) -> None:
        """Change thresholds of one stream, or of all, without losing history."""
        if stream is None:
            self._engine = settings
            for known in self._streams.values():
                known.engine = None
        else:
            self._known(stream).engine = settings
        self._device.retune(settings, stream)

    async def picture(
        self, stream: str, width: int, overlay: str | None = None, *, drawn: bool = False
    ) -> Still | None:
        """Return the newest picture of a stream, and have more of them kept for a while."""
        self._known(stream)
        return await self._desk.picture(stream, width, overlay, drawn=drawn)

    async def pointers(self, stream: str) -> Mapping[str, PointsAt | None]:
        """Return what each of a stream's detectors can point at; None says that it cannot."""
        self._known(stream)
        return dict(self._desk.pointers)

    def _known(self, stream: str) -> RunningStream:
        known = self._streams.get(stream)
        if known is None:
            raise StreamUnknown(stream)
        return known

    def health(self) -> Health:
        """Return whether the process is live and ready."""
        return self._vitals.health(self._clock.monotonic())

    def notice_drift(self, read: Callable[[str], tuple[str, ...]]) -> None:
        """Have reports say what has changed of a stream; `read` returns it, a sentence each."""
        self._drift = read

    def number_epochs(self, after: Callable[[str], int]) -> None:
        """Have the epochs of a stream that is started follow a number, instead of 0."""
        self._epoch = after

    def remark(self, read: Callable[[], Mapping[str, str]]) -> None:
        """Have a part beside the analyzer say how it is doing in the details of its health."""
        self._vitals.remarks.append(read)

    # --- figures ------------------------------------------------------------------------------

    @property
    def degradation(self) -> Degradation:
        """How much there is to do, and what is left out for it; for reading only."""
        return self._degradation

    @property
    def batching(self) -> BatcherStats:
        """How frames have shared the device so far."""
        return self._device.batching

    def ingest_counters(self, stream: str) -> IngestCounters:
        """Return what a stream's ingest has done so far. Raises StreamUnknown."""
        return self._known(stream).worker.counters

    def packets(self, stream: str) -> PacketLog:
        """Return the newest packets of a stream. Raises StreamUnknown."""
        return self._known(stream).worker.log

    def looked_at(self, stream: str) -> tuple[FrameNote, ...]:
        """Return which frames of a stream were looked at lately, oldest first."""
        return self._device.looked_at(stream)

    # --- events -------------------------------------------------------------------------------

    def drain(self) -> None:
        """Log what the workers have handed over; the event loop is woken for it, too."""
        self._outbox.drain()

    def _publish(self, event: Event) -> None:
        """Log an event of a stream that is there, unless it comes too late."""
        stream = self._streams.get(event.stream)
        if stream is None or stream.state.is_late(event):
            return
        if isinstance(event, StreamReport):
            event = self._complete(event)
        self._log(stream, event)
        if isinstance(event, StreamChanged):
            if event.state is ConnectionState.ENDED and stream.spec.source.url.is_call:
                self._device.end(event.stream, event.epoch)
            self._log(stream, self._complete(stream.state.report))

    def _log(self, stream: RunningStream, event: Event) -> None:
        stamped = self.events.append(event)
        stream.state.apply(event, stamped.now)

    def _complete(self, report: StreamReport) -> StreamReport:
        """Return a report with what the pipeline does not know."""
        link = self._sessions.quality(report.stream)
        drift = self._drift(report.stream)
        notices = tuple(each for each in report.notices if each is not Notice.DRIFTED)
        return replace(
            report,
            link=link,
            overload=self._degradation.level,
            notices=(*notices, Notice.DRIFTED) if drift else notices,
            drift=drift,
        )

    # --- the ticker ---------------------------------------------------------------------------

    async def _tick(self) -> None:
        while True:
            self.tick()
            await self._clock.sleep(self.settings.tick_s)

    def tick(self) -> None:
        """Do what the passing of time brings: notice stalls, hanging ingests and overload."""
        now = self._clock.monotonic()
        for stream in list(self._streams.values()):
            for change in stream.worker.tick(now):
                self._publish(change)
            since = stream.hangs_since
            if since is not None and now - since > self.settings.replace_s:
                stream.worker.replace(stream.state.epoch)
        self.weigh(now, self._device.work)
        self._pictures.prune(now)

    def weigh(self, now: float, work: Work) -> None:
        """Leave out more work or less, as the device worker keeps up with all of its `work`."""
        degradation = self._degradation
        if not degradation.observe(now, work):
            return
        self._telemetry.overload(degradation.level)
        self._device.relieve(degradation.relief)
        log.warning(
            "overload",
            degradation=degradation.level.word,
            busy=degradation.busy,
            dropped=degradation.dropped,
        )
