"""The device worker, stepped: no thread, no sleep, and a clock that the test moves."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NoReturn

import numpy as np
import pytest
from prometheus_client import CollectorRegistry

from stream.analyzer.device_worker import DeviceWorker
from stream.analyzer.settings import AnalyzerSettings
from stream.batch import Planned, Processed, Underway
from stream.challenge.watch import Watch
from stream.clock import ManualClock
from stream.events import Event, Frame, Score, StreamReport, TrackEnded, TrackStarted
from stream.explain.pictures import Pictures
from stream.monitoring.metrics import Metrics
from stream.pipeline import Asked, Pipeline
from stream.scheduling.batcher import BatcherSettings
from stream.scheduling.degradation import Relief
from styleflow.faces.face import Face, Image
from tests.support.path import EAGER, CentreFinder, frames, toy_pipeline
from tests.support.threads import SteppedThreads

PICTURE: Image = np.random.default_rng(3).integers(0, 255, (120, 160, 3), dtype=np.uint8)
POISON: Image = np.zeros((120, 160, 3), dtype=np.uint8)


class FragileFinder(CentreFinder):
    """Breaks on a black picture."""

    def find(self, image: Image, tiles: int = 0, known: Sequence[Face] = ()) -> tuple[Face, ...]:
        if not image.any():
            raise ArithmeticError("black picture")
        return super().find(image)


class Rig:
    """A worker in the test's hands."""

    def __init__(self, pipeline: Pipeline | None = None, **batching: float) -> None:
        self.pipeline = pipeline or toy_pipeline()
        self.clock = ManualClock(start=100.0)
        self.pictures = Pictures()
        self.registry = CollectorRegistry()
        self.threads = SteppedThreads()
        self.watch = Watch()
        self.events: list[Event] = []
        self.worker = DeviceWorker(
            self.pipeline,
            self.clock,
            AnalyzerSettings(),
            BatcherSettings(**batching),  # type: ignore[arg-type]
            self.pictures,
            Metrics(self.registry),
            self.take,
            self.threads,
            self.watch,
        )

    def take(self, events: Iterable[Event]) -> None:
        """Keep what is handed over."""
        self.events += events

    def offer(self, stream: str, count: int, first: int = 0, image: Image = PICTURE) -> None:
        """Offer frames that have just arrived, one by one, and step after each."""
        for frame in frames(stream, image, count, first):
            self.clock.advance(max(frame.arrived - self.clock.monotonic(), 0.0))
            self.worker.offer(frame)
            self.worker.step()

    def kinds(self) -> list[type]:
        """Return what was handed over, reports apart."""
        return [type(event) for event in self.events if not isinstance(event, StreamReport)]


def test_frames_become_events_and_closing_ends_what_they_began() -> None:
    rig = Rig()
    rig.worker.open("a")
    rig.offer("a", 12)
    assert rig.kinds()[0] is TrackStarted
    assert Score in rig.kinds()
    done: list[bool] = []
    rig.worker.close("a", lambda: done.append(TrackEnded in rig.kinds()))
    assert done == []
    rig.worker.step()
    assert done == [True]
    assert rig.pipeline.device.stats.used == 0


def test_a_caller_that_hangs_up_ends_its_tracks_and_what_waits_of_it_is_dropped() -> None:
    rig = Rig()
    rig.worker.open("a")
    rig.offer("a", 3)
    rig.worker.offer(frames("a", PICTURE, 1, first=3)[0])
    rig.worker.end("a", epoch=0)
    assert rig.worker.batching.waiting == 0
    rig.worker.step()
    assert rig.kinds()[-1] is TrackEnded


def test_faces_are_measured_only_while_somebody_is_asked_for_something() -> None:
    rig = Rig()
    rig.worker.open("a")
    rig.offer("a", 3)
    rig.watch.begin("a")
    rig.offer("a", 4, first=3)
    seen = rig.watch.seen("a")
    rig.watch.end("a")
    rig.offer("a", 3, first=7)
    assert [(one.faces, one.track) for one in seen] == [(1, 1)] * 4
    assert [one.at for one in seen] == pytest.approx([100.24, 100.32, 100.40, 100.48])
    assert rig.watch.seen("a") == ()


def test_being_asked_for_something_changes_no_score() -> None:
    """Scores, verdicts and tracks are the same to the last bit."""
    told = []
    for asked in (False, True):
        rig = Rig()
        rig.worker.open("a")
        if asked:
            rig.watch.begin("a")
        rig.offer("a", 20)
        told.append([event for event in rig.events if not isinstance(event, StreamReport)])
    assert any(isinstance(event, Score) for event in told[0])
    assert told[0] == told[1]


