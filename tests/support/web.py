"""An application whose analyzer is played by the test, in process or on a loopback port."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, nullcontext, suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

import httpx
import uvicorn
from fastapi import FastAPI
from prometheus_client import CollectorRegistry

from stream.alerts.alerts import Alerts
from stream.analyzer.streams import Health, StreamEditor, StreamSpec, StreamStatus
from stream.baseline.book import BaselineBook
from stream.baseline.service import Baselines
from stream.baseline.settings import BaselineSettings
from stream.baseline.shelf import BaselineShelf
from stream.challenge.service import Challenges
from stream.challenge.settings import ChallengeSettings
from stream.challenge.watch import Watch
from stream.clock import Clock, ManualClock
from stream.cluster.machines import Machines
from stream.drift.settings import DriftSettings
from stream.drift.watch import DriftWatch
from stream.engine.settings import EngineSettings
from stream.errors import (
    CallNotYours,
    CallUnknown,
    OverlayUnavailable,
    StreamError,
    StreamExists,
    StreamUnknown,
)
from stream.event_log.event_log import EventLog
from stream.events import (
    ConnectionState,
    ScoringModel,
    StreamAdded,
    StreamDescribed,
    StreamRemoved,
    TrackEnd,
    Verdict,
)
from stream.evidence.explained import ExplainedMoments
from stream.evidence.recorder import EvidenceRecorder
from stream.explain.pictures import Pictures
from stream.explain.stills import Still
from stream.incidents.service import Incidents
from stream.ingest.source import SourceSettings, SourceUrl
from stream.offline.analysis import Analysis, Predictor, TrackTimeline
from stream.publish.history import StreamHistories
from stream.publish.hub import Hub, HubSettings
from stream.store.access import StoreAccess
from stream.store.figures import StoreState
from stream.webrtc.calls import CallAnswer, IceServer, Publisher
from styleflow.cards import ModelCard, TrainingStatus
from styleflow.overlay import PointsAt
from tests.support.baselines import rated
from tests.support.canaries import PlayedHost, played_canaries
from tests.support.wire import UNTRAINED, score
from web.app import create_app
from web.connection_limits import ConnectionLimits
from web.routes.evidence_bundle import BundleSource
from web.settings import ConnectionSettings, WebSettings
from web.transport import server_options

CAMERA = {"id": "lobby", "source": {"url": "rtsp://admin:hunter2@camera.example/stream1"}}


class PlayedAnalyzer:
    """Keeps streams without running them; announces them like the real one."""

    def __init__(self, log: EventLog) -> None:
        self.specs: dict[str, StreamSpec] = {}
        self.cards: dict[str, ModelCard] = {}  # models of streams that are not untrained
        self.others: dict[str, tuple[ScoringModel, ...]] = {}  # further detectors of a stream
        self.calls: dict[str, str] = {}
        self.callers: dict[str, Publisher] = {}
        self.offers: list[str] = []
        self.publishers: list[Publisher] = []
        self.fragments: list[str] = []
        self.refusal: StreamError | None = None
        self.full: StreamError | None = None  # why no further stream is taken
        self.state = Health(live=True, ready=True, details={"device": "answers"})
        self.engine = EngineSettings()
        self.engines: dict[str, EngineSettings] = {}
        self.pictures = Pictures()
        self.pointing: dict[str, PointsAt] = {}  # what detectors can point at
        self.pages: dict[str, list[str]] = {}  # callers' pages, and what they were told to show
        self.silent: set[str] = set()  # streams that give no pictures
        self._log = log

    async def add(self, spec: StreamSpec) -> StreamStatus:
        """Keep a stream, unless there is a reason not to."""
        if self.full is not None:
            raise self.full
        if spec.id in self.specs:
            raise StreamExists(spec.id)
        self.specs[spec.id] = spec
        card = self.cards.get(spec.id, UNTRAINED)
        calibrated = card.status in (TrainingStatus.TRAINED, TrainingStatus.EXPERIMENTAL)
        others = self.others.get(spec.id, ())
        demo = spec.source.url.is_demo
        models = (ScoringModel(card, calibrated), *others)
        source = spec.source.url.redacted
        told = StreamAdded(spec.id, 0, spec.label, models, demo, source, tags=spec.tags)
        self._log.append(told)
        return self.status(spec.id)

    async def change(self, spec: StreamSpec) -> StreamStatus:
        """Replace a stream's settings."""
        self.spec(spec.id)
        self.specs[spec.id] = spec
        self._log.append(StreamDescribed(spec.id, 0, spec.label, spec.tags))
        return self.status(spec.id)

    async def remove(self, stream: str) -> None:
        """Forget a stream."""
        self.spec(stream)
        del self.specs[stream]
        self._log.append(StreamRemoved(stream, 0))

    def spec(self, stream: str) -> StreamSpec:
        """Return the settings of a stream."""
        if stream not in self.specs:
            raise StreamUnknown(stream)
        return self.specs[stream]

    def status(self, stream: str) -> StreamStatus:
        """Say that the stream is connecting."""
        spec = self.spec(stream)
        return StreamStatus(
            id=spec.id,
            name=spec.label,
            source=spec.source.url.redacted,
            demo=spec.source.url.is_demo,
            state=ConnectionState.CONNECTING,
            code=None,
            detail="",
            retry_in_s=None,
            epoch=0,
            fps=0.0,
            loss=0.0,
            age_s=None,
            reconnects=0,
            reasons=(),
            models=(UNTRAINED,),
            scores=(score(stream),),
            priority=spec.priority,
            tags=spec.tags,
            placement=spec.placement,
        )

    def statuses(self) -> tuple[StreamStatus, ...]:
        """Return all, ordered by id."""
        return tuple(self.status(stream) for stream in sorted(self.specs))

    async def thresholds(self, stream: str | None = None) -> EngineSettings:
        """Return what was set last."""
        if stream is None:
            return self.engine
        self.spec(stream)
        return self.engines.get(stream, self.engine)

    async def retune(self, settings: EngineSettings, stream: str | None = None) -> None:
        """Remember the thresholds."""
        assert stream is not None
        self.engines[stream] = settings

    async def picture(
        self, stream: str, width: int, overlay: str | None = None, *, drawn: bool = False
    ) -> Still | None:
        """Return the picture that the test has offered, as the real analyzer would."""
        able = await self.pointers(stream)
        if overlay is not None and able.get(overlay) is None:
            raise OverlayUnavailable(overlay, ())
        self.pictures.watch(stream, 0.0, overlay)
        return self.pictures.still(stream, width, overlay, drawn=drawn)

    async def pointers(self, stream: str) -> Mapping[str, PointsAt | None]:
        """Return what the test has set, and that the stream's other models cannot point."""
        self.spec(stream)
        first = self.cards.get(stream, UNTRAINED)
        models = (first, *(scorer.model for scorer in self.others.get(stream, ())))
        return {model.name: self.pointing.get(model.name) for model in models}

    async def call(self, stream: str, offer: str, publisher: Publisher) -> CallAnswer:
        """Answer every offer alike, unless told to refuse."""
        self.publishers.append(publisher)
        if self.refusal is not None:
            raise self.refusal
        session = f"session-{len(self.calls):016d}"
        self.calls[session], self.callers[session] = stream, publisher
        self.offers.append(offer)
        return CallAnswer(session, '"first"', "v=0\r\nanswer")

    async def etag(self, stream: str, session: str, publisher: Publisher) -> str:
        """Return the tag of a call."""
        if self.calls.get(session) != stream:
            raise CallUnknown
        if not publisher.may_change(self.callers[session]):
            raise CallNotYours
        return '"first"'

    async def trickle(self, stream: str, session: str, fragment: str, publisher: Publisher) -> None:
        """Keep a fragment, unless told to refuse."""
        if self.refusal is not None:
            raise self.refusal
        self.fragments.append(fragment)

    async def hang_up(self, stream: str, session: str, publisher: Publisher) -> None:
        """Forget a call."""
        await self.etag(stream, session, publisher)
        del self.calls[session]

    def live_epoch(self, stream: str) -> int | None:
        """Return the first epoch, unless the test says that no pictures come."""
        self.spec(stream)
        return None if stream in self.silent else 1

    def has_page(self, stream: str) -> bool:
        """Return what the test has set."""
        return stream in self.pages

    def prompt(self, stream: str, text: str) -> bool:
        """Keep a prompt for a page that is there."""
        if stream in self.pages:
            self.pages[stream].append(text)
        return stream in self.pages

    def health(self) -> Health:
        """Return what the test has set."""
        return self.state


