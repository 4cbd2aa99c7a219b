"""The public interface: three lines from a file to a score, and what is public at all."""

from __future__ import annotations

import dataclasses
import importlib
from pathlib import Path
from typing import Any

import pytest
import torch

import styleflow
from stream.offline import library
from styleflow import api
from styleflow.errors import (
    CheckpointInvalid,
    DetectorNotFound,
    DetectorWeightsMissing,
    VideoUnusable,
)
from styleflow.weights.checkpoint import save
from tests.support.media import encode, moving_pictures
from tests.support.models import toy_checkpoint, toy_network
from tests.support.path import CentreFinder


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    return encode(tmp_path / "disc.mp4", moving_pictures(75), gop=25)


@pytest.fixture(autouse=True)
def _finder(monkeypatch: pytest.MonkeyPatch) -> None:
    """A finder that always sees a face; finding faces has its own tests."""
    monkeypatch.setattr(library, "load_finder", lambda device, runtime: CentreFinder())


def test_three_lines_from_a_file_to_a_score(clip: Path, tmp_path: Path) -> None:
    """What the README shows, with toy weights from a file."""
    save(toy_checkpoint(), tmp_path / "toy.safetensors")
    detector = styleflow.load_detector("styleflow-live", tmp_path / "toy.safetensors")
    result = styleflow.analyze(str(clip), detector)
    assert result.source == str(clip)
    assert result.duration_s == pytest.approx(3.0, abs=0.2)
    (face,) = result.faces
    assert result.frames > 30
    assert face.moments
    assert result.verdict == "pending"  # an untrained model never gives another
    assert result.reasons == ("untrained",)
    assert result.score is not None
    assert result.interval is not None
    assert result.interval[0] <= result.score <= result.interval[1]
    assert result.model == detector.card
    assert [m.end for m in face.moments] == sorted(m.end for m in face.moments)


def test_the_result_is_a_value(clip: Path) -> None:
    """Frozen, comparable, and the same for the same file."""
    one = styleflow.analyze(clip, toy_network())
    assert one == styleflow.analyze(clip, toy_network())
    with pytest.raises(dataclasses.FrozenInstanceError):
        one.score = 0.0  # type: ignore[misc]


def test_a_limit_and_a_progress(clip: Path) -> None:
    seen: list[float] = []
    short = styleflow.analyze(clip, toy_network(), seconds=1.0, progress=seen.append)
    assert 0 < short.duration_s < 1.5
    assert seen == sorted(seen)
    assert len(seen) == short.frames


def test_an_unknown_detector_is_answered_with_those_that_exist() -> None:
    with pytest.raises(DetectorNotFound, match=r"'caddm-vgg'.*styleflow-live.*fakestormer-c40"):
        styleflow.load_detector("caddm-vgg")


def test_weights_that_are_not_there_say_where_they_are_published(tmp_path: Path) -> None:
    with pytest.raises(DetectorWeightsMissing, match="CADDM"):
        styleflow.load_detector("caddm-resnet34")
    save(toy_checkpoint(), tmp_path / "toy.safetensors")
    with pytest.raises(CheckpointInvalid, match="holds 'styleflow-live'"):
        styleflow.load_detector("caddm-resnet34", tmp_path / "toy.safetensors")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="nowhere"):
        styleflow.analyze(tmp_path / "nowhere.mp4", toy_network())


def test_a_file_that_is_no_video_is_named(tmp_path: Path) -> None:
    path = tmp_path / "letter.mp4"
    path.write_text("no video")
    with pytest.raises(VideoUnusable, match=r"letter\.mp4"):
        styleflow.analyze(path, toy_network())


def test_everything_public_can_be_read_and_nothing_else() -> None:
    for name in styleflow.__all__:
        assert getattr(styleflow, name) is not None
        assert name in dir(styleflow)
    with pytest.raises(AttributeError, match="no attribute 'analyse'"):
        _ = styleflow.analyse  # type: ignore[attr-defined]


def test_the_way_to_the_live_path_leads_somewhere() -> None:
    """The one name by which `styleflow` finds something above it."""
    module, _, function = api.LIVE_PATH.partition(":")
    found: Any = importlib.import_module(module)
    assert callable(getattr(found, function))


def test_loading_leaves_the_callers_torch_alone(clip: Path) -> None:
    """A library does not change how many threads its host computes with."""
    before = torch.get_num_threads()
    styleflow.analyze(clip, toy_network(), seconds=0.5)
    assert torch.get_num_threads() == before
