"""The whole analyzer: real threads around toy parts; streams come, go and leave nothing behind."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, NoReturn

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from stream import pipeline as pipeline_module
from stream.analyzer.analyzer import Analyzer
from stream.analyzer.ingest_worker import IngestWorker
from stream.analyzer.settings import AnalyzerSettings
from stream.analyzer.streams import Priority, StreamSpec
from stream.clock import SystemClock
from stream.engine.plan import TrackKey
from stream.errors import (
    OverlayUnavailable,
    Overloaded,
    SourceUrlInvalid,
    StreamExists,
    StreamUnknown,
    TooManyStreams,
)
from stream.events import ConnectionState, DegradationLevel, ReasonCode
from stream.ingest.file import FileSource
from stream.ingest.source import Pace, Packet, SourceSettings, SourceUrl
from stream.monitoring.metrics import Metrics
from stream.offline.analysis import DetectorUnknown
from stream.pipeline import Pipeline
from stream.publish.hub import Filter, Hub
from stream.scheduling.degradation import OverloadSettings, Relief, Work
from styleflow.faces.face import Face, Image
from styleflow.overlay import Patch, PointsAt
from tests.support.media import encode, moving_pictures
from tests.support.path import EAGER, CentreFinder, toy_pipeline
from tests.support.published import toy_pipeline_of

PATIENCE_S = 30
Message = dict[str, Any]


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("clips") / "disc.mp4"
    return encode(path, moving_pictures(50), gop=25)


def spec(stream: str, clip: Path, pace: Pace = Pace.FAST, **more: Any) -> StreamSpec:
    return StreamSpec(stream, SourceSettings(SourceUrl.parse(str(clip)), pace=pace, **more))


class Listener:
    """Collects what the hub says."""

    def __init__(self, hub: Hub, clock: SystemClock) -> None:
        self._wake = asyncio.Event()
        self._clock = clock
        self._subscription = hub.subscribe(Filter(max_hz=1000.0), self._wake.set)
        self.messages: list[Message] = []

    async def until(self, wanted: Callable[[Message], bool], after: int = 0) -> Message:
        """Return the first message that is wanted, remembered or still to come."""
        async with asyncio.timeout(PATIENCE_S):
            while True:
                self._wake.clear()
                while (text := self._subscription.take(self._clock.monotonic())) is not None:
                    self.messages.append(json.loads(text))
                for message in self.messages[after:]:
                    if wanted(message):
                        return message
                try:
                    await asyncio.wait_for(self._wake.wait(), 0.05)
                except TimeoutError:
                    continue  # a held score may be due


@asynccontextmanager
async def analyzing(
    pipeline: Pipeline | None = None, overload: OverloadSettings | None = None, **settings: Any
) -> AsyncIterator[tuple[Analyzer, Listener]]:
    clock = SystemClock()
    hub = Hub(clock)
    metrics = Metrics(CollectorRegistry())
    analyzer = Analyzer(
        pipeline or toy_pipeline(),
        hub,
        metrics,
        clock,
        AnalyzerSettings(**settings),
        seed=1,
        overload=overload,
    )
    async with analyzer:
        yield analyzer, Listener(hub, clock)


def is_event(kind: str, stream: str = "a") -> Callable[[Message], bool]:
    return lambda m: m["type"] == "event" and m["stream"] == stream and m["data"]["kind"] == kind


async def test_a_file_plays_from_start_to_end(clip: Path) -> None:
    async with analyzing() as (analyzer, listener):
        status = await analyzer.add(spec("a", clip))
        assert status.state is ConnectionState.CONNECTING
        await listener.until(lambda m: m["type"] == "score" and m["stream"] == "a")
        await listener.until(
            lambda m: is_event("stream_changed")(m) and m["data"]["state"] == "ended"
        )
        assert analyzer.status("a").state is ConnectionState.ENDED
        assert analyzer.health().live
        assert analyzer.health().ready


async def test_removing_a_stream_ends_its_tracks_and_leaves_nothing(clip: Path) -> None:
    pipeline = toy_pipeline()
    async with analyzing(pipeline) as (analyzer, listener):
        await analyzer.add(spec("a", clip, Pace.NATIVE, loop=True))
        await listener.until(lambda m: m["type"] == "score")
        await analyzer.remove("a")
        await listener.until(is_event("stream_removed"))
        assert any(is_event("track_ended")(m) for m in listener.messages)
        assert analyzer.statuses() == ()
        assert pipeline.device.stats.used == 0
        text = generate_latest(analyzer.metrics.registry).decode()
        assert 'stream="a"' not in text
        assert not [t for t in threading.enumerate() if t.name == "ingest-a"]
        with pytest.raises(StreamUnknown):
            await analyzer.remove("a")


async def test_streams_are_refused_with_the_reason(clip: Path) -> None:
    async with analyzing(max_streams=1) as (analyzer, _):
        await analyzer.add(spec("a", clip))
        with pytest.raises(StreamExists):
            await analyzer.add(spec("a", clip))
        with pytest.raises(TooManyStreams):
            await analyzer.add(spec("b", clip))
        with pytest.raises(StreamUnknown):
            await analyzer.change(spec("c", clip))
        with pytest.raises(StreamUnknown):
            analyzer.status("c")
        await analyzer.remove("a")
        wrong = SourceSettings(SourceUrl.parse("demo://tampered?sceonds=3"))
        with pytest.raises(SourceUrlInvalid, match="sceonds"):
            await analyzer.add(StreamSpec("d", wrong))


class Load:
    """A device thread as busy as it is told to be, as the analyzer weighs it."""

    def __init__(self, analyzer: Analyzer) -> None:
        self._analyzer = analyzer
        self._now = SystemClock().monotonic()
        self._busy_s = 0.0

    def run(self, busy: float, seconds: float) -> None:
        """Let so many seconds pass."""
        for _ in range(round(seconds / 0.25)):
            self._now += 0.25
            self._busy_s += busy * 0.25
            self._analyzer.weigh(self._now, Work(self._busy_s))


async def test_overload_is_told_everywhere_and_goes_away(clip: Path) -> None:
    async with analyzing(tick_s=1000.0) as (analyzer, listener):
        await analyzer.add(spec("a", clip, Pace.NATIVE, loop=True))
        await listener.until(lambda m: m["type"] == "score")
        load = Load(analyzer)
        load.run(busy=1.0, seconds=60)
        assert analyzer.health().ready
        assert "refuse_streams" in analyzer.health().details["overload"]
        assert analyzer.status("a").overload is DegradationLevel.REFUSE_STREAMS
        with pytest.raises(Overloaded) as caught:
            await analyzer.add(spec("b", clip))
        assert caught.value.retry_after_s > 0
        await analyzer.change(spec("a", clip, Pace.NATIVE, loop=True))  # it was there before
        told = await listener.until(
            lambda m: m["type"] == "status" and m["data"]["overload"] == "refuse_streams"
        )
        assert "refuses new streams" in told["data"]["summary"]
        figures = generate_latest(analyzer.metrics.registry).decode()
        assert "styleflow_overload_rung 4.0" in figures
        assert 'styleflow_overload_changes_total{state="refuse_streams"} 1.0' in figures
        assert "styleflow_streams_refused_total 1.0" in figures
        load.run(busy=0.1, seconds=120)
        assert analyzer.status("a").overload is DegradationLevel.NONE
        await analyzer.add(spec("b", clip))


async def test_relief_reaches_the_pipeline(clip: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    reached: list[Relief] = []
    pipeline = toy_pipeline()
    monkeypatch.setattr(pipeline, "relieve", reached.append)
    async with analyzing(pipeline, tick_s=1000.0) as (analyzer, listener):
        await analyzer.add(spec("a", clip, Pace.NATIVE, loop=True))
        Load(analyzer).run(busy=1.0, seconds=5)
        assert analyzer.status("a").overload is DegradationLevel.LONGER_HOP
        seen = len(listener.messages)
        await listener.until(lambda m: m["type"] == "score", seen)
    assert reached == [Relief(4, 1), Relief(4, 2)]


async def test_only_streams_of_low_priority_are_sampled(clip: Path) -> None:
    settings = OverloadSettings(window_s=0.4, pause_s=0.4)
    async with analyzing(overload=settings, tick_s=1000.0) as (analyzer, listener):
        Load(analyzer).run(busy=1.0, seconds=7)
        low = replace(spec("low", clip, Pace.NATIVE, loop=True), priority=Priority.LOW)
        status = await analyzer.add(low)
        assert status.overload is DegradationLevel.SAMPLED_WINDOWS
        await analyzer.add(spec("normal", clip, Pace.NATIVE, loop=True))

        def sampled(stream: str) -> float | None:
            labels = {"reason": "sampled", "stream": stream}
            return analyzer.metrics.registry.get_sample_value(
                "styleflow_frames_dropped_total", labels
            )

        async with asyncio.timeout(PATIENCE_S):
            while not sampled("low"):  # noqa: ASYNC110 - a figure is a value, not an event
                await asyncio.sleep(0.05)
        await listener.until(lambda m: m["type"] == "score" and m["stream"] == "normal")
        assert sampled("normal") == 0


async def test_a_source_that_fails_says_why_and_hurts_nobody(clip: Path, tmp_path: Path) -> None:
    async with analyzing() as (analyzer, listener):
        await analyzer.add(spec("broken", tmp_path / "nowhere.mp4"))
        await analyzer.add(spec("a", clip, Pace.NATIVE, loop=True))
        await listener.until(lambda m: m["type"] == "score" and m["stream"] == "a")
        await listener.until(
            lambda m: is_event("stream_changed", "broken")(m) and m["data"]["state"] == "failed"
        )
        broken = analyzer.status("broken")
        assert broken.state is ConnectionState.FAILED
        assert broken.code is ReasonCode.NOT_FOUND
        assert broken.retry_in_s is not None
        assert broken.retry_in_s >= 30


async def test_a_changed_stream_starts_again(clip: Path) -> None:
    async with analyzing() as (analyzer, listener):
        await analyzer.add(spec("a", clip, Pace.NATIVE, loop=True))
        await listener.until(lambda m: m["type"] == "score")
        before = len(listener.messages)
        await analyzer.change(StreamSpec("a", spec("a", clip).source, "renamed"))
        await listener.until(is_event("stream_removed"))
        added = await listener.until(is_event("stream_added"), before)
        assert added["data"]["name"] == "renamed"
        assert analyzer.spec("a").name == "renamed"


async def test_an_ingest_that_hangs_is_replaced(
    clip: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A reader that nothing can interrupt is given up; the stream goes on in a later epoch."""
    release = threading.Event()
    opened = 0

    class Hanging(FileSource):
        def packets(self) -> Iterator[Packet]:
            nonlocal opened
            opened += 1
            for index, packet in enumerate(super().packets()):
                if opened == 1 and index == 20:
                    release.wait(PATIENCE_S)
                yield packet

    monkeypatch.setattr("stream.ingest.open.FileSource", Hanging)
    async with analyzing(replace_s=0.3, stop_s=0.5) as (analyzer, listener):
        await analyzer.add(spec("a", clip, Pace.NATIVE, loop=True))
        first = await listener.until(lambda m: m["type"] == "score")
        kept = analyzer.packets("a").snapshot()
        later = await listener.until(lambda m: m["type"] == "score" and m["epoch"] > first["epoch"])
        assert analyzer.packets("a").snapshot()[: len(kept)] == kept
        assert analyzer.ingest_counters("a").packets > len(kept)
        assert later["stream"] == "a"
        # Where this process rests for long, a sound one is replaced as well.
        assert int(analyzer.health().details["threads_abandoned"]) >= 1
        release.set()


