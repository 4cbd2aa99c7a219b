"""How FakeSTormer's training clips and targets are made, against the published program.

`lr_*` and `sam_*` of the same file are compared in `tests/unit/styleflow/training/test_sam.py`.
"""

from __future__ import annotations

import zlib
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from styleflow.training.fakestormer.face_hulls import (
    HULLS,
    forehead_in_order,
    hull_mask,
    mirrored,
    steadied,
)
from styleflow.training.fakestormer.self_blended_video import MaskSoftening, laid_over, mixture
from styleflow.training.fakestormer.vulnerability import (
    Cut,
    Reading,
    boundary,
    cell_change,
    draw_cut,
    fake_targets,
    on_cells,
    peaks,
    real_targets,
    remaining,
)
from tests.parity.fill import reference

P1 = MaskSoftening(height=230, width=270, first=11, second=15, sigma=20)
P2 = MaskSoftening(height=300, width=210, first=25, second=5, sigma=5)
SIZE = (256, 256)
RELEASED = Reading.RELEASED


@pytest.fixture
def stored() -> dict[str, NDArray[Any]]:
    return reference("fakestormer", "parity_data.npz")


def test_landmarks_are_ordered_and_mirrored(stored: dict[str, NDArray[Any]]) -> None:
    ordered = forehead_in_order(stored["landmarks"][0])
    assert np.array_equal(ordered, stored["landmarks_reordered"])
    assert np.array_equal(mirrored(ordered, 256), stored["landmarks_flip81"])
    assert np.array_equal(mirrored(ordered[:68], 256), stored["landmarks_flip68"])


def test_jumping_landmarks_are_divided(stored: dict[str, NDArray[Any]]) -> None:
    before = stored["landmarks"][0].astype(np.float64)
    for amplitude, distance, divisor, _ in stored["li_cases"]:
        rng = np.random.default_rng(zlib.crc32(b"li"))
        moved = before + amplitude * rng.standard_normal((81, 2))
        assert np.linalg.norm(moved - before) / 81 == pytest.approx(distance, abs=1e-9)
        got = steadied(np.stack([before, moved]))[1]
        assert np.allclose(got, before + (moved - before) / divisor, rtol=0, atol=1e-9)


def test_steadied_moves_have_the_stored_length(stored: dict[str, NDArray[Any]]) -> None:
    before = stored["landmarks"][0].astype(np.float64)
    for amplitude, _, _, mean in stored["li_cases"]:
        rng = np.random.default_rng(zlib.crc32(b"li"))
        moved = before + amplitude * rng.standard_normal((81, 2))
        got = steadied(np.stack([before, moved]))[1]
        assert np.abs(got - before).mean() == pytest.approx(mean, abs=1e-9)


@pytest.mark.parametrize("count", [68, 81])
@pytest.mark.parametrize("number", range(4))
def test_hulls(stored: dict[str, NDArray[Any]], number: int, count: int) -> None:
    points = stored["landmarks_reordered"][:count]
    mask = hull_mask(points, HULLS[number], SIZE)
    assert np.array_equal(mask * 255, stored[f"hull_{number}_{count}"])


@pytest.mark.parametrize(
    ("softening", "hull", "key"), [(P1, "hull_3_81", "blend_p1"), (P2, "hull_0_68", "blend_p2")]
)
def test_blend_masks(
    stored: dict[str, NDArray[Any]], softening: MaskSoftening, hull: str, key: str
) -> None:
    hard = stored[hull].astype(np.float32) / 255
    assert np.abs(softening.apply(hard) - stored[key]).max() <= 1e-5


def picture(name: str) -> NDArray[np.uint8]:
    values = np.random.default_rng(zlib.crc32(name.encode())).random((256, 256, 3))
    return np.floor(255 * values).astype(np.uint8)


def test_blended_pixels(stored: dict[str, NDArray[Any]]) -> None:
    """Before grey levels are cut to whole ones, and after."""
    pictures, mask = (picture("target"), picture("source")), stored["blend_p1"]
    exact = mixture(*pictures, mask, 0.75)[100:108, 40:72]
    assert np.abs(exact - stored["blended_sl"]).max() <= 255 * 1e-5  # what masks are held to
    whole = laid_over(*pictures, mask, 0.75)[100:108, 40:72]
    assert np.abs(whole.astype(int) - stored["blended_u8_sl"]).max() <= 1


def test_cells(stored: dict[str, NDArray[Any]]) -> None:
    """Landmarks to hull to blend to boundary to cells; one grey level for OpenCV's versions."""
    for t, points in enumerate(stored["landmarks"]):
        pixels = boundary(P1.apply(hull_mask(points, "convex", SIZE)))[12:-12, 12:-12]
        if t == 0:
            assert np.abs(pixels.astype(int) - stored["boundary_u8_f0"]).max() <= 1
        got = on_cells(pixels, 14, RELEASED).astype(int)
        assert np.abs(got - stored["targets_f"][t]).max() <= 1


def test_temporal_targets(stored: dict[str, NDArray[Any]]) -> None:
    clip = stored["targets_f"]
    assert np.abs(fake_targets(clip, None, RELEASED).temporal - stored["heatmap_f"]).max() <= 1e-5
    assert np.abs(real_targets(clip, RELEASED).temporal - stored["heatmap_r"]).max() <= 1e-5
    mean, spread = stored["d_mean_std"]
    change = fake_targets(clip, None, RELEASED).temporal * spread + mean
    assert np.abs(change[0]).max() <= 1e-4  # nothing changes before the first frame
    assert np.abs(change - np.rint(change)).max() <= 1e-3
    assert (change[1:].mean(), change[1:].std()) == pytest.approx((mean, spread), rel=1e-5)
    still = fake_targets(np.zeros_like(clip), None, RELEASED)
    assert np.array_equal(still.temporal, stored["heatmap_allzero"])


def test_changes_and_their_peaks(stored: dict[str, NDArray[Any]]) -> None:
    """The variant of the temporal targets that the published c23 file is named after."""
    clip = stored["targets_f"]
    change = cell_change(clip, RELEASED)
    assert np.abs(change / 255 - stored["cst_f"]).max() <= 1e-5
    want = stored["heatmap_f_gaussian"]
    assert np.abs(peaks(change) - want).max() <= 1e-5
    asked = fake_targets(clip, None, RELEASED, peaked=True)
    assert np.array_equal(asked.temporal, peaks(change))


@pytest.mark.parametrize(
    ("level", "key"), [(0.5, "cut_u050"), (0.7, "cut_u070"), (1.0, "cut_u100")]
)
def test_cuts(stored: dict[str, NDArray[Any]], level: float, key: str) -> None:
    clip = stored["targets_f"]
    cut = draw_cut(clip[0], level, np.random.RandomState(317))
    assert np.array_equal(~cut.cells, stored[f"{key}_matrix"].astype(bool))
    strengths, bounds = stored[f"{key}_p_ub"].T
    assert cut.bound == bounds[0]
    assert remaining(clip, cut)[1:].tolist() == bounds[1:].tolist()
    assert fake_targets(clip, cut, RELEASED).spatial == pytest.approx(strengths, abs=1e-6)


def test_a_cut_of_nothing_is_random(stored: dict[str, NDArray[Any]]) -> None:
    cut: Cut = draw_cut(np.zeros((14, 14), np.uint8), 0.5, np.random.RandomState(317))
    assert np.array_equal(~cut.cells, stored["cut_zero_matrix"].astype(bool))
    assert [cut.level, cut.bound] == pytest.approx(stored["cut_zero_p_ub"].tolist())
