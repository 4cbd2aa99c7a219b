"""Promises of pseudo-fakes: decided by their generator, and fake where they say."""

import numpy as np
import pytest

from styleflow.data.pseudo_fakes.kinds import KINDS, make
from tests.support.clips import face_clip, materials

CLIP, MATERIALS = face_clip(), materials()


def _made(kind, seed):
    return make(kind, CLIP, MATERIALS, np.random.default_rng(seed))


@pytest.mark.parametrize("kind", KINDS)
def test_the_generator_decides_every_pixel(kind):
    one, same = _made(kind, 5), _made(kind, 5)
    assert np.array_equal(one.frames, same.frames)
    assert np.array_equal(one.masks, same.masks)
    assert any(not np.array_equal(one.frames, _made(kind, s).frames) for s in range(6, 9))


@pytest.mark.parametrize("kind", KINDS)
def test_shapes_and_types_are_the_clips(kind):
    fake = _made(kind, 1)
    assert fake.kind == kind
    assert fake.frames.shape == CLIP.frames.shape
    assert fake.masks.shape == CLIP.frames.shape[:3]
    assert fake.frames.dtype == fake.masks.dtype == np.uint8
    assert not np.array_equal(fake.frames, CLIP.frames)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("seed", range(4))
def test_where_the_mask_is_empty_nothing_was_touched(kind, seed):
    fake = _made(kind, seed)
    untouched = fake.masks == 0
    assert np.array_equal(fake.frames[untouched], CLIP.frames[untouched])


@pytest.mark.parametrize("kind", KINDS)
def test_the_clip_itself_stays_as_it_was(kind):
    frames, meshes = CLIP.frames.copy(), CLIP.meshes.copy()
    _made(kind, 2)
    assert np.array_equal(frames, CLIP.frames)
    assert np.array_equal(meshes, CLIP.meshes)


def test_a_kind_that_does_not_exist_is_a_key_error():
    with pytest.raises(KeyError):
        make("magic", CLIP, MATERIALS, np.random.default_rng(0))