async def test_running_out_of_slots_is_an_event(clip: Path) -> None:
    async with analyzing(toy_pipeline(slots=1)) as (analyzer, listener):
        await analyzer.add(spec("a", clip, Pace.NATIVE, loop=True))
        await listener.until(lambda m: m["type"] == "score" and m["stream"] == "a")
        await analyzer.add(spec("b", clip, Pace.NATIVE, loop=True))
        refused = await listener.until(is_event("capacity_reached", "b"))
        assert refused["data"]["slots"] == 1


async def test_new_thresholds_reach_the_running_engine(clip: Path) -> None:
    async with analyzing() as (analyzer, listener):
        await analyzer.add(spec("a", clip, Pace.NATIVE, loop=True))
        await listener.until(lambda m: m["type"] == "score")
        await analyzer.retune(type(EAGER)(**{**_fields(EAGER), "min_face_px": 10_000.0}))
        small = await listener.until(
            lambda m: m["type"] == "score" and "face_small" in m["data"]["reasons"]
        )
        assert small["data"]["state"] in ("abstain", "warming")


def _fields(settings: object) -> dict[str, Any]:
    return {name: getattr(settings, name) for name in settings.__slots__}  # type: ignore[attr-defined]


async def test_thresholds_of_one_stream_outlive_its_reconnection(clip: Path) -> None:
    async with analyzing() as (analyzer, listener):
        await analyzer.add(spec("a", clip, Pace.NATIVE, loop=True))
        await analyzer.add(spec("b", clip, Pace.NATIVE, loop=True))
        own = replace(EAGER, min_face_px=10_000)
        await analyzer.retune(own, "a")
        await analyzer.change(spec("a", clip, Pace.NATIVE, loop=True, timeout_s=3))
        assert await analyzer.thresholds("a") == own
        assert await analyzer.thresholds("b") == await analyzer.thresholds() == EAGER
        small = await listener.until(
            lambda m: m["type"] == "score" and "face_small" in m["data"]["reasons"]
        )
        assert small["stream"] == "a"
        with pytest.raises(StreamUnknown):
            await analyzer.retune(own, "c")


