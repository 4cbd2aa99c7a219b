"""Annotated pictures: patches of a crop land on the face that the crop shows."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from cli import overlay
from cli.overlay import Album, annotated
from stream.events import Frame
from stream.pipeline import Explanation
from styleflow.clips import ClipSpec, Framing
from styleflow.faces.face import Image, TrackedFace
from styleflow.faces.framing import framer, in_picture
from styleflow.overlay import Patch
from tests.support.faces import face_at

FACE = face_at(160.0, 120.0, 90.0)
BLACK: Image = np.zeros((240, 320, 3), np.uint8)
WITH_OVERLAY = pytest.mark.parametrize("framing", [Framing.CADDM, Framing.FAKESTORMER])


def said(framing: Framing, *patches: Patch, at: float = 0.0) -> Explanation:
    frame = Frame("a", 0, 0, at, at, BLACK)
    return Explanation(frame, FACE, 1, "toy", ClipSpec(4, 5.0, 224, framing), patches)


@WITH_OVERLAY
def test_a_patch_lies_where_its_part_of_the_crop_was_taken(framing: Framing) -> None:
    """A mark painted into the picture at a patch's place turns up in that patch of the crop."""
    clip = ClipSpec(4, 5.0, 224, framing)
    patch = Patch(0.5, 0.25, 0.75, 0.5, 1.0)
    (quad,) = in_picture([patch], clip, FACE, 320, 240)
    marked = cv2.fillPoly(BLACK.copy(), [np.rint(quad).astype(np.int32)], (255, 255, 255))
    done = framer(clip).align(np.asarray(marked, np.uint8), TrackedFace(1, FACE), 0.0, None)
    assert done is not None
    crop = done[0].image.mean(-1)
    inside = crop[56 + 6 : 112 - 6, 112 + 6 : 168 - 6]
    assert inside.min() > 200
    outside = crop.copy()
    outside[56 - 6 : 112 + 6, 112 - 6 : 168 + 6] = 0
    assert outside.max() < 50


def test_anchored_crops_have_no_place_without_their_track() -> None:
    with pytest.raises(ValueError, match="anchor"):
        in_picture([], ClipSpec(4, 5.0, 224), FACE, 320, 240)


@WITH_OVERLAY
def test_stronger_patches_are_redder(framing: Framing) -> None:
    weak, strong = (
        annotated(said(framing, Patch(0.3, 0.3, 0.7, 0.7, s)))[..., 0].mean() for s in (0.1, 1.0)
    )
    assert strong > weak > annotated(said(framing))[..., 0].mean()
    assert not BLACK.any()


def test_an_album_is_bounded_and_says_what_it_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(overlay, "MAX_PICTURES", 2)
    album = Album(tmp_path / "pictures")
    for number in range(3):
        album.add(said(Framing.CADDM, Patch(0.1, 0.1, 0.2, 0.2, 0.5), at=number / 5))
    assert (album.written, album.left_out) == (2, 1)
    names = sorted(path.name for path in (tmp_path / "pictures").iterdir())
    assert names == ["000-00000.000s-toy-face1.png", "000-00000.200s-toy-face1.png"]


def test_space_and_time_are_told_apart_by_colour() -> None:
    """A spatial patch is bluer than red, a temporal one and one without a kind the reverse."""
    reds = []
    for kind in ("spatial", "temporal", ""):
        patch = Patch(0.3, 0.3, 0.7, 0.7, 1.0, kind)
        drawn = annotated(said(Framing.CADDM, patch)).astype(int)
        reds.append(bool(drawn[..., 0].sum() > drawn[..., 2].sum()))
    assert reds == [False, True, True]
