"""Planes of a decoded frame as tensors, and their conversion to RGB where they are.

Planes are handed over by DLPack, from memory (software decoders) and from a GPU (NVDEC) alike, and
nothing is copied until they are RGB. The arithmetic is `rgb.py`'s in whole numbers, so the common
case (8-bit 4:2:0, limited range, BT.601, even sizes) is equal to the last bit on every device;
everything else differs by one grey level at most. What is not planar YUV or wider than BT.709 is
converted in memory and sent over, see `on_device`.

NVDEC writes on the CUDA device's default stream and takes its memory back there. Conversion has a
lane of its own (`styleflow.lanes`), which waits for that stream first, and lets it wait then.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from fractions import Fraction

import numpy as np
import torch
from av.video.frame import VideoFrame
from torch import Tensor
from torch.utils.dlpack import from_dlpack

from styleflow.faces.device_picture import DevicePicture
from styleflow.lanes import lanes_of
from styleflow.pictures.colour import is_foreign
from styleflow.pictures.rgb import PLANAR, Coefficients, is_common, is_full, to_rgb, weights_of
from styleflow.pictures.seen import MAX_PIXELS
from styleflow.pictures.upright import Orientation, squared_size

ON_CUDA = "cuda"
"""Name of the pixel format of frames whose planes are in a GPU's memory."""

_BITS = 20  # behind the point
_OPENCV = np.array(
    [[1220542, 0, 1673527], [1220542, -409993, -852492], [1220542, 2116026, 0]], np.int64
)  # of the common case, as OpenCV rounds them
_INTERLEAVED = {"nv12": (8, 0), "p010le": (10, 6), "p016le": (16, 0)}  # bits, and shifted by


