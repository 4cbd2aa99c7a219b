"""The pipeline: one stream's fault is its own, and streams do not disturb each other."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from stream.baseline.book import BaselineBook, Kept
from stream.events import AbstainReason, Score, StreamReport, TrackEnded, TrackStarted
from stream.pipeline import Pipeline, Planned
from stream.scheduling.degradation import Relief
from styleflow.cards import TrainingStatus
from styleflow.faces.face import Face, Image
from tests.support.baselines import baseline
from tests.support.path import EAGER, CentreFinder, frames, toy_pipeline

PICTURE: Image = np.random.default_rng(3).integers(0, 255, (120, 160, 3), dtype=np.uint8)
POISON: Image = np.zeros((120, 160, 3), dtype=np.uint8)


class FragileFinder(CentreFinder):
    """Breaks on a black picture."""

    def find(self, image: Image, tiles: int = 0, known: object = ()) -> tuple[Face, ...]:
        if not image.any():
            raise ArithmeticError("black picture")
        return super().find(image)


def test_a_frame_becomes_scores() -> None:
    pipeline = toy_pipeline()
    pipeline.open("a")
    events = [e for f in frames("a", PICTURE, 12) for e in pipeline.process([(f, 0)]).events]
    assert isinstance(events[0], TrackStarted)
    scores = [e for e in events if isinstance(e, Score)]
    assert scores
    assert all(0 <= s.low <= s.score <= s.high <= 1 for s in scores)


def test_every_stream_has_a_camera_of_its_own_whose_mark_is_told() -> None:
    book = BaselineBook(decides=True)
    pipeline = toy_pipeline(cameras=book.camera)
    card = pipeline.scorer(None).card
    book.put("a", Kept(baseline(detector=card.name, digest=card.sha256)))
    for stream in ("a", "b"):
        pipeline.open(stream)
    told = {}
    for each in (*frames("a", PICTURE, 12), *frames("b", PICTURE, 12)):
        for event in pipeline.process([(each, 0)]).events:
            if isinstance(event, Score):
                told[event.stream] = event.baseline
    assert told["a"] is not None
    assert told["a"].name == "Lobby"
    assert told["b"] is None
    reports = {r.stream: r.baseline for r in pipeline.reports(0.0) if isinstance(r, StreamReport)}
    assert reports == told


def test_a_fault_ends_only_the_tracks_of_its_stream() -> None:
    """The other stream scores on, and the faulty one goes on with a new track number."""
    pipeline = toy_pipeline(FragileFinder)
    for stream in ("a", "b"):
        pipeline.open(stream)
    good = frames("a", PICTURE, 8), frames("b", PICTURE, 8)
    for pair in zip(*good, strict=True):
        pipeline.process([(frame, 0) for frame in pair])
    poisoned = frames("a", POISON, 1, first=8)[0], frames("b", PICTURE, 1, first=8)[0]
    done = pipeline.process([(frame, 0) for frame in poisoned])
    assert [fault.stream for fault in done.faults] == ["a"]
    assert [e.stream for e in done.events if isinstance(e, TrackEnded)] == ["a"]
    assert {e.stream for e in done.events if isinstance(e, Score)} <= {"b"}
    after = pipeline.process([(frames("a", PICTURE, 1, first=9)[0], 0)])
    started = [e.track for e in after.events if isinstance(e, TrackStarted)]
    assert started
    assert started[0] > 1
    assert pipeline.device.stats.used == 2


def test_closing_a_stream_releases_its_slots() -> None:
    pipeline = toy_pipeline()
    pipeline.open("a")
    pipeline.process([(frames("a", PICTURE, 1)[0], 0)])
    assert pipeline.device.stats.used == 1
    events = pipeline.close("a")
    assert [type(e) for e in events] == [TrackEnded]
    assert pipeline.device.stats.used == 0
    assert pipeline.close("a") == ()


def test_frames_of_a_removed_stream_are_ignored() -> None:
    pipeline = toy_pipeline()
    assert pipeline.process([(frames("gone", PICTURE, 1)[0], 0)]).events == ()


def test_a_stream_scores_the_same_alone_and_in_company() -> None:
    """Batching streams together changes a score by float rounding at most."""
    alone = toy_pipeline()
    alone.open("a")
    both = toy_pipeline()
    both.open("a")
    both.open("b")
    for a, b in zip(frames("a", PICTURE, 15), frames("b", PICTURE[::-1], 15), strict=True):
        one = [e for e in alone.process([(a, 0)]).events if isinstance(e, Score)]
        two = [e for e in both.process([(a, 0), (b, 0)]).events if isinstance(e, Score)]
        two = [e for e in two if e.stream == "a"]
        assert [s.track for s in one] == [s.track for s in two]
        np.testing.assert_allclose([s.logit for s in one], [s.logit for s in two], atol=1e-5)


@pytest.mark.parametrize("dwell_s", [1.84, 1.92, 2.0, 2.08])
def test_live_video_looks_at_the_very_frames_that_a_file_s_analysis_looks_at(
    dwell_s: float,
) -> None:
    """A file comes frame by frame; live, batches come in company and before answers are there.

    The verdict falls just before a look that is due without it.
    """
    suspicious = replace(EAGER, enter=0.02, leave=0.01, dwell_s=dwell_s)
    count = 120

    def opened() -> Pipeline:
        pipeline = toy_pipeline(settings=suspicious, status=TrainingStatus.EXPERIMENTAL)
        for stream in ("a", "b"):
            pipeline.open(stream)
        return pipeline

    file, offline = opened(), []
    for frame in frames("a", PICTURE, count):
        planned = file.plan([(frame, 0)])
        offline += _looks(planned, "a")
        file.conclude(file.begin(planned))

    live, looks, before = opened(), [], None
    own, others = frames("a", PICTURE, count), frames("b", PICTURE[::-1], count)
    for first in range(0, count, 3):
        company = [*own[first : first + 3], *others[first : first + 3]]
        planned = live.plan([(frame, 0) for frame in company])
        looks += _looks(planned, "a")
        if before is not None:
            live.conclude(before)
        before = live.begin(planned)
    assert looks == offline
    distances = [after - earlier for earlier, after in pairwise(offline)]
    assert distances[0] == 3  # a new face
    assert distances[-1] == 12  # one with a verdict
    assert distances == sorted(distances)


def _looks(planned: Planned, stream: str) -> list[int]:
    """Return the slots of a stream's frames that the plan has looked at."""
    return [
        each.frame.slot
        for each in planned.frames
        if each.frame.stream == stream
        and any(push.look for _, plan, _ in each.plans for push in plan.pushes)
    ]