@dataclass
class PlayedPredictor:
    """Answers with one analysis, remembers what it was asked, and waits when it is told to."""

    error: Exception | None = None
    tracks: int = 1
    hold: asyncio.Event | None = None
    asked: list[tuple[Path, bytes]] = field(default_factory=list)

    async def __call__(self, path: Path, *, shown: str, detector: str | None) -> Analysis:
        """Analyse nothing."""
        self.asked.append((path, path.read_bytes()))  # noqa: ASYNC240 - a few bytes
        if self.hold is not None:
            await self.hold.wait()
        if self.error is not None:
            raise self.error
        track = TrackTimeline(1, 0.0, 2.0, TrackEnd.LOST, (score(),), 0.25, Verdict.CLEAR)
        return Analysis(
            source=shown,
            duration_s=2.0,
            frames=50,
            tracks=(track,) * self.tracks,
            score=0.25 if self.tracks else None,
            low=0.1 if self.tracks else None,
            high=0.6 if self.tracks else None,
            verdict=Verdict.CLEAR if self.tracks else Verdict.PENDING,
            reasons=(),
            model=UNTRAINED,
            demo=False,
        )


class ShiftedClock:
    """A clock that is some seconds behind another one."""

    def __init__(self, clock: Clock) -> None:
        self.behind_s = 0.0
        self._clock = clock

    def monotonic(self) -> float:
        """Return the other clock's seconds, less the shift."""
        return self._clock.monotonic() - self.behind_s

    def utc(self) -> datetime:
        """Return the other clock's time, less the shift."""
        return self._clock.utc() - timedelta(seconds=self.behind_s)

    async def sleep(self, seconds: float) -> None:
        """Wait as the other clock does."""
        await self._clock.sleep(seconds)


