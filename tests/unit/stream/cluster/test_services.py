"""Services of workers through a gateway: whom each is asked of, and what comes back."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from stream.alerts.alerts import Alerts
from stream.alerts.errors import AlertRuleUnknown
from stream.alerts.settings import AlertsSettings
from stream.analyzer.analyzer import Analyzer
from stream.analyzer.streams import StreamSpec
from stream.baseline.service import Baselines
from stream.canaries.records import NOTHING_SENT, Report, State
from stream.canaries.service import Canaries
from stream.challenge.service import Challenges
from stream.clock import Clock
from stream.cluster.gateway import Gateway
from stream.cluster.incidents import GatewayIncidents
from stream.cluster.services import (
    ASKABLE,
    AskedAlerts,
    AskedCanaries,
    AskedChallenges,
    AskedDrift,
    AskedExplained,
)
from stream.compliance import Task
from stream.drift.settings import DriftSettings
from stream.drift.watch import DriftWatch
from stream.engine.settings import EngineSettings
from stream.errors import IncidentUnknown, StreamUnknown, WorkerGone
from stream.event_log.event_log import EventLog
from stream.events import Verdict, VerdictChanged
from stream.evidence.explained import ExplainedMoments
from stream.evidence.recorder import EvidenceRecorder
from stream.incident import Incident, Label
from stream.incidents.records import Wanted
from stream.incidents.service import Change, Incidents
from stream.ingest.source import SourceSettings, SourceUrl
from stream.publish.hub import Hub
from stream.store.access import DirectStore
from tests.support.alerts import PlayedChannel, rule, store
from tests.support.cluster import LocalCluster
from tests.support.wire import CARD, score

WAIT_S = 60.0


@dataclass
class PlayedCanaries:
    """Canaries that fare as the test says."""

    state: State = State.OK
    age_s: float = 1.0
    learned: int = 0

    def report(self) -> Report:
        """Return how they fare."""
        return replace(NOTHING_SENT, state=self.state)

    def learn_anew(self) -> None:
        """Count."""
        self.learned += 1


@dataclass
class Parts:
    """What every worker has, made anew for each."""

    store: DirectStore | None
    made: list[Mapping[str, Any]] = field(default_factory=list)

    def __call__(self, analyzer: Analyzer, clock: Clock) -> Mapping[str, Any]:
        """Make them for a worker."""
        events = analyzer.events
        incidents = Incidents(events, clock, store=self.store, alone=False)
        incidents.attach()
        settings = AlertsSettings(rules=(rule(),))
        drift = DriftWatch(DriftSettings(), clock, None)
        events.attach(drift)
        parts = {
            "incidents": incidents,
            "alerts": Alerts((PlayedChannel(),), settings, self.store, clock, random.Random(1)),
            "drift": drift,
            "canaries": PlayedCanaries(),
            "challenges": Challenges(events, clock, analyzer.watch, analyzer),
            "explained": ExplainedMoments(analyzer, clock, None),
        }
        self.made.append(parts)
        return parts


@dataclass
class Scene:
    """A gateway over two workers, each of which owns a stream: `a` and `b`."""

    cluster: LocalCluster
    gateway: Gateway
    incidents: GatewayIncidents

    def part(self, stream: str, name: str) -> Any:
        """Return a part of a stream's owner."""
        return self.cluster.owner(stream).parts[name]

    async def open(self, stream: str) -> Incident:
        """Have a stream's owner open an incident, and wait until the gateway has heard of it."""
        now = self.cluster.clock.monotonic()
        suspect = score(
            stream, value=0.95, low=0.9, high=0.99, verdict=Verdict.SUSPECT, arrived=now
        )
        turned = VerdictChanged(stream, 1, 1, 1.0, Verdict.CLEAR, Verdict.SUSPECT, 0.9, CARD.name)
        self.cluster.owner(stream).say(suspect, turned)
        (incident,) = self.part(stream, "incidents").machine.open()

        async def is_heard() -> bool:
            page = await self.incidents.page(Wanted(stream=stream), 10)
            return bool(page.incidents)

        async with asyncio.timeout(WAIT_S):
            while not await is_heard():  # noqa: ASYNC110 - nobody tells of it
                await asyncio.sleep(0.005)
        assert isinstance(incident, Incident)
        return incident


