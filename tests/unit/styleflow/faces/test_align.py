from pathlib import Path

import numpy as np
import pytest

from styleflow.errors import ShapeMismatch
from styleflow.faces.align import (
    TEMPLATE_PX,
    Aligner,
    Anchoring,
    AnchorSettings,
    apply,
    fit,
    is_alignable,
    leaves,
    measure_quality,
    mirrored_warp,
    template,
    warp,
    yaw_deg,
)
from styleflow.faces.face import Face, Image, TrackedFace
from tests.support.faces import face_at, points_at, textured_face

PARITY = Path("../shared/reference/styleflow/parity_align.npz")
STEP = 1 / 25

# FTCN's template for 256 px (SPEC A.3), to compare with recorded matrices.
FTCN = np.array(
    [
        [85.82991, 85.7792],
        [169.0532, 84.3381],
        [127.574, 137.0006],
        [90.6964, 174.7014],
        [167.3069, 173.3733],
    ]
)


def settled(points: np.ndarray, at: float = 0.0) -> Anchoring:
    anchoring = Anchoring.begin(at, points)
    for i in range(1, 10):
        anchoring = anchoring.advance(at + i * STEP, points)
    return anchoring


@pytest.mark.parametrize("size", [224, 256])
def test_the_closed_form_reproduces_recorded_clip_transforms(size: int) -> None:
    if not PARITY.exists():
        pytest.skip(f"{PARITY} is not here; it is not part of the repository")
    with np.load(PARITY) as recorded:
        mean = (recorded["lm5"] - recorded["left_top"]).mean(axis=0)
        got = fit(mean, FTCN * size / 256)
        assert np.abs(got - recorded[f"tfm_{size}"]).max() < 1e-8
        inside = recorded["lm68"][3] - recorded["left_top"]
        assert np.abs(apply(got, inside) - recorded[f"lm68_{size}"][3]).max() < 1e-6


def test_points_moved_by_a_similarity_come_back_to_the_template() -> None:
    rng = np.random.default_rng(3)
    for _ in range(50):
        x, y, side = rng.uniform(-500, 2000), rng.uniform(-500, 2000), rng.uniform(10, 900)
        points = points_at(x, y, side, roll_deg=rng.uniform(-180, 180))
        assert np.abs(apply(fit(points), points) - template()).max() < 1e-8


def test_the_template_scales_with_the_crop() -> None:
    assert np.allclose(template(128) * 2, template(256))
    assert (template() > 0).all()
    assert (template() < TEMPLATE_PX).all()


def test_the_fit_is_least_squares_in_the_picture() -> None:
    rng = np.random.default_rng(5)
    points = points_at(300, 200, 150, 12) + rng.normal(0, 4, (5, 2))
    s = template()
    rows = np.concatenate(
        [
            np.column_stack([s[:, 0], -s[:, 1], np.ones(5), np.zeros(5)]),
            np.column_stack([s[:, 1], s[:, 0], np.zeros(5), np.ones(5)]),
        ]
    )
    best, *_ = np.linalg.lstsq(rows, np.concatenate([points[:, 0], points[:, 1]]), rcond=None)
    inverse = np.linalg.inv(
        np.array([[best[0], -best[1], best[2]], [best[1], best[0], best[3]], [0, 0, 1]])
    )
    assert np.abs(fit(points) - inverse[:2]).max() < 1e-9


@pytest.mark.parametrize(
    "points",
    [
        np.full((5, 2), np.nan),
        np.full((5, 2), 7.0),
        np.array([[np.inf, 0.0]] * 5),
        np.zeros((4, 2)),
    ],
)
def test_points_that_name_no_transform_are_refused(points: np.ndarray) -> None:
    assert not is_alignable(points)
    with pytest.raises(ShapeMismatch):
        fit(points)


def test_the_anchor_settles_once_on_the_mean_of_the_first_frames() -> None:
    rng = np.random.default_rng(0)
    seen = [points_at(200, 200, 100) + rng.normal(0, 0.5, (5, 2)) for _ in range(12)]
    anchoring = Anchoring.begin(0.0, seen[0])
    moves = {}
    for i, points in enumerate(seen[1:], start=1):
        anchoring = anchoring.advance(i * STEP, points)
        if anchoring.moved is not None:
            moves[i] = anchoring.moved
    assert list(moves) == [7]
    assert np.allclose(moves[7], fit(np.mean(seen[:8], axis=0)))
    assert np.array_equal(anchoring.anchor, moves[7])


