"""Conversion of decoded frames to RGB: the range and the matrix that they name are heeded.

Everything is rounded, nothing cut off, and the pixels that share a sample of chroma all take it as
it is. FFmpeg's scaler does neither: of 10 bits it makes pictures that are two grey levels too
dark, with a sample of chroma shifted by half a pixel, and a small face scores otherwise.

OpenCV has a conversion of its own for the common case (8-bit 4:2:0, limited range, BT.601).
FFmpeg's scaler is left with what is not planar YUV.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from av.video.frame import VideoFrame
from av.video.plane import VideoPlane
from av.video.reformatter import ColorPrimaries, ColorRange
from numpy.typing import NDArray

from styleflow.faces.face import Image
from styleflow.pictures.colour import is_foreign, to_standard

PLANAR = re.compile(r"yuv[aj]?4\d\dp(\d+le)?")
"""Names of the pixel formats whose luma and chroma are planes of their own."""

_UNPACKED = {"nv12": "yuv420p", "nv16": "yuv422p", "p010le": "yuv420p10le"}  # without loss

_BT601 = frozenset({2, 5, 6})  # AVCOL_SPC_UNSPECIFIED, BT470BG and SMPTE170M
_WIDE = int(ColorPrimaries.BT2020)
_WEIGHTS = {
    1: (0.2126, 0.0722),  # BT.709
    4: (0.30, 0.11),  # FCC
    7: (0.212, 0.087),  # SMPTE 240M
    9: (0.2627, 0.0593),  # BT.2020
    10: (0.2627, 0.0593),
    **dict.fromkeys(_BT601, (0.299, 0.114)),
}
"""Shares of red and blue in luma, by a frame's matrix."""

_Plane = NDArray[np.integer[Any] | np.floating[Any]]


def to_rgb(frame: VideoFrame) -> Image:
    """Return a frame's picture as RGB of BT.709's colours, `(H, W, 3)` uint8."""
    full = is_full(frame)
    if is_common(frame) and frame.width % 2 == 0 and frame.height % 2 == 0:
        if frame.format.name == "yuv420p":
            return _i420_to_rgb(frame)
        if frame.format.name == "nv12":
            return _nv12_to_rgb(frame)
    if is_foreign(frame):
        samples = _Samples.of(frame) or _Samples.of(_reformat(frame, "yuv444p16le", full, full))
        assert samples is not None
        codes = cv2.transform(samples.values.astype(np.float32), samples.matrix(1.0, full=full))
        return to_standard(np.asarray(codes, np.float32), frame.color_trc, samples.shared)
    if (samples := _Samples.of(frame)) is not None:
        return samples.rgb(full=full)
    rgb = _reformat(frame, "rgb24", full, to_full=True)
    return np.ascontiguousarray(rgb.to_ndarray(), dtype=np.uint8)


def is_common(frame: VideoFrame) -> bool:
    """Say whether a frame's colours are those that are meant when nothing is said of them."""
    return not is_full(frame) and frame.colorspace in _BT601 and not is_foreign(frame)


def is_full(frame: VideoFrame) -> bool:
    """Say whether a frame's samples use the full range of their bits."""
    return frame.color_range == ColorRange.JPEG or frame.format.name.startswith("yuvj")


def weights_of(frame: VideoFrame) -> tuple[float, float] | None:
    """Return the shares of red and blue in a frame's luma; None when it is not YUV."""
    matrix = frame.colorspace
    if is_foreign(frame) and matrix in (0, 2):
        matrix = _WIDE
    return _WEIGHTS.get(matrix)


@dataclass(frozen=True, slots=True)
class Coefficients:
    """What takes luma and chroma to RGB.

    Attributes:
        bits: of a sample.
        weights: shares of red and blue in luma.
    """

    bits: int
    weights: tuple[float, float]

    def matrix(self, white: float, *, full: bool) -> NDArray[np.float64]:
        """Return what takes samples to RGB, `(3, 4)`, the last column being added."""
        step = 1 << (self.bits - 8)
        top = (1 << self.bits) - 1
        black, luma, chroma = (0, top, top) if full else (16 * step, 219 * step, 224 * step)
        kr, kb = self.weights
        red, blue, green = 2 - 2 * kr, 2 - 2 * kb, 1 - kr - kb
        turn = np.array(
            [[1, 0, red], [1, -kb * blue / green, -kr * red / green], [1, blue, 0]], np.float64
        )
        turn *= white / np.array([luma, chroma, chroma])
        return np.column_stack([turn, -turn @ [black, 128 * step, 128 * step]])