@asynccontextmanager
async def scene(kept: DirectStore | None) -> AsyncIterator[Scene]:
    cluster = LocalCluster(2, parts=Parts(kept))
    events = EventLog(cluster.clock)
    gateway = Gateway(
        cluster.director,
        cluster.handles.__getitem__,
        events,
        Hub(cluster.clock),
        cluster.clock,
        EngineSettings(),
    )
    incidents = GatewayIncidents(gateway, cluster.clock, store=kept)
    async with gateway:
        for stream in ("a", "b"):
            source = SourceSettings(SourceUrl.parse("rtsp://camera.example/1"))
            await gateway.add(StreamSpec(stream, source))
        yield Scene(cluster, gateway, incidents)
    assert events.failures == 0


@pytest.fixture(params=["with a store", "without"])
def kept(request: pytest.FixtureRequest, tmp_path: Path) -> DirectStore | None:
    return store(tmp_path / "store.sqlite") if request.param == "with a store" else None


def test_everything_that_may_be_asked_is_there() -> None:
    kinds: dict[str, type[Any]] = {
        "control": Analyzer,
        "incidents": Incidents,
        "explained": ExplainedMoments,
        "baselines": Baselines,
        "drift": DriftWatch,
        "canaries": Canaries,
        "challenges": Challenges,
        "alerts": Alerts,
        "evidence": EvidenceRecorder,
    }
    assert kinds.keys() == ASKABLE.keys()
    missing = {
        f"{service}.{method}"
        for service, methods in ASKABLE.items()
        for method in methods - {"specs"}  # that is the worker's own
        if not hasattr(kinds[service], method)
    }
    assert missing == set()


async def test_nothing_else_may_be_asked(kept: DirectStore | None) -> None:
    async with scene(kept) as made:
        for service, method in (("control", "remove"), ("incidents", "start"), ("os", "getpid")):
            with pytest.raises(LookupError):
                await made.gateway.ask("worker-1", service, method)


async def test_an_incident_is_changed_by_its_owner_and_seen_at_once(
    kept: DirectStore | None,
) -> None:
    async with scene(kept) as made:
        one, other = await made.open("a"), await made.open("b")
        page = await made.incidents.page(Wanted(), 10)
        assert {incident.id for incident in page.incidents} == {one.id, other.id}
        change = Change(label=Label.TRUE, note="as agreed")
        changed = await made.incidents.change(other.id, change, "ann")
        assert (changed.label, changed.notes) == (Label.TRUE, 1)
        assert made.part("b", "incidents").machine.get(other.id).label is Label.TRUE
        assert made.part("a", "incidents").machine.get(other.id) is None
        async with asyncio.timeout(WAIT_S):
            while (await made.incidents.find(other.id)).notes == 0:  # noqa: ASYNC110 - as above
                await asyncio.sleep(0.005)
        story = await made.incidents.story(other.id)
        assert [note.text for note in story.notes] == ["as agreed"]
        assert bool(story.audit) is (kept is not None)
        with pytest.raises(IncidentUnknown):
            await made.incidents.change("nobody", change, "ann")


async def test_pages_of_incidents_follow_one_another(kept: DirectStore | None) -> None:
    async with scene(kept) as made:
        opened = {(await made.open(stream)).id for stream in ("a", "b")}
        first = await made.incidents.page(Wanted(), 1)
        assert first.next is not None
        second = await made.incidents.page(Wanted(), 1, first.next)
        assert {i.id for i in (*first.incidents, *second.incidents)} == opened
        assert second.next is None
        assert first.stored is (kept is not None)


