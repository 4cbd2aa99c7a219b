"""A talking head made from one portrait, for the demo sources. No real person says anything here.

The portrait is NASA's photograph of Eileen Collins, in the public domain; it ships inside
scikit-image. A frame is a function of its index and of the seed alone, so that two runs agree and
any frame can be had without the ones before it.

Theory of operation. The portrait is enlarged to the frame once. Eyelids and jaw are small patches
prepared at a few openings each. Head motion is a weighted sum of smooth displacement fields
(shift, roll, turn, nod, pucker), each 1 at the head and 0 at the picture's edge, so the background
stands still. The camera adds a drifting exposure and noise. `Scene.tampered` then does to each
finished frame what a face swap does: it takes the face out, makes it anew through a bottleneck,
and blends it back with a soft mask, each time a little differently.

Places are given in pixels of the portrait, (x, y).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from importlib.resources import files

import cv2
import numpy as np
from numpy.typing import NDArray

from stream.ingest.demo_motion import Motion, Pose
from styleflow.faces.face import Image

_Floats = NDArray[np.float32]
_Doubles = NDArray[np.float64]
_Region = tuple[int, int, int, int]  # x0, y0, x1, y1 in frame pixels

_PORTRAIT_SIZE = 512
_VIEW_HEIGHT = 240.0  # from the portrait's top: head and shoulders
_VIEW_X = 226.0  # middle of the view

_HEAD = (225.0, 100.0)
_HEAD_RADII = (84.0, 100.0)
_NECK = (224.0, 186.0)
_FACE = (223.5, 123.0)
_FACE_RADII = (45.0, 57.0)
_MOUTH = (222.5, 146.0)
_LIP = (222.0, 149.3)  # upper edge of the lower lip, in its middle
_LIP_HALF = 22.0  # from there to the corners, which are `_LIP_RISE` higher
_LIP_RISE = 8.3
_INSIDE = (58, 24, 26)  # colour of an open mouth

_GRID = 8  # frame pixels from one knot of a displacement field to the next
_LID_STEPS = 9
_JAW_STEPS = 33
_JAW_RANGE = (-3.0, 4.5)  # lower lip: up over the teeth, down to an open mouth
_NOISE_MARGIN = 64
_NOISE_PLANES = 2
_NO_MAP = np.empty((0, 0), np.float32)  # x and y come in one array
_CANVAS = 1.3  # pixels per portrait pixel in which a face is made anew: the bottleneck


@dataclass(frozen=True, slots=True)
class _Eye:
    """The opening between two lids: its corners and how far the lids bow from their line."""

    left: tuple[float, float]
    right: tuple[float, float]
    above: float
    below: float


_EYES = (
    _Eye((193.0, 101.0), (213.5, 103.5), 6.5, 3.0),
    _Eye((235.5, 105.0), (257.0, 104.0), 6.0, 2.8),
)
_FOLD = 4.0  # skin above a lid that stretches when it closes; more would pull at the brow


class Scene:
    """The talking head as a camera would see it.

    Args:
        size: width and height of a frame in pixels.
        fps: frames per second.
        seed: chooses motion, blinks and noise.
    """

    def __init__(self, size: tuple[int, int], fps: float, seed: int) -> None:
        self.size = size
        self.fps = fps
        self.seed = seed
        self._view = _View.of(size)
        self._motion = Motion(seed)
        self._still = self._view.enlarge(_portrait())
        self._lids = [
            _close_lids(self._view, self._still, closed)
            for closed in np.linspace(0.0, 1.0, _LID_STEPS)
        ]
        self._jaws = [
            _move_jaw(self._view, self._still, jaw) for jaw in np.linspace(*_JAW_RANGE, _JAW_STEPS)
        ]
        self._warp = _Warp(self._view)
        self._noise = _noise(self._view, np.random.default_rng([seed, 1]))
        self._oval = _oval()

    def pose(self, index: int) -> Pose:
        """Return where the head is in a frame."""
        return self._motion.at(index / self.fps)

    def authentic(self, index: int) -> Image:
        """Return a frame as the camera sees it, `(H, W, 3)` RGB."""
        pose = self.pose(index)
        still = self._still.copy()
        _nearest(self._lids, pose.lids, (0.0, 1.0)).paste(still)
        _nearest(self._jaws, pose.jaw, _JAW_RANGE).paste(still)
        return self._photograph(self._warp.apply(still, pose), index)

    def tampered(self, index: int) -> Image:
        """Return the same frame with a face made anew and blended in."""
        frame = self.authentic(index)
        place = self._view.place(self.pose(index))
        rng = np.random.default_rng([self.seed, 3, index])
        made = _make_anew(self._face(frame, place), index / self.fps, rng)
        self._blend(frame, made, place, place @ _jitter(rng))
        return frame

    def resynthesised(self, index: int) -> Image:
        """Return the same frame with its face's mirror image, through a bottleneck, blended in.

        The face that results was never there: its light comes from the wrong side, and it has no
        detail of its own. The default detector tells it further from `authentic` than `tampered`.
        """
        frame = self.authentic(index)
        place = self._view.place(self.pose(index))
        self._blend(frame, _mirrored(self._face(frame, place)), place, place)
        return frame

    def mask(self, index: int) -> _Floats:
        """Return how much of each pixel `tampered` replaces, `(H, W)`, 0..1."""
        place = self._view.place(self.pose(index))
        return _floats(cv2.warpAffine(self._oval, place[:2], self.size))

    def _face(self, frame: Image, place: _Doubles) -> Image:
        """Take a face out of its frame, onto a canvas."""
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        canvas = self._oval.shape[::-1]
        return _image(cv2.warpAffine(frame, place[:2], canvas, flags=flags))

    def _photograph(self, picture: Image, index: int) -> Image:
        """Add the camera's exposure and noise."""
        levels = np.arange(256, dtype=np.float32)[:, None]
        levels = levels * self._motion.exposure(index / self.fps)
        table = np.clip(np.rint(levels), 0, 255).astype(np.uint8).reshape(1, 256, 3)
        rng = np.random.default_rng([self.seed, 2, index])
        plane, dy, dx = rng.integers(0, (_NOISE_PLANES, _NOISE_MARGIN, _NOISE_MARGIN))
        width, height = self.size
        noise = self._noise[plane][dy : dy + height, dx : dx + width]
        return _image(cv2.add(cv2.LUT(picture, table), noise, dtype=cv2.CV_8U))

    def _blend(self, frame: Image, made: Image, place: _Doubles, where: _Doubles) -> None:
        """Put a face into its frame: `where` it lands, softly masked at its true `place`."""
        x0, y0, x1, y1 = _reach(place, self._oval.shape, self.size)
        shift = np.array([[1.0, 0.0, -x0], [0.0, 1.0, -y0], [0.0, 0.0, 1.0]])
        size = (x1 - x0, y1 - y0)
        moved = (shift @ where)[:2]
        face = _floats(cv2.warpAffine(made, moved, size, borderMode=cv2.BORDER_REPLICATE))
        share = _floats(cv2.warpAffine(self._oval, (shift @ place)[:2], size))[..., None]
        region = frame[y0:y1, x0:x1]
        region[...] = np.rint(region + (face - region) * share).astype(np.uint8)


