"""Promises of pairs of pictures."""

import numpy as np
import pytest

from styleflow.data.degradations.pictures import degraded_alike
from styleflow.training.styleflow_live.picture_pairs import (
    KIND_WEIGHTS,
    PICTURE_KINDS,
    PictureSpec,
    draw_pair,
    mirrored,
    random_mask,
)
from tests.support.pictures import source

SPEC = PictureSpec(64, 16, 8, 48)


@pytest.mark.parametrize("kind", sorted(PICTURE_KINDS))
def test_the_generator_decides_every_pixel(kind):
    spec = PictureSpec(64, 16, 8, 48, kinds={kind: 1.0})
    one, same = (draw_pair(source(), spec, np.random.default_rng(5)) for _ in range(2))
    assert one.kind == kind
    assert np.array_equal(one.real, same.real)
    assert np.array_equal(one.fake, same.fake)
    assert np.array_equal(one.mask, same.mask)


def test_a_pair_has_windows_and_a_mask_of_their_size():
    pair = draw_pair(source(), SPEC, np.random.default_rng(0))
    assert pair.real.shape == pair.fake.shape == (48, 48, 3)
    assert pair.mask.shape == (6, 6)


def test_every_kind_has_a_weight():
    assert set(KIND_WEIGHTS) == set(PICTURE_KINDS)


def test_what_was_not_replaced_is_alike_where_nothing_is_degraded(monkeypatch):
    monkeypatch.setattr(
        "styleflow.training.styleflow_live.picture_pairs.degraded_alike",
        lambda pictures, rng: pictures,
    )
    spec = PictureSpec(64, 0, 0, 64, stills=0.0, kinds={"mouth": 1.0})
    alike = []
    for seed in range(6):
        pair = draw_pair(source(), spec, np.random.default_rng(seed))
        untouched = pair.mask.repeat(8, 0).repeat(8, 1) == 0
        alike.append((pair.real[untouched] == pair.fake[untouched]).mean())
        assert (pair.real != pair.fake).any()
    assert np.mean(alike) > 0.95  # coarse masks lose a pixel here and there at their edge


@pytest.mark.parametrize("seed", range(8))
def test_equal_pictures_are_equal_after_wear(seed):
    """Whatever wear does, it must not become the cue."""
    picture = np.random.default_rng(seed).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    real, fake = degraded_alike((picture, picture.copy()), np.random.default_rng(seed))
    assert np.array_equal(real, fake)


def test_masks_lie_on_the_face():
    face = source().frame(np.random.default_rng(0))
    for seed in range(10):
        mask = random_mask(face.mesh, face.image.shape[:2], np.random.default_rng(seed))
        assert mask.shape == face.image.shape[:2]
        assert 0 < mask.max() <= 1
        assert mask[-4:, -4:].max() < 0.2


def test_a_mirror_twice_is_the_face():
    face = source().frame(np.random.default_rng(0))
    itself = np.arange(468)
    again = mirrored(mirrored(face, itself), itself)
    assert np.array_equal(again.image, face.image)
    assert np.allclose(again.mesh, face.mesh)