def test_jitter_never_moves_a_settled_anchor() -> None:
    rng = np.random.default_rng(1)
    anchoring = settled(points_at(320, 240, 120))
    anchor = anchoring.anchor
    for i in range(500):
        jitter = rng.normal(0, 3.0, (5, 2))  # far more than FaceMesh shows
        anchoring = anchoring.advance(1 + i * STEP, points_at(320, 240, 120) + jitter)
        assert anchoring.moved is None
        assert np.array_equal(anchoring.anchor, anchor)


@pytest.mark.parametrize(
    ("below", "above"),
    [
        (points_at(320 + 10.5, 240, 128), points_at(320 + 13.5, 240, 128)),
        (points_at(320, 240, 128 * 1.10), points_at(320, 240, 128 * 1.14)),
        (points_at(320, 240, 128 / 1.10), points_at(320, 240, 128 / 1.14)),
        (points_at(320, 240, 128, 9), points_at(320, 240, 128, 11)),
        (points_at(320, 240, 128, -9), points_at(320, 240, 128, -11)),
    ],
    ids=["shift", "larger", "smaller", "roll right", "roll left"],
)
def test_drift_moves_the_anchor_only_beyond_its_limit(below: np.ndarray, above: np.ndarray) -> None:
    # At 128 px a face is as large as the template, so limits are in the picture's own pixels.
    for points, expected in ((below, 0), (above, 1)):
        anchoring = settled(points_at(320, 240, 128))
        moves = 0
        for i in range(200):
            anchoring = anchoring.advance(1 + i * STEP, points)
            moves += anchoring.moved is not None
        assert moves == expected


def test_a_leap_is_followed_at_once() -> None:
    anchoring = settled(points_at(320, 240, 128)).advance(1.0, points_at(420, 240, 128))
    assert anchoring.moved is not None
    assert np.allclose(apply(anchoring.moved, points_at(420, 240, 128)), template())


def test_smoothing_is_in_media_time_not_in_frames() -> None:
    coarse = fine = settled(points_at(0, 0, 128))
    coarse = coarse.advance(fine.at + 0.5, points_at(8, 0, 128))
    for i in range(1, 11):
        fine = fine.advance(coarse.at - 0.5 + i * 0.05, points_at(8, 0, 128))
    assert np.allclose(coarse.smoothed, fine.smoothed)
    assert np.allclose(coarse.smoothed.mean(axis=0) - coarse.mean.mean(axis=0), [4.0, 0.0])


def test_where_the_anchor_moves_the_frame_comes_under_both_transforms(portrait: Image) -> None:
    aligner = Aligner(128)
    first = TrackedFace(1, face_at(224, 120, 100))
    done = aligner.align(portrait, first, 0.0, None)
    assert done is not None
    aligned, anchoring = done
    assert aligned.reanchored is None
    leap = TrackedFace(1, face_at(290, 160, 140))
    done = aligner.align(portrait, leap, 0.04, anchoring)
    assert done is not None
    moved, after = done
    assert moved.reanchored is not None
    assert np.array_equal(moved.image, warp(portrait, anchoring.anchor, 128))
    assert np.array_equal(moved.reanchored, warp(portrait, fit(leap.face.points), 128))
    done = aligner.align(portrait, leap, 0.08, after)
    assert done is not None
    assert done[0].reanchored is None
    assert np.array_equal(done[0].image, moved.reanchored)


def test_a_face_without_usable_points_is_not_aligned(portrait: Image) -> None:
    face = face_at(224, 120)
    broken = Face(face.box, np.full((5, 2), np.nan), 0.9)
    assert Aligner(128).align(portrait, TrackedFace(1, broken), 0.0, None) is None


def test_beyond_the_picture_the_crop_is_black() -> None:
    white = np.full((100, 100, 3), 255, np.uint8)
    crop = warp(white, fit(points_at(0, 50, 60)), 128)
    assert crop.shape == (128, 128, 3)
    assert (crop[:, :8] == 0).all()
    assert (crop[60:70, 100:110] == 255).all()
    assert not warp(white, fit(points_at(5000, 5000, 60)), 128).any()


EDGES = [(250, 180, 120), (10, 150, 120), (470, 350, 160), (240, 8, 90), (30, 200, 700)]


def picture() -> Image:
    """Return a picture in which no two places are alike."""
    return np.random.default_rng(5).integers(1, 255, (360, 480, 3), np.uint8)