# -- the view: from portrait to frame ------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _View:
    """Which part of the portrait fills the frame."""

    size: tuple[int, int]
    scale: float
    left: float

    @classmethod
    def of(cls, size: tuple[int, int]) -> _View:
        width, height = size
        scale = max(height / _VIEW_HEIGHT, width / _PORTRAIT_SIZE)
        room = _PORTRAIT_SIZE - width / scale
        return cls(size, scale, min(max(_VIEW_X - width / scale / 2, 0.0), room))

    @property
    def matrix(self) -> _Doubles:
        """From portrait to frame, `(3, 3)`."""
        s = self.scale
        return np.array([[s, 0.0, -self.left * s], [0.0, s, 0.0], [0.0, 0.0, 1.0]])

    def enlarge(self, portrait: Image) -> Image:
        """Return the still frame."""
        flags = cv2.INTER_CUBIC if self.scale > 1 else cv2.INTER_AREA
        return _image(cv2.warpAffine(portrait, self.matrix[:2], self.size, flags=flags))

    def places(self, region: _Region) -> tuple[_Doubles, _Doubles]:
        """Return x and y in the portrait of each pixel of a part of the frame."""
        x0, y0, x1, y1 = region
        x, y = np.meshgrid(np.arange(x0, x1), np.arange(y0, y1))
        return x / self.scale + self.left, y / self.scale

    def region(self, x0: float, y0: float, x1: float, y1: float) -> _Region:
        """Return the part of the frame that shows a rectangle of the portrait."""
        corners = np.array([[x0 - self.left, x1 - self.left], [y0, y1]]) * self.scale
        (left, right), (top, bottom) = np.rint(corners).astype(int)
        return int(left), int(top), int(right), int(bottom)

    def place(self, pose: Pose) -> _Doubles:
        """Return the map from the canvas of a new face to the frame, `(3, 3)`."""
        width, height = (2 * r * _CANVAS for r in _FACE_RADII)
        k = 1 / _CANVAS
        onto = np.array(
            [
                [k, 0.0, _FACE[0] - k * width / 2],
                [0.0, k, _FACE[1] - k * height / 2],
                [0.0, 0.0, 1.0],
            ]
        )
        c, s = math.cos(pose.roll), math.sin(pose.roll)
        about = np.array(
            [
                [c, -s, _NECK[0] - c * _NECK[0] + s * _NECK[1] + pose.x + 0.8 * pose.turn],
                [s, c, _NECK[1] - s * _NECK[0] - c * _NECK[1] + pose.y + 0.8 * pose.nod],
                [0.0, 0.0, 1.0],
            ]
        )
        return np.asarray(self.matrix @ about @ onto, np.float64)


