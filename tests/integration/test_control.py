"""What the web asks of an analyzer, asked of one in this process and of a gateway over workers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Protocol

import httpx
import pytest
from prometheus_client import CollectorRegistry

from stream.analyzer.analyzer import Analyzer
from stream.analyzer.settings import AnalyzerSettings
from stream.analyzer.streams import Priority, StreamSpec
from stream.clock import SystemClock
from stream.cluster.gateway import Gateway
from stream.errors import (
    CallNotYours,
    CallUnknown,
    DetectorUnknown,
    NotACall,
    OfferInvalid,
    Overloaded,
    StreamExists,
    StreamIdReserved,
    StreamUnknown,
    TooManyStreams,
)
from stream.event_log.event_log import EventLog
from stream.events import ConnectionState
from stream.ingest.source import Pace, SourceSettings, SourceUrl
from stream.monitoring.metrics import Metrics
from stream.publish.history import StreamHistories
from stream.publish.hub import Filter, Hub
from stream.scheduling.degradation import Work
from stream.webrtc.calls import Publisher
from styleflow.overlay import PointsAt
from tests.support.cluster import LocalCluster
from tests.support.media import encode, moving_pictures
from tests.support.offers import only
from tests.support.path import EAGER, toy_pipeline
from tests.support.threads import SteppedThreads
from tests.support.web import PlayedPredictor, problem
from web.app import Control, create_app
from web.settings import WebSettings

ANN, BOB = Publisher("ann"), Publisher("bob")
WAIT_S = 60.0


class Rig(Protocol):
    """Something that is controlled, and the hands of a test."""

    control: Control
    hub: Hub
    histories: StreamHistories

    def play(self, stream: str) -> None:
        """Read a stream's source to its end."""

    def overload(self) -> None:
        """Give it more to do than it can."""


class OneProcess:
    """An analyzer."""

    def __init__(self, max_streams: int) -> None:
        clock = SystemClock()
        self.hub, self.histories = Hub(clock), StreamHistories()
        self.threads = SteppedThreads()
        events = EventLog(clock)
        events.attach(self.histories)
        self.control = Analyzer(
            toy_pipeline(),
            self.hub,
            Metrics(CollectorRegistry()),
            clock,
            AnalyzerSettings(max_streams=max_streams, stop_s=0.001),
            seed=1,
            events=events,
            start_thread=self.threads,
        )

    def play(self, stream: str) -> None:
        """Read a stream's source to its end."""
        self.threads.named(f"ingest-{stream}").run()
        self.control.drain()

    def overload(self) -> None:
        """Give it more to do than it can."""
        for second in range(30):
            self.control.weigh(100.0 + second, Work(busy_s=float(second)))


class ManyProcesses:
    """A gateway over two workers."""

    def __init__(self, max_streams: int) -> None:
        self.cluster = LocalCluster(2)
        self.cluster.director.max_streams = max_streams
        clock = self.cluster.clock
        self.hub, self.histories = Hub(clock), StreamHistories()
        events = EventLog(clock)
        events.attach(self.histories)
        director, handles = self.cluster.director, self.cluster.handles
        self.control = Gateway(director, handles.__getitem__, events, self.hub, clock, EAGER)

    def play(self, stream: str) -> None:
        """Read a stream's source to its end, at its owner."""
        self.cluster.owner(stream).play(stream)

    def overload(self) -> None:
        """Give every worker more to do than it can."""
        self.cluster.director.full = set(self.cluster.workers)


@asynccontextmanager
async def running(kind: str, max_streams: int = 4) -> AsyncIterator[Rig]:
    if kind == "analyzer":
        one = OneProcess(max_streams)
        async with one.control:
            yield one
        return
    many = ManyProcesses(max_streams)
    async with many.cluster, many.control:
        await until(lambda: many.control.table is not None)
        yield many


async def until(is_so: Callable[[], bool]) -> None:
    async with asyncio.timeout(WAIT_S):
        while not is_so():  # noqa: ASYNC110 - of parts that have no event for it
            await asyncio.sleep(0.005)


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return encode(tmp_path_factory.mktemp("clips") / "disc.mp4", moving_pictures(10), gop=5)


@pytest.fixture(params=["analyzer", "gateway"])
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def spec(clip: Path, stream: str, name: str = "") -> StreamSpec:
    return StreamSpec(stream, SourceSettings(SourceUrl.parse(str(clip)), pace=Pace.FAST), name)


