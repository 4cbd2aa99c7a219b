"""Promises of CADDM's samples, swaps and noise beyond what the parity tests show."""

from collections import Counter
from dataclasses import replace

import cv2
import numpy as np
import pytest

from styleflow.data.index import FAKE, REAL
from styleflow.errors import ShapeMismatch
from styleflow.faces.crops.caddm import caddm_crop
from styleflow.faces.mesh import five_points as mesh_points
from styleflow.training.caddm.degradations import (
    degraded,
    motion_kernel,
    resaturated,
    resized,
    stretched,
    toned,
)
from styleflow.training.caddm.draws import GeneratorDraws
from styleflow.training.caddm.sample import Branch, Paste, Scene, five_points, make_sample
from styleflow.training.caddm.swap import (
    NO_BOX,
    WHOLE,
    alpha_blend,
    block_mask,
    hull_mask,
    leaves_trace,
    most_changed,
    poisson_blend,
    rippled,
    structural_change,
)
from tests.support.caddm_videos import fake_video, real_video

FAKED, ORIGINAL = fake_video(1), real_video(1)
SCENE = Scene(
    FAKED.frames([0])[0], ORIGINAL.frames([0])[0], ORIGINAL.path.meshes[0].astype(float), FAKE
)


def _samples(count, scene=SCENE):
    rngs = [np.random.default_rng([3, number]) for number in range(count)]
    return [make_sample(scene, GeneratorDraws(rng)) for rng in rngs]


def test_the_generator_decides_every_pixel():
    for one, same in zip(_samples(8), _samples(8), strict=True):
        assert (one is None) == (same is None)
        if one is not None and same is not None:
            assert np.array_equal(one.crop, same.crop)
            assert one.boxes == same.boxes


def test_branches_and_pastes_come_as_often_as_they_should():
    """Within four standard deviations of 40, 20, 20 and 20 %, and Poisson succeeds."""
    drawn = _samples(120)
    samples = [sample for sample in drawn if sample is not None]
    seen = Counter(sample.branch for sample in samples)
    seen[Branch.PART] += len(drawn) - len(samples)  # only parts can be without a trace
    for branch, share in {
        Branch.REAL_ON_FAKE: 0.4,
        Branch.FAKE_ON_REAL: 0.2,
        Branch.UNTOUCHED: 0.2,
        Branch.PART: 0.2,
    }.items():
        assert seen[branch] / len(drawn) == pytest.approx(share, abs=4 * 0.045)
    pastes = Counter(sample.paste for sample in samples)
    assert pastes[Paste.POISSON] > 25
    assert pastes[Paste.FELL_BACK] < 5
    assert 30 < sum(sample.mirrored for sample in samples) < 90


def test_boxes_follow_the_mirror():
    mirrored = [s for s in _samples(40) if s is not None and len(s.boxes) == 2 and s.mirrored]
    assert mirrored
    for sample in mirrored:
        left, top, right, bottom = sample.boxes[1]
        assert sample.boxes[0] == WHOLE
        assert 0 <= left < right <= 224
        assert 0 <= top < bottom <= 224
        assert (224 - right) % 44 == 0  # where the search may begin, seen in the mirror


def test_a_part_differs_inside_its_box_and_nowhere_far_from_it():
    """The box is found where the crop differs from the crop of the original."""
    for sample in _samples(40):
        if sample is None or sample.branch is not Branch.PART or sample.halved:
            continue
        points = five_points(SCENE.landmarks)
        plain = caddm_crop(SCENE.real, points, sample.jitter)
        plain = plain[:, ::-1] if sample.mirrored else plain
        change = structural_change(sample.clean, np.ascontiguousarray(plain)).sum(axis=2)
        left, top, right, bottom = sample.boxes[1]
        inside = change[top:bottom, left:right].mean()
        assert inside > change.mean() or sample.boxes[1] == WHOLE


def test_a_real_sample_has_no_box():
    scene = Scene(SCENE.real, SCENE.real, SCENE.landmarks, REAL)
    for sample in _samples(4, scene):
        assert sample is not None
        assert sample.boxes == ()
        assert (sample.branch, sample.label) == (Branch.REAL, REAL)