async def test_a_picture_is_made_for_who_asks_and_is_of_what_was_scored(clip: Path) -> None:
    async with analyzing() as (analyzer, listener):
        await analyzer.add(spec("a", clip, Pace.NATIVE, loop=True))
        assert await analyzer.picture("a", 64) is None  # nobody had asked before
        async with asyncio.timeout(PATIENCE_S):
            while (still := await analyzer.picture("a", 64)) is None or not any(
                face.scores for face in still.faces
            ):
                await listener.until(lambda m: m["type"] == "score", len(listener.messages))
        (face,) = still.faces
        (said,) = face.scores
        assert (said.epoch, said.end) == (still.epoch, still.at)
        assert face.box == said.box
        assert still.jpeg[:2] == b"\xff\xd8"
        with pytest.raises(StreamUnknown):
            await analyzer.picture("b", 64)


async def test_a_broken_device_makes_the_process_unhealthy(clip: Path) -> None:
    pipeline = toy_pipeline()
    async with analyzing(pipeline) as (analyzer, listener):

        def broken(*_: object) -> None:
            raise RuntimeError("sticky error")

        pipeline.device.begin = broken  # type: ignore[method-assign, assignment]
        pipeline.device.healthy = lambda: False  # type: ignore[method-assign]
        await analyzer.add(spec("a", clip))
        async with asyncio.timeout(PATIENCE_S):
            while analyzer.health().live:  # noqa: ASYNC110 - health is a value, not an event
                await asyncio.sleep(0.02)
        assert "restart" in analyzer.health().details["device"]
        del pipeline.device.begin
        assert listener.messages is not None


