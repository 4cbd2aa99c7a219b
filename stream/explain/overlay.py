"""What detectors point at in a picture: the values, and how they are painted into it.

It is for people who ask where a score comes from; nothing here enters a score. A device knows the
newest crop of a track, so whoever makes an `Explanation` vouches that its patches belong to the
very frame that it carries.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from stream.events import Frame
from styleflow.faces.crops.framing import in_picture
from styleflow.faces.face import Face, Image, Points
from styleflow.overlay import Patch

MAX_PATCHES = 96
"""Patches shown in one picture, the strongest; more would hide the face, and fill a header."""

_COLOURS = {"": (230, 60, 60), "temporal": (230, 60, 60), "spatial": (70, 110, 240)}
_HALO = (255, 255, 255)
_MOST_OPAQUE = 0.45


@dataclass(frozen=True, slots=True, eq=False)
class Explanation:
    """What one detector points at in one face of one frame.

    Attributes:
        frame: the picture.
        face: where the face is in it.
        track: whose face it is.
        detector: name of the model.
        corners: where the crop that the detector saw lies in the picture, clockwise from the
            crop's top left, `(4, 2)` px.
        patches: parts of the crop that stand out; empty when nothing does.
    """

    frame: Frame
    face: Face
    track: int
    detector: str
    corners: Points
    patches: tuple[Patch, ...]


def strongest(
    found: Sequence[tuple[Patch, ...]], most: int = MAX_PATCHES
) -> tuple[list[tuple[Patch, ...]], int]:
    """Return the strongest patches of several faces, in their order, and how many were left out."""
    strengths = sorted((patch.strength for patches in found for patch in patches), reverse=True)
    if len(strengths) <= most:
        return list(found), 0
    least = strengths[most - 1]
    room = most - sum(strength > least for strength in strengths)  # for those as strong as the last
    kept: list[tuple[Patch, ...]] = []
    for patches in found:
        chosen = []
        for patch in patches:
            tie = patch.strength == least
            if patch.strength > least or (tie and room > 0):
                chosen.append(patch)
                room -= tie
        kept.append(tuple(chosen))
    return kept, len(strengths) - most


def paint(image: Image, corners: Points, patches: Sequence[Patch]) -> Image:
    """Return a picture with patches of one crop in it, stronger ones more opaque.

    Each has a light and a coloured line around it, so that it shows on any skin and without
    telling colours apart: blue for what stands out in the frame itself, red for what changes over
    time and for everything else. Nothing is painted outside the crop.

    Args:
        image: `(H, W, 3)` RGB uint8; left as it is.
        corners: where the crop lies in it, `(4, 2)` px.
        patches: of the crop.
    """
    if not patches:
        return image
    drawn = np.array(image)
    quads = np.rint(in_picture(patches, corners)).astype(np.int32)
    for patch, quad in zip(patches, quads, strict=True):
        layer = cv2.fillPoly(drawn.copy(), [quad], _COLOURS[patch.kind])
        weight = _MOST_OPAQUE * patch.strength
        drawn = np.asarray(cv2.addWeighted(layer, weight, drawn, 1 - weight, 0), np.uint8)
    for quad in quads:
        cv2.polylines(drawn, [quad], isClosed=True, color=_HALO, thickness=3)
    for patch, quad in zip(patches, quads, strict=True):
        cv2.polylines(drawn, [quad], isClosed=True, color=_COLOURS[patch.kind])
    inside = np.zeros(image.shape[:2], np.uint8)
    cv2.fillPoly(inside, [np.rint(corners).astype(np.int32)], 1)
    return np.where(inside[..., None] > 0, drawn, image)
