"""CADDM's five-point crop and its prior boxes against the published program."""

from __future__ import annotations

from typing import Any
from zlib import crc32

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from styleflow.detectors.caddm.boxes import corners, decode_boxes, prior_boxes
from styleflow.faces.crops.caddm import (
    Jitter,
    alignment,
    caddm_crop,
    five_points,
    similarity,
    template,
)
from tests.parity.fill import reference

stages = pytest.mark.parametrize("stage", ["test", "train"])


def jitter(stored: dict[str, NDArray[Any]], stage: str) -> Jitter:
    scale, x, y, roll, eyes, left = stored[f"{stage}_params"].tolist()
    return Jitter(scale, (x, y), roll, eyes, left)


@stages
def test_points_template_and_similarity(stage: str) -> None:
    stored = reference("caddm", "parity_preprocess.npz")
    points = five_points(stored["landmarks"])
    goal = template(jitter(stored, stage).scale)
    assert np.array_equal(points, stored[f"{stage}_points5"])
    assert np.abs(goal - stored[f"{stage}_template"]).max() <= 1e-9
    assert np.abs(similarity(points, goal) - stored[f"{stage}_similarity"]).max() <= 1e-9


@stages
def test_alignment(stage: str) -> None:
    stored = reference("caddm", "parity_preprocess.npz")
    got = alignment(five_points(stored["landmarks"]), jitter(stored, stage))
    want = stored[f"{stage}_M"]
    assert np.abs(got - want).max() <= 1e-5 * np.abs(want).max()
    limit = {"test": 1e-3, "train": 1e-2}[stage]
    moved = stored["landmarks"] @ got[:2, :2].T + got[:2, 2]  # the release forgets to divide
    assert np.abs(moved - stored[f"{stage}_landmarks"]).max() <= limit


@pytest.mark.parametrize(
    ("stage", "picture"), [("test", "fake"), ("test", "real"), ("train", "fake")]
)
def test_crop(stage: str, picture: str) -> None:
    """At most one grey level apart in at most 5 % of the values."""
    stored = reference("caddm", "parity_preprocess.npz")
    points = five_points(stored["landmarks"])
    got = caddm_crop(stored[f"img_{picture}"], points, jitter(stored, stage))
    apart = np.abs(got.astype(int) - stored[f"{stage}_crop_{picture}"])
    assert apart.max() <= 1
    assert (apart > 0).mean() <= 0.05


def test_prior_boxes() -> None:
    stored = reference("caddm", "parity_detection.npz")
    assert np.abs(prior_boxes().numpy() - stored["priors_cxcywh"]).max() <= 1e-6
    assert np.abs(corners(prior_boxes()).numpy() - stored["priors_xyxy"]).max() <= 1e-6


def test_decoded_boxes() -> None:
    stored = reference("caddm", "parity_detection.npz")
    noise = np.random.default_rng(crc32(b"loc_pred")).standard_normal((7, 168, 4), np.float32)
    got = decode_boxes(torch.from_numpy(noise), prior_boxes())[0]
    assert np.abs(got.numpy() - stored["decode_boxes"]).max() <= 1e-5
