"""Promises of the tools of pseudo-fakes."""

import numpy as np
import pytest

from styleflow.data.pseudo_fakes.blending import (
    REGIONS,
    Look,
    blend,
    face_coordinates,
    match_colours,
    random_look,
    region,
    region_mask,
    wander,
    warp_between,
)
from tests.support.clips import face_clip, mesh_at

MESH = mesh_at(48, 36, 24)


def test_face_coordinates_are_zero_at_the_eyes_and_one_at_the_mouth():
    u, v = face_coordinates(MESH)
    assert v[[33, 263]] == pytest.approx([0, 0], abs=1e-5)
    assert v[[61, 291]] == pytest.approx([1, 1], abs=1e-5)
    assert u[[33, 263]] == pytest.approx([-0.5, 0.5], abs=1e-5)


def test_regions_lie_where_their_names_say():
    _, v = face_coordinates(MESH)
    sizes = {name: len(region(MESH, name)) for name in REGIONS}
    assert sizes["face"] == 468
    assert 0 < sizes["mouth"] < sizes["lower"] < sizes["face"]
    assert v[region(MESH, "lower")].min() > 0.4
    assert v[region(MESH, "upper")].max() < 0.6
    with pytest.raises(ValueError, match="nose"):
        region(MESH, "nose")


def test_a_grown_mask_covers_a_shrunk_one():
    everything = region(MESH, "face")
    small, large = (
        region_mask(MESH, everything, (96, 96), grow=g, soft=0.01) for g in (-0.05, 0.05)
    )
    assert small.min() >= 0
    assert large.max() <= 1
    assert small.sum() < large.sum()
    assert (large - small).min() > -0.01


def test_blending_keeps_one_picture_where_the_mask_is_0_and_the_other_where_it_is_1():
    under, over = (np.full((4, 4, 3), v, np.uint8) for v in (10, 200))
    mask = np.zeros((4, 4), np.float32)
    mask[:2] = 1
    mask[2] = 0.5
    mixed = blend(under, over, mask)
    assert (mixed[:2] == 200).all()
    assert (mixed[2] == 105).all()
    assert (mixed[3] == 10).all()


def test_a_warp_carries_landmarks_to_where_they_shall_be():
    """A bright dot on a landmark arrives at the landmark's new place."""
    here, there = mesh_at(44, 36, 24), mesh_at(50, 40, 26)
    picture = np.zeros((96, 96, 3), np.uint8)
    x, y = np.round(here[0]).astype(int)  # landmark 0 is the middle of the disc
    picture[y - 1 : y + 2, x - 1 : x + 2] = 255
    bent = warp_between(picture, here, there, (96, 96), pinned=False)[..., 0].astype(float)
    rows, columns = np.indices(bent.shape)
    centre = np.array([(columns * bent).sum(), (rows * bent).sum()]) / bent.sum()
    assert np.linalg.norm(centre - there[0]) < 1.0


def test_a_pinned_warp_keeps_the_corners():
    ramp = np.repeat(np.indices((96, 96)).sum(axis=0)[..., None], 3, axis=-1).astype(np.uint8)
    here, moved = mesh_at(44, 38, 24), mesh_at(50, 42, 24)
    free, pinned = (warp_between(ramp, here, moved, (96, 96), pinned=p) for p in (False, True))
    corners = (slice(None, None, 95), slice(None, None, 95))
    assert np.abs(pinned[corners].astype(int) - ramp[corners]).max() <= 3
    assert np.abs(free[corners].astype(int) - ramp[corners]).max() > 5


def test_matched_colours_have_the_others_mean():
    rng = np.random.default_rng(0)
    dark, light = (rng.integers(low, low + 60, (32, 32, 3), dtype=np.uint8) for low in (20, 150))
    whole = np.ones((32, 32), np.float32)
    matched = match_colours(dark, light, whole, 1.0)
    assert matched.mean() == pytest.approx(light.mean(), abs=2)
    assert np.array_equal(match_colours(dark, light, whole, 0.0), dark)


def test_a_look_without_settings_changes_nothing():
    picture = face_clip(1).frames[0]
    assert np.array_equal(Look().apply(picture), picture)


@pytest.mark.parametrize(
    "look",
    [Look(blur=1.0), Look(resolution=0.4), Look(smooth=30.0), Look(jpeg=30), Look(gamma=1.3)],
)
def test_every_part_of_a_look_shows(look):
    picture = face_clip(1).frames[0]
    assert np.abs(look.apply(picture).astype(int) - picture).mean() > 1


def test_looks_are_the_generators():
    draws = [random_look(np.random.default_rng(3), colours=True, detail=True) for _ in range(2)]
    assert draws[0] == draws[1]


def test_a_walk_stays_around_zero_and_remembers():
    walk = wander(np.random.default_rng(0), 4000, 0.9)
    assert abs(walk.mean()) < 0.3
    assert walk.std() == pytest.approx(1.0, abs=0.2)
    assert np.corrcoef(walk[1:], walk[:-1])[0, 1] == pytest.approx(0.9, abs=0.05)
