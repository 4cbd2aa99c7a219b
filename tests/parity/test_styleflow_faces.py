"""Offline alignment, tracking and clip rules against the reference."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from styleflow.faces.align import apply
from styleflow.faces.clip_tracks import (
    ScoredBox,
    full_tracks,
    saved_frames,
    sliding_windows,
    video_tracks,
)
from styleflow.faces.crops.clip_alignment import (
    align_clip,
    clip_canvas,
    clip_transform,
    context_boxes,
)
from styleflow.faces.crops.ffhq import ffhq_quad
from styleflow.faces.face import Box, Image
from tests.parity.fill import reference_case


def picture(i: int, height: int, width: int) -> Image:
    """Return the reference's i-th picture."""
    y, x, c = np.mgrid[:height, :width, :3].astype(np.float64)
    wave = np.sin(0.045 * x + 0.03 * y + c + 0.2 * i) * np.cos(0.02 * x - 0.05 * y + 0.5 * c)
    return np.round(127.5 * (1 + wave)).astype(np.uint8)


def test_context_boxes_and_canvas_equal_the_reference() -> None:
    case = reference_case("styleflow", "align")
    height, width = case["frame_shape"].tolist()
    boxes = context_boxes(case["boxes"], (height, width))
    assert np.array_equal(boxes, case["big"])
    assert np.array_equal(clip_canvas(boxes).left_top, case["left_top"])


@pytest.mark.parametrize("size", [224, 256])
def test_clip_transform_equals_the_reference(size: int) -> None:
    """Matrices within 1e-8, transformed landmarks within 1e-6."""
    case = reference_case("styleflow", "align")
    transform = clip_transform(case["lm5"] - case["left_top"], size)
    np.testing.assert_allclose(transform, case[f"tfm_{size}"], atol=1e-8, rtol=0)
    landmarks = apply(transform, case["lm68"] - case["left_top"])
    np.testing.assert_allclose(landmarks, case[f"lm68_{size}"], atol=1e-6, rtol=0)


@pytest.mark.parametrize("size", [224, 256])
def test_aligned_crops_equal_the_reference(size: int) -> None:
    """One grey level on average and four at most: resamplers differ between versions."""
    case = reference_case("styleflow", "align")
    height, width = case["frame_shape"].tolist()
    chosen = [0, 15, 31]
    black = np.zeros((height, width, 3), np.uint8)
    frames = [picture(i, height, width) if i in chosen else black for i in range(32)]
    crops = align_clip(frames, case["boxes"], case["lm5"], size)
    got = crops[chosen][:, ::16, ::16].astype(int)
    difference = np.abs(got - case[f"warp_{size}"].astype(int))
    assert difference.mean() <= 1
    assert difference.max() <= 4


def test_ffhq_quad_equals_the_reference() -> None:
    case = reference_case("styleflow", "ffhq_quad")
    quad = ffhq_quad(case["lm68"])
    np.testing.assert_allclose(quad.corners, case["quad"], atol=1e-8, rtol=0)
    np.testing.assert_allclose(quad.side, case["qsize"], atol=1e-8, rtol=0)


def detections(stored: NDArray[np.float64]) -> list[list[ScoredBox]]:
    return [
        [ScoredBox(Box(*face[:4].tolist()), float(face[4])) for face in frame if face[4] > 0]
        for frame in stored
    ]


def test_whole_tracks_equal_the_reference() -> None:
    """One face lasts, the other leaves."""
    case = reference_case("styleflow", "tracking")
    frames = detections(case["dets1"])
    expected = [tuple(track) for track in case["track1"].tolist()]
    assert [track.faces for track in full_tracks(frames)] == expected
    assert video_tracks(frames) == full_tracks(frames)


@pytest.mark.parametrize("number", [2, 3])
def test_cut_tracks_equal_the_reference(number: int) -> None:
    """A cut at 20; a missing frame 30, which loses frame 31 as well."""
    case = reference_case("styleflow", "tracking")
    tracks = video_tracks(detections(case[f"dets{number}"]))
    assert [[track.start, track.end] for track in tracks] == case[f"spans{number}"].tolist()


@pytest.mark.parametrize("length", [10, 16, 20, 31, 32, 33, 40, 70, 96, 110])
def test_clips_equal_the_reference(length: int) -> None:
    case = reference_case("styleflow", "clips")
    assert np.array_equal(sliding_windows(length), case[f"clips_{length}"])
    saved = [[s.frame, s.window, s.position] for s in saved_frames(length)]
    assert saved == case[f"saved_{length}"].tolist()
