"""Incidents of a whole analyzer with its store: found, written, and taken over after a restart."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from cli.memory import Memory, tended
from stream.analyzer.analyzer import Analyzer
from stream.analyzer.streams import StreamSpec
from stream.clock import SystemClock
from stream.event_log.event_log import EventLog, StampedEvent
from stream.event_log.ids import EventIds
from stream.events import IncidentChanged, Score
from stream.incident import IncidentStatus, IncidentStep, Label, Severity
from stream.incidents.records import Wanted
from stream.incidents.service import Change, Incidents
from stream.incidents.settings import IncidentSettings
from stream.ingest.source import Pace, SourceSettings, SourceUrl
from stream.monitoring.metrics import Metrics
from stream.publish.hub import Hub
from stream.store.settings import StoreSettings
from styleflow.cards import TrainingStatus
from tests.support.media import encode, moving_pictures
from tests.support.path import EAGER, toy_pipeline

PATIENCE_S = 30.0
WARY = replace(EAGER, enter=0.02, leave=0.01, dwell_s=0.0)
"""Finds almost everything suspect."""


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return encode(tmp_path_factory.mktemp("clips") / "disc.mp4", moving_pictures(50), gop=25)


class Steps:
    """Hears what becomes of incidents."""

    def __init__(self) -> None:
        self.heard: list[IncidentChanged] = []
        self.scores = 0
        self._news = asyncio.Event()

    def accept(self, stamped: StampedEvent) -> None:
        """Keep a change, and count scores."""
        if isinstance(stamped.event, IncidentChanged):
            self.heard.append(stamped.event)
        self.scores += isinstance(stamped.event, Score)
        self._news.set()

    async def until(self, step: IncidentStep) -> IncidentChanged:
        """Wait for a step, remembered or still to come."""
        async with asyncio.timeout(PATIENCE_S):
            while True:
                self._news.clear()
                for change in self.heard:
                    if change.step is step:
                        return change
                await self._news.wait()

    async def until_scored(self, count: int) -> None:
        """Wait for so many scores."""
        async with asyncio.timeout(PATIENCE_S):
            while self.scores < count:
                self._news.clear()
                await self._news.wait()


@asynccontextmanager
async def house(
    folder: Path, status: TrainingStatus = TrainingStatus.TRAINED
) -> AsyncIterator[tuple[Analyzer, Incidents, Steps]]:
    """Run an analyzer as `serve` does, with a toy detector that is easily suspicious."""
    clock = SystemClock()
    events, steps = EventLog(clock, EventIds()), Steps()
    memory = await asyncio.to_thread(Memory.open, StoreSettings(), clock, folder)
    memory.attach(events)
    incidents = memory.incidents(events, clock, IncidentSettings())
    events.attach(steps)
    pipeline = toy_pipeline(settings=WARY, status=status)
    metrics = Metrics(CollectorRegistry())
    analyzer = Analyzer(pipeline, Hub(clock), metrics, clock, events=events, seed=1)
    async with memory, analyzer, tended(incidents):
        yield analyzer, incidents, steps


def spec(clip: Path) -> StreamSpec:
    source = SourceSettings(SourceUrl.parse(str(clip)), pace=Pace.NATIVE, loop=True)
    return StreamSpec("lobby", source)


async def test_a_suspect_face_is_an_incident_that_is_there_after_a_restart(
    clip: Path, tmp_path: Path
) -> None:
    async with house(tmp_path) as (analyzer, incidents, steps):
        await analyzer.add(spec(clip))
        opened = await steps.until(IncidentStep.OPENED)
        name = opened.incident.id
        assert opened.incident.severity >= Severity.LOW
        await incidents.change(name, Change(label=Label.FALSE, note="a disc"), "ann")
    closed = await steps.until(IncidentStep.CLOSED)  # with its stream, when the analyzer stops
    assert closed.incident.id == name

    async with house(tmp_path) as (_, incidents, steps):
        page = await incidents.page(Wanted(), 10)
        story = await incidents.story(name)
        await incidents.change(name, Change(acknowledged=True), "bob")
        assert [change.step for change in steps.heard] == [IncidentStep.ACKNOWLEDGED]
    assert ([each.id for each in page.incidents], page.stored) == ([name], True)
    assert story.incident == closed.incident
    assert (story.incident.status, story.incident.label) == (IncidentStatus.CLOSED, Label.FALSE)
    assert [note.text for note in story.notes] == ["a disc"]
    assert [entry.by for entry in story.audit] == ["ann", "ann"]


async def test_an_untrained_detector_opens_none(clip: Path, tmp_path: Path) -> None:
    async with house(tmp_path, TrainingStatus.UNTRAINED) as (analyzer, incidents, steps):
        await analyzer.add(spec(clip))
        await steps.until_scored(30)
        await analyzer.remove("lobby")
        assert (await incidents.page(Wanted(), 10)).incidents == ()
    assert steps.heard == []


async def test_an_experimental_detector_gives_a_hint(clip: Path, tmp_path: Path) -> None:
    async with house(tmp_path, TrainingStatus.EXPERIMENTAL) as (analyzer, _, steps):
        await analyzer.add(spec(clip))
        opened = await steps.until(IncidentStep.OPENED)
    assert opened.incident.severity is Severity.HINT
    assert opened.incident.notice != ""