@dataclass(frozen=True, slots=True, eq=False)
class _Samples:
    """Luma and chroma of a frame, each pixel with the chroma that it shares.

    Attributes:
        values: Y, Cb and Cr as stored, `(H, W, 3)` uint8 or uint16.
        bits: of a value.
        shared: how many pixels across and down share a sample of chroma.
        weights: shares of red and blue in luma.
    """

    values: _Plane
    bits: int
    shared: tuple[int, int]
    weights: tuple[float, float]

    @classmethod
    def of(cls, frame: VideoFrame) -> _Samples | None:
        """Return the samples of a frame; None when it is not YUV, or packed in another way."""
        weights = weights_of(frame)
        if frame.format.name in _UNPACKED:
            frame = frame.reformat(format=_UNPACKED[frame.format.name], threads=1)
        if weights is None or not PLANAR.fullmatch(frame.format.name):
            return None
        kind = np.uint8 if frame.format.components[0].bits == 8 else np.uint16
        luma, blue, red = (_view(plane, kind) for plane in frame.planes[:3])
        height, width = luma.shape
        shared = (-(-width // blue.shape[1]), -(-height // blue.shape[0]))
        planes = [luma, _spread(blue, shared, luma), _spread(red, shared, luma)]
        values = np.asarray(cv2.merge(planes))
        return cls(values, frame.format.components[0].bits, shared, weights)

    def rgb(self, *, full: bool) -> Image:
        """Return them as RGB, `(H, W, 3)` uint8."""
        if self.bits == 8:
            return np.asarray(cv2.transform(self.values, self.matrix(255.0, full=full)), np.uint8)
        fine = cv2.transform(self.values, self.matrix(255.0 * 256, full=full))
        return np.asarray(cv2.convertScaleAbs(fine, alpha=1 / 256), np.uint8)

    def matrix(self, white: float, *, full: bool) -> NDArray[np.float64]:
        """Return what takes samples to RGB; see `Coefficients.matrix`."""
        return Coefficients(self.bits, self.weights).matrix(white, full=full)


def _spread(chroma: _Plane, shared: tuple[int, int], luma: _Plane) -> _Plane:
    """Return a plane of chroma in the size of luma's."""
    if shared == (1, 1):
        return chroma
    height, width = chroma.shape
    size = (width * shared[0], height * shared[1])
    spread = cv2.resize(chroma, size, interpolation=cv2.INTER_NEAREST)
    return np.ascontiguousarray(spread[: luma.shape[0], : luma.shape[1]])


def _reformat(frame: VideoFrame, form: str, full: bool, to_full: bool) -> VideoFrame:  # noqa: FBT001
    return frame.reformat(
        format=form,
        src_color_range=ColorRange.JPEG if full else ColorRange.MPEG,
        dst_color_range=ColorRange.JPEG if to_full else ColorRange.MPEG,
        threads=1,
    )


def _i420_to_rgb(frame: VideoFrame) -> Image:
    width, height = frame.width, frame.height
    packed = np.empty((height * 3 // 2, width), np.uint8)
    flat = packed.reshape(-1)
    luma, chroma = width * height, width * height // 4
    for plane, begin, size in zip(
        frame.planes, (0, luma, luma + chroma), (luma, chroma, chroma), strict=False
    ):
        view = _view(plane, np.uint8)
        flat[begin : begin + size].reshape(view.shape)[:] = view
    return np.asarray(cv2.cvtColor(packed, cv2.COLOR_YUV2RGB_I420), dtype=np.uint8)


def _nv12_to_rgb(frame: VideoFrame) -> Image:
    width, height = frame.width, frame.height
    luma, both = frame.planes
    chroma = _rows(both, np.uint8)[:, :width].reshape(height // 2, width // 2, 2)
    rgb = cv2.cvtColorTwoPlane(
        np.ascontiguousarray(_view(luma, np.uint8)),
        np.ascontiguousarray(chroma),
        cv2.COLOR_YUV2RGB_NV12,
    )
    return np.asarray(rgb, dtype=np.uint8)


def _view(plane: VideoPlane, kind: type[np.uint8] | type[np.uint16]) -> _Plane:
    """Return a plane's visible samples without copying them; rows may be padded."""
    return _rows(plane, kind)[:, : plane.width]


def _rows(plane: VideoPlane, kind: type[np.uint8] | type[np.uint16]) -> _Plane:
    samples: _Plane = np.frombuffer(memoryview(plane), kind)
    across = plane.line_size // np.dtype(kind).itemsize
    return samples[: plane.height * across].reshape(plane.height, across)