async def test_a_snooze_is_known_everywhere_and_set_once(kept: DirectStore | None) -> None:
    async with scene(kept) as made:
        snooze = await made.incidents.snooze("b", "cleaning", 60, "ann")
        assert await made.incidents.snoozes == (snooze,)
        assert [made.part(s, "incidents").snoozes for s in "ab"] == [(snooze,), (snooze,)]
        await made.incidents.wake("b", "ann")
        assert await made.incidents.snoozes == ()
        with pytest.raises(StreamUnknown):
            await made.incidents.snooze("c", "cleaning", 60, "ann")


async def test_a_rule_of_the_page_holds_at_every_worker(kept: DirectStore | None) -> None:
    async with scene(kept) as made:
        alerts = AskedAlerts(made.gateway)
        await alerts.put_rule(rule(name="night"), "ann")
        for stream in "ab":
            assert made.part(stream, "alerts").rule("night").rule == rule(name="night")
        assert [status.rule.name for status in await alerts.rules()] == ["all", "night"]
        assert [result.ok for result in await alerts.test("night")] == [True]
        await alerts.remove_rule("night", "ann")
        for stream in "ab":
            with pytest.raises(AlertRuleUnknown):
                made.part(stream, "alerts").rule("night")
        with pytest.raises(AlertRuleUnknown):
            await alerts.remove_rule("night", "ann")


async def test_counts_of_channels_are_those_of_all_workers() -> None:
    async with scene(None) as made:
        for stream in "ab":
            await made.open(stream)
            part = made.part(stream, "alerts")
            made.cluster.owner(stream).analyzer.events.attach(part)
            made.cluster.owner(stream).say(score(stream))
        (channel,) = await AskedAlerts(made.gateway).channels()
        assert (channel.name, channel.counts.delivered, channel.state) == ("hook", 0, "idle")
        results = await AskedAlerts(made.gateway).test("all")
        assert [result.channel for result in results] == ["hook"]


async def test_of_canaries_the_worst_worker_s_are_told() -> None:
    async with scene(None) as made:
        canaries = AskedCanaries(made.gateway)
        assert (await canaries.report()).state is State.OK
        made.part("b", "canaries").state, made.part("b", "canaries").age_s = State.FAILING, 77.0
        assert (await canaries.report()).state is State.FAILING
        assert await canaries.age_s == 77.0
        await canaries.learn_anew()
        assert [made.part(stream, "canaries").learned for stream in "ab"] == [1, 1]


async def test_what_concerns_one_stream_is_asked_of_its_owner() -> None:
    async with scene(None) as made:
        drift, challenges = AskedDrift(made.gateway), AskedChallenges(made.gateway)
        assert (await drift.state("b")).comparison is None
        assert await challenges.of("b") == ()
        assert not await challenges.has_page("b")
        assert await challenges.of("gone") == ()
        with pytest.raises(StreamUnknown):
            await drift.state("gone")
        made.cluster.kill(made.cluster.owner("b").name)
        with pytest.raises(WorkerGone):
            await challenges.ask("b", Task.RANDOM, "ann")
        assert await challenges.of("a") == ()


async def test_an_explanation_that_nobody_has_is_none() -> None:
    async with scene(None) as made:
        incident = await made.open("a")
        assert await AskedExplained(made.gateway).find(incident) == "none"


async def test_what_a_dead_worker_knew_is_left_out() -> None:
    async with scene(None) as made:
        incident = await made.open("a")
        dead = made.cluster.owner("a").name
        made.cluster.kill(dead)
        assert [status.rule.name for status in await AskedAlerts(made.gateway).rules()] == ["all"]
        assert await made.incidents.snoozes == ()
        with pytest.raises(WorkerGone):
            await made.incidents.change(incident.id, Change(acknowledged=True), "ann")