async def test_a_broken_accelerator_shows_even_where_faces_are_found(clip: Path) -> None:
    """A sticky error in the finder looks like a fault of each stream, and is none."""

    class Broken(CentreFinder):
        def find(self, image: Image, tiles: int = 0, known: Sequence[Face] = ()) -> NoReturn:
            raise RuntimeError("sticky error")

    pipeline = toy_pipeline(Broken)
    pipeline.device.healthy = lambda: False  # type: ignore[method-assign]
    async with analyzing(pipeline) as (analyzer, _):
        await analyzer.add(spec("a", clip))
        async with asyncio.timeout(PATIENCE_S):
            while analyzer.health().live:  # noqa: ASYNC110 - health is a value, not an event
                await asyncio.sleep(0.02)
        assert "restart" in analyzer.health().details["device"]


async def test_two_detectors_score_one_stream_live(clip: Path) -> None:
    """Each has its newest score, in the status as on the wire; the face ends for both."""
    names = {"styleflow-live", "caddm-resnet34"}
    pipeline = toy_pipeline_of(*sorted(names))
    async with analyzing(pipeline) as (analyzer, listener):
        await analyzer.add(spec("a", clip, Pace.NATIVE, loop=True))
        for name in names:
            await listener.until(
                lambda m, name=name: m["type"] == "score" and m["data"]["detector"] == name  # type: ignore[misc]
            )
        status = analyzer.status("a")
        assert {card.name for card in status.models} == names
        assert {score.detector for score in status.scores} <= names
        assert analyzer.health().live
        await analyzer.remove("a")
        await listener.until(is_event("stream_removed"))
        ends = [m for m in listener.messages if is_event("track_ended")(m)]
        starts = [m for m in listener.messages if is_event("track_started")(m)]
        assert len(ends) == len(starts)
        assert [device.stats.used for device in pipeline.devices] == [0, 0]


