"""Degradations change pictures in the way that their names say, and the same way every time."""

import numpy as np
import pytest

from styleflow.data.degradations.video import through_vp8
from styleflow.training.styleflow_live.degradations import (
    DEGRADATIONS,
    HISTORY,
    rescaled,
)


def _frames() -> np.ndarray:
    """A smooth gradient with a fine checkerboard on it, moving to the right."""
    y, x = np.mgrid[0:96, 0:128]
    base = 60 + x * 0.8 + (((x // 2) + (y // 2)) % 2) * 24
    picture = np.repeat(np.clip(base, 0, 255)[..., None], 3, axis=-1).astype(np.uint8)
    return np.stack([np.roll(picture, t, axis=1) for t in range(HISTORY)])


def _detail(image: np.ndarray) -> float:
    return float(np.abs(np.diff(image.astype(np.float64), axis=1)).mean())


@pytest.mark.parametrize("kind", DEGRADATIONS)
def test_a_degraded_picture_is_the_last_one_changed_a_little(kind):
    frames = _frames()
    degraded = DEGRADATIONS[kind](frames, 3)
    assert degraded.shape == frames.shape[1:]
    assert degraded.dtype == np.uint8
    difference = np.abs(degraded.astype(np.float64) - frames[-1]).mean()
    assert 0.3 < difference < 45
    np.testing.assert_array_equal(degraded, DEGRADATIONS[kind](frames, 3))


def test_what_softens_softens_and_what_sharpens_sharpens():
    frames = _frames()
    detail = {kind: _detail(degrade(frames, 0)) for kind, degrade in DEGRADATIONS.items()}
    clean = _detail(frames[-1])
    for kind in ("half size", "two thirds", "half size, H.264 crf 30"):
        assert detail[kind] < clean, kind
    for kind in ("sharpened", "noise"):
        assert detail[kind] > clean, kind


def test_gamma_goes_both_ways_and_limited_range_is_hard():
    frames = _frames()
    clean = frames[-1].mean()
    assert (
        DEGRADATIONS["gamma 0.75"](frames, 0).mean()
        > clean
        > DEGRADATIONS["gamma 1.35"](frames, 0).mean()
    )
    assert DEGRADATIONS["limited range"](frames, 0).std() > frames[-1].std()


def test_noise_is_drawn_from_the_seed():
    frames = _frames()
    assert (DEGRADATIONS["noise"](frames, 1) != DEGRADATIONS["noise"](frames, 2)).any()


def test_a_lower_bit_rate_leaves_less():
    frames = np.random.default_rng(0).integers(0, 256, (HISTORY, 96, 128, 3), dtype=np.uint8)
    away = [
        np.abs(through_vp8(frames, rate).astype(float) - frames).mean()
        for rate in (20_000, 4_000_000)
    ]
    assert away[0] > away[1]


def test_a_picture_keeps_its_size():
    odd = np.zeros((31, 45, 3), np.uint8)
    assert rescaled(odd, 1 / 3).shape == odd.shape
