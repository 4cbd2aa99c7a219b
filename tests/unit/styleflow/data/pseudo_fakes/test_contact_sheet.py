"""A contact sheet shows every kind, where it struck, and what a model sees of it."""

import numpy as np
import pytest

from styleflow.data.degradations.video import Degradation
from styleflow.data.pseudo_fakes.contact_sheet import MOMENTS, sheet_rows
from styleflow.data.pseudo_fakes.kinds import KINDS, FaceClip
from tests.support.clips import face_clip, materials

SIDE = 48


def _clip():
    """Return a clip that changes from frame to frame by more than its head's motion."""
    clip = face_clip()
    light = 4 * np.arange(len(clip.frames), dtype=np.uint8)[:, None, None, None]
    return FaceClip(clip.frames + light, clip.meshes)


@pytest.fixture(scope="module")
def rows():
    return sheet_rows(_clip(), materials(), 0, SIDE, Degradation(scale=0.5))


def test_there_is_a_row_for_the_clip_and_one_per_kind(rows):
    assert [row.kind for row in rows] == ["real", *KINDS]
    assert all(row.about.endswith(".") for row in rows)
    for row in rows:
        assert row.moments.shape == (MOMENTS, SIDE, SIDE, 3)
        assert row.replaced.shape == row.difference.shape == row.degraded.shape == (SIDE, SIDE, 3)


def test_the_real_row_differs_in_nothing_and_every_other_does(rows):
    real, *fakes = rows
    assert (real.difference == 128).all()
    assert all((row.difference != 128).any() for row in fakes)


def test_what_was_replaced_is_red(rows):
    real, *fakes = rows
    assert np.array_equal(real.replaced[..., 0], real.replaced[..., 1])
    for row in fakes:
        assert row.replaced[..., 0].mean() > row.replaced[..., 1].mean()


def test_the_degraded_picture_is_aligned_like_the_others(rows):
    real = rows[0]
    degraded, last = real.degraded.astype(float), real.moments[0].astype(float)

    def correlation(a, b):
        return np.corrcoef(a.ravel(), b.ravel())[0, 1]

    assert correlation(degraded, last) > correlation(np.roll(degraded, 4, axis=1), last) + 0.2


def test_a_row_does_not_depend_on_the_others(rows):
    only = {name: kind for name, kind in KINDS.items() if name == next(iter(KINDS))}
    again = sheet_rows(_clip(), materials(), 0, SIDE, Degradation(scale=0.5), only)
    assert np.array_equal(again[1].moments, rows[1].moments)
