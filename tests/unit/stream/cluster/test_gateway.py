"""A gateway over workers in this process: what subscribers see while workers come, go and wake."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest

from stream.analyzer.streams import StreamSpec
from stream.clock import SystemClock
from stream.cluster.gateway import Gateway
from stream.engine.settings import EngineSettings
from stream.errors import StreamUnknown, WorkerGone
from stream.event_log.event_log import EventLog, StampedEvent
from stream.events import (
    ConnectionState,
    EpochCause,
    EpochStarted,
    Score,
    StreamAdded,
    StreamRemoved,
)
from stream.ingest.source import SourceSettings, SourceUrl
from stream.publish.client_messages import ResumePoint
from stream.publish.hub import Filter, Hub, Subscription
from tests.support.cluster import LocalCluster
from tests.support.wire import score, track_ended, verdict_changed

WAIT_S = 60.0


def spec(stream: str) -> StreamSpec:
    return StreamSpec(stream, SourceSettings(SourceUrl.parse("demo://authentic")))


async def nothing() -> None:
    """Want nothing."""


class Site:
    """A gateway with a hub, and what was told there."""

    def __init__(
        self, cluster: LocalCluster, wanted: Callable[[], Awaitable[None]] = nothing
    ) -> None:
        self.clock = SystemClock()
        self.hub = Hub(self.clock)
        self.events = EventLog(self.clock)
        self.told: list[StampedEvent] = []
        self.gateway = Gateway(
            cluster.director,
            cluster.handles.__getitem__,
            self.events,
            self.hub,
            self.clock,
            EngineSettings(),
            wanted,
        )
        self.events.attach(self)

    def accept(self, stamped: StampedEvent) -> None:
        """Keep what is told."""
        self.told.append(stamped)

    def of(self, stream: str, kind: type[Any] = object) -> list[Any]:
        """Return the events of a stream that were told, of a kind."""
        events = [stamped.event for stamped in self.told]
        return [event for event in events if event.stream == stream and isinstance(event, kind)]

    def ids(self, stream: str) -> list[int]:
        """Return the numbers of a stream's events."""
        return [stamped.id for stamped in self.told if stamped.event.stream == stream]


async def until(is_so: Callable[[], bool]) -> None:
    """Wait until something is so."""
    async with asyncio.timeout(WAIT_S):
        while not is_so():  # noqa: ASYNC110 - of parts that have no event for it
            await asyncio.sleep(0.005)


@asynccontextmanager
async def sites(cluster: LocalCluster, count: int = 1) -> AsyncIterator[list[Site]]:
    """Run gateways until this is left; nothing failed at their event logs."""
    made = [Site(cluster) for _ in range(count)]
    async with AsyncExitStack() as stack:
        for site in made:
            await stack.enter_async_context(site.gateway)
        for site in made:
            await until(lambda site=site: site.gateway.table is not None)  # type: ignore[misc]
        yield made
    assert [site.events.failures for site in made] == [0] * count


def read(subscription: Subscription, now: float) -> list[dict[str, Any]]:
    taken = []
    while (text := subscription.take(now)) is not None:
        taken.append(json.loads(text))
    return taken


async def test_events_of_all_workers_are_told_in_one_place() -> None:
    cluster = LocalCluster(2)
    async with sites(cluster) as (site,):
        await site.gateway.add(spec("a"))
        await site.gateway.add(spec("b"))
        assert {cluster.director.owned[s].worker for s in "ab"} == {"worker-1", "worker-2"}
        cluster.owner("a").say(score("a", value=0.3))
        cluster.owner("b").say(score("b", value=0.4))
        await until(lambda: len(site.of("a", Score)) == len(site.of("b", Score)) == 1)
        assert [s.scores[0].score for s in site.gateway.statuses()] == [0.3, 0.4]


async def test_a_stream_that_moves_keeps_its_place_in_the_hub() -> None:
    cluster = LocalCluster(2)
    async with sites(cluster) as (site,):
        await site.gateway.add(spec("a"))
        old = cluster.owner("a")
        old.say(score("a", track=1))
        await until(lambda: len(site.of("a", Score)) == 1)
        subscription = site.hub.subscribe(Filter(), lambda: None)
        await cluster.director.move("a", "worker-2")
        cluster.owner("a").say(EpochStarted("a", 1, EpochCause.CONNECTED), score("a", track=7))
        await until(lambda: len(site.of("a", Score)) == 2)
        assert not site.of("a", StreamRemoved)
        assert len(site.of("a", StreamAdded)) == 2
        assert site.ids("a") == sorted(site.ids("a"))
        assert [s.track for s in site.gateway.status("a").scores] == [7]
        messages = read(subscription, site.clock.monotonic() + 9)
        epochs = [m["epoch"] for m in messages if m["type"] == "score"]
        assert epochs
        assert set(epochs) == {site.gateway.status("a").epoch}


