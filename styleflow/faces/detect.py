"""Face detection in a whole picture: BlazeFace with its tiling, decoding and suppression."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from styleflow.faces.device_picture import DevicePicture, Pixels, stacked
from styleflow.faces.face import Box, Face, Image
from styleflow.faces.networks import DETECTOR_GRID, INPUT_PX, BlazeFaceNet, PictureNet
from styleflow.runtime import accelerated
from styleflow.runtime_settings import RuntimeSettings

_CELL_PX = INPUT_PX // DETECTOR_GRID
_TILE_OVERLAP = 0.2  # of a tile's side; a face smaller than this is whole in some tile
_CUT_MARGIN = 0.02  # of a tile's side; a box this close to an inner edge is probably cut there
_SMALLEST = (
    12 / INPUT_PX
)  # of a searched square's side; of faces this small more than half were found
_MOUTH_HALF = 0.38  # half a mouth's width over the distance between the eyes, from FaceMesh


@dataclass(frozen=True, slots=True)
class DetectorSettings:
    """Thresholds of what counts as a face.

    Attributes:
        min_confidence: candidates below it are not faces, in [0, 1].
        max_overlap: of two candidates that share more than this, the weaker is the same face.
        max_faces: at most so many faces are returned, the most confident ones.
    """

    min_confidence: float = 0.5
    max_overlap: float = 0.3
    max_faces: int = 128


@dataclass(frozen=True, slots=True)
class _Tile:
    """A square of the picture, in pixels; it may reach beyond the right and lower edge."""

    x: int
    y: int
    side: int


class BlazeFace:
    """Full-range BlazeFace; a `FaceDetector`.

    It sees faces from about a tenth of the picture's shorter side upwards. Smaller ones need
    a search in parts of the picture: `tiles`.

    Args:
        net: the network with its weights, on the device where it shall run.
        settings: what counts as a face.
        runtime: what runs the network; PyTorch when None.
    """

    def __init__(
        self,
        net: BlazeFaceNet,
        settings: DetectorSettings | None = None,
        runtime: RuntimeSettings | None = None,
    ) -> None:
        pictures = PictureNet(net, 1 / 127.5, -1.0)
        self._net = pictures if runtime is None else accelerated(pictures, runtime)
        self._device = next(net.parameters()).device
        self.settings = settings or DetectorSettings()

    def detect(self, image: Pixels, tiles: int = 0) -> tuple[Face, ...]:
        """Return the faces in one RGB picture, most confident first.

        The five points are coarse: BlazeFace knows the middle of a mouth but not its corners,
        which are placed beside it. `FaceMesh` refines them.

        Args:
            image: `(H, W, 3)` RGB uint8.
            tiles: 0 searches the whole picture once. `n` >= 1 also searches overlapping squares,
                about `n` in the shorter direction, which finds faces `n` times smaller and costs
                3 passes for 1 and 7 for 2 at 4:3.
        """
        return self.detect_all([(image, tiles)])[0]

    def detect_all(self, pictures: Sequence[tuple[Pixels, int]]) -> list[tuple[Face, ...]]:
        """Return what `detect` says of each picture and its `tiles`; one pass of the network."""
        searches = [
            (number, image, tile)
            for number, (image, tiles) in enumerate(pictures)
            for tile in _squares(image, tiles)
        ]
        if not searches:
            return [()] * len(pictures)
        letters = [_letterbox(image, tile) for _, image, tile in searches]
        boxes, logits = self._infer(stacked(letters, self._device))
        found: list[list[NDArray[np.float64]]] = [[] for _ in pictures]
        for place, (number, image, tile) in enumerate(searches):
            size, least = image.shape[:2], self.settings.min_confidence
            found[number].append(_decode(boxes[place], logits[place], tile, size, least))
        return [_merge(np.concatenate(rows), self.settings) if rows else () for rows in found]

    def smallest_px(self, image: Pixels, tiles: int = 0) -> float:
        """Return the side of the smallest faces that `detect` would find in this picture."""
        height, width = image.shape[:2]
        squares = _tiles(height, width, tiles)
        return _SMALLEST * (squares[0].side if squares else max(height, width))

    def infer(self, pictures: Image) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Return the network's boxes, `(N, cells, 16)`, and logits, `(N, cells)`.

        Args:
            pictures: `(N, INPUT_PX, INPUT_PX, 3)` RGB uint8.
        """
        return self._infer(torch.from_numpy(pictures).to(self._device))

    @torch.inference_mode()
    def _infer(self, pictures: Tensor) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        boxes, logits = self._net(pictures)
        return boxes.float().cpu().numpy(), logits.float().cpu().numpy()


def _squares(image: Pixels, tiles: int) -> list[_Tile]:
    """Return every square to search in a picture: the whole of it, then its tiles."""
    height, width = image.shape[:2]
    if min(height, width) < 1:
        return []
    return [_Tile(0, 0, max(height, width)), *_tiles(height, width, tiles)]


def _tiles(height: int, width: int, tiles: int) -> list[_Tile]:
    """Cover the picture with overlapping squares, as few as reach."""
    if tiles < 1:
        return []
    short = min(height, width)
    # n squares of this side cover the shorter direction with the wanted overlap.
    side = math.ceil(short / (tiles - (tiles - 1) * _TILE_OVERLAP))
    if side >= max(height, width):
        return []  # the search of the whole picture has seen it
    return [_Tile(x, y, side) for y in _starts(height, side) for x in _starts(width, side)]


