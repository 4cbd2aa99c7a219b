"""The façade, stepped: no thread runs unless the test runs it, and the clock is the test's."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from stream.analyzer.analyzer import Analyzer
from stream.analyzer.settings import AnalyzerSettings
from stream.analyzer.streams import StreamSpec
from stream.clock import ManualClock
from stream.errors import (
    Overloaded,
    StreamExists,
    StreamIdReserved,
    StreamUnknown,
    TooManyStreams,
)
from stream.event_log.event_log import EventLog, StampedEvent
from stream.events import (
    ConnectionState,
    DegradationLevel,
    Notice,
    StreamAdded,
    StreamChanged,
    StreamDescribed,
    StreamRemoved,
    StreamReport,
)
from stream.ingest.source import Pace, SourceSettings, SourceUrl
from stream.monitoring.metrics import Metrics
from stream.publish.hub import Hub
from stream.scheduling.degradation import Work
from tests.support.media import encode, moving_pictures
from tests.support.path import toy_pipeline
from tests.support.threads import SteppedThreads


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return encode(tmp_path_factory.mktemp("clips") / "disc.mp4", moving_pictures(10), gop=5)


class Rig:
    """An analyzer whose threads and clock are in the test's hands."""

    def __init__(self, clip: Path, max_streams: int = 4) -> None:
        self.clip = clip
        self.clock = ManualClock(start=100.0)
        self.threads = SteppedThreads()
        self.registry = CollectorRegistry()
        self.told: list[StampedEvent] = []
        events = EventLog(self.clock)
        self.analyzer = Analyzer(
            toy_pipeline(),
            Hub(self.clock),
            Metrics(self.registry),
            self.clock,
            AnalyzerSettings(max_streams=max_streams, stop_s=0.001),
            seed=1,
            events=events,
            start_thread=self.threads,
        )
        events.attach(self)

    def accept(self, stamped: StampedEvent) -> None:
        """Keep every event."""
        self.told.append(stamped)

    def spec(self, stream: str, name: str = "") -> StreamSpec:
        """Return settings that play the clip as fast as possible."""
        return StreamSpec(
            stream, SourceSettings(SourceUrl.parse(str(self.clip)), pace=Pace.FAST), name
        )

    def states(self) -> list[ConnectionState]:
        """Return the connection events so far."""
        return [s.event.state for s in self.told if isinstance(s.event, StreamChanged)]

    def figure(self, name: str, **labels: str) -> float | None:
        """Return a metric as it is scraped now."""
        return self.registry.get_sample_value(f"styleflow_{name}", labels)


async def test_a_stream_s_events_are_logged_from_its_beginning_to_its_end(clip: Path) -> None:
    rig = Rig(clip)
    status = await rig.analyzer.add(rig.spec("a", "Lobby"))
    assert (status.name, status.state) == ("Lobby", ConnectionState.CONNECTING)
    rig.threads.named("ingest-a").run()
    rig.analyzer.drain()
    assert rig.states()[0] is ConnectionState.CONNECTING
    assert rig.states()[-1] is rig.analyzer.status("a").state is ConnectionState.ENDED
    sampled = rig.analyzer.ingest_counters("a").sampled
    assert rig.figure("frames_sampled_total", stream="a") == sampled > 0
    assert rig.figure("streams") == 1
    await rig.analyzer.remove("a")
    events = [stamped.event for stamped in rig.told]
    assert isinstance(events[0], StreamAdded)
    assert isinstance(events[-1], StreamRemoved)
    assert [s.id for s in rig.told] == sorted({s.id for s in rig.told})
    assert rig.figure("frames_sampled_total", stream="a") is None
    with pytest.raises(StreamUnknown):
        rig.analyzer.status("a")


async def test_every_change_of_a_connection_is_followed_by_a_report(clip: Path) -> None:
    rig = Rig(clip)
    await rig.analyzer.add(rig.spec("a"))
    rig.threads.named("ingest-a").run()
    rig.analyzer.drain()
    events = [stamped.event for stamped in rig.told]
    after = [b for a, b in pairwise(events) if isinstance(a, StreamChanged)]
    assert after
    assert all(isinstance(event, StreamReport) for event in after)


async def test_what_comes_of_a_stream_that_is_gone_is_not_logged(clip: Path) -> None:
    rig = Rig(clip)
    await rig.analyzer.add(rig.spec("a"))
    thread = rig.threads.named("ingest-a")
    await rig.analyzer.remove("a")
    thread.run()
    rig.analyzer.drain()
    assert rig.states() == []
    assert rig.analyzer.health().details["threads_abandoned"] == "1"


async def test_streams_are_refused_with_the_reason(clip: Path) -> None:
    rig = Rig(clip, max_streams=1)
    await rig.analyzer.add(rig.spec("a"))
    with pytest.raises(StreamExists):
        await rig.analyzer.add(rig.spec("a"))
    with pytest.raises(TooManyStreams):
        await rig.analyzer.add(rig.spec("b"))
    for unknown in (rig.analyzer.status, rig.analyzer.spec, rig.analyzer.packets):
        with pytest.raises(StreamUnknown):
            unknown("b")