def test_stages_are_timed() -> None:
    stages: list[str] = []
    pipeline = toy_pipeline()
    pipeline.observe = lambda stage, seconds, detector: stages.append(stage)
    pipeline.open("a")
    pipeline.process([(frames("a", PICTURE, 1)[0], 0)])
    assert stages == ["perceive", "step", "device", "resolve"]


def test_what_was_seen_is_told_with_the_frame_it_was_seen_in() -> None:
    """A picture needs the frame itself and the boxes of that frame."""
    pipeline = toy_pipeline()
    pipeline.open("a")
    frame = frames("a", PICTURE, 1)[0]
    (seen,) = pipeline.process([(frame, 0)]).seen
    assert seen.frame is frame
    ((track, box),) = seen.faces
    assert track == 1
    assert 0 < box.x0 < box.x1 < 160


def test_a_stream_can_have_thresholds_of_its_own() -> None:
    """Retuning one stream leaves the others, and streams to come, as they are."""
    pipeline = toy_pipeline()
    own = replace(pipeline.settings, min_face_px=1000)
    for stream in ("a", "b"):
        pipeline.open(stream)
    pipeline.retune(own, "a")
    pipeline.open("c")
    reasons = {"a": set(), "b": set(), "c": set()}
    for batch in zip(*(frames(stream, PICTURE, 12) for stream in reasons), strict=True):
        for event in pipeline.process([(frame, 0) for frame in batch]).events:
            if isinstance(event, Score):
                reasons[event.stream] |= set(event.reasons)
    assert AbstainReason.FACE_SMALL in reasons["a"]
    assert AbstainReason.FACE_SMALL not in reasons["b"] | reasons["c"]


def test_relief_reaches_streams_there_are_and_those_to_come() -> None:
    """The whole picture is searched more rarely, and faces are rated half as often."""
    scores: dict[str, int] = {}
    found: list[Image] = []

    class Counting(CentreFinder):
        def find(self, image: Image, tiles: int = 0, known: object = ()) -> tuple[Face, ...]:
            found.append(image)
            return super().find(image)

        def follow(self, image: Image, faces: object) -> tuple[Face, ...]:
            return super().find(image)

    for when in ("never", "before", "between"):
        pipeline = toy_pipeline(Counting)
        found.clear()
        if when == "before":
            pipeline.relieve(Relief(4, 2))
        pipeline.open("a")
        if when == "between":
            pipeline.relieve(Relief(4, 2))
        events = [e for f in frames("a", PICTURE, 60) for e in pipeline.process([(f, 0)]).events]
        scores[when] = sum(isinstance(event, Score) for event in events)
        scores[f"{when}, searched"] = len(found)
    assert scores["before"] == scores["between"] < scores["never"]
    assert scores["before, searched"] == scores["between, searched"] < scores["never, searched"]