async def test_a_planned_move_loses_no_event_of_the_old_owner() -> None:
    """The new owner is heard of first; the old one's last words must be told before."""
    cluster = LocalCluster(2)
    held, slow, heard = asyncio.Event(), asyncio.Event(), asyncio.Event()
    first, second = (cluster.handles[name].feed for name in ("worker-1", "worker-2"))

    async def late(*args: Any) -> Any:
        batch = await first(*args)
        if batch.told and held.is_set():
            await slow.wait()
        return batch

    async def early(*args: Any) -> Any:
        batch = await second(*args)
        if batch.told:
            heard.set()
        return batch

    cluster.handles["worker-1"].feed = late  # type: ignore[method-assign]
    cluster.handles["worker-2"].feed = early  # type: ignore[method-assign]
    async with sites(cluster) as (site,):
        await site.gateway.add(spec("a"))
        old = cluster.owner("a")
        held.set()
        old.say(*(verdict_changed("a", track) for track in range(5)))
        await cluster.director.move("a", "worker-2")
        cluster.owner("a").say(score("a"))
        async with asyncio.timeout(WAIT_S):
            await heard.wait()
        slow.set()
        await until(lambda: len(site.of("a", Score)) == 1)
        kinds = [type(event).__name__ for event in site.of("a")]
        assert kinds.count("VerdictChanged") == 5
        assert kinds.index("Score") > max(i for i, k in enumerate(kinds) if k == "VerdictChanged")
        assert site.gateway.relay.fence.fenced == 0


async def test_a_worker_that_wakes_up_again_is_not_heard() -> None:
    cluster = LocalCluster(2)
    async with sites(cluster) as (site,):
        await site.gateway.add(spec("a"))
        old = cluster.owner("a")
        cluster.pause(old.name)
        await cluster.director.bury(old.name)
        new = cluster.owner("a")
        assert new is not old
        new.say(score("a", value=0.9))
        await until(lambda: len(site.of("a", Score)) == 1)
        old.say(*(score("a", value=0.1) for _ in range(3)))
        cluster.resume(old.name)
        cluster.director.alive[old.name] = True
        await cluster.director.changed()
        new.say(score("a", value=0.8))
        await until(lambda: site.gateway.relay.fence.fenced >= 3)
        await until(lambda: len(site.of("a", Score)) == 2)
        assert [s.score for s in site.of("a", Score)] == [0.9, 0.8]


async def test_a_stream_whose_worker_died_is_told_as_removed_once() -> None:
    cluster = LocalCluster(2)
    async with sites(cluster, 2) as (site, other):
        await site.gateway.add(spec("a"))
        old = cluster.owner("a")
        old.say(score("a"))
        await until(lambda: len(other.of("a", Score)) == 1)
        cluster.pause(old.name)
        cluster.director.alive[old.name] = False
        await cluster.director.changed()
        await site.gateway.remove("a")
        await until(lambda: bool(other.of("a", StreamRemoved)))
        cluster.resume(old.name)
        old.say(score("a"))
        await old.worker.disown("a", 9999, moved=False)
        cluster.director.alive[old.name] = True
        await cluster.director.changed()
        await until(lambda: site.gateway.relay.fence.fenced >= 2)
        await until(lambda: other.gateway.relay.fence.fenced >= 2)
        for each in (site, other):
            assert len(each.of("a", StreamRemoved)) == 1
            assert len(each.of("a", Score)) == 1
        assert site.ids("a") == other.ids("a")
        with pytest.raises(StreamUnknown):
            site.gateway.status("a")
        await site.gateway.add(spec("a"))
        assert site.gateway.status("a").state is ConnectionState.CONNECTING