async def test_a_stream_is_there_as_soon_as_it_was_added(kind: str, clip: Path) -> None:
    async with running(kind) as rig:
        status = await rig.control.add(spec(clip, "b", "Lobby"))
        assert (status.id, status.name, status.state) == ("b", "Lobby", ConnectionState.CONNECTING)
        await rig.control.add(spec(clip, "a"))
        assert rig.control.spec("b") == spec(clip, "b", "Lobby")
        assert [each.id for each in rig.control.statuses()] == ["a", "b"]
        assert rig.control.status("b").models == status.models != ()
        assert rig.hub.knows("a")
        assert rig.hub.knows("b")


async def test_its_status_tells_what_has_happened(kind: str, clip: Path) -> None:
    async with running(kind) as rig:
        await rig.control.add(spec(clip, "a"))
        rig.play("a")
        await until(lambda: rig.control.status("a").state is ConnectionState.ENDED)
        status = rig.control.status("a")
        assert status.source == str(clip)
        assert status.epoch > 0
        assert not status.demo


async def test_what_is_refused_says_why(kind: str, clip: Path) -> None:
    async with running(kind, max_streams=1) as rig:
        await rig.control.add(spec(clip, "a"))
        with pytest.raises(StreamExists):
            await rig.control.add(spec(clip, "a"))
        with pytest.raises(TooManyStreams):
            await rig.control.add(spec(clip, "b"))
        with pytest.raises(StreamIdReserved):
            await rig.control.add(spec(clip, ".canary.mine"))
        assert [each.id for each in rig.control.statuses()] == ["a"]


async def test_nothing_is_taken_on_where_all_are_full(kind: str, clip: Path) -> None:
    async with running(kind) as rig:
        rig.overload()
        with pytest.raises(Overloaded):
            await rig.control.add(spec(clip, "a"))
        assert rig.control.statuses() == ()


async def test_a_stream_that_nobody_has_is_unknown(kind: str, clip: Path) -> None:
    async with running(kind) as rig:
        for asked in (rig.control.spec, rig.control.status):
            with pytest.raises(StreamUnknown):
                asked("a")
        tuned = await rig.control.thresholds()
        for waiting in (
            rig.control.change(spec(clip, "a")),
            rig.control.remove("a"),
            rig.control.thresholds("a"),
            rig.control.retune(tuned, "a"),
            rig.control.picture("a", 640),
            rig.control.pointers("a"),
        ):
            with pytest.raises(StreamUnknown):
                await waiting


async def test_a_new_name_leaves_a_stream_running(kind: str, clip: Path) -> None:
    async with running(kind) as rig:
        before = await rig.control.add(spec(clip, "a"))
        follower = rig.hub.subscribe(Filter(), lambda: None)
        changed = replace(spec(clip, "a", "Entrance"), tags=("door",))
        status = await rig.control.change(changed)
        assert (status.name, status.tags, status.epoch) == ("Entrance", ("door",), before.epoch)
        assert rig.control.spec("a") == changed
        assert rig.control.status("a").name == "Entrance"
        assert follower.cut is None


async def test_another_priority_restarts_a_stream(kind: str, clip: Path) -> None:
    async with running(kind) as rig:
        await rig.control.add(spec(clip, "a"))
        low = replace(spec(clip, "a"), priority=Priority.LOW)
        assert (await rig.control.change(low)).priority is Priority.LOW
        assert rig.control.status("a").priority is Priority.LOW
        assert rig.hub.knows("a")


async def test_a_stream_that_is_removed_is_gone_everywhere(kind: str, clip: Path) -> None:
    async with running(kind) as rig:
        await rig.control.add(spec(clip, "a"))
        await rig.control.remove("a")
        assert not rig.hub.knows("a")
        with pytest.raises(StreamUnknown):
            rig.control.status("a")
        await rig.control.add(spec(clip, "a"))
        assert rig.hub.knows("a")


async def test_thresholds_are_those_of_the_stream_or_of_all(kind: str, clip: Path) -> None:
    async with running(kind) as rig:
        await rig.control.add(spec(clip, "a"))
        await rig.control.add(spec(clip, "b"))
        assert await rig.control.thresholds() == EAGER
        own, common = replace(EAGER, enter=0.91), replace(EAGER, enter=0.87)
        await rig.control.retune(own, "a")
        assert await rig.control.thresholds("a") == own
        assert await rig.control.thresholds("b") == EAGER
        await rig.control.retune(common)
        assert await rig.control.thresholds("a") == await rig.control.thresholds() == common