class WebRig:
    """Everything behind the application, in the test's hands."""

    def __init__(
        self,
        settings: WebSettings | None = None,
        *,
        hub: HubSettings | None = None,
        clock: Clock | None = None,
        resolve: Callable[[str, int], Any] | None = None,
        predictor: Predictor | None = None,
        ice_servers: Sequence[IceServer] = (),
        editor: Callable[[StreamEditor], StreamEditor] | None = None,
        store: StoreAccess | None = None,
        alerts: Alerts | None = None,
        evidence: EvidenceRecorder | None = None,
        bundles: BundleSource | None = None,
        explained_in: Path | None = None,
        baselines_in: Path = Path("/nowhere"),
        drift: DriftWatch | None = None,
        canaries: bool = False,
        asking: ChallengeSettings | None = None,
        machines: Machines | None = None,
    ) -> None:
        self.clock = clock or ManualClock(start=100.0)
        self.hub = Hub(self.clock, hub)
        self.histories = StreamHistories()
        self.stamps = ShiftedClock(self.clock)
        self.log = EventLog(self.stamps)
        self.log.attach(self.hub)
        self.log.attach(self.histories)
        self.incidents = Incidents(self.log, self.stamps, store=store)
        self.incidents.attach()
        self.control = PlayedAnalyzer(self.log)
        self.models: tuple[ModelCard, ...] = (UNTRAINED,)
        self.watch = Watch()
        self.challenges = Challenges(
            self.log, self.stamps, self.watch, self.control, asking, rng=Random(1)
        )
        self.challenges.attach()
        self.explained = ExplainedMoments(self.control, self.clock, explained_in)
        self.log.attach(self.explained)
        self.book = BaselineBook(decides=True)
        self.baselines = Baselines(
            self.book,
            BaselineShelf(baselines_in),
            rated(),
            self.clock,
            BaselineSettings(),
            store,
        )
        self.log.attach(self.baselines.recent)
        self.drift = drift or DriftWatch(DriftSettings(), self.stamps, store)
        if drift is None:  # another one knows its streams already
            self.log.attach(self.drift)
        self.predictor = PlayedPredictor()
        self.host = PlayedHost(UNTRAINED)
        self.canaries = played_canaries(self.clock, self.host) if canaries else None
        self.registry = CollectorRegistry()
        self.store_state = StoreState("", "off", "turned off", 0)
        self.app: FastAPI = create_app(
            self.control,
            self.hub,
            self.histories,
            predictor or self.predictor,
            settings or WebSettings(),
            self.clock,
            self.registry,
            resolve=resolve or resolver(()),
            ice_servers=ice_servers,
            editor=editor(self.control) if editor else None,
            store=store,
            store_state=lambda: self.store_state,
            incidents=self.incidents,
            alerting=alerts,
            evidence=evidence,
            explained=self.explained,
            drift=self.drift,
            bundles=bundles,
            detectors=lambda: self.models,
            baselines=self.baselines,
            canaries=self.canaries,
            challenges=self.challenges,
            machines=machines,
        )

    def client(self, token: str | None = None, host: str = "127.0.0.1:8000") -> httpx.AsyncClient:
        """Return an HTTP client that talks to the application in process."""
        return httpx.AsyncClient(
            transport=httpx.ASGITransport(self.app, raise_app_exceptions=False),
            base_url=f"http://{host}",
            headers={"Authorization": f"Bearer {token}"} if token else {},
        )

    def publish(self, *events: Any) -> None:
        """Publish events at the clock's time."""
        for event in events:
            self.log.append(event)