def _starts(length: int, side: int) -> list[int]:
    if length <= side:
        return [0]
    count = math.ceil((length - side) / (side * (1 - _TILE_OVERLAP))) + 1
    return [round(i * (length - side) / (count - 1)) for i in range(count)]


def _letterbox(image: Pixels, tile: _Tile) -> Pixels:
    """Return a tile of the picture at the network's size; what lies outside is black."""
    rows, columns = slice(tile.y, tile.y + tile.side), slice(tile.x, tile.x + tile.side)
    if not isinstance(image, np.ndarray):
        return _letterbox_there(image.part(rows, columns), INPUT_PX / tile.side)
    part = image[rows, columns]
    scale = INPUT_PX / tile.side
    height = max(1, round(part.shape[0] * scale))
    width = max(1, round(part.shape[1] * scale))
    # Averaging keeps small faces from dissolving; enlarging needs interpolation instead.
    method = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    picture = np.zeros((INPUT_PX, INPUT_PX, 3), np.uint8)
    picture[:height, :width] = cv2.resize(part, (width, height), interpolation=method)
    return picture


def _letterbox_there(part: DevicePicture, scale: float) -> DevicePicture:
    height, width = (max(1, round(length * scale)) for length in part.shape[:2])
    small = part.averaged(width, height) if scale < 1 else part.stretched(width, height)
    return small.padded(INPUT_PX, INPUT_PX)


def _cells() -> NDArray[np.float64]:
    middles = (np.arange(DETECTOR_GRID) + 0.5) * _CELL_PX
    x, y = np.meshgrid(middles, middles)
    return np.stack([x.ravel(), y.ravel()], axis=1)


_CELLS = _cells()
_COLUMNS = 1 + 4 + 12  # confidence; x0, y0, x1, y1; six points


def _decode(
    boxes: NDArray[np.float32],
    logits: NDArray[np.float32],
    tile: _Tile,
    size: tuple[int, ...],
    min_confidence: float,
) -> NDArray[np.float64]:
    """Return one tile's candidates in picture pixels, `(n, 17)`."""
    confidence = 1.0 / (1.0 + np.exp(-np.clip(logits.astype(np.float64), -80, 80)))
    keep = np.flatnonzero(confidence >= min_confidence)
    raw = boxes[keep].astype(np.float64)
    scale = tile.side / INPUT_PX
    shift = np.array([tile.x, tile.y], np.float64)
    centre = (raw[:, 0:2] + _CELLS[keep]) * scale + shift
    half = np.maximum(raw[:, 2:4], 1.0) * scale / 2
    points = (raw[:, 4:16].reshape(-1, 6, 2) + _CELLS[keep][:, None]) * scale + shift
    rows = np.concatenate(
        [confidence[keep, None], centre - half, centre + half, points.reshape(-1, 12)], axis=1
    )
    usable = ~_cut(rows, tile, size) & np.isfinite(rows).all(axis=1)
    return np.asarray(rows[usable])


def _cut(rows: NDArray[np.float64], tile: _Tile, size: tuple[int, ...]) -> NDArray[np.bool_]:
    """Say which boxes touch an edge of the tile that is not an edge of the picture."""
    height, width = size
    margin = tile.side * _CUT_MARGIN
    x1, y1 = tile.x + tile.side, tile.y + tile.side
    cut = (tile.x > 0) & (rows[:, 1] < tile.x + margin)
    cut |= (tile.y > 0) & (rows[:, 2] < tile.y + margin)
    cut |= (x1 < width) & (rows[:, 3] > x1 - margin)
    cut |= (y1 < height) & (rows[:, 4] > y1 - margin)
    return np.asarray(cut, np.bool_)


def _merge(rows: NDArray[np.float64], settings: DetectorSettings) -> tuple[Face, ...]:
    """Turn overlapping candidates into faces: each the weighted mean of those that agree."""
    # Ties are broken by place, so that the result does not depend on the order of the tiles.
    rows = rows[np.lexsort((rows[:, 2], rows[:, 1], -rows[:, 0]))]
    faces: list[Face] = []
    while len(rows) and len(faces) < settings.max_faces:
        shared, contained = _overlaps(rows[0], rows)
        same = (shared > settings.max_overlap) | (contained > 2 * settings.max_overlap)
        same[0] = True
        agreeing = rows[same & ((shared > settings.max_overlap) | (np.arange(len(rows)) == 0))]
        mean = np.average(agreeing[:, 1:], axis=0, weights=agreeing[:, 0])
        faces.append(_face(float(rows[0, 0]), mean))
        rows = rows[~same]
    return tuple(faces)


def _overlaps(
    row: NDArray[np.float64], rows: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return intersection over union, and over the smaller of the two."""
    w = np.minimum(row[3], rows[:, 3]) - np.maximum(row[1], rows[:, 1])
    h = np.minimum(row[4], rows[:, 4]) - np.maximum(row[2], rows[:, 2])
    shared = np.maximum(w, 0) * np.maximum(h, 0)
    area = (row[3] - row[1]) * (row[4] - row[2])
    areas = (rows[:, 3] - rows[:, 1]) * (rows[:, 4] - rows[:, 2])
    return shared / (area + areas - shared), shared / np.minimum(area, areas)


def _face(confidence: float, values: NDArray[np.float64]) -> Face:
    eyes, nose, mouth = values[4:8].reshape(2, 2), values[8:10], values[10:12]
    across = _MOUTH_HALF * (eyes[1] - eyes[0])
    points = np.stack([eyes[0], eyes[1], nose, mouth - across, mouth + across])
    return Face(Box(*(float(v) for v in values[:4])), points, confidence)
