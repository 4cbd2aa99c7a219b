"""Pictures on a device from the decoder to the scores: the same scores, and pictures when asked."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from stream.clock import ManualClock
from stream.device.device import Device
from stream.events import CaptureConditions, Event, Frame, Score
from stream.explain.pictures import Pictures
from stream.offline.replay import replay
from stream.perception.perception import Perception
from stream.pipeline import Pipeline
from styleflow.faces.device_picture import DevicePicture
from styleflow.faces.face import Image
from styleflow.pictures.hardware import Decoding, why_not
from tests.support.faces import finder_or_skip
from tests.support.media import encode, moving_pictures
from tests.support.models import toy_network
from tests.support.path import EAGER, CentreFinder, from_file, toy_pipeline


def scores(pipeline: Pipeline, path: Path) -> list[Score]:
    events: list[Event] = []
    replay(from_file(path), pipeline, events.append)
    return [event for event in events if isinstance(event, Score)]


def said(found: list[Score]) -> list[tuple[object, ...]]:
    return [(s.epoch, s.track, s.end, s.logit, s.score, s.verdict, s.box) for s in found]


@pytest.fixture
def video(tmp_path: Path) -> Path:
    return encode(tmp_path / "a.mp4", moving_pictures(60, 322, 242))


def test_scores_are_equal_wherever_pictures_lie(video: Path) -> None:
    """The same decoder, planes by DLPack: crops are equal to the last bit, so are the scores."""
    in_memory, on_device = toy_pipeline(), toy_pipeline()
    on_device.decoding = Decoding("cpu")
    expected = scores(in_memory, video)
    assert expected
    assert said(scores(on_device, video)) == said(expected)


def test_scores_of_a_real_finder_are_equal_wherever_pictures_lie(tmp_path: Path) -> None:
    """Detection, landmarks, sight and appearance see the same, too."""
    finder, portrait = finder_or_skip(), face_in_motion()
    path = encode(tmp_path / "a.mp4", portrait, gop=15)
    found = []
    for decoding in (Decoding(), Decoding("cpu")):
        network = toy_network()
        pipeline = Pipeline(
            [Device(network, 4)],
            lambda clip=network.clip: Perception(finder, [clip]),  # type: ignore[misc]
            EAGER,
            ManualClock(),
            decoding=decoding,
        )
        found.append(scores(pipeline, path))
    assert found[0]
    assert said(found[1]) == said(found[0])


def face_in_motion() -> list[Image]:
    """Return pictures of a face that moves, and rests in between."""
    from skimage.data import astronaut

    whole = np.asarray(astronaut(), np.uint8)
    steps = [min(n, 12) if n < 20 else n - 8 for n in range(36)]
    return [np.ascontiguousarray(whole[:400, 2 * s : 2 * s + 440]) for s in steps]


def test_the_finder_is_given_pictures_on_the_device(video: Path) -> None:
    seen: list[type] = []

    class Watching(CentreFinder):
        def find(self, image, tiles=0, known=()):  # type: ignore[no-untyped-def]
            seen.append(type(image))
            return super().find(image, tiles, known)

    pipeline = toy_pipeline(Watching)
    pipeline.decoding = Decoding("cpu")
    assert scores(pipeline, video)
    assert set(seen) == {DevicePicture}


def test_whoever_asks_for_a_picture_gets_one() -> None:
    image = moving_pictures(1, 320, 240)[0]
    picture = DevicePicture(torch.from_numpy(image.copy()))
    kept = [still(image), still(picture)]
    assert kept[0] == kept[1]
    assert kept[0].startswith(b"\xff\xd8")


def still(image: Image | DevicePicture) -> bytes:
    pictures = Pictures()
    pictures.watch("a", 0.0)
    frame = Frame("a", 1, 0, 0.0, 0.0, image, CaptureConditions())
    pictures.offer(frame, (), [], 0.0)
    found = pictures.still("a", 320)
    assert found is not None
    return found.jpeg


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("hardware", [False, True])
def test_scores_of_a_gpu_are_those_of_the_processor(video: Path, hardware: bool) -> None:
    """From NVDEC where it is there, else from memory over to the GPU."""
    if hardware and why_not() is not None:
        pytest.skip(f"no NVDEC: {why_not()}")
    network = toy_network().deploy("cuda")
    pipeline = Pipeline(
        [Device(network, 4, "cuda")],
        lambda: Perception(CentreFinder(), [network.clip]),
        EAGER,
        ManualClock(),
        decoding=Decoding("cuda", hardware),
    )
    found, expected = scores(pipeline, video), scores(toy_pipeline(), video)
    assert [s.end for s in found] == [s.end for s in expected]
    apart = [abs(a.logit - b.logit) for a, b in zip(found, expected, strict=True)]
    assert max(apart) < (5e-2 if hardware else 1e-3)