@pytest.mark.parametrize(("x", "y", "side"), EDGES)
def test_mirroring_changes_nothing_inside_the_picture(x: int, y: int, side: int) -> None:
    image, anchor = picture(), fit(points_at(x, y, side))
    mirrored, black = mirrored_warp(image, anchor, 224), warp(image, anchor, 224)
    inside = warp(np.full_like(image, 255), anchor, 224) == 255  # nothing of the border in it
    np.testing.assert_array_equal(mirrored[inside], black[inside])
    assert leaves(anchor, image) == (not inside.all())


def test_beyond_the_picture_a_mirrored_crop_shows_the_picture_mirrored() -> None:
    image, anchor = picture(), np.array([[1.0, 0.0, 100.0], [0.0, 1.0, 40.0]])
    crop = mirrored_warp(image, anchor, 256)
    np.testing.assert_array_equal(crop[40:, 100:], image[:216, :156])
    np.testing.assert_array_equal(crop[40:, 99:0:-1], crop[40:, 101:200])
    np.testing.assert_array_equal(crop[39::-1, 100:], crop[41:81, 100:])


@pytest.mark.parametrize(("x", "y", "side"), EDGES)
def test_quality_is_measured_on_black_borders_however_the_crop_is_cut(
    x: int, y: int, side: int
) -> None:
    """Limits of blur and darkness were found so, and a mirrored half of a face is no face."""
    image, face = picture(), TrackedFace(1, face_at(x, y, side))
    black = Aligner(224).align(image, face, 0.0, None)
    mirrored = Aligner(224, cut=mirrored_warp).align(image, face, 0.0, None)
    assert black is not None
    assert mirrored is not None
    assert mirrored[0].quality == black[0].quality


@pytest.mark.parametrize("side", [12, 64, 300, 1500])
def test_faces_of_any_size_fill_the_template(side: int) -> None:
    """A mark drawn at each of the five points is found at the template's points."""
    centre = side * 1.5
    canvas = np.zeros((int(side * 3), int(side * 3), 3), np.uint8)
    points = points_at(centre, centre, side)
    radius = max(1, side // 24)
    for x, y in np.round(points).astype(int):
        canvas[y - radius : y + radius + 1, x - radius : x + radius + 1] = 255
    crop = warp(canvas, fit(points), 256).astype(float).mean(axis=2)
    for x, y in template():
        near = crop[int(y) - 24 : int(y) + 25, int(x) - 24 : int(x) + 25]
        rows, columns = np.indices(near.shape)
        middle = np.array([(columns * near).sum(), (rows * near).sum()]) / near.sum()
        tolerance = max(1.5, 0.6 * 128 / side)  # marks are rounded to whole pixels
        assert np.abs(middle - (24 + np.array([x, y]) - np.floor([x, y]))).max() < tolerance


def test_strong_reduction_averages_instead_of_skipping() -> None:
    stripes = np.zeros((1200, 1200, 3), np.uint8)
    stripes[:, ::2] = 255
    crop = warp(stripes, fit(points_at(600, 600, 600)), 64)
    assert np.abs(crop[16:48, 16:48].astype(float) - 127.5).max() < 16


def test_quality_tells_blur_dark_and_size() -> None:
    face = face_at(64, 64, 77)
    sharp = textured_face(128, person=1)
    flat = np.full((128, 128, 3), 40, np.uint8)
    good, bad = measure_quality(sharp, face), measure_quality(flat, face)
    assert good.sharpness > 50 > bad.sharpness
    assert bad.brightness == pytest.approx(40, abs=1)
    assert good.face_px == pytest.approx(77)


def test_yaw_is_zero_in_front_and_signed_to_either_side() -> None:
    front = points_at(100, 100, 128)
    right, left = front.copy(), front.copy()
    right[2, 0] += 20
    left[2, 0] -= 20
    assert yaw_deg(front) == pytest.approx(0, abs=1e-9)
    assert yaw_deg(right) == pytest.approx(-yaw_deg(left))
    assert 20 < yaw_deg(right) < 45
    turned = points_at(100, 100, 128, roll_deg=30)
    assert yaw_deg(turned) == pytest.approx(0, abs=1e-9)


def test_settings_are_in_force() -> None:
    tight = AnchorSettings(max_shift_px=2.0)
    anchoring = settled(points_at(320, 240, 128))
    for i in range(100):
        anchoring = anchoring.advance(1 + i * STEP, points_at(323, 240, 128), tight)
        if anchoring.moved is not None:
            break
    else:
        pytest.fail("the anchor never moved")
