"""The tools of pseudo-fakes: regions of a face, warps between landmarks, looks, and blending.

Everything here is a function of pictures, landmarks and an explicit generator. What is fake about
a pseudo-fake, and for how long, is decided in `pseudo_fakes.py`.

Regions are found by where landmarks lie along the face: `v` runs from the middle between the eyes
(0) to the middle of the mouth (1), `u` across it in units of the distance between the eyes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

from styleflow.faces.face import Image
from styleflow.faces.mesh import five_points

Landmarks = NDArray[np.float32]
"""FaceMesh landmarks in image pixels, `(468, 2)`."""

Mask = NDArray[np.float32]
"""How much of each pixel is replaced, `(H, W)` in [0, 1]."""

Option = TypeVar("Option")

REGIONS = ("face", "inner", "lower", "mouth", "upper")

_CONTROL_STEP = 6  # every sixth landmark carries a warp: 78 points describe a face well enough
_GRID = 32  # warps are smooth, so they are computed on a grid of this side and enlarged
_STIFFNESS = 1e-3  # keeps a warp from following every landmark's noise
_INTERPOLATIONS = (cv2.INTER_LINEAR, cv2.INTER_CUBIC, cv2.INTER_AREA, cv2.INTER_LANCZOS4)


def region(mesh: Landmarks, name: str) -> NDArray[np.int64]:
    """Return the landmarks that span a region: face, inner, lower, mouth or upper.

    Raises:
        ValueError: no such region.
    """
    u, v = face_coordinates(mesh)
    if name == "face":
        inside = np.ones(len(mesh), np.bool_)
    elif name == "inner":
        inside = (np.abs(u) < 0.75) & (v > -0.45) & (v < 1.45)
    elif name == "lower":
        inside = v > 0.45
    elif name == "mouth":
        inside = (np.abs(u) < 0.62) & (np.abs(v - 1.0) < 0.42)
    elif name == "upper":
        inside = v < 0.55
    else:
        raise ValueError(f"region {name!r} is not one of {', '.join(REGIONS)}")
    return np.flatnonzero(inside)


def face_coordinates(mesh: Landmarks) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return `u` and `v` of every landmark; see the module's docstring."""
    five = five_points(mesh.astype(np.float64))
    eyes, mouth = five[:2].mean(axis=0), five[3:].mean(axis=0)
    down, across = mouth - eyes, five[1] - five[0]
    offsets = mesh - eyes
    v = offsets @ down / max(float(down @ down), 1e-6)
    u = (offsets - v[:, None] * down) @ across / max(float(across @ across), 1e-6)
    return u, v


def region_mask(
    mesh: Landmarks, indices: NDArray[np.int64], size: tuple[int, int], *, grow: float, soft: float
) -> Mask:
    """Return a soft mask over the convex hull of some landmarks.

    Args:
        mesh: all landmarks.
        indices: the landmarks that span the region.
        size: height and width of the picture.
        grow: by how much of the face's width the hull is enlarged; negative shrinks it.
        soft: width of the soft edge, as a fraction of the face's width.
    """
    width = face_width(mesh)
    hull = cv2.convexHull(mesh[indices].astype(np.float32))[:, 0]
    centre = hull.mean(axis=0)
    reach = np.linalg.norm(hull - centre, axis=1, keepdims=True)
    hull = centre + (hull - centre) * np.maximum(1 + grow * width / np.maximum(reach, 1.0), 0.1)
    mask = np.zeros(size, np.uint8)
    cv2.fillConvexPoly(mask, np.round(hull * 16).astype(np.int32), 255, cv2.LINE_AA, 4)
    sigma = max(soft * width, 0.6)
    blurred = cv2.GaussianBlur(mask, (0, 0), sigma)
    return np.asarray(blurred, np.float32) / 255.0


def face_width(mesh: Landmarks) -> float:
    """Return how wide a face is, in pixels."""
    return max(float(mesh[:, 0].max() - mesh[:, 0].min()), 1.0)


def blend(under: Image, over: Image, mask: Mask) -> Image:
    """Return `over` laid on `under` where the mask says so."""
    m = mask[..., None]
    mixed = under.astype(np.float32) * (1 - m) + over.astype(np.float32) * m
    return np.clip(mixed + 0.5, 0, 255).astype(np.uint8)