async def test_two_gateways_tell_the_same_numbers() -> None:
    cluster = LocalCluster(2)
    async with sites(cluster, 2) as (one, two):
        for stream in ("a", "b", "c"):
            await one.gateway.add(spec(stream))
        for value in range(20):
            for stream in ("a", "b", "c"):
                cluster.owner(stream).say(score(stream, value=value / 20))
        await cluster.director.move("a", "worker-2")
        cluster.owner("a").say(score("a", value=0.99))
        for site in (one, two):
            await until(lambda site=site: len(site.of("a", Score)) == 21)  # type: ignore[misc]
            await until(lambda site=site: len(site.of("c", Score)) == 20)  # type: ignore[misc]
        for stream in ("a", "b", "c"):
            numbers = one.ids(stream)
            assert numbers == sorted(set(numbers))
            assert set(two.ids(stream)) <= set(numbers) or set(numbers) <= set(two.ids(stream))
            scores = [s.id for s in one.told if isinstance(s.event, Score)]
            assert [s.id for s in two.told if isinstance(s.event, Score)] != []
            assert sorted(scores) == sorted(s.id for s in two.told if isinstance(s.event, Score))


async def test_a_client_resumes_at_another_gateway_when_its_own_is_dead() -> None:
    cluster = LocalCluster(2)
    async with sites(cluster) as (here,):
        async with sites(cluster) as (there,):
            await there.gateway.add(spec("a"))
            cluster.owner("a").say(verdict_changed("a", 1))
            await until(lambda: len(there.of("a")) >= 2 and here.hub.knows("a"))
            await until(lambda: here.ids("a")[-1] == there.ids("a")[-1])
            seen = read(there.hub.subscribe(Filter(), lambda: None), there.clock.monotonic())[-1]
        owner = cluster.owner("a")  # the gateway's end harms no worker
        owner.say(verdict_changed("a", 2), track_ended("a", 2))
        await until(lambda: len(here.of("a")) >= 4)
        point = ResumePoint(epoch=seen["epoch"], seq=seen["seq"])
        resumed = here.hub.subscribe(Filter(), lambda: None, resume={"a": point})
        assert resumed.resumed == ("a",)
        events = [m for m in read(resumed, here.clock.monotonic() + 9) if m["type"] == "event"]
        assert [m["data"]["kind"] for m in events] == ["verdict_changed", "track_ended"]


async def test_a_gateway_that_comes_late_sends_clients_to_the_store_for_what_was_before() -> None:
    cluster = LocalCluster(1)
    async with sites(cluster) as (first,):
        await first.gateway.add(spec("a"))
        cluster.owner("a").say(verdict_changed("a", 1), verdict_changed("a", 2))
        await until(lambda: len(first.of("a")) >= 3)
        point = ResumePoint(epoch=first.gateway.status("a").epoch, seq=first.ids("a")[-2])
        newest = ResumePoint(epoch=point.epoch, seq=first.ids("a")[-1])
    async with sites(cluster) as (late,):
        await until(lambda: late.hub.knows("a"))
        assert late.hub.beyond_memory(Filter(), {"a": point}) == {"a": point.seq}
        assert late.hub.beyond_memory(Filter(), {"a": newest}) == {}


async def test_what_was_lost_of_a_feed_cuts_its_subscribers_so_that_they_resume() -> None:
    cluster = LocalCluster(1)
    async with sites(cluster) as (site,):
        await site.gateway.add(spec("a"))
        subscription = site.hub.subscribe(Filter(), lambda: None)
        cluster.cut_off("worker-1")
        owner = cluster.owner("a")
        await until(lambda: not site.gateway.relay.readers[0].answers)
        owner.say(*(verdict_changed("a", track) for track in range(5000)))
        cluster.cut_off("worker-1", cut=False)
        await until(lambda: subscription.cut is not None)
        assert subscription.cut is not None
        assert subscription.cut.code == 1012
        assert site.gateway.relay.counts.lost > 0
        assert site.hub.missing > 0


async def test_health_has_a_sentence_for_every_worker() -> None:
    cluster = LocalCluster(2)
    site = Site(cluster)
    assert not site.gateway.health().ready
    async with sites(cluster) as (site,):
        health = site.gateway.health()
        assert (health.live, health.ready) == (True, True)
        assert health.details["workers"] == "2 of 2 alive"
        cluster.pause("worker-2")
        cluster.director.alive["worker-2"] = False
        await cluster.director.changed()
        await until(lambda: site.gateway.health().details["workers"] == "1 of 2 alive")
        assert "does not answer" in site.gateway.health().details["worker worker-2"]
        assert site.gateway.health().ready