async def test_pictures_and_who_can_explain_them(kind: str, clip: Path) -> None:
    async with running(kind) as rig:
        status = await rig.control.add(spec(clip, "a"))
        assert await rig.control.picture("a", 640) is None
        detector = status.models[0].name
        assert await rig.control.pointers("a") == {detector: PointsAt.TRACES}
        assert await rig.control.picture("a", 640, detector) is None
        with pytest.raises(DetectorUnknown):
            await rig.control.picture("a", 640, "nobody")


async def test_calls_are_answered_changed_and_ended_by_whoever_began_them(kind: str) -> None:
    async with running(kind) as rig:
        answer = await rig.control.call("guest", only("VP8", "rtx"), ANN)
        assert "a=candidate" in answer.sdp
        await until(lambda: rig.hub.knows("guest"))
        assert [each.id for each in rig.control.statuses()] == ["guest"]
        assert await rig.control.etag("guest", answer.session, ANN) == answer.etag
        with pytest.raises(CallNotYours):
            await rig.control.etag("guest", answer.session, BOB)
        with pytest.raises(OfferInvalid):
            await rig.control.trickle("guest", answer.session, "nonsense", ANN)
        await rig.control.hang_up("guest", answer.session, ANN)
        with pytest.raises(CallUnknown):
            await rig.control.hang_up("guest", answer.session, ANN)


async def test_calls_that_cannot_be_answered_say_why(kind: str, clip: Path) -> None:
    async with running(kind) as rig:
        await rig.control.add(spec(clip, "a"))
        with pytest.raises(NotACall):
            await rig.control.call("a", only("VP8"), ANN)
        with pytest.raises(OfferInvalid):
            await rig.control.call("guest", "nonsense", ANN)
        with pytest.raises(StreamIdReserved):
            await rig.control.call(".canary.mine", only("VP8"), ANN)
        with pytest.raises(CallUnknown):
            await rig.control.etag("a", "session-0123456789", ANN)
        assert [each.id for each in rig.control.statuses()] == ["a"]


async def test_a_call_ends_with_the_credential_that_it_was_made_on(kind: str) -> None:
    async with running(kind) as rig:
        good = [True]
        caller = Publisher("ann", valid_at=lambda _: good[0])
        answer = await rig.control.call("guest", only("VP8"), caller)
        good[0] = False

        async def is_over() -> bool:
            try:
                await rig.control.etag("guest", answer.session, caller)
            except CallUnknown:
                return True
            return False

        async with asyncio.timeout(WAIT_S):
            while not await is_over():  # noqa: ASYNC110 - as above
                await asyncio.sleep(0.05)


async def test_it_says_how_it_is(kind: str) -> None:
    async with running(kind) as rig:
        health = rig.control.health()
        assert health.live
        assert health.details
        assert all(health.details.values())


async def test_the_api_says_the_same_of_both(kind: str, clip: Path) -> None:
    async with running(kind, max_streams=2) as rig:
        app = create_app(
            rig.control,
            rig.hub,
            rig.histories,
            PlayedPredictor(),
            WebSettings(source_roots=(clip.parent,)),
            SystemClock(),
            CollectorRegistry(),
        )
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
            streams = "/api/v1/streams"

            async def add(stream: str) -> httpx.Response:
                body = {"id": stream, "source": {"url": str(clip), "pace": "fast"}}
                return await client.post(streams, json=body)

            assert (await add("a")).status_code == 201
            problem(await add("a"), 409)
            assert (await client.get(f"{streams}/a/status")).json()["state"] == "connecting"
            changed = await client.patch(f"{streams}/a/thresholds", json={"enter": 0.9})
            assert changed.json()["current"]["enter"] == 0.9
            assert (await client.get(f"{streams}/a/overlays")).json()["overlays"]
            assert (await client.get(f"{streams}/a/picture.jpg")).status_code == 204
            assert (await add("b")).status_code == 201
            assert "retry-after" in (await add("c")).headers
            problem(await add("c"), 429)
            problem(await client.post("/whip/a", content="v=0"), 415)
            assert (await client.delete(f"{streams}/a")).status_code == 204
            problem(await client.get(f"{streams}/a"), 404)
            rig.overload()
            problem(await add("c"), 429)
            assert (await client.get("/livez")).json()["live"] is True