async def test_what_a_detector_points_at_is_asked_only_while_somebody_looks(
    clip: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And the picture that it comes with is the one that this detector has just rated."""
    silent = {"styleflow-live": None, "caddm-resnet34": PointsAt.ARTIFACTS}
    monkeypatch.setattr(pipeline_module, "points_at", lambda detector: silent[detector.card.name])
    pipeline = toy_pipeline_of("styleflow-live", "caddm-resnet34")
    explained: list[int] = []
    plain = pipeline.devices[1].explain

    def counting(keys: Sequence[TrackKey]) -> Mapping[TrackKey, tuple[Patch, ...]]:
        explained.append(len(keys))
        return plain(keys)

    pipeline.devices[1].explain = counting  # type: ignore[method-assign]
    async with analyzing(pipeline) as (analyzer, listener):
        await analyzer.add(spec("a", clip, Pace.NATIVE, loop=True))
        for name in ("styleflow-live", "caddm-resnet34"):
            await listener.until(
                lambda m, name=name: m["type"] == "score" and m["data"]["detector"] == name  # type: ignore[misc]
            )
        await analyzer.picture("a", 64)
        assert explained == []
        assert dict(await analyzer.pointers("a")) == silent
        async with asyncio.timeout(PATIENCE_S):
            while (still := await analyzer.picture("a", 64, "caddm-resnet34")) is None or not (
                still.overlay is not None and still.overlay.explained
            ):
                await listener.until(lambda m: m["type"] == "score", len(listener.messages))
        assert explained
        (face,) = still.overlay.faces
        (shown,) = still.faces
        assert face.track == shown.track
        assert "caddm-resnet34" in {score.detector for score in shown.scores}
        with pytest.raises(OverlayUnavailable, match="cannot say"):
            await analyzer.picture("a", 64, "styleflow-live")
        with pytest.raises(DetectorUnknown, match="caddm-resnet34"):
            await analyzer.picture("a", 64, "oracle")
        registry = analyzer.metrics.registry
        for scorer in pipeline.scorers:
            whose = {"detector": scorer.card.name}
            latency = {"segment": "packet_to_score", **whose}
            assert registry.get_sample_value("styleflow_slots", whose) == 8
            assert registry.get_sample_value("styleflow_score_latency_seconds_count", latency)


async def test_streams_that_hang_are_stopped_side_by_side(
    clip: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each took its five seconds after the other."""
    together = threading.Barrier(3)
    join = IngestWorker.join

    def meet(worker: IngestWorker, timeout: float) -> bool:
        together.wait(PATIENCE_S)  # raises where one waits for the others to be stopped before
        return join(worker, timeout)

    monkeypatch.setattr(IngestWorker, "join", meet)
    async with analyzing() as (analyzer, _):
        for name in ("a", "b", "c"):
            await analyzer.add(spec(name, clip, Pace.NATIVE, loop=True))
    assert not together.broken
    assert not analyzer.statuses()