def _portrait() -> Image:
    """Return the portrait, `(512, 512, 3)` RGB."""
    # Reading the file spares the import of everything that scikit-image would read it with.
    data = (files("skimage") / "data" / "astronaut.png").read_bytes()
    return _image(cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR_RGB))


# -- eyes and mouth: patches that are prepared once ----------------------------------------------


@dataclass(frozen=True, slots=True, eq=False)
class _Patch:
    """A part of the still frame in another state."""

    region: _Region
    pixels: Image

    def paste(self, picture: Image) -> None:
        x0, y0, x1, y1 = self.region
        picture[y0:y1, x0:x1] = self.pixels


def _nearest(patches: list[_Patch], value: float, span: tuple[float, float]) -> _Patch:
    share = (value - span[0]) / (span[1] - span[0])
    return patches[min(max(round(share * (len(patches) - 1)), 0), len(patches) - 1)]


def _sample(view: _View, still: Image, x: _Doubles, y: _Doubles) -> Image:
    """Return the still frame's colours at places of the portrait."""
    columns = ((x - view.left) * view.scale).astype(np.float32)
    rows = (y * view.scale).astype(np.float32)
    return _image(cv2.remap(still, columns, rows, cv2.INTER_LINEAR))


def _close_lids(view: _View, still: Image, closed: float) -> _Patch:
    """Draw the upper lids down; their skin stretches and carries the lashes along."""
    region = view.region(186, 82, 264, 114)
    x, y = view.places(region)
    pixels = _sample(view, still, x, y).astype(np.float32)
    for eye in _EYES:
        along = (x - eye.left[0]) / (eye.right[0] - eye.left[0])
        bow = np.clip(4 * along * (1 - along), 0, None) ** 0.7
        line = eye.left[1] + (eye.right[1] - eye.left[1]) * along
        lid = line - eye.above * bow
        edge = lid + closed * (eye.above + eye.below) * bow
        fold = lid - _FOLD
        stretched = fold + (y - fold) * (lid - fold) / (edge - fold)
        skin = _sample(view, still, x, np.where(y > fold, stretched, y))
        # The lid ends between two pixels; without a share of both its edge would be a staircase.
        share = np.clip((edge - y) * view.scale + 0.5, 0, 1) * (bow > 0)
        pixels += (skin - pixels) * share.astype(np.float32)[..., None]
    return _Patch(region, _image(pixels))


