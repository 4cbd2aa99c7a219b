"""Promises of faces that a style decoder draws anew."""

import dataclasses

import numpy as np
import pytest

from styleflow.data.pseudo_fakes.kinds import make
from styleflow.data.pseudo_fakes.restyling import (
    Restyling,
    face_anchor,
    pyramid_styles,
    random_restyling,
)
from styleflow.faces.align import warp
from tests.support.clips import face_clip, materials

STYLES = pyramid_styles(32)
CLIP = face_clip()
OTHER = warp(face_clip(1, 9).frames[0], face_anchor(face_clip(1, 9).meshes[0]), 32)


def _restyling(changed=(True, True, True), memory=0.0, strength=0.0, detail=0.0):
    return Restyling(np.array(changed), memory, strength, detail)


def test_octaves_add_up_to_the_face_without_its_finest_detail():
    faces = np.stack([OTHER, np.full_like(OTHER, 77)])
    drawn = STYLES.draw(STYLES.read(faces))
    assert drawn.shape == faces.shape
    assert drawn.dtype == np.uint8
    assert np.array_equal(drawn[1], faces[1])
    assert 0 < drawn[0].std() < faces[0].std()
    assert drawn[0].mean() == pytest.approx(faces[0].mean(), abs=2)


def test_only_the_levels_that_change_move_towards_the_other():
    latents, other = np.zeros((2, 3, 4), np.float32), np.ones((3, 4), np.float32)
    mixed = _restyling((False, True, False), strength=0.25).mixed(latents, other)
    assert (mixed[:, 1] == 0.25).all()
    assert (mixed[:, [0, 2]] == 0).all()
    assert (latents == 0).all()


def test_memory_calms_the_levels_that_change_and_no_other():
    rng = np.random.default_rng(0)
    latents = rng.normal(size=(20, 3, 4)).astype(np.float32)
    mixed = _restyling((True, False, True), memory=0.8).mixed(latents, latents[0])
    steps, before = np.abs(np.diff(mixed, axis=0)), np.abs(np.diff(latents, axis=0))
    assert (steps[:, [0, 2]].mean() < 0.4 * before[:, [0, 2]].mean()).all()
    assert np.array_equal(mixed[:, 1], latents[:, 1])


def test_all_detail_and_no_change_of_style_is_the_picture():
    same = dataclasses.replace(STYLES, draw=lambda latents: drawn)
    pairs = zip(CLIP.frames, CLIP.meshes, strict=True)
    drawn = np.stack([warp(frame, face_anchor(mesh), 32) for frame, mesh in pairs])
    back = _restyling(detail=1.0).apply(CLIP.frames, CLIP.meshes, OTHER, same)
    assert np.array_equal(np.stack(back), CLIP.frames)


def test_detail_that_returns_brings_the_picture_nearer():
    def distance(detail):
        back = np.stack(_restyling(detail=detail).apply(CLIP.frames, CLIP.meshes, OTHER, STYLES))
        return np.abs(back.astype(float) - CLIP.frames).mean()

    assert distance(1.0) < 0.7 * distance(0.0)


def test_faces_lie_where_they_were():
    """A face that is drawn as it was read correlates with the picture best without a shift."""
    smooth = np.cumsum(np.cumsum(np.ones((96, 96, 1)), 0), 1)
    picture = (127 + 90 * np.sin(smooth / 300) * np.ones(3)).astype(np.uint8)
    styles = dataclasses.replace(
        pyramid_styles(64), draw=lambda latents: warp(picture, anchor, 64)[None]
    )
    anchor = face_anchor(CLIP.meshes[0])
    other = warp(picture, anchor, 64)
    (back,) = _restyling().apply(picture[None], CLIP.meshes[:1], other, styles)
    inside = (slice(24, 64), slice(24, 64))

    def error(dx):
        moved = np.roll(back, dx, axis=1)
        return np.abs(moved[inside].astype(float) - picture[inside]).mean()

    assert error(0) < 0.5 * min(error(1), error(-1))


def test_at_least_one_level_changes_and_nothing_changes_much():
    for seed in range(50):
        drawn = random_restyling(STYLES, np.random.default_rng(seed))
        assert drawn.changed.any()
        assert 0 <= drawn.memory < 1
        assert 0 <= drawn.strength <= 0.4
        assert 0.5 <= drawn.detail <= 1


def test_without_a_decoder_nothing_can_be_restyled():
    without = dataclasses.replace(materials(), styles=None)
    with pytest.raises(ValueError, match="style decoder"):
        make("restyle", CLIP, without, np.random.default_rng(0))
