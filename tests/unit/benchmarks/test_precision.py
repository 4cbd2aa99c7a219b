"""Promises of the comparison of precisions: what is compared, and what is kept."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn

from benchmarks.precision import Keeping, Scores, compare, manifest

REFERENCE: Scores = {
    "a": ("real", 0.2, "clear"),
    "b": ("fake", 0.8, "suspect"),
    "c": ("fake", 0.4, "uncertain"),
    "d": ("real", None, "pending"),
}


def test_scores_are_compared_clip_by_clip_where_both_have_one() -> None:
    ours: Scores = {**REFERENCE, "b": ("fake", 0.77, "uncertain"), "d": ("real", 0.5, "uncertain")}
    found = compare("int8", ours, REFERENCE, [3.0, 1.0, 2.0])
    assert (found.look_ms, found.least_ms, found.videos, found.verdicts) == (2.0, 1.0, 3, 1)
    assert found.rms == pytest.approx(0.03 / 3**0.5, abs=1e-4)
    assert (found.mean, found.most) == (-0.01, 0.03)
    assert found.auc == 0.75  # its own scores': the fake at 0.4 lies below the real at 0.5


@pytest.mark.parametrize(
    ("rms", "auc", "kept"),
    [(0.02, 1.0, True), (0.021, 1.0, False), (0.0, 0.996, True), (0.0, 0.99, False)],
)
def test_a_precision_is_kept_within_both_limits(rms: float, auc: float, kept: bool) -> None:
    reference = compare("float32", REFERENCE, REFERENCE, [1.0])
    assert reference.auc == 1.0
    assert replace(reference, rms=rms, auc=auc).kept(reference) is kept


def test_only_videos_of_the_wanted_parts_are_taken(tmp_path: Path) -> None:
    path = tmp_path / "manifest.csv"
    path.write_text("file,split\nv/a.mp4,val\nd/b.mp4,dev\nv/c.jpg,val\n", encoding="utf-8")
    assert [row["file"] for row in manifest(path, ("val",))] == ["v/a.mp4"]


def test_crops_are_kept_as_they_were_shown() -> None:
    keeping, images = Keeping(nn.Identity()), torch.zeros(2, 4, 4, 3, dtype=torch.uint8)
    assert keeping(images) is images
    images += 1
    assert [int(crop.max()) for crop in keeping.crops] == [0, 0]
