"""CADDM's facial swap and noise against the published program, up to whole samples from seeds."""

from __future__ import annotations

import random
from collections import ChainMap
from collections.abc import Mapping
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from styleflow.faces.face import Image
from styleflow.training.caddm.degradations import blurred, filtered, motion_kernel, tinted, toned
from styleflow.training.caddm.draws import Field
from styleflow.training.caddm.loss import assign_boxes
from styleflow.training.caddm.sample import Branch, Paste, Sample, Scene, make_sample
from styleflow.training.caddm.swap import (
    WHOLE,
    WINDOWS,
    Box,
    alpha_blend,
    block_mask,
    face_cut,
    hull_mask,
    middle,
    most_changed,
    part_to_swap,
    poisson_blend,
    rippled,
    softened,
    structural_change,
)
from tests.parity.fill import reference

Stored = Mapping[str, NDArray[Any]]

BRANCHES = {
    -1: Branch.REAL,
    0: Branch.REAL_ON_FAKE,
    1: Branch.FAKE_ON_REAL,
    2: Branch.UNTOUCHED,
    3: Branch.PART,
}
PASTES = {
    0: (Paste.NONE, Paste.ALPHA),
    1: (Paste.POISSON,),
    2: (Paste.FELL_BACK,),
}
BLENDS = {
    -1: (Paste.NONE,),
    0: (Paste.ALPHA,),
    1: (Paste.POISSON, Paste.FELL_BACK),
}
OVERFLOWED = 28
"""A picture of all 256 levels, at whose stretching the stored run divided by zero (SPEC i, 12)."""


@pytest.fixture(scope="module")
def stored() -> Stored:
    files = ("parity_mfs.npz", "parity_preprocess.npz")
    return ChainMap(*(reference("caddm", file) for file in files))


def aligned(stored: Stored, picture: Image) -> Image:
    """Return the crop with the very matrix that was used; ours differs by 1e-6."""
    return np.asarray(cv2.warpPerspective(picture, stored["test_M"], (224, 224)), np.uint8)


def released_order(box: Box) -> list[int]:
    """Return a box as the release writes it: top, left, bottom, right."""
    left, top, right, bottom = box
    return [top, left, bottom, right]


def extent(mask: NDArray[Any]) -> tuple[int, int, int, int]:
    """Return the first and last column, and the first and last row, of what a mask covers."""
    y, x = np.nonzero(mask)
    return int(x.min()), int(x.max()), int(y.min()), int(y.max())


def worst(got: NDArray[Any], background: NDArray[Any], difference: NDArray[Any]) -> int:
    """Return how far a picture is from one stored as its difference from a background."""
    return int(np.abs(got.astype(int) - background.astype(int) - difference).max())


def test_hull_mask_and_its_soft_edge(stored: Stored) -> None:
    mask = hull_mask(stored["landmarks"], (288, 240))
    inside = np.unpackbits(stored["global_mask_bits"]).reshape(288, 240)
    assert int(((mask > 0) != inside).sum()) <= 10
    x, y = np.rint(stored["hull_points"]).astype(int).T
    assert (mask[y, x] > 0).all()
    assert (x.min(), x.max(), y.min(), y.max()) == extent(mask)
    soft = np.abs(softened(mask) - stored["global_mask_blur"].reshape(288, 240))
    assert soft.max() <= 1


def test_alpha_blending_both_ways(stored: Stored) -> None:
    real, fake = stored["img_real"], stored["img_fake"]
    mask = softened(hull_mask(stored["landmarks"], (288, 240)))
    on_real, on_fake = alpha_blend(fake, real, mask), alpha_blend(real, fake, mask)
    assert worst(on_real, real, stored["global_alpha_fake_on_real_diff"]) <= 1
    assert worst(on_fake, fake, stored["global_alpha_real_on_fake_diff"]) <= 1
    crop = aligned(stored, on_real)
    assert worst(crop, stored["test_crop_real"], stored["global_alpha_fake_on_real_crop_diff"]) <= 1
    crop = aligned(stored, on_fake)
    assert worst(crop, stored["test_crop_fake"], stored["global_alpha_real_on_fake_crop_diff"]) <= 1


def test_poisson_blending_where_it_belongs_and_where_the_release_puts_it(stored: Stored) -> None:
    real, fake = stored["img_real"], stored["img_fake"]
    mask = hull_mask(stored["landmarks"], (288, 240))
    assert middle(mask) == tuple(stored["poisson_center_correct"])
    x, y = stored["poisson_center_used"].tolist()
    displaced, right = poisson_blend(fake, real, mask, (x, y)), poisson_blend(fake, real, mask)
    assert displaced is not None
    assert right is not None
    assert worst(displaced, real, stored["global_poisson_fake_on_real_diff"]) <= 2
    assert worst(right, real, stored["global_poisson_correct_center_diff"]) <= 2


