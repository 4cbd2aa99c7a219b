"""Annotated pictures: patches of a crop land on the face that the crop shows."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from cli import overlay
from cli.errors import problem_of
from cli.overlay import Album, annotated
from stream.events import Frame
from stream.explain.overlay import Explanation
from styleflow.clips import ClipSpec, Framing
from styleflow.faces.crops.framing import crop_corners, framer
from styleflow.faces.face import AlignedFace, Image, TrackedFace
from styleflow.overlay import Patch
from tests.support.faces import face_at

FACE = face_at(160.0, 120.0, 90.0)
BLACK: Image = np.zeros((240, 320, 3), np.uint8)
WITH_OVERLAY = pytest.mark.parametrize(
    "framing", [Framing.ANCHORED, Framing.CADDM, Framing.FAKESTORMER]
)


def said(framing: Framing, *patches: Patch, at: float = 0.0) -> Explanation:
    clip = ClipSpec(4, 5.0, 224, framing)
    corners = crop_corners(aligned(clip), clip, 320, 240)
    return Explanation(Frame("a", 0, 0, at, at, BLACK), FACE, 1, "toy", corners, patches)


def aligned(clip: ClipSpec) -> AlignedFace:
    done = framer(clip).align(BLACK, TrackedFace(1, FACE), 0.0, None)
    assert done is not None
    return done[0]


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


def test_a_picture_that_cannot_be_encoded_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(overlay.cv2, "imencode", lambda *_: (False, None))
    with pytest.raises(OSError, match="cannot be encoded") as caught:
        Album(tmp_path).add(said(Framing.CADDM, Patch(0.1, 0.1, 0.2, 0.2, 0.5)))
    problem = problem_of(caught.value)
    assert problem.code == "file_unusable"
    assert "toy-face1.png" in problem.detail


def test_space_and_time_are_told_apart_by_colour() -> None:
    """A spatial patch is bluer than red, a temporal one and one without a kind the reverse."""
    reds = []
    for kind in ("spatial", "temporal", ""):
        patch = Patch(0.3, 0.3, 0.7, 0.7, 1.0, kind)
        drawn = annotated(said(Framing.CADDM, patch)).astype(int)
        reds.append(bool(drawn[..., 0].sum() > drawn[..., 2].sum()))
    assert reds == [False, True, True]
