"""The demo's portrait, posed: turned, looking up, covered, near, or lit by a screen.

The head is given a depth, so that turning it hides one cheek behind the nose as it does in life: an
ellipsoid with a nose on it, of the proportions of a grown-up. Everything is drawn, nobody poses.
"""

from __future__ import annotations

import math
from functools import cache

import cv2
import numpy as np
from numpy.typing import NDArray
from skimage import data

from styleflow.faces.face import Image

SIZE = (640, 480)
_SCALE = 2.0  # picture pixels per portrait pixel
_MIDDLE = (224.0, 122.0)  # of the head in the portrait
_RADII = (62.0, 88.0, 72.0)  # of the head: across, down, towards the camera
_NOSE = (222.0, 127.0)
_NOSE_OUT = 15.0
_MOUTH = (222.5, 146.0)
_OVER = 3  # samples per portrait pixel and side


@cache
def _depth() -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64], Image]:
    """Return x, y, z from the head's middle, and colours, of every sample of the head."""
    height, width = 2 * _RADII[1], 2 * _RADII[0]
    n, m = round(height * _OVER), round(width * _OVER)
    y, x = np.meshgrid(
        np.linspace(-_RADII[1], _RADII[1], n), np.linspace(-_RADII[0], _RADII[0], m), indexing="ij"
    )
    inside = 1 - (x / _RADII[0]) ** 2 - (y / _RADII[1]) ** 2
    keep = inside > 0.02
    z = _RADII[2] * np.sqrt(np.clip(inside, 0, None))
    px, py = x + _MIDDLE[0], y + _MIDDLE[1]
    z += _NOSE_OUT * np.exp(-0.5 * (((px - _NOSE[0]) / 8) ** 2 + ((py - _NOSE[1]) / 12) ** 2))
    colours = cv2.remap(
        data.astronaut(), px.astype(np.float32), py.astype(np.float32), cv2.INTER_LINEAR
    )
    return x[keep], y[keep], z[keep], colours[keep]


def _mapped(
    x: NDArray[np.float64], y: NDArray[np.float64], near: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return picture pixels of places around the head's middle, enlarged about it."""
    scale = _SCALE * near
    return x * scale + SIZE[0] / 2, y * scale + SIZE[1] * 0.5


def portrait(near: float = 1.0) -> Image:
    """Return the still picture, the head in its middle, `near` times as large as usual."""
    scale = _SCALE * near
    place = np.array(
        [
            [scale, 0, SIZE[0] / 2 - _MIDDLE[0] * scale],
            [0, scale, SIZE[1] * 0.5 - _MIDDLE[1] * scale],
        ]
    )
    border = cv2.BORDER_REPLICATE
    return np.asarray(cv2.warpAffine(data.astronaut(), place, SIZE, borderMode=border), np.uint8)


def posed(turn: float = 0.0, tilt: float = 0.0, near: float = 1.0) -> Image:
    """Return the picture with the head turned to the picture's right and up, in degrees."""
    picture = portrait(near)
    if not turn and not tilt:
        return picture
    x, y, z, colours = _depth()
    a, b = math.radians(turn), math.radians(tilt)
    u = x * math.cos(a) + z * math.sin(a)
    w = z * math.cos(a) - x * math.sin(a)
    v, w = y * math.cos(b) - w * math.sin(b), w * math.cos(b) + y * math.sin(b)
    u, v = _mapped(u, v, near)
    order = np.argsort(w)
    columns, rows = np.rint(u[order]).astype(int), np.rint(v[order]).astype(int)
    seen = (columns >= 0) & (columns < SIZE[0]) & (rows >= 0) & (rows < SIZE[1])
    made = np.zeros_like(picture)
    drawn = np.zeros(picture.shape[:2], np.uint8)
    made[rows[seen], columns[seen]] = colours[order][seen]  # what is nearer is drawn last
    drawn[rows[seen], columns[seen]] = 1
    whole = cv2.morphologyEx(drawn, cv2.MORPH_CLOSE, np.ones((7, 7), np.uint8))
    holes = cv2.subtract(whole, drawn)
    made = np.asarray(cv2.inpaint(made, holes, 2, cv2.INPAINT_TELEA), np.uint8)
    share = cv2.GaussianBlur(whole.astype(np.float32), (0, 0), 1.5)[..., None]
    return np.asarray(np.rint(picture + (made.astype(np.float32) - picture) * share), np.uint8)


def covered(picture: Image, share: float = 1.0, seed: int = 0) -> Image:
    """Return a picture of a frontal head with a hand over the lower half of the face.

    Args:
        picture: from `portrait`.
        share: how far the hand has come up, 0..1.
        seed: of the hand's skin.
    """
    hand = picture.copy()
    x, y = _mapped(np.array(_MOUTH[0] - _MIDDLE[0]), np.array(_MOUTH[1] - _MIDDLE[1]), 1.0)
    top = float(y) - 34 + (1 - share) * 220
    skin = np.array((196, 148, 122))
    rng = np.random.default_rng(seed)
    for finger in range(4):
        level = round(top + 30 * finger)
        colour = tuple(int(c) for c in skin - 6 * finger + rng.integers(-4, 5, 3))
        start, end = (round(float(x)) - 150, level + 26), (round(float(x)) + 96, level)
        cv2.line(hand, start, end, (120, 84, 66), 36, cv2.LINE_AA)
        cv2.line(hand, start, end, colour, 31, cv2.LINE_AA)
    noise = rng.normal(0, 2.5, picture.shape)
    return np.asarray(np.clip(hand + noise, 0, 255), np.uint8)


def lit(picture: Image, colour: tuple[float, float, float], strength: float) -> Image:
    """Return a picture whose head, and a little of the rest, is lit by a screen of a colour.

    Args:
        picture: what to light.
        colour: of the screen, red, green and blue, 0..1.
        strength: how much light the screen adds to what there is, as a share.
    """
    y, x = np.mgrid[: picture.shape[0], : picture.shape[1]]
    far = np.hypot((x - SIZE[0] / 2) / 150.0, (y - SIZE[1] / 2) / 200.0)
    reach = np.clip(1.4 - far, 0.15, 1.0)[..., None]
    gain = 1 + strength * reach * np.array(colour)
    return np.asarray(np.clip(picture * gain, 0, 255), np.uint8)
