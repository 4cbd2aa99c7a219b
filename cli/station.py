"""Station: an analyzer and everything that stands around it, made from the settings.

All of a running program but the web: one process has a station and serves it, and every worker of
a cluster has one.
"""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractContextManager, AsyncExitStack, asynccontextmanager, nullcontext
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version

from platformdirs import user_data_path
from prometheus_client import CollectorRegistry

from cli import wiring
from cli.alerting import alerting
from cli.baseline_wiring import baselines_kept
from cli.canaries import canaries
from cli.challenging import challenging
from cli.memory import Memory, tended
from cli.memory import watched as drift_watched
from cli.recording import explaining, recording
from cli.settings import Settings
from stream.alerts.alerts import Alerts
from stream.analyzer.analyzer import Analyzer
from stream.baseline.book import BaselineBook
from stream.baseline.service import Baselines
from stream.canaries.service import Canaries
from stream.challenge.service import Challenges
from stream.clock import Clock
from stream.drift.watch import DriftWatch
from stream.event_log.event_log import EventLog, EventSink
from stream.event_log.ids import EPOCH_FILE, BlocksInFile, EventIds, TakeBlock
from stream.evidence.explained import ExplainedMoments
from stream.evidence.recorder import EvidenceRecorder
from stream.incidents.service import Incidents
from stream.monitoring.figures import (
    alert_figures,
    canary_figures,
    challenge_figures,
    drift_figures,
    evidence_figures,
    explained_figures,
    incident_figures,
)
from stream.monitoring.metrics import Metrics
from stream.pipeline import Pipeline
from stream.publish.hub import Hub, HubSettings
from styleflow.cards import ModelCard


@dataclass(frozen=True, slots=True, eq=False)
class Station:
    """The parts of a station that runs.

    Attributes:
        clock: where time comes from.
        metrics: the figures of all parts.
        hub: tells subscribers.
        events: tells every part what happens.
        ids: numbers of the events.
        cards: the models that score, the first one first.
        memory: what is remembered beyond a restart.
        analyzer: the streams.
        incidents: made of suspect verdicts.
        alerts: who is told of them.
        drift: how streams have changed.
        explained: what stood out to detectors in incidents.
        evidence: video of incidents; None where none is kept.
        baselines: known-real video of streams.
        challenges: what people in streams are asked; None where that is not allowed.
        canaries: known clips; None where none are sent.
    """

    clock: Clock
    metrics: Metrics
    hub: Hub
    events: EventLog
    ids: EventIds
    cards: tuple[ModelCard, ...]
    memory: Memory
    analyzer: Analyzer
    incidents: Incidents
    alerts: Alerts
    drift: DriftWatch
    explained: ExplainedMoments
    evidence: EvidenceRecorder | None
    baselines: Baselines
    challenges: Challenges | None
    canaries: Canaries | None