def warp_between(
    image: Image, here: Landmarks, there: Landmarks, size: tuple[int, int], *, pinned: bool
) -> Image:
    """Return a picture bent so that the landmarks `here` come to lie at `there`.

    Args:
        image: the picture with landmarks `here`.
        here: landmarks in `image`.
        there: where they shall be in the result.
        size: height and width of the result.
        pinned: keep the picture's border where it is, as generators that animate one picture do.
    """
    goal, origin = there[::_CONTROL_STEP], here[::_CONTROL_STEP]
    if pinned:
        border = _border(size)
        goal, origin = np.concatenate([goal, border]), np.concatenate([origin, border])
    height, width = size
    flow = _spline(goal.astype(np.float64), origin.astype(np.float64), height, width)
    maps = cv2.resize(flow, (width, height), interpolation=cv2.INTER_LINEAR)
    bent = cv2.remap(
        image, maps[..., 0], maps[..., 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
    return np.asarray(bent, np.uint8)


def _border(size: tuple[int, int]) -> NDArray[np.float32]:
    height, width = size
    ticks = np.linspace(0, 1, 5)
    edge = [(x, y) for x in ticks for y in ticks if x in (0, 1) or y in (0, 1)]
    return np.array(edge, np.float32) * np.array([width - 1, height - 1], np.float32)


def _spline(
    knots: NDArray[np.float64], values: NDArray[np.float64], height: int, width: int
) -> NDArray[np.float32]:
    """Return the thin plate through `values` at `knots`, on a grid, `(_GRID, _GRID, 2)`."""
    scale = 2.0 / max(height, width)
    points = knots * scale
    n = len(points)
    system = np.zeros((n + 3, n + 3))
    system[:n, :n] = _bending(points, points) + _STIFFNESS * np.eye(n)
    system[:n, n] = system[n, :n] = 1
    system[:n, n + 1 :] = points
    system[n + 1 :, :n] = points.T
    right = np.zeros((n + 3, 2))
    right[:n] = values
    weights = np.linalg.solve(system, right)
    # cv2.resize places grid cell i at (i + 1/2) * width / _GRID - 1/2.
    xs = ((np.arange(_GRID) + 0.5) * width / _GRID - 0.5) * scale
    ys = ((np.arange(_GRID) + 0.5) * height / _GRID - 0.5) * scale
    grid = np.stack(np.meshgrid(xs, ys), axis=-1).reshape(-1, 2)
    out = _bending(grid, points) @ weights[:n] + weights[n] + grid @ weights[n + 1 :]
    return np.asarray(out.reshape(_GRID, _GRID, 2), np.float32)


def _bending(a: NDArray[np.float64], b: NDArray[np.float64]) -> NDArray[np.float64]:
    squared = ((a[:, None] - b[None]) ** 2).sum(axis=-1)
    return np.asarray(0.5 * squared * np.log(squared + 1e-12))


def match_colours(image: Image, to: Image, mask: Mask, strength: float) -> Image:
    """Return a picture whose colours under the mask have the mean and spread of another's.

    Args:
        image: what is recoloured.
        to: where mean and spread are taken from, same size.
        mask: where both are measured.
        strength: 0 leaves the picture as it is, 1 matches.
    """
    inside = mask > 0.5
    if inside.sum() < 16:
        return image
    source = image.astype(np.float32)
    mine, theirs = source[inside], to[inside].astype(np.float32)
    gain = np.clip(theirs.std(axis=0) / np.maximum(mine.std(axis=0), 1.0), 0.4, 2.5)
    matched = (source - mine.mean(axis=0)) * gain + theirs.mean(axis=0)
    return np.asarray(np.clip(source + strength * (matched - source), 0, 255), np.uint8)


@dataclass(frozen=True, slots=True)
class Look:
    """How a synthesised face looks beside a filmed one; the same for a whole clip.

    Attributes:
        gain: factor per colour channel.
        offset: added to every pixel, in grey levels.
        gamma: exponent of the tone curve.
        resolution: the face passes through this fraction of its resolution; 1 leaves it.
        down: how it is made smaller.
        up: how it is made larger again.
        blur: standard deviation of a blur, in pixels; 0 for none.
        sharpen: strength of an unsharp mask; 0 for none.
        smooth: strength of an edge-preserving filter, in grey levels; 0 for none.
        jpeg: quality of a JPEG pass; 0 for none.
    """

    gain: tuple[float, float, float] = (1.0, 1.0, 1.0)
    offset: float = 0.0
    gamma: float = 1.0
    resolution: float = 1.0
    down: int = cv2.INTER_AREA
    up: int = cv2.INTER_LINEAR
    blur: float = 0.0
    sharpen: float = 0.0
    smooth: float = 0.0
    jpeg: int = 0

    def apply(self, image: Image, flicker: float = 0.0) -> Image:
        """Return a picture with this look; `flicker` brightens it, in grey levels."""
        if self.resolution < 1.0:
            image = _through_resolution(image, self.resolution, self.down, self.up)
        if self.smooth > 0:
            image = np.asarray(cv2.bilateralFilter(image, 5, self.smooth, 3.0), np.uint8)
        if self.blur > 0:
            image = np.asarray(cv2.GaussianBlur(image, (0, 0), self.blur), np.uint8)
        if self.sharpen > 0:
            soft = cv2.GaussianBlur(image, (0, 0), 1.2)
            image = np.asarray(
                cv2.addWeighted(image, 1 + self.sharpen, soft, -self.sharpen, 0), np.uint8
            )
        if self.jpeg:
            image = jpeg(image, self.jpeg)
        return cv2.LUT(image, self._tones(flicker)).astype(np.uint8)

    def _tones(self, flicker: float) -> NDArray[np.uint8]:
        levels = (np.arange(256) / 255.0) ** self.gamma * 255.0 + self.offset + flicker
        table = np.stack([levels * g for g in self.gain], axis=-1)
        return np.clip(table + 0.5, 0, 255).astype(np.uint8)[None]


def random_look(rng: np.random.Generator, *, colours: bool, detail: bool) -> Look:
    """Draw a look.

    Args:
        rng: chooses.
        colours: whether colours differ.
        detail: whether sharpness and resolution differ.
    """
    look: dict[str, object] = {}
    if colours:
        look["gain"] = tuple(float(g) for g in rng.normal(1.0, 0.03, 3))
        look["offset"] = float(rng.normal(0, 4))
        look["gamma"] = float(np.exp(rng.normal(0, 0.08)))
    if detail:
        choice = rng.integers(5)
        if choice == 0:
            look["blur"] = float(rng.uniform(0.4, 1.4))
        elif choice == 1:
            look["sharpen"] = float(rng.uniform(0.2, 1.2))
        elif choice == 2:
            look["smooth"] = float(rng.uniform(10, 45))
        else:
            look["resolution"] = float(rng.uniform(0.3, 0.8))
            look["down"] = int(rng.choice(_INTERPOLATIONS))
            look["up"] = int(rng.choice([cv2.INTER_LINEAR, cv2.INTER_CUBIC, cv2.INTER_LANCZOS4]))
            if rng.random() < 0.3:
                look["sharpen"] = float(rng.uniform(0.3, 1.0))
        if rng.random() < 0.25:
            look["jpeg"] = int(rng.integers(40, 92))
    return Look(**look)  # type: ignore[arg-type]


def jpeg(image: Image, quality: int) -> Image:
    """Return a picture after a JPEG pass of some quality, 1..100."""
    bgr = cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
    data = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
    decoded = np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR), np.uint8)
    return np.asarray(cv2.cvtColor(decoded, cv2.COLOR_BGR2RGB), np.uint8)


def pick(rng: np.random.Generator, options: Sequence[Option]) -> Option:
    """Return one of several things, each as likely."""
    return options[int(rng.integers(len(options)))]


def wander(rng: np.random.Generator, frames: int, memory: float) -> NDArray[np.float64]:
    """Return a random walk that stays around 0 with standard deviation 1, `(frames,)`.

    Args:
        rng: chooses.
        frames: its length.
        memory: correlation of neighbouring frames, 0 (noise) to nearly 1 (slow).
    """
    steps = rng.normal(0, 1, frames) * np.sqrt(1 - memory**2)
    steps[0] = rng.normal()
    walk = np.empty(frames)
    walk[0] = steps[0]
    for t in range(1, frames):
        walk[t] = memory * walk[t - 1] + steps[t]
    return walk


def _through_resolution(image: Image, fraction: float, down: int, up: int) -> Image:
    height, width = image.shape[:2]
    small = (max(8, round(width * fraction)), max(8, round(height * fraction)))
    reduced = cv2.resize(image, small, interpolation=down)
    return np.asarray(cv2.resize(reduced, (width, height), interpolation=up), np.uint8)