async def test_overload_refuses_new_streams_and_is_told(clip: Path) -> None:
    rig = Rig(clip)
    await rig.analyzer.add(rig.spec("a"))
    for second in range(30):
        rig.analyzer.weigh(100.0 + second, Work(busy_s=float(second)))
    assert rig.analyzer.status("a").overload is DegradationLevel.REFUSE_STREAMS
    with pytest.raises(Overloaded):
        await rig.analyzer.add(rig.spec("b"))
    assert rig.figure("overload_rung") == 4
    assert rig.figure("streams_refused_total") == 1
    assert rig.figure("overload_changes_total", state="refuse_streams") == 1


async def test_a_tick_weighs_what_the_device_has_done(clip: Path) -> None:
    rig = Rig(clip)
    await rig.analyzer.add(rig.spec("a"))
    for _ in range(20):
        rig.clock.advance(0.25)
        rig.analyzer.tick()
    assert rig.analyzer.degradation.busy == 0.0
    assert rig.analyzer.status("a").overload is DegradationLevel.NONE


async def test_thresholds_of_its_own_outlive_a_change_of_a_stream(clip: Path) -> None:
    rig = Rig(clip)
    await rig.analyzer.add(rig.spec("a"))
    common = await rig.analyzer.thresholds()
    own = type(common)(min_face_px=500.0)
    await rig.analyzer.retune(own, "a")
    await rig.analyzer.change(rig.spec("a", "renamed"))
    assert await rig.analyzer.thresholds("a") == own
    assert await rig.analyzer.thresholds() == common
    assert rig.analyzer.spec("a").name == "renamed"
    with pytest.raises(StreamUnknown):
        await rig.analyzer.change(rig.spec("c"))


async def test_renaming_a_stream_does_not_connect_it_anew(clip: Path) -> None:
    rig = Rig(clip)
    await rig.analyzer.add(rig.spec("a"))
    before = len(rig.told)
    status = await rig.analyzer.change(
        replace(rig.spec("a"), name="my camera, Tuesday 14:05", tags=("Berlin",))
    )
    assert (status.name, status.tags) == ("my camera, Tuesday 14:05", ("Berlin",))
    assert [stamped.event for stamped in rig.told[before:]] == [
        StreamDescribed("a", 0, "my camera, Tuesday 14:05", ("Berlin",))
    ]
    assert rig.analyzer.spec("a").tags == ("Berlin",)


async def test_what_has_changed_of_a_stream_is_a_notice_in_its_reports(clip: Path) -> None:
    rig = Rig(clip)
    changed: dict[str, tuple[str, ...]] = {"a": ("faces have become darker",)}
    rig.analyzer.notice_drift(lambda stream: changed.get(stream, ()))
    await rig.analyzer.add(rig.spec("a"))
    rig.threads.named("ingest-a").run()
    rig.analyzer.drain()
    reports = [s.event for s in rig.told if isinstance(s.event, StreamReport)]
    assert len(reports) > 1
    assert all(r.notices.count(Notice.DRIFTED) == 1 for r in reports)
    assert reports[-1].drift == changed["a"]
    changed.clear()
    await rig.analyzer.add(rig.spec("b"))
    rig.threads.named("ingest-b").run()
    rig.analyzer.drain()
    newest = [s.event for s in rig.told if isinstance(s.event, StreamReport)][-1]
    assert (newest.stream, newest.notices, newest.drift) == ("b", (), ())


async def test_a_canary_takes_nobodys_place_and_is_in_no_count(clip: Path) -> None:
    rig = Rig(clip, max_streams=1)
    async with rig.analyzer:
        await rig.analyzer.open_canary(".canary.demo.real", "Canary")
        await rig.analyzer.add(rig.spec("a"))
        assert [status.id for status in rig.analyzer.statuses()] == ["a"]
        assert rig.analyzer.health().details["streams"] == "0 of 1 live"
        assert rig.figure("streams") == 1
        assert rig.figure("packets_received_total", stream=".canary.demo.real") is None
        assert {stamped.event.stream for stamped in rig.told} == {"a"}
        assert rig.analyzer.status(".canary.demo.real").tags == ("canary",)


async def test_nobody_else_may_have_the_id_of_a_canary(clip: Path) -> None:
    rig = Rig(clip)
    async with rig.analyzer:
        with pytest.raises(StreamIdReserved):
            await rig.analyzer.add(rig.spec(".canary.mine"))
        with pytest.raises(StreamIdReserved):
            await rig.analyzer.call(".canary.mine", "")


async def test_there_is_no_room_for_a_canary_under_overload(clip: Path) -> None:
    rig = Rig(clip)
    async with rig.analyzer:
        assert rig.analyzer.no_room_for_canary() == ""
        rig.analyzer.weigh(100.0, Work())
        rig.analyzer.weigh(103.0, Work(busy_s=3.0, frames=30))
        assert "more to do" in rig.analyzer.no_room_for_canary()
