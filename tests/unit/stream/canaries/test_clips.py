"""Clips: the pair that is drawn, and a site's own files, of which only the beginning is sent."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from stream.canaries.clips import OWN_S, clips, demo_images
from stream.canaries.records import Role
from stream.canaries.settings import CanarySettings, OwnPair
from tests.support.media import encode, moving_pictures


def own(folder: Path, pictures: int = 5, fps: int = 25) -> CanarySettings:
    """Return settings with one pair of files."""
    for name in ("real", "fake"):
        encode(folder / f"{name}.mp4", moving_pictures(pictures), fps=fps)
    pair = OwnPair("lobby", folder / "real.mp4", folder / "fake.mp4")
    return CanarySettings(enabled=True, own=(pair,))


def test_of_each_pair_the_real_one_comes_first(tmp_path: Path) -> None:
    ids = [clip.canary.id for clip in clips(own(tmp_path))]
    assert ids == [
        ".canary.demo.real",
        ".canary.demo.fake",
        ".canary.lobby.real",
        ".canary.lobby.fake",
    ]


def test_a_file_is_sent_for_ten_seconds_at_most(tmp_path: Path) -> None:
    real = clips(own(tmp_path, pictures=24, fps=2))[2]
    due = [at for at, _ in real.pictures()]
    assert len(due) == 2 * OWN_S
    assert max(due) < OWN_S


def test_another_file_of_the_same_name_is_another_clip(tmp_path: Path) -> None:
    before = clips(own(tmp_path))[2].digest
    assert clips(own(tmp_path, pictures=6))[2].digest != before


def test_a_file_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    pair = OwnPair("lobby", tmp_path / "a.mp4", tmp_path / "b.mp4")
    with pytest.raises(FileNotFoundError):
        clips(CanarySettings(enabled=True, own=(pair,)))


def test_the_demos_clips_are_the_same_every_time_and_differ_in_the_face_alone() -> None:
    real, fake = ([*demo_images(role, 0.08)] for role in Role)
    assert len(real) == 2
    assert np.array_equal(real[1], [*demo_images(Role.REAL, 0.08)][1])
    differs = (real[1] != fake[1]).any(axis=2)
    assert 0.05 < differs.mean() < 0.25