def problem(answer: httpx.Response, status: int) -> dict[str, Any]:
    """Return the problem in an answer, after checking that it is one."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    body: dict[str, Any] = answer.json()
    assert body["status"] == status
    assert body["title"]
    assert body["detail"]
    return body


async def lobby(**options: Any) -> WebRig:
    """Return a rig with one stream."""
    rig = WebRig(**options)
    await rig.control.add(StreamSpec("lobby", SourceSettings(SourceUrl.parse("rtsp://cam/1"))))
    return rig


def resolver(addresses: Sequence[str], **named: Sequence[str]) -> Any:
    """Return a name server that knows a few hosts and says the same of all others."""

    async def resolve(host: str, port: int) -> Sequence[str]:
        found = named.get(host.replace(".", "_").replace("-", "_"), addresses)
        if not found:
            raise OSError(f"no address for {host}")
        return found

    return resolve


@asynccontextmanager
async def served(
    app: FastAPI,
    at: int = 0,
    connections: ConnectionSettings | None = None,
    **options: Any,
) -> AsyncIterator[int]:
    """Serve an application on a loopback port, any if `at` is 0; yields the port."""
    with socket.create_server(("127.0.0.1", at)) as listener:
        settings = server_options(ConnectionLimits(connections or ConnectionSettings()))
        config = uvicorn.Config(app, log_config=None, **(settings | options))
        server = uvicorn.Server(config)
        server.capture_signals = nullcontext  # type: ignore[method-assign]
        serving = asyncio.create_task(server.serve(sockets=[listener]))
        try:
            while not server.started:  # noqa: ASYNC110 - uvicorn has no event for it
                await asyncio.sleep(0)
            yield listener.getsockname()[1]
        finally:
            server.should_exit = True
            with suppress(asyncio.CancelledError):
                await serving
