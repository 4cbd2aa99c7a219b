"""FakeSTormer's margin crop and input normalisation against the published program."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from styleflow.detectors.fakestormer.backbone import FakeStormerDims
from styleflow.detectors.fakestormer.network import FakeStormer
from styleflow.faces.crops.box import cut_margin, resampling
from tests.parity.fill import reference


def picture() -> np.ndarray:
    """The integer picture that the stored crops were made of, `(256, 256, 3)` uint8."""
    i, j, c = np.meshgrid(np.arange(256), np.arange(256), np.arange(3), indexing="ij")
    first = np.abs((i + 2 * j + 17 * c) % 240 - 120)
    return (30 + first + np.abs((2 * i - j + 31 * c) % 180 - 90)).astype(np.uint8)


def test_the_picture_is_the_one_that_was_cropped() -> None:
    """Compared in its corner within a margin of 15 px."""
    stored = reference("fakestormer", "parity_data.npz")["pre_in_u8_sl"]
    assert np.array_equal(picture()[15:19, 15:31], stored)


@pytest.mark.parametrize(
    ("side", "wanted", "key"),
    [(256 - 2 * margin, 224, f"pre_M_{margin}") for margin in (15, 0, 5, 13, 9)]
    + [(226, 14, "pre_M14_226")],
)
def test_transforms(side: int, wanted: int, key: str) -> None:
    """The release solves for its transforms, at margin 9 only to within 1e-5 of a pixel."""
    stored = reference("fakestormer", "parity_data.npz")[key]
    assert np.abs(resampling(side, wanted) - stored).max() <= (1e-5 if key == "pre_M_9" else 1e-12)


@pytest.mark.parametrize("margin", [15, 0, 5, 13, 9])
def test_margin(margin: int) -> None:
    """At most one grey level apart (OpenCV's versions differ)."""
    stored = reference("fakestormer", "parity_data.npz")
    crop = cut_margin(picture(), margin_px=margin).astype(int)
    assert np.abs(crop[:16, :16] - stored[f"pre_u8_{margin}_sl"]).max() <= 1
    assert np.abs(crop[-8:, -8:] - stored[f"pre_u8_{margin}_last"]).max() <= 1


def test_network_input() -> None:
    """Channels-first, over 255, minus mean, over deviation."""
    stored = reference("fakestormer", "parity_data.npz")
    dims = FakeStormerDims(patch_px=56, width=8, depth=1, heads=1, frames=1)
    crops = torch.from_numpy(cut_margin(picture()))[None, None]
    got = FakeStormer(dims).network_input(crops)[0, :, 0, :8, :8]
    one_level = 1 / 255 / 0.224
    assert np.abs(got.numpy() - stored["pre_norm_15_sl"]).max() <= one_level + 1e-5
