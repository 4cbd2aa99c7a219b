"""Pictures: kept only for who looks, never more than one per stream, always of what was rated."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import cv2
import numpy as np
import pytest

from stream.errors import OverlaysBusy
from stream.events import Frame
from stream.explain.overlay import Explanation, paint, strongest
from stream.explain.pictures import Pictures, PictureSettings
from stream.explain.stills import WIDTHS, encode_jpeg, step_for
from styleflow.faces.face import Box, Face
from styleflow.overlay import Patch
from tests.support.wire import score

BOX = Box(10, 20, 50, 60)


def frame(slot: int, *, epoch: int = 1, width: int = 64, stream: str = "lobby") -> Frame:
    image = np.full((48, width, 3), (200, 30, 60), dtype=np.uint8)
    return Frame(stream, epoch, slot, slot * 0.04, 100.0, image)


def rated(at: Frame, track: int = 1):  # type: ignore[no-untyped-def]
    return score(at.stream, track, epoch=at.epoch, end=at.at)


def offer(pictures: Pictures, slot: int, now: float, *, rate: bool = True, epoch: int = 1) -> bool:
    shown = frame(slot, epoch=epoch)
    return pictures.offer(shown, [(1, BOX)], [rated(shown)] if rate else [], now)


def test_nothing_is_kept_of_a_stream_that_nobody_watches() -> None:
    pictures = Pictures()
    assert not offer(pictures, 1, 10.0)
    assert pictures.still("lobby", 320) is None


def test_watching_ends_when_nobody_asks_again() -> None:
    pictures = Pictures()
    pictures.watch("lobby", 10.0)
    assert offer(pictures, 1, 10.1)
    pictures.prune(10.0 + pictures.settings.patience_s - 0.1)
    assert pictures.still("lobby", 320) is not None
    pictures.prune(10.0 + pictures.settings.patience_s + 0.1)
    assert pictures.still("lobby", 320) is None
    assert not pictures.watched("lobby")


def test_box_and_score_are_of_the_frame_that_is_shown() -> None:
    """A score of another frame, such as one that was already on its way, is not attached."""
    pictures = Pictures()
    pictures.watch("lobby", 10.0)
    shown = frame(9)
    late = score(epoch=1, end=frame(8).at, track=2)
    pictures.offer(shown, [(1, BOX), (2, BOX)], [rated(shown), late], 10.0)
    still = pictures.still("lobby", 320)
    assert still is not None
    assert (still.epoch, still.slot, still.at) == (1, 9, shown.at)
    assert [len(face.scores) for face in still.faces] == [1, 0]


def test_a_rated_picture_gives_way_to_rated_ones_at_a_modest_rate() -> None:
    pictures = Pictures()
    pictures.watch("lobby", 10.0)
    kept = [slot for slot in range(100) if offer(pictures, slot, 10.0 + slot * 0.01)]
    assert len(kept) == 5
    assert min(b - a for a, b in pairwise(kept)) * 0.01 >= 0.21


def test_an_unrated_frame_is_shown_only_when_the_rated_one_is_old() -> None:
    pictures = Pictures()
    pictures.watch("lobby", 10.0)
    assert offer(pictures, 1, 10.0)
    assert not offer(pictures, 2, 10.3, rate=False)
    assert offer(pictures, 3, 10.7, rate=False)
    assert offer(pictures, 4, 11.0, rate=False)


def test_a_new_epoch_is_shown_at_once() -> None:
    pictures = Pictures()
    pictures.watch("lobby", 10.0)
    offer(pictures, 1, 10.0)
    assert offer(pictures, 0, 10.01, rate=False, epoch=2)


def test_a_picture_is_made_once_for_all_who_look() -> None:
    pictures = Pictures()
    pictures.watch("lobby", 10.0)
    offer(pictures, 1, 10.0)
    assert pictures.ready("lobby", 300) is None
    first = pictures.still("lobby", 300)
    assert pictures.still("lobby", 320) is first
    assert pictures.ready("lobby", 310) is first
    pictures.still("lobby", 100)
    assert pictures.encoded == 2


@pytest.mark.parametrize(("asked", "made"), [(1, 160), (160, 160), (161, 320), (9999, 1280)])
def test_widths_come_in_steps(asked: int, made: int) -> None:
    assert step_for(asked) == made
    assert made in WIDTHS


def test_jpeg_keeps_shape_and_colour_and_never_enlarges() -> None:
    wide = encode_jpeg(frame(1, width=640).image, 320, 90)
    small = encode_jpeg(frame(1, width=64).image, 320, 90)
    back = cv2.imdecode(np.frombuffer(wide, np.uint8), cv2.IMREAD_COLOR_RGB)
    assert back.shape == (24, 320, 3)
    assert np.abs(back.mean(axis=(0, 1)) - (200, 30, 60)).max() < 4
    assert cv2.imdecode(np.frombuffer(small, np.uint8), cv2.IMREAD_COLOR).shape == (48, 64, 3)


def test_a_removed_stream_leaves_nothing() -> None:
    pictures = Pictures()
    pictures.watch("lobby", 10.0)
    offer(pictures, 1, 10.0)
    pictures.forget("lobby")
    assert not pictures.watched("lobby")
    assert pictures.still("lobby", 320) is None


def test_every_detector_that_rated_the_frame_has_its_say() -> None:
    pictures = Pictures()
    pictures.watch("lobby", 10.0)
    shown = frame(9)
    both = [rated(shown), replace(rated(shown), detector="ensemble")]
    pictures.offer(shown, [(1, BOX)], both, 10.0)
    still = pictures.still("lobby", 320)
    assert still is not None
    assert [score.detector for score in still.faces[0].scores] == ["styleflow-live", "ensemble"]


# --- what a detector points at -------------------------------------------------------------------

CROP = np.array([[8.0, 8.0], [56.0, 8.0], [56.0, 40.0], [8.0, 40.0]])
PATCH = Patch(0.25, 0.25, 0.75, 0.75, 0.8)
CADDM = "caddm-resnet34"


def explanation(shown: Frame, *patches: Patch) -> Explanation:
    return Explanation(shown, Face(BOX, np.zeros((5, 2)), 0.9), 1, CADDM, CROP, patches)


def explain(pictures: Pictures, slot: int, now: float, *patches: Patch, known: bool = True) -> bool:
    shown = frame(slot)
    found = [explanation(shown, *patches)] if known else None
    return pictures.offer_explained(shown, [(1, BOX)], [rated(shown)], now, CADDM, found)


def test_nobody_is_asked_what_nobody_looks_at() -> None:
    pictures = Pictures()
    pictures.watch("lobby", 10.0)
    assert pictures.due("lobby", 10.0) == ()
    assert not explain(pictures, 1, 10.0, PATCH)
    pictures.watch("lobby", 10.0, CADDM)
    assert pictures.due("lobby", 10.0) == (CADDM,)
    assert pictures.due("door", 10.0) == ()


def test_a_view_is_explained_at_a_modest_rate_and_ends_with_its_last_viewer() -> None:
    pictures = Pictures()
    pictures.watch("lobby", 10.0, CADDM)
    asked = 0
    for slot in range(100):
        now = 10.0 + slot * 0.02
        if pictures.due("lobby", now):
            asked += 1
            assert explain(pictures, slot, now, PATCH)
    assert asked == pictures.explained == 6
    pictures.prune(10.0 + pictures.settings.patience_s + 0.1)
    assert pictures.due("lobby", 20.0) == pictures.overlays("lobby") == ()
    assert pictures.still("lobby", 320, CADDM) is None


def test_plain_and_explained_pictures_do_not_mix() -> None:
    """Each view has frames of its own, and tags that tell them apart."""
    pictures = Pictures()
    pictures.watch("lobby", 10.0)
    pictures.watch("lobby", 10.0, CADDM)
    offer(pictures, 5, 10.0)
    explain(pictures, 5, 10.0, PATCH)
    stills = [
        pictures.still("lobby", 320),
        pictures.still("lobby", 320, CADDM),
        pictures.still("lobby", 320, CADDM, drawn=True),
    ]
    assert [s.tag for s in stills if s] == ["1.5.320", f"1.5.320.{CADDM}", f"1.5.320.{CADDM}.drawn"]
    assert stills[0] is not None
    assert stills[0].overlay is None
    assert stills[1] is not None
    assert stills[1].overlay is not None
    ((face,), left_out) = stills[1].overlay.faces, stills[1].overlay.left_out
    assert (face.track, face.regions, left_out) == (1, (PATCH,), 0)
    assert stills[0].jpeg == stills[1].jpeg != getattr(stills[2], "jpeg", None)


def test_a_frame_that_was_not_rated_is_shown_without_patches_and_only_when_the_last_is_old() -> (
    None
):
    pictures = Pictures()
    pictures.watch("lobby", 10.0, CADDM)
    assert explain(pictures, 1, 10.0, known=False)
    assert explain(pictures, 2, 10.01, PATCH)
    assert not explain(pictures, 3, 12.9, known=False)
    assert explain(pictures, 4, 13.1, known=False)
    still = pictures.still("lobby", 320, CADDM)
    assert still is not None
    assert still.overlay is not None
    assert (still.slot, still.overlay.explained, still.overlay.faces) == (4, False, ())
    assert pictures.due("lobby", 13.1) == (CADDM,)


def test_views_are_few_and_one_too_many_is_told_so() -> None:
    pictures = Pictures(PictureSettings(overlays=2))
    for stream in ("a", "b", "a"):
        pictures.watch(stream, 10.0, CADDM)
    with pytest.raises(OverlaysBusy, match="2 views"):
        pictures.watch("c", 10.0, CADDM)
    pictures.watch("c", 10.0)
    assert pictures.refused == 1
    pictures.forget("a")
    pictures.watch("c", 10.0, CADDM)


def test_the_strongest_patches_are_shown_and_the_others_counted() -> None:
    faces = [tuple(Patch(0, 0, 1, 1, n / 100) for n in ns) for ns in ((1, 5, 3), (4, 4, 2))]
    kept, left_out = strongest(faces, most=2)
    assert [[p.strength for p in patches] for patches in kept] == [[0.05], [0.04]]
    assert left_out == 4
    assert strongest(faces) == (faces, 0)


def test_paint_stays_within_the_crop_and_shows_without_colour() -> None:
    """A patch that reaches beyond its crop is cut off there."""
    image = np.full((48, 64, 3), 90, np.uint8)
    drawn = paint(image, CROP, [Patch(0.5, 0.5, 1.5, 1.5, 1.0)])
    changed = np.flatnonzero((drawn != image).any(axis=(1, 2)))
    assert changed.min() >= 22
    assert changed.max() <= 40
    columns = np.flatnonzero((drawn != image).any(axis=(0, 2)))
    assert columns.max() <= 56
    grey = cv2.cvtColor(drawn, cv2.COLOR_RGB2GRAY)
    assert grey.max() > 200  # a light line beside the dark one
    assert (image == 90).all()
    assert paint(image, CROP, []) is image