@dataclass(frozen=True, slots=True, eq=False)
class Planes:
    """Luma and chroma of a frame, as stored.

    Attributes:
        luma: `(H, W)` uint8 or uint16.
        blue: Cb, `(h, w)` of the same type.
        red: Cr, likewise.
        shared: how many pixels across and down share a sample of chroma.
        bits: of a sample.
        shift: zero bits below it.
        turn: what takes Y, Cb and Cr to RGB in 2**20, `(3, 3)` int64.
        added: what is added then, `(3,)` int64.
        black: of luma; darker samples are as dark. None where the sum says so.
    """

    luma: Tensor
    blue: Tensor
    red: Tensor
    shared: tuple[int, int]
    bits: int
    shift: int
    turn: np.ndarray[tuple[int, ...], np.dtype[np.int64]]
    added: np.ndarray[tuple[int, ...], np.dtype[np.int64]]
    black: int | None

    @classmethod
    def of(cls, frame: VideoFrame) -> Planes | None:
        """Return a frame's planes where they are; None when it is not YUV, or packed otherwise."""
        form = frame.format if frame.sw_format is None else frame.sw_format
        weights = weights_of(frame)
        interleaved = _INTERLEAVED.get(form.name)
        if weights is None or (interleaved is None and not PLANAR.fullmatch(form.name)):
            return None
        if interleaved is None and frame.sw_format is not None:
            return None  # of a GPU's pictures PyAV hands over interleaved chroma alone
        # The capsule, because PyAV refuses to be told a CUDA stream and torch would tell one.
        first, *rest = (from_dlpack(plane.__dlpack__()) for plane in frame.planes[:3])
        if interleaved is None:
            blue, red = rest
            bits, shift = form.components[0].bits, 0
            shared = (-(-first.shape[1] // blue.shape[1]), -(-first.shape[0] // blue.shape[0]))
        else:
            blue, red = rest[0][..., 0], rest[0][..., 1]
            (bits, shift), shared = interleaved, (2, 2)
        full = is_full(frame)
        even = frame.width % 2 == 0 and frame.height % 2 == 0
        if even and form.name in ("yuv420p", "nv12") and is_common(frame):
            turn, added, black = _OPENCV, -128 * _OPENCV[:, 1:].sum(1), 16
        else:
            exact = Coefficients(bits, weights).matrix(255.0, full=full) * (1 << _BITS)
            whole = np.rint(exact).astype(np.int64)
            turn, added, black = whole[:, :3], whole[:, 3], None
        return cls(first, blue, red, shared, bits, shift, turn, added, black)

    def rgb(self) -> Tensor:
        """Return them as RGB, `(H, W, 3)` uint8, a new tensor on their device."""
        height, width = self.luma.shape
        luma = self._whole(self.luma)
        if self.black is not None:
            luma = (luma - self.black).clamp_(min=0)
        blue, red = self._whole(self.blue), self._whole(self.red)
        device = str(luma.device)
        of_blue, of_red = (_row(self.turn[:, n].tolist(), device) for n in (1, 2))
        added = _row((self.added + (1 << (_BITS - 1))).tolist(), device)
        colour = blue[..., None] * of_blue + red[..., None] * of_red + added
        rgb = (luma * int(self.turn[0, 0]))[..., None] + self._spread(colour, height, width)
        return (rgb >> _BITS).clamp_(0, 255).to(torch.uint8)

    def to(self, device: torch.device) -> Planes:
        """Return the same planes on another device; a software decoder's go over as they are."""
        if self.luma.device == device:
            return self
        luma, blue, red = (each.to(device) for each in (self.luma, self.blue, self.red))
        return replace(self, luma=luma, blue=blue, red=red)

    def _whole(self, plane: Tensor) -> Tensor:
        samples = plane.to(torch.int32)
        return samples >> self.shift if self.shift else samples

    def _spread(self, chroma: Tensor, height: int, width: int) -> Tensor:
        """Return what chroma adds, `(h, w, 3)`, in the size of luma, `(H, W, 3)`.

        An odd picture's last samples of chroma are missing where DLPack counts in whole pairs;
        those beside them stand for them.
        """
        across, down = self.shared
        if chroma.shape[0] * down < height:
            chroma = torch.cat([chroma, chroma[-1:]])
        if chroma.shape[1] * across < width:
            chroma = torch.cat([chroma, chroma[:, -1:]], 1)
        if self.shared == (1, 1):
            return chroma
        h, w, _ = chroma.shape
        wide = chroma[:, None, :, None].expand(h, down, w, across, 3)
        return wide.reshape(h * down, w * across, 3)[:height, :width]


def _row(values: list[int], device: str) -> Tensor:
    return _numbers(tuple(values), device)


@functools.lru_cache(maxsize=256)
def _numbers(values: tuple[int, ...], device: str) -> Tensor:
    """Return numbers on a device, `(N,)` int32."""
    return torch.tensor(values, dtype=torch.int32).to(device)


def on_device(
    frame: VideoFrame, lies: Orientation, pixel_aspect: Fraction | None, device: str
) -> DevicePicture:
    """Return a frame's picture on a device, as `as_seen` returns it in memory.

    Args:
        frame: as decoded, of any format, in memory or on a GPU.
        lies: how the picture has to be laid.
        pixel_aspect: width of a stored pixel over its height; None or 0 when nobody knows.
        device: where the picture shall be, a name of torch's.
    """
    wanted = torch.device(device)
    if wanted.type == "cuda" and wanted.index is None:
        wanted = torch.device("cuda", torch.cuda.current_device())
    with torch.inference_mode(), lanes_of(wanted).decode(), _beside_decoder(wanted):
        planes = None if is_foreign(frame) else Planes.of(frame)
        if planes is None:
            picture = DevicePicture(torch.from_numpy(to_rgb(in_memory(frame))).to(wanted))
        else:
            picture = DevicePicture(planes.to(wanted).rgb())
        return _laid(picture, lies, pixel_aspect)


def in_memory(frame: VideoFrame) -> VideoFrame:
    """Return a frame whose planes are in memory; the same when they are there."""
    form = frame.sw_format
    return frame if form is None else frame.reformat(format=form.name, threads=1)


def _laid(
    picture: DevicePicture, lies: Orientation, pixel_aspect: Fraction | None
) -> DevicePicture:
    """Return a picture with square pixels and upright."""
    height, width, _ = picture.shape
    size = squared_size(width, height, pixel_aspect, MAX_PIXELS)
    if size[0] > width or size[1] > height:
        picture = picture.stretched(*size, "bicubic")
    elif size != (width, height):
        picture = picture.averaged(*size)
    if not lies.mirrored and not lies.quarter_turns:
        return picture
    return picture.turned(lies.quarter_turns, mirrored=lies.mirrored)


@contextmanager
def _beside_decoder(device: torch.device) -> Iterator[None]:
    """Order the calling thread's CUDA stream after NVDEC's, and NVDEC's after it."""
    if device.type != "cuda":
        yield
        return
    own, its = torch.cuda.current_stream(device), torch.cuda.default_stream(device)
    own.wait_stream(its)
    try:
        yield
    finally:
        its.wait_stream(own)