def test_streams_report_once_a_second() -> None:
    rig = Rig()
    rig.worker.open("a")
    reports = []
    for _ in range(9):
        rig.worker.step()
        reports.append(len(rig.events))
        rig.clock.advance(0.25)
    assert reports == [1, 1, 1, 1, 2, 2, 2, 2, 3]


def test_frames_that_give_way_are_counted_by_stream_and_told_to_the_engine() -> None:
    rig = Rig(capacity=2)
    rig.worker.open("a")
    for frame in frames("a", PICTURE, 5):
        rig.worker.offer(frame)
    rig.worker.withhold("a")
    rig.worker.step()
    assert rig.worker.dropped("a") == {"overrun": 3, "sampled": 1, "fault": 0}
    assert set(rig.worker.dropped("b").values()) == {0}
    assert rig.worker.work.dropped == 3
    assert rig.worker.work.frames == 5
    rig.worker.close("a", lambda: None)
    rig.worker.step()
    assert set(rig.worker.dropped("a").values()) == {0}


def test_a_batch_that_is_held_back_says_when_it_is_due() -> None:
    rig = Rig(window_s=0.2)
    for stream in ("a", "b"):
        rig.worker.open(stream)
    for number in range(4):  # both streams deliver, so each may wait for the other
        for stream in ("a", "b"):
            rig.worker.offer(frames(stream, PICTURE, 1, first=number)[0])
        rig.worker.step()
        rig.clock.advance(0.08)
    rig.worker.offer(frames("a", PICTURE, 1, first=4)[0])
    pause = rig.worker.step()
    assert 0 < pause <= 0.2 + 1e-9
    assert rig.worker.batching.waiting == 1
    rig.clock.advance(0.2)
    assert rig.worker.step() == AnalyzerSettings().tick_s
    assert rig.worker.batching.waiting == 0