async def test_a_gateway_that_hears_neither_director_nor_worker_is_not_ready(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    cluster = LocalCluster(1)

    async def gone(version: int, wait_s: float) -> None:
        raise WorkerGone("director")

    async with sites(cluster) as (site,):
        monkeypatch.setattr(cluster.director, "table", gone)
        words = site.gateway.health
        await until(lambda: "does not answer" in words().details["director"])
        assert words().ready  # workers go on
        cluster.cut_off("worker-1")
        await until(lambda: not words().ready)


async def test_what_a_dead_owner_is_asked_says_that_it_is_gone() -> None:
    cluster = LocalCluster(1)
    async with sites(cluster) as (site,):
        await site.gateway.add(spec("a"))
        cluster.kill("worker-1")
        with pytest.raises(WorkerGone):
            await site.gateway.pointers("a")
        assert site.gateway.status("a").id == "a"


async def test_thresholds_follow_a_stream_that_moves() -> None:
    cluster = LocalCluster(2)
    async with sites(cluster, 2) as (one, two):
        await one.gateway.add(spec("a"))
        tuned = replace(await one.gateway.thresholds(), enter=0.91)
        await one.gateway.retune(tuned, "a")
        await cluster.director.move("a", "worker-2")
        assert cluster.owner("a").analyzer.judged_by("a") == tuned
        assert await one.gateway.thresholds("a") == tuned
        await until(lambda: (known := two.gateway.table) is not None and "a" in known.streams)
        assert await two.gateway.thresholds("a") == tuned


async def test_a_new_director_is_told_what_is_wanted_and_believed_what_it_says() -> None:
    """It knows less for a while, and an order of the old one may never have been carried out."""
    cluster, calls = LocalCluster(2), []

    async def wanted() -> None:
        calls.append(cluster.director.number)
        await cluster.director.want([spec("a"), spec("b")])

    site = Site(cluster, wanted)
    async with site.gateway:
        await until(lambda: bool(site.hub.knows("a") and site.hub.knows("b")))
        promised = replace(cluster.director.owned["a"], generation=9000, worker="worker-2")
        real, gone = cluster.director.owned["a"], cluster.director.owned.pop("b")
        cluster.director.owned["a"] = promised
        await cluster.director.changed()
        await until(lambda: site.gateway.relay.fence.of("a") == 9000)
        cluster.director.owned["a"] = real
        cluster.director.number = 2
        await cluster.director.changed()
        await until(lambda: calls == [1, 2])
        cluster.workers[real.worker].say(score("a"))
        await until(lambda: len(site.of("a", Score)) == 1)
        assert site.hub.knows("b")
        assert not site.of("b", StreamRemoved)
        assert cluster.director.owned["b"].worker == gone.worker
    assert site.events.failures == 0


async def test_who_follows_a_stream_whose_owner_was_cut_off_reads_its_last_words_in_the_store() -> (
    None
):
    """They were stored behind the cut, and nobody showed them."""
    cluster = LocalCluster(2)
    async with sites(cluster) as (site,):
        await site.gateway.add(spec("a"))
        old = cluster.owner("a")
        follower = site.hub.subscribe(Filter(), lambda: None)
        seen = ResumePoint(epoch=site.gateway.status("a").epoch, seq=site.ids("a")[-1])
        cluster.cut_off(old.name)
        await until(lambda: not site.gateway.relay.readers[0].answers)
        old.say(verdict_changed("a"))
        await cluster.director.bury(old.name)
        await until(lambda: follower.cut is not None)
        assert follower.cut is not None
        assert follower.cut.code == 1012
        assert site.hub.beyond_memory(Filter(), {"a": seen}) == {"a": seen.seq}


async def test_who_follows_a_stream_that_was_moved_in_peace_stays() -> None:
    cluster = LocalCluster(2)
    async with sites(cluster) as (site,):
        await site.gateway.add(spec("a"))
        cluster.owner("a").say(verdict_changed("a"))
        follower = site.hub.subscribe(Filter(), lambda: None)

        def newest() -> int:
            return cluster.director.owned["a"].generation

        for worker in ("worker-2", "worker-1", "worker-2"):
            await cluster.director.move("a", worker)
            await until(lambda: site.gateway.relay.generation("a") == newest())
        cluster.owner("a").say(score("a"))
        await until(lambda: len(site.of("a", Score)) == 1)
        assert follower.cut is None
        assert site.hub.missing == 0
