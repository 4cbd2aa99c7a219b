"""Each detector's framing: the crop it was trained on, and one measure of quality for all."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from styleflow.clips import ClipSpec, Framing, WideCrop
from styleflow.faces.align import Aligner, apply, fit, mirrored_warp, warp
from styleflow.faces.crops.box import fakestormer_crop
from styleflow.faces.crops.caddm import caddm_crop
from styleflow.faces.crops.clip_alignment import TEMPLATE_256, align_clip
from styleflow.faces.crops.ffhq import ffhq_quad
from styleflow.faces.crops.framing import Framer, crop_corners, framer, in_picture, plain_quality
from styleflow.faces.face import AlignedFace, Box, Face, Image, TrackedFace
from styleflow.overlay import Patch
from tests.support.faces import face_at, points_at

RNG = np.random.default_rng(3)
IMAGE: Image = RNG.integers(0, 255, (30, 40, 3), dtype=np.uint8).repeat(12, 0).repeat(12, 1)
FACE = TrackedFace(1, face_at(240.0, 180.0, 120.0))


def clip(framing: Framing, size_px: int = 224) -> ClipSpec:
    return ClipSpec(4, 25.0, size_px, framing)


def first(made: Framer, face: TrackedFace = FACE) -> Image:
    done = made.align(IMAGE, face, 0.0, None)
    assert done is not None
    return done[0].image


def test_ours_is_the_aligner() -> None:
    made = framer(clip(Framing.ANCHORED, 128))
    assert isinstance(made, Aligner)
    assert np.array_equal(first(made), warp(IMAGE, fit(FACE.face.points), 128))


def test_ours_alone_is_mirrored_where_it_leaves_the_picture() -> None:
    face = TrackedFace(1, face_at(20.0, 180.0, 120.0))
    anchor = fit(face.face.points)
    ours = first(framer(clip(Framing.ANCHORED)), face)
    np.testing.assert_array_equal(ours, mirrored_warp(IMAGE, anchor, 224))
    assert (ours[:, :8] > 0).any()
    for framing in (Framing.STYLEFLOW, Framing.CADDM, Framing.GEND):
        assert not first(framer(clip(framing)), face)[100:140, :2].any(), framing


def test_caddm_sees_its_own_crop() -> None:
    expected = caddm_crop(IMAGE, FACE.face.points)
    assert np.array_equal(first(framer(clip(Framing.CADDM))), expected)


def test_fakestormer_sees_its_own_crop() -> None:
    expected = fakestormer_crop(IMAGE, FACE.face.box, 224)
    assert np.array_equal(first(framer(clip(Framing.FAKESTORMER))), expected)


def test_styleflow_sees_what_clip_wise_alignment_makes_of_a_still_face() -> None:
    """The anchored crop of a head that does not move is the released program's, black edges aside.

    The released transform cuts the face's doubled box out first; where that lies the two agree to
    rounding.
    """
    crop = first(framer(clip(Framing.STYLEFLOW, 256)))
    box = FACE.face.box
    (offline,) = align_clip(
        [IMAGE], np.array([[box.x0, box.y0, box.x1, box.y1]]), FACE.face.points[None], 256
    )
    inside = offline.any(-1)
    assert inside.mean() > 0.8
    difference = np.abs(crop.astype(int) - offline.astype(int))[inside]
    assert np.mean(difference <= 4) > 0.97


def test_styleflow_is_anchored_to_its_own_template() -> None:
    """While the anchor holds, jitter of the points moves nothing."""
    made = framer(clip(Framing.STYLEFLOW, 256))
    before = None
    crops = []
    for number in range(20):
        jitter = RNG.normal(0, 0.6, (5, 2))
        face = Face(FACE.face.box, FACE.face.points + jitter, 0.9)
        done = made.align(IMAGE, TrackedFace(1, face), number / 25, before)
        assert done is not None
        aligned, before = done
        crops.append(aligned.image)
    assert all(np.array_equal(crops[-1], crop) for crop in crops[9:])
    assert before is not None
    seen = apply(before.anchor, FACE.face.points)
    assert np.abs(seen - TEMPLATE_256).mean() < 12  # the toy face has other proportions


def test_the_wide_crop_holds_styleflows_own() -> None:
    """The content branch sees the same pixels whatever the style encoder is fed."""
    wide = WideCrop(256)
    assert (wide.size_px, wide.left_px, wide.top_px) == (334, 39, 73)
    shown = first(framer(clip(Framing.STYLEFLOW_WIDE, wide.size_px)))
    own = first(framer(clip(Framing.STYLEFLOW, 256)))
    assert np.array_equal(shown[73 : 73 + 256, 39 : 39 + 256], own)


def test_the_wide_crop_shows_what_ffhq_shows() -> None:
    """FFHQ's rule on a face that lies as the template does cuts out the same square."""
    eyes, nose, mouth = TEMPLATE_256[:2], TEMPLATE_256[2], TEMPLATE_256[3:]
    points = np.repeat(nose[None], 68, 0)
    points[36:42], points[42:48], points[48], points[54] = eyes[0], eyes[1], mouth[0], mouth[1]
    quad = ffhq_quad(points)
    wide = WideCrop(256)
    assert abs(quad.side - wide.size_px) < 1.5
    centre = np.array([wide.size_px / 2 - wide.left_px, wide.size_px / 2 - wide.top_px])
    assert np.abs(quad.corners.mean(0) - centre).max() < 1.0