def test_rippled_mask(stored: Stored) -> None:
    noise = np.random.RandomState(7)
    across, down = (noise.rand(288, 240) * 2 - 1 for _ in range(2))
    got = rippled(hull_mask(stored["landmarks"], (288, 240)), 400, across, down)
    apart = np.abs(got - stored["aug_elastic_mask_alpha400_rs7"] / 100)
    assert (apart <= 1).mean() >= 0.999


def test_structural_change_of_the_face(stored: Stored) -> None:
    cut = face_cut(stored["landmarks"], (288, 240))
    assert list(cut.face) == stored["cut_landmark_box"].tolist()
    mask = cut.of(hull_mask(stored["landmarks"], (288, 240)))
    assert list(mask.shape) == stored["cut_shape"].tolist()
    change = structural_change(cut.of(stored["img_fake"]), cut.of(stored["img_real"]))
    assert np.abs(change[::2, ::2, 0] - stored["dssim_cut_raw_ch0"]).max() <= 1e-6
    sums = np.where(mask[..., None] > 0, change, 0).sum((0, 1))
    assert sums == pytest.approx(stored["dssim_cut_masked_sum"], rel=1e-3)


@pytest.mark.parametrize("window", range(4))
def test_part_of_every_window(stored: Stored, window: int) -> None:
    """The part that is swapped, its crop, and the box found in the crop again."""
    fake, real, landmarks = stored["img_fake"], stored["img_real"], stored["landmarks"]
    size = WINDOWS[window]
    assert list(size) == stored[f"win{window}_size"].tolist()
    part = part_to_swap(fake, real, landmarks, size, displaced=True)
    assert released_order(part) == stored[f"win{window}_mask_rect"].tolist()
    mixed = alpha_blend(fake, real, softened(block_mask(part, (288, 240))))
    crop, plain = aligned(stored, mixed), aligned(stored, real)
    assert worst(crop, stored["test_crop_real"], stored[f"win{window}_crop_diff"]) <= 1
    change = structural_change(crop, plain)
    sums = stored[f"win{window}_dssim_sum"]
    assert change.sum((0, 1)) == pytest.approx(sums, rel=1e-3)
    count = int(stored[f"win{window}_count_gt_1e-3"])
    assert int((change > 1e-3).sum()) == pytest.approx(count, rel=5e-3)
    boxes = [released_order(box) for box in (WHOLE, most_changed(change, *size))]
    assert boxes == stored[f"win{window}_gt_boxes"].tolist()


@pytest.mark.parametrize("window", range(4))
def test_parts_lie_where_the_difference_is_unless_asked_otherwise(
    stored: Stored, window: int
) -> None:
    """Ours counts from the corner of what was searched, the release from the face's."""
    pictures = stored["img_fake"], stored["img_real"], stored["landmarks"]
    ours = part_to_swap(*pictures, WINDOWS[window])
    released = part_to_swap(*pictures, WINDOWS[window], displaced=True)
    assert np.subtract(released, ours).tolist() == [9, 13, 9, 13]
    left, top = face_cut(stored["landmarks"], (288, 240)).around[:2]
    in_cut = np.subtract(ours, (left, top, left, top))
    assert released_order(tuple(in_cut.tolist())) == stored[f"win{window}_cut_box"].tolist()


def test_noises(stored: Stored) -> None:
    levels = stored["aug_in"].astype(np.float64)
    assert worst(toned(levels, 0.7), stored["aug_gamma_0.7"], np.zeros(1)) <= 2
    kernel = motion_kernel(33, 6)
    assert np.abs(kernel - stored["aug_motion_kernel_33_6"]).max() <= 1e-9
    colour = np.array([80.0, 160.0, 240.0])
    for got, name in (
        (filtered(levels, kernel), "motion_33_6"),
        (tinted(levels, colour, 0.2), "tone"),
        (blurred(levels, 1), "gauss3_sigma1"),
        (blurred(levels, 0), "gauss3_sigma0"),
    ):
        assert worst(np.clip(got, 0, 255), stored[f"aug_{name}"], np.zeros(1)) <= 1, name


class ReleasedDraws:
    """The generators of the released program, whose channels are blue, green and red."""

    def __init__(self, seed: int) -> None:
        self.numpy = np.random.RandomState(seed)
        self._python = random.Random(seed)
        self.amplitude = -1

    def uniform(self, low: float = 0.0, high: float = 1.0) -> float:
        return float(self.numpy.uniform(low, high))

    def integer(self, low: int, high: int) -> int:
        return int(self.numpy.randint(low, high))

    def normal(self) -> float:
        return float(self.numpy.standard_normal())

    def normals(self, *shape: int) -> Field:
        numbers = self.numpy.standard_normal(shape)
        return numbers[..., ::-1] if shape[-1] == 3 else numbers

    def colour(self) -> Field:
        return self.numpy.rand(3)[::-1]

    def ripple(self, height: int, width: int) -> tuple[int, Field, Field]:
        """Noise as the fixture replaced it; the release seeds it from the operating system."""
        self.amplitude = self._python.randint(300, 500)
        noise = np.random.RandomState(7)
        across, down = (noise.rand(height, width) * 2 - 1 for _ in range(2))
        return self.amplitude, across, down


