"""Promises of self-blended video, and of the two other ways of blending a clip with itself."""

import dataclasses

import numpy as np
import pytest

from styleflow.training.fakestormer.face_hulls import (
    HULLS,
    from_mesh,
    hull_mask,
    mirrored,
    steadied,
)
from styleflow.training.fakestormer.regularity_disruption import regularity_disrupted
from styleflow.training.fakestormer.self_blended_video import (
    ColourShift,
    MaskSoftening,
    blend_with_itself,
    draw_common_change,
    draw_plan,
    self_blended,
)
from styleflow.training.fakestormer.video_blending import video_blended
from tests.support.clips import face_clip

CLIP = face_clip(4)
WAYS = pytest.mark.parametrize("way", [self_blended, regularity_disrupted, video_blended])


@WAYS
def test_the_generator_decides_every_pixel(way):
    one, same, other = (way(CLIP, np.random.default_rng(seed)) for seed in (5, 5, 6))
    for field in ("real", "fake", "masks"):
        assert np.array_equal(getattr(one, field), getattr(same, field))
    assert not np.array_equal(one.fake, other.fake)


@WAYS
def test_shapes_are_the_clips_and_the_clip_stays_as_it_was(way):
    frames, meshes = CLIP.frames.copy(), CLIP.meshes.copy()
    made = way(CLIP, np.random.default_rng(1))
    assert made.real.shape == made.fake.shape == CLIP.frames.shape
    assert made.real.dtype == made.fake.dtype == np.uint8
    assert made.masks.shape == CLIP.frames.shape[:3]
    assert 0 <= made.masks.min() <= made.masks.max() <= 1
    assert np.array_equal(frames, CLIP.frames)
    assert np.array_equal(meshes, CLIP.meshes)


@WAYS
@pytest.mark.parametrize("seed", range(6))
def test_where_nothing_is_blended_real_and_fake_are_alike(way, seed):
    made = way(CLIP, np.random.default_rng(seed))
    untouched = made.masks == 0
    assert untouched.any()
    assert np.array_equal(made.fake[untouched], made.real[untouched])


@WAYS
def test_something_is_forged_where_it_is_blended(way):
    made = [way(CLIP, np.random.default_rng(seed)) for seed in range(6)]
    assert sum(not np.array_equal(m.fake, m.real) for m in made) >= 5


def _plan(**changes):
    return dataclasses.replace(draw_plan(np.random.default_rng(0), CLIP.size), **changes)


def test_one_plan_serves_every_frame():
    """A clip that stands still is forged into a clip that stands still."""
    still = dataclasses.replace(
        CLIP, frames=np.repeat(CLIP.frames[:1], 3, 0), meshes=np.repeat(CLIP.meshes[:1], 3, 0)
    )
    made = blend_with_itself(still, _plan())
    assert all(np.array_equal(made.fake[0], frame) for frame in made.fake)
    assert np.array_equal(made.masks[0], made.masks[2])


def test_a_mirrored_clip_is_the_mirror_image_of_its_picture():
    plain, turned = (blend_with_itself(CLIP, _plan(mirror=m, change_inside=True)) for m in (0, 1))
    assert np.array_equal(turned.real, plain.real[:, :, ::-1])


def test_the_change_falls_on_one_side_only():
    shift = ColourShift(rgb=(30, 0, 0))
    inside = blend_with_itself(CLIP, _plan(change_inside=True, change=shift, mirror=False))
    around = blend_with_itself(CLIP, _plan(change_inside=False, change=shift, mirror=False))
    assert np.array_equal(inside.real, CLIP.frames)
    assert np.array_equal(around.real, np.stack([shift.apply(f) for f in CLIP.frames]))


def test_colours_shift_as_said():
    grey = np.full((8, 8, 3), 100, np.uint8)
    assert ColourShift().apply(grey).tolist() == grey.tolist()
    assert (ColourShift(rgb=(5, -5, 200)).apply(grey)[0, 0] == (105, 95, 255)).all()
    assert ColourShift(brightness=0.1).apply(grey)[0, 0, 0] == 125
    assert ColourShift(hsv=(0, 0, -40)).apply(grey)[0, 0, 0] == 60
    edge = np.zeros((16, 16, 3), np.uint8)
    edge[:, 8:] = 200
    spread = np.unique(ColourShift(shrink=4).apply(edge))
    assert len(spread) > 2
    assert ColourShift(sharpen=0.5, lightness=1.0).apply(grey)[4, 4, 0] == 100


def test_common_changes_are_the_same_draw_for_the_same_generator():
    a, b = (draw_common_change(np.random.default_rng(3)) for _ in range(2))
    assert a == b


def test_an_empty_mask_softens_to_nothing():
    soft = MaskSoftening(90, 100, 5, 7, 5.0).apply(np.zeros((96, 96), np.float32))
    assert soft.shape == (96, 96)
    assert not soft.any()


def test_softening_slopes_inward_of_a_hard_mask():
    hard = np.zeros((96, 96), np.float32)
    hard[24:72, 24:72] = 1
    soft = MaskSoftening(96, 96, 11, 5, 5.0).apply(hard)
    assert soft[48, 48] == pytest.approx(1.0)
    assert 0 < soft[48, 28] < 1
    assert not soft[hard == 0].any()


def test_mirroring_twice_changes_nothing():
    points = from_mesh(CLIP.meshes[0])
    assert np.allclose(mirrored(mirrored(points, 95), 95), points)


def test_steady_landmarks_stay_and_jumps_are_walked():
    points = np.stack([from_mesh(mesh) for mesh in CLIP.meshes])
    calm = points[:1] + np.linspace(0, 0.5, 4)[:, None, None]
    assert np.array_equal(steadied(calm), calm)
    jump = np.concatenate([points[:1], points[:1] + 40, points[:1] + 40])
    walked = steadied(jump)[:, 0, 0] - points[0, 0, 0]
    assert 0 < walked[1] < walked[2] < 40


@pytest.mark.parametrize("hull", HULLS)
def test_a_mask_lies_on_the_face(hull):
    points = from_mesh(CLIP.meshes[0])
    mask = hull_mask(points, hull, CLIP.size)
    assert set(np.unique(mask)) == {0.0, 1.0}
    x, y = points.mean(axis=0).astype(int)
    assert mask[y, x] == 1
    with pytest.raises(ValueError, match="beard"):
        hull_mask(points, "beard", CLIP.size)
