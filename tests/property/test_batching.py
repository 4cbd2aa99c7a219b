"""Streams that share a batch: nobody's result depends on who else is in it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stream.events import Event, Frame, Score
from stream.perception.batching import perceive_together
from stream.perception.perception import Perception
from stream.perception.requests import find_all
from styleflow.clips import ClipSpec
from styleflow.faces.face import Face, FaceRequest, Image
from styleflow.runtime_settings import RuntimeSettings
from styleflow.weights.face_networks import graphs_dir, load_finder
from tests.support.faces import face_at, finder_or_skip, textured_face
from tests.support.path import frames, toy_pipeline

PICTURES: list[Image] = [
    np.random.default_rng(seed).integers(0, 255, (96, 128, 3), dtype=np.uint8) for seed in range(3)
]
TINY = ClipSpec(frames=4, cadence_hz=12.5, size_px=32)
BLACK: Image = np.zeros((96, 128, 3), np.uint8)


class Crowd:
    """Finds as many faces as a picture's first pixel says, in all pictures at once.

    A black picture is a fault, whoever it comes with.
    """

    def __init__(self) -> None:
        self.sizes: list[int] = []

    def find(self, image: Image, tiles: int = 0, known: Sequence[Face] = ()) -> tuple[Face, ...]:
        return self.find_all([FaceRequest(image, tuple(known), detect=True, tiles=tiles)])[0]

    def follow(self, image: Image, faces: Sequence[Face]) -> tuple[Face, ...]:
        return self.find_all([FaceRequest(image, tuple(faces))])[0]

    def find_all(self, requests: Sequence[FaceRequest]) -> list[tuple[Face, ...]]:
        self.sizes.append(len(requests))
        if not all(request.image.any() for request in requests):
            raise ArithmeticError("black picture")
        return [
            tuple(face_at(30 + 60 * n, 45, 40) for n in range(request.image[0, 0, 0] % 3))
            for request in requests
        ]


class Dancers(Crowd):
    """Finds one face at `place` in every picture; followed, it stays where it was."""

    place = 0

    def find_all(self, requests: Sequence[FaceRequest]) -> list[tuple[Face, ...]]:
        self.sizes.append(len(requests))
        here = (face_at(self.place + 40, 80, 50),)
        return [here if request.detect else request.known for request in requests]


def play(videos: Sequence[Sequence[Frame]], *, together: bool) -> dict[str, list[Event]]:
    """Return what a pipeline says of some videos, by stream."""
    finder = Crowd()
    pipeline = toy_pipeline(lambda: finder, slots=32)
    for video in videos:
        pipeline.open(video[0].stream)
    said: dict[str, list[Event]] = {video[0].stream: [] for video in videos}
    for moment in zip(*videos, strict=True):
        batches = [moment] if together else [(frame,) for frame in moment]
        for batch in batches:
            done = pipeline.process([(frame, 0) for frame in batch])
            for event in done.events:
                said[event.stream].append(event)
            for fault in done.faults:
                assert not next(f for f in batch if f.stream == fault.stream).image.any()
    return said


def scenes() -> st.SearchStrategy[list[list[int]]]:
    """A few videos of equal length, each a list of pictures; 3 is the black one."""
    one = st.lists(st.sampled_from([0, 1, 2, 2, 1, 3]), min_size=10, max_size=10)
    return st.lists(one, min_size=2, max_size=4)


def alike(one: Event, other: Event) -> bool:
    """Say whether two events are equal, scores up to the rounding of sums."""
    if isinstance(one, Score) and isinstance(other, Score):
        numbers = ("logit", "probability", "score", "low", "high")
        ours = {name: getattr(one, name) for name in numbers}
        near = all(abs(ours[name] - getattr(other, name)) < 1e-4 for name in numbers)
        return near and replace(other, **ours) == one
    return one == other


@given(scenes())
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_batched_is_one_at_a_time(told: list[list[int]]) -> None:
    """Every stream says the same in company as alone, also beside a stream that fails."""
    pictures = [*PICTURES, BLACK]
    videos = [
        [
            replace(frame, image=pictures[picture])
            for frame, picture in zip(frames(f"s{n}", BLACK, 10), video, strict=True)
        ]
        for n, video in enumerate(told)
    ]
    together, alone = play(videos, together=True), play(videos, together=False)
    for stream, events in together.items():
        assert len(events) == len(alone[stream])
        for ours, theirs in zip(events, alone[stream], strict=True):
            assert alike(ours, theirs), (ours, theirs)


def test_streams_share_their_looks() -> None:
    """Eight streams ask the finder as often as one."""
    asked = []
    for count in (1, 8):
        finder = Crowd()
        pipeline = toy_pipeline(lambda finder=finder: finder, slots=64)  # type: ignore[misc]
        for n in range(count):
            pipeline.open(f"s{n}")
        for slot in range(6):
            pipeline.process([(frames(f"s{n}", PICTURES[1], 7)[slot], 0) for n in range(count)])
        asked.append(len(finder.sizes))
        assert set(finder.sizes) == {count}
    assert asked[0] == asked[1]


def test_streams_share_their_redetections() -> None:
    """Eight faces that outran their landmarks are detected once more in one call, not in eight."""
    asked = []
    for count in (1, 8):
        finder = Dancers()
        eyes = [Perception(finder, [TINY]) for _ in range(count)]
        for slot in range(4):
            finder.place = 40 + 30 * (slot % 2)
            image = np.full((160, 160, 3), 30, np.uint8)
            image[40:120, finder.place : finder.place + 80] = textured_face(80, 1)
            turn = [(eye, Frame("a", 0, slot, slot / 12.5, 0.0, image), 0) for eye in eyes]
            perceive_together(turn)
        assert {eye.redetections for eye in eyes} == {3}
        assert set(finder.sizes) == {count}
        asked.append(len(finder.sizes))
    assert asked == [7, 7]


def test_two_frames_of_one_stream_in_a_batch_keep_their_order() -> None:
    """As when they come one after the other; the second waits for the first one's answer."""
    video = frames("a", PICTURES[1], 12)
    by_one = play([video], together=True)["a"]
    pipeline = toy_pipeline(Crowd)
    pipeline.open("a")
    by_two = [
        event
        for first, second in zip(video[::2], video[1::2], strict=True)
        for event in pipeline.process([(first, 0), (second, 0)]).events
    ]
    assert [type(e) for e in by_two if not isinstance(e, Score)] == [
        type(e) for e in by_one if not isinstance(e, Score)
    ]
    ours, theirs = ([e.logit for e in said if isinstance(e, Score)] for said in (by_one, by_two))
    assert ours
    np.testing.assert_allclose(theirs, ours, atol=1e-5)


