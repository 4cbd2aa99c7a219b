"""Face finder: detector and mesh together, for detection and for following known faces."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Protocol

import numpy as np

from styleflow.faces.device_picture import Pixels
from styleflow.faces.face import Box, Face, FaceDetector, FaceRequest
from styleflow.faces.mesh import FaceMesh
from styleflow.faces.networks import INPUT_PX
from styleflow.faces.sight import Sight

_SAME_FACE = 0.6  # two meshes that overlap more than this lie on one face
_ON_FACE = 0.6  # a detection that overlaps a known face more than this lies where it was (99 % of
# faces that have not moved: 0.7; one that moved by a sixth of its side: 0.55)
_OVERLOOKED = 0.3  # a known face that overlaps none more than this was not found; no two detections
# overlap more either, so one that does is the same face, moved
_FADE = 0.7  # confidence of a known face, each time that the detector overlooks it
_GONE = 0.2  # below it an overlooked face is dropped


class TilingDetector(FaceDetector, Protocol):
    """A face detector that can search parts closely, and many pictures at once."""

    def detect_all(self, pictures: Sequence[tuple[Pixels, int]]) -> list[tuple[Face, ...]]:
        """Return the faces in each picture, most confident first; each comes with its `tiles`."""
        ...

    def smallest_px(self, image: Pixels, tiles: int = 0) -> float:
        """Return the side of the smallest faces that a detection would find in this picture."""
        ...


class FaceFinder:
    """Find faces with their five points, and follow them cheaply between detections.

    Args:
        detector: searches the whole picture.
        mesh: places the landmarks.
        min_presence: a face in which the mesh believes less than this is none, in [0, 1].

    Attributes:
        laid: faces so far that the mesh was laid over.
        reused: faces so far that kept their landmarks because nothing moved.
    """

    def __init__(self, detector: TilingDetector, mesh: FaceMesh, min_presence: float = 0.5) -> None:
        self.detector = detector
        self.mesh = mesh
        self.min_presence = min_presence
        self.laid = 0
        self.reused = 0

    def warm_up(self) -> None:
        """Run both networks once, so that the first frame is not late for what compiles them."""
        blank = np.zeros((INPUT_PX, INPUT_PX, 3), np.uint8)
        self.detector.detect_all([(blank, 0)])
        middle, corner = np.full((5, 2), INPUT_PX / 2), float(INPUT_PX)
        self.mesh.refine(blank, [Face(Box(0.0, 0.0, corner, corner), middle, 1.0)])

    def find(self, image: Pixels, tiles: int = 0, known: Sequence[Face] = ()) -> tuple[Face, ...]:
        """Return the faces in a picture, detected ones first, with landmarks.

        Args:
            image: `(H, W, 3)` RGB uint8.
            tiles: how closely to search for small faces, see `BlazeFace.detect`.
            known: faces of the previous frame. Where a detection falls on one of them, the mesh
                starts from its landmarks, so that points do not jump when the detector runs. A
                known face that the detector overlooks, as it may a profile, is kept while the
                mesh believes in it; its confidence fades with each time, and finally it is gone.
                One that is too small for this detection does not fade.
        """
        return self.find_all([FaceRequest(image, tuple(known), detect=True, tiles=tiles)])[0]

    def follow(self, image: Pixels, faces: Sequence[Face]) -> tuple[Face, ...]:
        """Return where the faces of the previous frame are now; those that vanished are left out.

        Runs the mesh alone, all faces in one pass; a face in which nothing moved keeps its
        landmarks without it, see `Sight`.
        """
        return self.find_all([FaceRequest(image, tuple(faces))])[0]

    def find_all(self, requests: Sequence[FaceRequest]) -> list[tuple[Face, ...]]:
        """Return the faces that each request asks for, as `find` or `follow` would.

        Two network calls for all.
        """
        searched = [(each.image, each.tiles) for each in requests if each.detect]
        detected = iter(self.detector.detect_all(searched))
        wanted, still = [], []
        for each in requests:
            faces = self._starts(each, next(detected)) if each.detect else each.known
            kept = () if each.detect else tuple(_still(each.image, face) for face in faces)
            still.append(kept)
            moved = [f for f, k in zip(faces, kept, strict=True) if k is None] if kept else faces
            wanted.append((each.image, moved))
        refined = self.mesh.refine_all(wanted)
        self.laid += sum(len(faces) for _, faces in wanted)
        self.reused += sum(face is not None for kept in still for face in kept)
        return [
            self._kept(each.image, faces, kept)
            for each, faces, kept in zip(requests, refined, still, strict=True)
        ]

    def _starts(self, request: FaceRequest, detected: Sequence[Face]) -> list[Face]:
        """Return where the mesh shall be laid: over detected faces, and over overlooked ones."""
        faces = [_start(face, request.known) for face in detected]
        smallest = self.detector.smallest_px(request.image, request.tiles)
        overlooked = (
            k for k in request.known if all(k.box.iou(f.box) <= _OVERLOOKED for f in faces)
        )
        fading = [_faded(f) if f.box.side >= smallest else f for f in overlooked]
        return faces + [f for f in fading if f.confidence >= _GONE]

    def _kept(
        self,
        image: Pixels,
        refined: Sequence[tuple[Face, float]],
        still: Sequence[Face | None],
    ) -> tuple[Face, ...]:
        """Return the faces that are there, in the order in which they were asked for.

        Args:
            image: the picture.
            refined: those that the mesh was laid over, and how sure it is of each.
            still: for each that was asked for, itself where nothing moved; empty where all moved.
        """
        height, width = image.shape[:2]
        laid = (_seen(image, f) if sure >= self.min_presence else None for f, sure in refined)
        faces = (next(laid) if face is None else face for face in still) if still else laid
        found = (face for face in faces if face is not None)
        return _distinct(face for face in found if _is_inside(face, width, height))


def _still(image: Pixels, face: Face) -> Face | None:
    """Return a known face as it is in a picture in which nothing of it moved, else None."""
    sight = None if face.sight is None or face.mesh is None else face.sight.again(image)
    return None if sight is None else replace(face, sight=sight)


def _seen(image: Pixels, face: Face) -> Face:
    """Return a face whose landmarks were just laid, with what they were laid over."""
    box = face.box
    return replace(face, sight=Sight.of(image, (box.x0, box.y0, box.x1, box.y1)))


def _start(face: Face, known: Sequence[Face]) -> Face:
    best = max(known, key=lambda k: k.box.iou(face.box), default=None)
    if best is None or best.mesh is None or best.box.iou(face.box) < _ON_FACE:
        return face
    return Face(best.box, best.points, face.confidence, best.mesh)


def _faded(face: Face) -> Face:
    return Face(face.box, face.points, face.confidence * _FADE, face.mesh)


def _is_inside(face: Face, width: int, height: int) -> bool:
    x, y = face.box.centre
    return bool(np.isfinite(face.points).all()) and 0 <= x < width and 0 <= y < height


def _distinct(faces: Iterable[Face]) -> tuple[Face, ...]:
    """Keep the first of several meshes that slid onto one face."""
    kept: list[Face] = []
    for face in faces:
        if all(face.box.iou(other.box) <= _SAME_FACE for other in kept):
            kept.append(face)
    return tuple(kept)
