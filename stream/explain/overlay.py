"""Explanations: regions of a face that stand out to a detector, and their painting.

They are for people who ask where a score comes from; nothing here enters a score. A device knows
the newest crop of a track, so whoever makes an `Explanation` vouches that its regions belong to the
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

MAX_REGIONS = 96
"""Regions shown in one picture, the strongest; more would hide the face, and fill a header."""

_COLOURS = {"": (230, 60, 60), "temporal": (230, 60, 60), "spatial": (70, 110, 240)}
_HALO = (255, 255, 255)
_MOST_OPAQUE = 0.45


@dataclass(frozen=True, slots=True, eq=False)
class Explanation:
    """One detector's explanation of one face in one frame.

    Attributes:
        frame: the picture.
        face: where the face is in it.
        track: whose face it is.
        detector: name of the model.
        corners: where the crop that the detector saw lies in the picture, clockwise from the
            crop's top left, `(4, 2)` px.
        regions: parts of the crop that stand out; empty when nothing does.
    """

    frame: Frame
    face: Face
    track: int
    detector: str
    corners: Points
    regions: tuple[Patch, ...]


def strongest(
    found: Sequence[tuple[Patch, ...]], most: int = MAX_REGIONS
) -> tuple[list[tuple[Patch, ...]], int]:
    """Return the strongest regions of several faces, in their order, and how many were left out."""
    strengths = sorted((region.strength for regions in found for region in regions), reverse=True)
    if len(strengths) <= most:
        return list(found), 0
    least = strengths[most - 1]
    room = most - sum(strength > least for strength in strengths)  # for those as strong as the last
    kept: list[tuple[Patch, ...]] = []
    for regions in found:
        chosen = []
        for region in regions:
            tie = region.strength == least
            if region.strength > least or (tie and room > 0):
                chosen.append(region)
                room -= tie
        kept.append(tuple(chosen))
    return kept, len(strengths) - most


def paint(image: Image, corners: Points, regions: Sequence[Patch]) -> Image:
    """Return a picture with regions of one crop in it, stronger ones more opaque.

    Each has a light and a coloured line around it, so that it shows on any skin and without
    telling colours apart: blue for what stands out in the frame itself, red for what changes over
    time and for everything else. Nothing is painted outside the crop.

    Args:
        image: `(H, W, 3)` RGB uint8; left as it is.
        corners: where the crop lies in it, `(4, 2)` px.
        regions: of the crop.
    """
    if not regions:
        return image
    drawn = np.array(image)
    quads = np.rint(in_picture(regions, corners)).astype(np.int32)
    for region, quad in zip(regions, quads, strict=True):
        layer = cv2.fillPoly(drawn.copy(), [quad], _COLOURS[region.kind])
        weight = _MOST_OPAQUE * region.strength
        drawn = np.asarray(cv2.addWeighted(layer, weight, drawn, 1 - weight, 0), np.uint8)
    for quad in quads:
        cv2.polylines(drawn, [quad], isClosed=True, color=_HALO, thickness=3)
    for region, quad in zip(regions, quads, strict=True):
        cv2.polylines(drawn, [quad], isClosed=True, color=_COLOURS[region.kind])
    inside = np.zeros(image.shape[:2], np.uint8)
    cv2.fillPoly(inside, [np.rint(corners).astype(np.int32)], 1)
    return np.where(inside[..., None] > 0, drawn, image)
