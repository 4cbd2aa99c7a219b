"""Clip-wise alignment and FFHQ framing, on faces whose answer is known."""

from __future__ import annotations

import numpy as np
import pytest

from styleflow.errors import ShapeMismatch
from styleflow.faces.align import apply
from styleflow.faces.clip_tracks import ScoredBox, full_tracks, video_tracks
from styleflow.faces.crops.clip_alignment import (
    TEMPLATE_256,
    align_clip,
    clip_transform,
    context_boxes,
)
from styleflow.faces.crops.ffhq import FfhqQuad, ffhq_crop, ffhq_quad
from styleflow.faces.face import Box


def test_a_moved_template_is_brought_back() -> None:
    turn = np.array([[0.8, -0.6], [0.6, 0.8]]) * 1.7
    points = np.stack([TEMPLATE_256 @ turn.T + (40, 90)] * 4)
    back = apply(clip_transform(points, 128), points[0])
    np.testing.assert_allclose(back, TEMPLATE_256 / 2, atol=1e-9)


def test_motion_within_a_clip_stays() -> None:
    """All frames share one transform, so a face that moves still moves after alignment."""
    points = TEMPLATE_256 + np.arange(4)[:, None, None] * (2.0, 0.0)
    aligned = apply(clip_transform(points, 256), points)
    np.testing.assert_allclose(np.diff(aligned[:, :, 0], axis=0), 2.0, atol=1e-9)


def test_a_face_is_never_mirrored() -> None:
    points = TEMPLATE_256[None] * (-1, 1) + (256, 0)
    assert np.linalg.det(clip_transform(points, 256)[:, :2]) > 0


def test_context_is_twice_the_face_and_stays_in_the_frame() -> None:
    boxes = np.array([[100.0, 100.0, 140.0, 160.0], [0.0, 0.0, 30.0, 30.0]])
    got = context_boxes(boxes, (200, 150))
    assert got.tolist() == [[80, 70, 149, 190], [0, 0, 45, 45]]


def test_outside_its_own_context_a_frame_is_black() -> None:
    frames = [np.full((300, 300, 3), 200, np.uint8)] * 2
    boxes = np.array([[40.0, 40.0, 80.0, 80.0], [200.0, 200.0, 240.0, 240.0]])
    points = np.stack([TEMPLATE_256 + 20] * 2)  # the transform is a plain shift
    crops = align_clip(frames, boxes, points)
    assert (crops[0][200:, 200:] == 0).all()
    assert (crops[1][:100, :100] == 0).all()
    assert (crops[0][20:60, 20:60] == 200).all()


def test_other_points_are_refused() -> None:
    with pytest.raises(ShapeMismatch):
        clip_transform(np.zeros((4, 68, 2)), 256)
    with pytest.raises(ShapeMismatch):
        ffhq_quad(np.zeros((5, 2)))


def test_a_square_is_cut_where_it_lies() -> None:
    """A grey ramp comes out as the same ramp, half a pixel inside the square's corners."""
    ramp = np.broadcast_to(np.arange(200, dtype=np.uint8)[None, :, None], (200, 200, 3))
    corners = np.array([(50.0, 20), (50, 148), (178, 148), (178, 20)])
    crop = ffhq_crop(np.ascontiguousarray(ramp), FfhqQuad(corners, 128.0), 64)
    np.testing.assert_allclose(crop[5, :, 0], 50 + 2 * np.arange(64) + 1, atol=1)


def test_a_very_large_face_is_shrunk_before_it_is_sampled() -> None:
    """Fine stripes average to grey instead of turning into a pattern."""
    stripes = np.zeros((600, 600, 3), np.uint8)
    stripes[:, ::2] = 200
    corners = np.array([(40.0, 40), (40, 552), (552, 552), (552, 40)])
    crop = ffhq_crop(stripes, FfhqQuad(corners, 512.0), 64)
    assert np.abs(crop.astype(int) - 100).max() <= 30


def _at(left: float, top: float, side: float) -> FfhqQuad:
    corners = np.array([(0.0, 0.0), (0.0, 1.0), (1.0, 1.0), (1.0, 0.0)]) * side + (left, top)
    return FfhqQuad(corners, side)


def test_beyond_the_picture_lies_its_mirror_image_blurred_and_faded() -> None:
    """Near the edge the mirrored picture shows, further out only its median is left."""
    picture = np.zeros((300, 300, 3), np.uint8)
    picture[:, np.arange(300) % 24 < 9] = 180  # stripes; their median is 0
    picture[:, :, 2] += 40
    crop = ffhq_crop(picture, _at(-120, 60, 200), 200).astype(int)
    inside, near, far = crop[:, 150:, 0], crop[:, 108:118, 0], crop[:, :8, 0]
    assert np.ptp(inside) == 180
    assert 20 < np.ptp(near) < 175  # blurred
    assert np.ptp(far) < np.ptp(near) / 2  # faded
    assert crop[:, :110].any(axis=2).all()  # black nowhere


def test_inside_the_picture_nothing_is_blurred() -> None:
    """A square that keeps four pixels from the edge is sampled as it is."""
    noise = np.random.default_rng(0).integers(0, 255, (120, 120, 3), np.uint8)
    crop = ffhq_crop(noise, _at(4.5, 4.5, 110), 110)
    assert np.array_equal(crop, noise[5:115, 5:115])


def test_a_square_beyond_the_picture_is_refused() -> None:
    with pytest.raises(ValueError, match="beyond a 120x120 picture"):
        ffhq_crop(np.zeros((120, 120, 3), np.uint8), _at(1e6, 0, 50))


def test_two_boxes_of_one_face_make_one_track() -> None:
    box, shifted = Box(0, 0, 10, 10), Box(1, 0, 11, 10)
    frames = [[ScoredBox(box, 0.99), ScoredBox(shifted, 0.9)]] * 3
    assert [track.faces for track in full_tracks(frames)] == [(0, 0, 0)]


def test_an_unsure_face_begins_no_track() -> None:
    frames = [[ScoredBox(Box(0, 0, 10, 10), 0.7)]] * 3
    assert video_tracks(frames) == []


def test_a_video_without_faces_has_no_tracks() -> None:
    assert video_tracks([]) == []
    assert video_tracks([[], [], []]) == []