def test_the_points_are_those_of_live_video():
    assert np.array_equal(five_points(SCENE.landmarks), mesh_points(SCENE.landmarks))


def test_pictures_of_other_sizes_are_no_pair():
    with pytest.raises(ShapeMismatch, match="original"):
        replace(SCENE, fake=SCENE.fake[:-1])


def test_equal_pictures_leave_no_trace():
    change = structural_change(SCENE.real, SCENE.real)
    assert not leaves_trace(change)
    assert most_changed(change, 40, 80) == NO_BOX


def test_the_first_of_equal_windows_wins():
    change = np.ones((50, 100, 3))
    assert most_changed(change, 10, 20) == (0, 0, 20, 10)
    change[20:30, 40:60] = 2
    assert most_changed(change, 10, 20) == (40, 20, 60, 30)
    assert most_changed(change, 51, 20) == NO_BOX


def test_a_poisson_patch_stays_where_the_mask_is():
    mask = hull_mask(SCENE.landmarks, SCENE.fake.shape[:2])
    cloned = poisson_blend(SCENE.fake, SCENE.real, mask)
    assert cloned is not None
    changed = np.abs(cloned.astype(int) - SCENE.real).max(axis=2) > 3
    assert changed.any()
    assert not changed[cv2.dilate(mask, np.ones((5, 5))) == 0].any()


def test_what_cannot_be_cloned_is_said():
    assert poisson_blend(SCENE.fake, SCENE.real, np.zeros(SCENE.fake.shape[:2], np.uint8)) is None
    mask = hull_mask(SCENE.landmarks, SCENE.fake.shape[:2])
    assert poisson_blend(SCENE.fake, SCENE.real, mask, (0, 0)) is None


def test_alpha_blending_is_the_background_outside_and_the_face_inside():
    mask = block_mask((20, 30, 60, 70), SCENE.fake.shape[:2])
    mixed = alpha_blend(SCENE.fake, SCENE.real, mask)
    assert np.array_equal(mixed[30:70, 20:60], SCENE.fake[30:70, 20:60])
    assert np.array_equal(mixed[mask == 0], SCENE.real[mask == 0])


def test_blocks_are_cut_off_at_the_border():
    assert block_mask((-5, 90, 20, 300), (96, 96)).sum() == 255 * 20 * 6


def test_no_ripple_leaves_the_mask():
    mask = hull_mask(SCENE.landmarks, (96, 96))
    still = np.zeros((96, 96))
    assert np.array_equal(rippled(mask, 400, still, still), mask)


def test_a_picture_of_all_levels_is_stretched_without_overflow():
    """The release adds one in 8 bits and divides by zero."""
    levels = np.arange(256, dtype=np.float64).reshape(16, 16, 1).repeat(3, axis=2)
    assert stretched(levels).max() == pytest.approx(255 * 255 / 256)
    assert stretched(levels).min() == 0


def test_noises_do_what_they_say():
    levels = SCENE.real.astype(np.float64)
    assert toned(levels, 1.4).mean() > levels.mean() > toned(levels, 0.6).mean()
    grey = resaturated(levels, 0.0, 1.0)
    assert np.ptp(grey, axis=2).max() == 0
    assert resaturated(levels, 1.0, 0.5).mean() < levels.mean()
    coarse = resized(levels, 0.25, cv2.INTER_AREA, cv2.INTER_LINEAR)
    assert coarse.shape == levels.shape
    assert coarse.std() < levels.std()


@pytest.mark.parametrize("angle", range(0, 360, 15))
@pytest.mark.parametrize("length", [1, 4, 10])
def test_motion_kernels_keep_the_brightness(angle, length):
    kernel = motion_kernel(angle, length)
    assert kernel.shape[0] == kernel.shape[1]
    assert kernel.sum() == pytest.approx(1)


def test_the_same_noise_for_the_same_generator_and_always_8_bits():
    for seed in range(40):
        one, same = (
            degraded(SCENE.real, GeneratorDraws(np.random.default_rng(seed))) for _ in "ab"
        )
        assert np.array_equal(one, same)
        assert one.dtype == np.uint8
        assert one.shape == SCENE.real.shape