def _move_jaw(view: _View, still: Image, jaw: float) -> _Patch:
    """Move the lower lip and the chin; what opens below the teeth is dark."""
    region = view.region(172, 136, 274, 200)
    x, y = view.places(region)
    across = (x - _LIP[0]) / _LIP_HALF
    line = _LIP[1] - _LIP_RISE * np.minimum(across**2, 1.0)
    # A lip has an edge; beside the mouth, skin only stretches.
    edge = np.clip(1 - across**2, 0, 1)
    share = edge + (1 - edge) * _smooth((y - line) / 16)
    wide = 15 + 0.45 * np.clip(y - _LIP[1], 0, None)
    motion = jaw * np.exp(-0.5 * ((x - _LIP[0]) / wide) ** 2) * _smooth((192 - y) / 26)
    below = y > line + motion * edge
    source = np.where(below, y - motion * share, y)
    pixels = _sample(view, still, x, source)
    gap = np.where((edge > 0) & ~below, np.clip((y - line + 0.4) / 0.8, 0, 1), 0.0)
    gap = _floats(cv2.GaussianBlur(gap.astype(np.float32), (3, 3), 0))[..., None]
    mixed = pixels + (np.array(_INSIDE, np.float32) - pixels) * gap
    return _Patch(region, _image(mixed))


# -- head motion ---------------------------------------------------------------------------------


class _Warp:
    """Moves the head by a weighted sum of displacement fields."""

    def __init__(self, view: _View) -> None:
        width, height = self._size = view.size
        columns, rows = math.ceil(width / _GRID), math.ceil(height / _GRID)
        # Knots lie where `cv2.resize` thinks that they do: in the middle of their cells.
        fx = (np.arange(columns) + 0.5) * width / columns - 0.5
        fy = (np.arange(rows) + 0.5) * height / rows - 0.5
        x, y = np.meshgrid(fx / view.scale + view.left, fy / view.scale)
        self._fields = _floats(_fields(x, y) * view.scale)
        self._identity = _floats(np.dstack(np.meshgrid(np.arange(width), np.arange(height))))

    def apply(self, picture: Image, pose: Pose) -> Image:
        weights = (pose.x, pose.y, pose.roll, pose.turn, pose.nod, pose.pucker)
        field = np.tensordot(np.array(weights, np.float32), self._fields, axes=1)
        source = self._identity - _floats(cv2.resize(field, self._size))
        border = cv2.BORDER_REPLICATE
        return _image(cv2.remap(picture, source, _NO_MAP, cv2.INTER_LINEAR, borderMode=border))


def _fields(x: _Doubles, y: _Doubles) -> _Doubles:
    """Return what one unit of each weight moves at each place, `(6, rows, columns, 2)`."""
    away = np.hypot((x - _HEAD[0]) / _HEAD_RADII[0], (y - _HEAD[1]) / _HEAD_RADII[1])
    head = _smooth((1.85 - away) / 0.85)
    depth = _smooth(1.1 - away)
    at_mouth = np.exp(-0.5 * (((x - _MOUTH[0]) / 16) ** 2 + ((y - _MOUTH[1]) / 9) ** 2))
    nothing = np.zeros_like(x)
    return np.stack(
        [
            np.dstack((head, nothing)),
            np.dstack((nothing, head)),
            np.dstack((-head * (y - _NECK[1]), head * (x - _NECK[0]))),
            np.dstack((depth, nothing)),
            np.dstack((nothing, depth)),
            np.dstack((-0.16 * at_mouth * (x - _MOUTH[0]), nothing)),
        ]
    )


# -- the face swap -------------------------------------------------------------------------------


def _oval() -> _Floats:
    """Return the soft mask of a new face on its canvas, `(h, w)`, 0..1."""
    width, height = (round(2 * r * _CANVAS) for r in _FACE_RADII)
    x, y = np.meshgrid(np.linspace(-1, 1, width), np.linspace(-1, 1, height))
    return _floats(_smooth((0.98 - np.hypot(x, y)) / 0.3))