@pytest.mark.parametrize("compiled", [False, True])
def test_the_real_finder_sees_the_same_in_company(portraits: list[Image], compiled: bool) -> None:
    """Searching, following and tiling in one call; compiled, equal bit for bit."""
    finder = finder_or_skip()
    if compiled:
        finder = load_finder(runtime=RuntimeSettings(workers=2, cache=graphs_dir()))
    known = finder.find(portraits[0])
    requests = [
        FaceRequest(portraits[0], detect=True),
        FaceRequest(portraits[1], detect=True, tiles=1),
        FaceRequest(portraits[0], known),
        FaceRequest(portraits[2], known, detect=True),
        FaceRequest(portraits[2]),
    ]
    together = find_all(finder, requests)
    alone = [find_all(finder, [request])[0] for request in requests]
    assert [len(faces) for faces in together] == [len(faces) for faces in alone]
    assert sum(len(faces) for faces in together) >= 3
    for ours, theirs in zip(together, alone, strict=True):
        for one, other in zip(ours, theirs, strict=True):
            assert one.mesh is not None
            assert other.mesh is not None
            np.testing.assert_allclose(one.mesh, other.mesh, atol=0 if compiled else 1e-2)


@pytest.fixture(scope="module")
def portraits() -> list[Image]:
    """A portrait as it is, moved, and an empty picture."""
    from skimage.data import astronaut

    picture = np.ascontiguousarray(astronaut()[:480])
    return [picture, np.ascontiguousarray(np.roll(picture, 60, axis=1)), np.full_like(picture, 90)]
