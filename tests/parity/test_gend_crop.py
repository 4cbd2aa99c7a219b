"""GenD's crops: the published alignment, and the encoders' own image processors."""

from __future__ import annotations

from itertools import combinations
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from styleflow.detectors.gend.network import ENCODERS as KINDS
from styleflow.detectors.gend.network import Gend, GendDims
from styleflow.faces.crops.gend import TEMPLATE, alignment, resized, source_crop, source_side
from tests.parity.gend_references import SIDES, picture
from tests.support.foundation import SLIM

STORED = Path(__file__).parent / "gend_references.npz"
LEVEL = 1 / 255
ENCODERS = {"gend-clip-l14": "clip", "gend-pe-l": "pe", "gend-dinov3-l": "dinov3"}


def faces(count: int, seed: int) -> list[np.ndarray]:
    """Return five points of faces of many sizes, turned and a little off the template."""
    rng, found = np.random.default_rng(seed), []
    for _ in range(count):
        side, roll = rng.uniform(30, 500), rng.uniform(-0.7, 0.7)
        turn = np.array([[np.cos(roll), -np.sin(roll)], [np.sin(roll), np.cos(roll)]]) * side
        points = TEMPLATE @ turn.T + rng.uniform(150, 300, 2)
        found.append(points + rng.normal(0, side * 0.02, (5, 2)))
    return found


def released(points: np.ndarray) -> tuple[int, np.ndarray]:
    """Return side and matrix as the released program's description gives them, word by word."""
    ratios = [
        np.linalg.norm(points[i] - points[j]) / np.linalg.norm(TEMPLATE[i] - TEMPLATE[j])
        for i, j in combinations(range(5), 2)
    ]
    side = int(np.round(np.mean(ratios) * 1.3))
    with_margin = TEMPLATE * side + side * 0.3 / 2
    goal = with_margin * (side / (side + side * 0.3))
    matrix, _ = cv2.estimateAffinePartial2D(
        points.astype(np.float32), goal.astype(np.float32), method=cv2.LMEDS
    )
    return side, matrix


def test_the_alignment_is_the_published_one() -> None:
    for points in faces(200, seed=1):
        side, matrix = released(points)
        assert source_side(points) == side
        assert np.allclose(alignment(points, side), matrix, atol=1e-3)


def test_one_bad_point_of_five_counts_nothing() -> None:
    """Least median of squares: the other four still lie on the template."""
    points = TEMPLATE * 200 + 50
    points[2] += (60, -40)
    side = source_side(points)
    moved = points @ alignment(points, side)[:, :2].T + alignment(points, side)[:, 2]
    goal = (TEMPLATE + 0.15) / 1.3 * side
    assert np.abs(moved - goal)[[0, 1, 3, 4]].max() < 0.5
    assert np.abs(moved - goal)[2].max() > 20


@pytest.mark.parametrize("name", sorted(ENCODERS))
@pytest.mark.parametrize("side", SIDES)
def test_pictures_are_made_ready_as_the_encoders_own_processors_do(name: str, side: int) -> None:
    """To 1/255, before mean and spread; of timm and torchvision stored answers are compared."""
    with torch.device("meta"):
        network = Gend(GendDims(encoder=SLIM[name]))
    network = network.to_empty(device="cpu")
    cubic = network.dims.clip.framing.value == "gend"
    crop = resized(picture(side), cubic=cubic)
    values = network.network_input(torch.from_numpy(crop)[None])[0][:, ::5, ::5]
    with np.load(STORED) as stored:
        wanted = stored[f"{ENCODERS[name]}_{side}"]
    assert values.shape == wanted.shape
    std = np.array(KINDS[SLIM[name]].std)[:, None, None]
    assert (np.abs(values.numpy() - wanted) * std).max() <= LEVEL + 1e-6


@pytest.mark.parametrize("side", SIDES)
def test_clips_processor_agrees_side_by_side(side: int) -> None:
    from PIL import Image
    from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

    processor = CLIPImageProcessorPil()
    wanted = processor(images=Image.fromarray(picture(side)), return_tensors="np")
    with torch.device("meta"):
        network = Gend(GendDims(encoder="clip-slim"))
    network = network.to_empty(device="cpu")
    values = network.network_input(torch.from_numpy(resized(picture(side)))[None])[0].numpy()
    std = np.array(processor.image_std)[:, None, None]
    assert (np.abs(values - wanted["pixel_values"][0]) * std).max() <= LEVEL + 1e-6


def test_the_crop_is_cut_at_the_scale_of_the_picture() -> None:
    """Nothing is resized in the first step: an upright face keeps its pixels."""
    rng = np.random.default_rng(2)
    image = rng.integers(0, 256, (500, 500, 3), dtype=np.uint8)
    points = TEMPLATE * 200 + (140, 120)
    crop = source_crop(image, points)
    assert crop.shape == (260, 260, 3)
    matrix = alignment(points, 260)
    assert matrix[0, 0] == pytest.approx(1.0, abs=1e-3)