def _make_anew(face: Image, t: float, rng: np.random.Generator) -> Image:
    """Return a face as a swap would paint it: smooth, sharpened, and not quite the same twice."""
    height, width = face.shape[:2]
    small = cv2.resize(
        face, (round(width / 2.2), round(height / 2.2)), interpolation=cv2.INTER_AREA
    )
    painted = _floats(cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC))
    painted += 0.8 * (painted - _floats(cv2.GaussianBlur(painted, (0, 0), 2.5)))
    tint = np.array([1.02, 0.985, 0.965]) + rng.normal(0, 0.006, 3)
    painted = (painted - 128) * np.float32(0.95) + 128
    painted = _floats(np.clip(painted * tint.astype(np.float32), 0, 255))
    shaken = _floats(
        cv2.resize(rng.normal(0, 0.45, (6, 5, 2)), (width, height), interpolation=cv2.INTER_CUBIC)
    )
    x, y = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
    # The mouth moves by itself, as it does when only lips are made to follow a voice.
    mouth_x = (_MOUTH[0] - _FACE[0] + _FACE_RADII[0]) * _CANVAS
    mouth_y = (_MOUTH[1] - _FACE[1] + _FACE_RADII[1]) * _CANVAS
    near = np.exp(-0.5 * (((x - mouth_x) / 22) ** 2 + ((y - mouth_y) / 13) ** 2))
    opening = 0.16 * math.sin(2 * math.pi * 2.7 * t + 1.0) + rng.normal(0, 0.03)
    source_y = y - opening * near * (y - mouth_y) - shaken[..., 1]
    return _image(cv2.remap(painted, x - shaken[..., 0], _floats(source_y), cv2.INTER_LINEAR))


def _mirrored(face: Image) -> Image:
    """Return a face's mirror image without its finer half."""
    height, width = face.shape[:2]
    half = (round(width / 2), round(height / 2))
    small = cv2.resize(face[:, ::-1], half, interpolation=cv2.INTER_AREA)
    return _image(cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC))


def _jitter(rng: np.random.Generator) -> _Doubles:
    """Return a small similarity of the canvas about its middle, `(3, 3)`."""
    angle, grow = rng.normal(0, 0.007), 1 + rng.normal(0, 0.006)
    dx, dy = rng.normal(0, 0.55, 2)
    cx, cy = (r * _CANVAS for r in _FACE_RADII)
    c, s = grow * math.cos(angle), grow * math.sin(angle)
    return np.array(
        [[c, -s, cx - c * cx + s * cy + dx], [s, c, cy - s * cx - c * cy + dy], [0.0, 0.0, 1.0]]
    )


def _reach(place: _Doubles, shape: tuple[int, ...], size: tuple[int, int]) -> _Region:
    """Return the part of the frame that a canvas can touch."""
    height, width = shape[:2]
    corners = place @ np.array([[-1, width, width, -1], [-1, -1, height, height], [1, 1, 1, 1]])
    x0, y0 = np.floor(corners[:2].min(axis=1)).astype(int)
    x1, y1 = np.ceil(corners[:2].max(axis=1)).astype(int) + 1
    return max(int(x0), 0), max(int(y0), 0), min(int(x1), size[0]), min(int(y1), size[1])


# -- small things --------------------------------------------------------------------------------


def _noise(view: _View, rng: np.random.Generator) -> list[NDArray[np.int16]]:
    """Return planes of sensor noise, larger than a frame so that they can be shifted."""
    width, height = view.size
    shape = (height + _NOISE_MARGIN, width + _NOISE_MARGIN)
    planes = []
    for _ in range(_NOISE_PLANES):
        luma = rng.standard_normal(shape, np.float32)[..., None] * np.float32(2.4)
        chroma = rng.standard_normal((*shape, 3), np.float32)
        planes.append(np.rint(luma + chroma).astype(np.int16))
    return planes


def _smooth(x: _Doubles) -> _Doubles:
    """Go from 0 to 1 without a corner while x does."""
    x = np.clip(x, 0.0, 1.0)
    return np.asarray(x * x * (3 - 2 * x))


def _image(array: object) -> Image:
    """Return what OpenCV made as an 8-bit picture; values are rounded where they were not."""
    picture = np.asarray(array)
    if picture.dtype != np.uint8:
        picture = np.clip(np.rint(picture), 0, 255).astype(np.uint8)
    return picture


def _floats(array: object) -> _Floats:
    return np.asarray(array, np.float32)