@asynccontextmanager
async def station(
    settings: Settings,
    clock: Clock,
    *,
    untrained: bool = False,
    sinks: Sequence[EventSink] = (),
    loading: Callable[[], AbstractContextManager[object]] = nullcontext,
    worker: str = "",
    blocks: TakeBlock | None = None,
) -> AsyncIterator[Station]:
    """Run a station, without streams at first, until this is left.

    Args:
        settings: of all its parts.
        clock: where time comes from.
        untrained: give detectors without weights random ones.
        sinks: are told every event, those of canaries too, before anybody else.
        loading: entered while the models are loaded.
        worker: its name, if it is one of several that share the store.
        blocks: where numbers of events come from; the user's data directory when left out.

    Raises:
        WeightsMissing: the face models have not been fetched; and what else `wiring.pipeline`,
            `Memory.open` and the parts raise.
    """
    metrics = Metrics(CollectorRegistry())
    hub = Hub(clock, HubSettings(max_clients=settings.web.sockets.subscribers))
    memory = await asyncio.to_thread(Memory.open, settings.store, clock)
    epochs = user_data_path("styleflow") / EPOCH_FILE
    ids = EventIds(blocks or BlocksInFile(epochs, clock, memory.newest))
    events = EventLog(clock, ids)
    for sink in sinks:
        events.attach(sink, canaries=True)
    memory.attach(events)
    alone = not worker
    incidents = memory.incidents(events, clock, settings.incidents, alone=alone)
    book = BaselineBook(decides=settings.decision.by == "budget")
    with loading():
        pipeline = await asyncio.to_thread(
            _pipeline, settings, clock, metrics, book, untrained=untrained
        )
    cards = tuple(scorer.card for scorer in pipeline.scorers)
    analyzer = _analyzer(settings, pipeline, hub, metrics, events, clock)
    analyzer.remark(memory.health)
    metrics.scraped.attach(memory.figures)
    metrics.scraped.attach(lambda: incident_figures(incidents))
    watched = alerting(settings.alerts, events, clock, memory.store, incidents, worker)
    drift = memory.drift(events, clock, settings.drift)
    analyzer.notice_drift(drift.sentences)
    metrics.scraped.attach(lambda: drift_figures(drift))
    explained = explaining(settings.evidence, events, clock, memory.store, analyzer)
    kept = baselines_kept(
        book, wiring.rated(settings, cards), events, clock, settings.baseline, memory.store
    )
    challenged = challenging(settings.challenges, events, clock, memory.store, analyzer)
    recorded = recording(
        settings.evidence, events, clock, memory.store, incidents, analyzer, alone=alone
    )
    remember = memory.store is not None
    known = canaries(settings.canaries, events, clock, analyzer, remember=remember, worker=worker)
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(memory)
        await stack.enter_async_context(analyzer)
        alerts = await stack.enter_async_context(watched)
        moments = await stack.enter_async_context(explained)
        evidence = await stack.enter_async_context(recorded)
        baselines = await stack.enter_async_context(kept)
        challenges = await stack.enter_async_context(challenged)
        await stack.enter_async_context(tended(incidents))
        await stack.enter_async_context(drift_watched(drift))
        checked = await stack.enter_async_context(known)
        made = Station(
            clock=clock,
            metrics=metrics,
            hub=hub,
            events=events,
            ids=ids,
            cards=cards,
            memory=memory,
            analyzer=analyzer,
            incidents=incidents,
            alerts=alerts,
            drift=drift,
            explained=moments,
            evidence=evidence,
            baselines=baselines,
            challenges=challenges,
            canaries=checked,
        )
        _scrape(made)
        yield made


def _pipeline(
    settings: Settings, clock: Clock, metrics: Metrics, book: BaselineBook, *, untrained: bool
) -> Pipeline:
    """Return a pipeline whose stages are timed; takes seconds."""
    return wiring.pipeline(
        settings,
        clock,
        lambda stage, seconds, whose: metrics.stage_seconds.labels(stage, whose).observe(seconds),
        untrained=untrained,
        cameras=book.camera,
        second=True,
    )


def _analyzer(
    settings: Settings,
    pipeline: Pipeline,
    hub: Hub,
    metrics: Metrics,
    events: EventLog,
    clock: Clock,
) -> Analyzer:
    """Return an analyzer of a pipeline, whose models are named in the figures."""
    for scorer in pipeline.scorers:
        card = scorer.card
        metrics.build_info.labels(version("styleflow-live"), card.name, card.status.value).set(1)
    return Analyzer(
        pipeline,
        hub,
        metrics,
        clock,
        settings.analyzer,
        settings.batching,
        calls=settings.webrtc,
        overload=settings.overload,
        events=events,
    )


def exempt_from_collection() -> None:
    """Exempt what is loaded from garbage collection: it stays until the end, which streams do not.

    Modules and models have so many objects that looking through them all stops every thread for a
    fifth of a second of computing, every few seconds while requests come and go.
    """
    gc.collect()
    gc.freeze()


def _scrape(made: Station) -> None:
    """Show the figures of the parts that run only now."""
    scraped = made.metrics.scraped
    scraped.attach(partial(explained_figures, made.explained))
    if made.evidence is not None:
        scraped.attach(partial(evidence_figures, made.evidence))
    if made.challenges is not None:
        scraped.attach(partial(challenge_figures, made.challenges))
    scraped.attach(partial(alert_figures, made.alerts))
    checked = made.canaries
    if checked is not None:
        scraped.attach(lambda: canary_figures(checked.report(), checked.age_s))