def test_one_failure_is_survived_and_three_in_a_row_are_for_good(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rig = Rig(max_batch=1)
    rig.worker.open("a")

    def broken(*_: object) -> NoReturn:
        raise RuntimeError("sticky error")

    plain = rig.pipeline.begin
    monkeypatch.setattr(rig.pipeline, "begin", broken)
    rig.offer("a", 1)
    assert rig.worker.healthy
    monkeypatch.setattr(rig.pipeline, "begin", plain)
    rig.offer("a", 1, first=1)
    monkeypatch.setattr(rig.pipeline, "begin", broken)
    for frame in frames("a", PICTURE, 3, first=2):
        rig.worker.offer(frame)
    rig.worker.step()
    assert not rig.worker.healthy


def test_a_fault_of_one_stream_is_counted_and_the_device_goes_on() -> None:
    rig = Rig(toy_pipeline(FragileFinder))
    rig.worker.open("a")
    rig.offer("a", 1, image=POISON)
    assert rig.worker.dropped("a") == {"overrun": 0, "sampled": 0, "fault": 1}
    assert rig.worker.healthy
    rig.offer("a", 2, first=1)
    assert rig.kinds()[0] is TrackStarted


def test_a_fault_of_a_broken_device_is_no_stream_s_own(monkeypatch: pytest.MonkeyPatch) -> None:
    rig = Rig(toy_pipeline(FragileFinder))
    rig.worker.open("a")
    monkeypatch.setattr(rig.pipeline.device, "healthy", lambda: False)
    rig.offer("a", 1, image=POISON)
    assert not rig.worker.healthy


def test_thresholds_and_relief_reach_the_pipeline_between_batches(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rig = Rig()
    reached: list[object] = []
    monkeypatch.setattr(rig.pipeline, "retune", lambda *wanted: reached.append(wanted))
    monkeypatch.setattr(rig.pipeline, "relieve", reached.append)
    rig.worker.retune(EAGER, "a")
    rig.worker.relieve(Relief(4, 2))
    assert reached == []
    rig.worker.step()
    assert reached == [(EAGER, "a"), Relief(4, 2)]


def test_a_thread_counts_as_turning_while_it_is_there_and_not_silent() -> None:
    rig = Rig()
    assert not rig.worker.turns(100.0)
    rig.worker.start()
    assert rig.worker.turns(100.0)
    stuck = 100.0 + AnalyzerSettings().stuck_s
    assert not rig.worker.turns(stuck)
    rig.clock.advance(stuck - 100.0)
    rig.worker.step()
    assert rig.worker.turns(stuck)
    rig.threads.named("device").alive = False
    assert not rig.worker.turns(stuck)


def test_the_thread_does_what_was_asked_for_before_it_ends() -> None:
    rig = Rig()
    rig.worker.start()
    done: list[str] = []
    rig.worker.close("a", lambda: done.append("a"))
    rig.worker.stop()
    rig.threads.named("device").run()
    assert done == ["a"]


def test_pictures_are_kept_only_while_somebody_looks() -> None:
    rig = Rig()
    rig.worker.open("a")
    rig.offer("a", 2)
    assert rig.pictures.still("a", 64) is None
    rig.pictures.watch("a", rig.clock.monotonic())
    rig.offer("a", 2, first=2)
    still = rig.pictures.still("a", 64)
    assert still is not None
    assert still.at >= 2 * 0.08  # of a frame that came after somebody had asked


def test_work_and_batches_are_measured() -> None:
    rig = Rig()
    rig.worker.open("a")
    rig.offer("a", 4)
    size = rig.registry.get_sample_value("styleflow_batch_size_count", {"stage": "frames"})
    age = rig.registry.get_sample_value("styleflow_frame_age_seconds_count", {"stage": "perceive"})
    assert (size, age) == (4, 4)
    assert rig.worker.work.frames == 4


def test_what_was_looked_at_is_known_until_the_stream_is_closed() -> None:
    rig = Rig()
    rig.worker.open("a")
    rig.offer("a", 3)
    notes = rig.worker.looked_at("a")
    assert [(note.slot, note.begins, note.left_out) for note in notes] == [
        (0, True, 0),
        (1, False, 0),
        (2, False, 0),
    ]
    rig.worker.close("a", lambda: None)
    rig.worker.step()
    assert rig.worker.looked_at("a") == ()


class WatchedPipeline:
    """A pipeline that takes note of its steps, each batch by its number."""

    def __init__(self, rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
        self.steps: list[str] = []
        pipeline = rig.pipeline
        plan, begin, conclude, close = (
            pipeline.plan,
            pipeline.begin,
            pipeline.conclude,
            pipeline.close,
        )
        numbers: dict[int, int] = {}

        def planning(batch: Sequence[tuple[Frame, int]]) -> Planned:
            planned = plan(batch)
            numbers[id(planned)] = len(numbers)
            self.steps.append(f"plan {numbers[id(planned)]}")
            return planned

        def beginning(planned: Planned) -> Underway:
            self.steps.append(f"begin {numbers[id(planned)]}")
            return begin(planned)

        def concluding(underway: Underway, asked: Asked | None = None) -> Processed:
            self.steps.append(f"conclude {numbers[id(underway.planned)]}")
            return conclude(underway, asked)

        def closing(stream: str) -> tuple[Event, ...]:
            self.steps.append("close")
            return close(stream)

        monkeypatch.setattr(pipeline, "plan", planning)
        monkeypatch.setattr(pipeline, "begin", beginning)
        monkeypatch.setattr(pipeline, "conclude", concluding)
        monkeypatch.setattr(pipeline, "close", closing)


def test_the_faces_of_the_next_batch_are_found_while_one_is_computed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rig = Rig(max_batch=1)
    rig.worker.open("a")
    rig.worker.step()
    watched = WatchedPipeline(rig, monkeypatch)
    for frame in frames("a", PICTURE, 3):
        rig.worker.offer(frame)
    rig.worker.step()
    assert watched.steps == [
        *("plan 0", "begin 0", "plan 1", "conclude 0"),
        *("begin 1", "plan 2", "conclude 1", "begin 2", "conclude 2"),
    ]


def test_a_stream_is_closed_only_when_nothing_of_it_is_under_way(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rig = Rig(max_batch=1)
    rig.worker.open("a")
    rig.worker.step()
    watched = WatchedPipeline(rig, monkeypatch)
    plan = rig.pipeline.plan

    def asked_meanwhile(batch: Sequence[tuple[Frame, int]]) -> Planned:
        rig.worker.close("a", lambda: None)
        return plan(batch)

    monkeypatch.setattr(rig.pipeline, "plan", asked_meanwhile)
    for frame in frames("a", PICTURE, 2):
        rig.worker.offer(frame)
    rig.worker.step()
    rig.worker.step()
    assert watched.steps[:4] == ["plan 0", "begin 0", "conclude 0", "close"]