@pytest.mark.parametrize("size", [32, 64, 128, 224, 256, 512])
def test_a_wide_crop_is_known_by_its_side(size: int) -> None:
    assert WideCrop.of_size(WideCrop(size).size_px) == WideCrop(size)


def test_a_side_that_no_wide_crop_has_is_refused() -> None:
    sides = {WideCrop(inner).size_px for inner in range(1, 400)}
    gap = next(side for side in range(50, 400) if side not in sides)
    with pytest.raises(ValueError, match="whole pixels"):
        WideCrop.of_size(gap)


@pytest.mark.parametrize("framing", Framing)
def test_points_that_fall_together_cannot_be_framed(framing: Framing) -> None:
    broken = Face(FACE.face.box, np.full((5, 2), 100.0), 0.9)
    assert framer(clip(framing)).align(IMAGE, TrackedFace(1, broken), 0.0, None) is None


@pytest.mark.parametrize(
    "box", [Box(900, 900, 990, 990), Box(-90, -90, -10, -10), Box(np.nan, 0, 1, 1), Box(5, 5, 5, 5)]
)
def test_a_box_outside_the_picture_is_no_crop(box: Box) -> None:
    face = TrackedFace(1, Face(box, FACE.face.points, 0.9))
    made = framer(clip(Framing.FAKESTORMER))
    done = made.align(IMAGE, face, 0.0, None)
    assert done is None or done[0].image.shape == (224, 224, 3)


@pytest.mark.parametrize("framing", [f for f in Framing if f is not Framing.ANCHORED])
def test_quality_is_measured_under_one_framing(framing: Framing) -> None:
    """The engine's limits hold for every detector, whatever its crop shows."""
    done = framer(clip(framing)).align(IMAGE, FACE, 0.0, None)
    assert done is not None
    assert done[0].quality == plain_quality(IMAGE, FACE.face)


def rolled(degrees: float) -> TrackedFace:
    return TrackedFace(1, Face(FACE.face.box, points_at(240.0, 180.0, 120.0, degrees), 0.9))


@pytest.mark.parametrize("framing", Framing)
@pytest.mark.parametrize("degrees", [0.0, 25.0])
def test_a_patch_lies_where_its_part_of_the_crop_was_taken(
    framing: Framing, degrees: float
) -> None:
    """A mark painted into the picture at a patch's place turns up in that patch of the crop."""
    made, face, black = framer(clip(framing)), rolled(degrees), np.zeros_like(IMAGE)
    done = made.align(black, face, 0.0, None)
    assert done is not None
    corners = crop_corners(done[0], clip(framing), IMAGE.shape[1], IMAGE.shape[0])
    (quad,) = in_picture([Patch(0.5, 0.25, 0.75, 0.5, 1.0)], corners)
    cv2.fillPoly(black, [np.rint(quad).astype(np.int32)], (255, 255, 255))
    crop = _crop(made, black, face)
    assert crop[56 + 6 : 112 - 6, 112 + 6 : 168 - 6].min() > 200
    crop[56 - 6 : 112 + 6, 112 - 6 : 168 + 6] = 0
    assert crop.max() < 50


def _crop(made: Framer, image: Image, face: TrackedFace) -> Image:
    done = made.align(image, face, 0.0, None)
    assert done is not None
    return done[0].image.copy()


def test_the_place_of_an_anchored_crop_is_that_of_the_crop_before_the_anchor_moved() -> None:
    """`image` is what was pushed; `reanchored` lies elsewhere."""
    made, before = framer(clip(Framing.ANCHORED)), None
    for number, shift in enumerate((0.0, 0.0, 150.0)):
        points = FACE.face.points + np.array([shift, 0.0])
        done = made.align(IMAGE, TrackedFace(1, Face(FACE.face.box, points, 0.9)), number, before)
        assert done is not None
        face, before = done
    assert face.reanchored is not None
    corners = crop_corners(face, clip(Framing.ANCHORED), IMAGE.shape[1], IMAGE.shape[0])
    assert before is not None
    seen = apply(before.anchor, corners)
    np.testing.assert_allclose(seen, [[0, 0], [256, 0], [256, 256], [0, 256]], atol=1e-6)


def test_an_anchored_crop_has_no_place_without_its_anchor() -> None:
    bare = AlignedFace(1, FACE.face, IMAGE[:224, :224], None, plain_quality(IMAGE, FACE.face))
    with pytest.raises(ValueError, match="anchor"):
        crop_corners(bare, clip(Framing.ANCHORED), 480, 360)