@pytest.fixture(scope="module")
def seeded() -> Stored:
    files = ("parity_seeded.npz", "parity_preprocess.npz")
    return ChainMap(*(reference("caddm", file) for file in files))


class ScriptedDraws(ReleasedDraws):
    """Numbers given in advance as far as they go, then a generator's."""

    def __init__(self, *numbers: float) -> None:
        super().__init__(0)
        self._numbers = list(numbers)

    def uniform(self, low: float = 0.0, high: float = 1.0) -> float:
        return self._numbers.pop(0) if self._numbers else super().uniform(low, high)


@pytest.mark.parametrize("paste", ["alpha", "poisson"])
@pytest.mark.parametrize("branch", [Branch.FAKE_ON_REAL, Branch.REAL_ON_FAKE])
def test_a_whole_swap_has_one_box_over_the_crop(stored: Stored, branch: Branch, paste: str) -> None:
    scene = Scene(rgb(stored["img_fake"]), rgb(stored["img_real"]), stored["landmarks"], 1)
    whole, blend, swap, still = 0.0, {"alpha": 0.0, "poisson": 0.9}[paste], 0.9, 0.0
    which = (0.9,) if branch is Branch.REAL_ON_FAKE else (0.0, 0.9)
    draws = ScriptedDraws(whole, blend, swap, *which, still)
    got = make_sample(scene, draws, as_released=True)
    assert got is not None
    assert got.branch is branch
    assert got.paste is {"alpha": Paste.ALPHA, "poisson": Paste.POISSON}[paste]
    name = {Branch.FAKE_ON_REAL: "fake_on_real", Branch.REAL_ON_FAKE: "real_on_fake"}[branch]
    boxes = [released_order(box) for box in got.boxes]
    assert boxes == stored[f"global_{paste}_{name}_gt_boxes"].tolist()


def rgb(picture: Image) -> Image:
    return np.ascontiguousarray(picture[..., ::-1])


@pytest.mark.parametrize("case", range(60))
def test_whole_samples_from_seeds(seeded: Stored, case: int) -> None:
    """Branches, alignment, boxes, pictures, and where the generator stands afterwards."""
    label = int(seeded["label"][case])
    scene = Scene(
        rgb(seeded["img_fake" if label else "img_real"]),
        rgb(seeded["img_real"]),
        seeded["landmarks"],
        label,
    )
    draws = ReleasedDraws(int(seeded["seed"][case]))
    got = make_sample(scene, draws, as_released=True)
    assert (got is not None) == bool(seeded["ok"][case])
    assert got is not None
    assert got.halved == bool(seeded["resized"][case])
    assert got.branch is BRANCHES[int(seeded["branch"][case])]
    assert got.paste in PASTES[int(seeded["poisson"][case])]
    assert got.paste in BLENDS[int(seeded["blend"][case])]
    assert draws.amplitude == seeded["elastic_alpha"][case]
    jitter = got.jitter
    numbers = [
        jitter.scale,
        *jitter.shift_px,
        jitter.roll_deg,
        jitter.stretch_eyes,
        jitter.stretch_left,
    ]
    assert numbers == pytest.approx(seeded["align"][case].tolist(), abs=1e-9)
    assert positives(got) == (seeded["npos"][case], seeded["pos_sum"][case])
    clean = rgb(got.clean)
    small = cv2.resize(clean, (16, 16), interpolation=cv2.INTER_AREA)
    assert np.abs(small.astype(int) - seeded["pre_thumb"][case]).max() <= 3
    assert np.abs(clean.mean((0, 1)) - seeded["pre_mean"][case]).max() <= 1.5
    if case != OVERFLOWED:
        degraded = rgb(got.crop).mean((0, 1))
        assert np.abs(degraded - seeded["final_mean"][case]).max() <= 1.5
    assert draws.uniform() == pytest.approx(seeded["next_rand"][case], abs=1e-9)


def positives(sample: Sample) -> tuple[int, int]:
    """Return how many priors are positive and the sum of their numbers, for released boxes."""
    if not sample.boxes:
        return 0, 0
    boxes = torch.tensor([released_order(box) for box in sample.boxes])
    found = assign_boxes(boxes).labels.nonzero()
    return len(found), int(found.sum())
