"""Pictures that stay on the device where they were decoded, and what faces need of them there.

A `DevicePicture` is to a tensor what an `Image` is to an array: the same functions take either.
Where a picture is cut, turned or made smaller, OpenCV's arithmetic is repeated on the device in
whole numbers (places in steps of 1/32 pixel, weights of ten bits), so that a processor and a GPU
agree with it and with one another: crops are equal to the last bit. So are averages over parts of
pixels, which are added up in its order. Enlargements, which it rounds in a way of its own, differ
by one grey level at most.

On CUDA a picture remembers when it was finished, and whoever uses it on another CUDA stream waits
for that on the device; no thread waits. What is asked for in memory is copied once and kept.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from typing import TypeVar, cast

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from styleflow.errors import ShapeMismatch

_STEPS = 32  # places between two pixels
_HALF = _STEPS * _STEPS // 2
_FINE = 1024  # of OpenCV's fixed point, for a pixel
_FARTHEST = 1 << 29  # of a place, in those
_LUMA = (9798, 19235, 3735)  # of red, green and blue, in 2**15
_LUMA_BITS = 15
_HARDLY = 1e-3  # of a pixel: a part as small as that is left out


class DevicePicture:
    """One RGB picture on a device.

    Args:
        pixels: `(H, W, 3)` uint8, on any device, written by the calling thread's CUDA stream.

    Raises:
        ShapeMismatch: not such a tensor.
    """

    __slots__ = ("_host", "_pixels", "_ready")

    def __init__(self, pixels: Tensor) -> None:
        if pixels.ndim != 3 or pixels.shape[2] != 3 or pixels.dtype != torch.uint8:
            raise ShapeMismatch("picture on a device", "(H, W, 3) uint8", tuple(pixels.shape))
        self._pixels = pixels
        self._host: NDArray[np.uint8] | None = None
        self._ready: torch.cuda.Event | None = None
        if pixels.is_cuda:
            self._ready = torch.cuda.Event()  # type: ignore[no-untyped-call]
            self._ready.record(torch.cuda.current_stream(pixels.device))

    @property
    def shape(self) -> tuple[int, int, int]:
        """Height, width and 3, as an array has it."""
        height, width, channels = self._pixels.shape
        return height, width, channels

    @property
    def dtype(self) -> np.dtype[np.uint8]:
        """What an array of the same pixels would hold."""
        return np.dtype(np.uint8)

    @property
    def device(self) -> torch.device:
        """Where the pixels are."""
        return self._pixels.device

    def pixels(self) -> Tensor:
        """Return the pixels, `(H, W, 3)` uint8, for work on the calling thread's CUDA stream."""
        if self._ready is not None:
            stream = torch.cuda.current_stream(self._pixels.device)
            stream.wait_event(self._ready)
            self._pixels.record_stream(stream)
        return self._pixels

    def host(self) -> NDArray[np.uint8]:
        """Return the picture in memory, `(H, W, 3)` uint8; copied at the first request."""
        if self._host is None:
            self._host = np.ascontiguousarray(self.pixels().cpu().numpy())
        return self._host

    def part(self, rows: slice, columns: slice) -> DevicePicture:
        """Return a part of the picture; no pixel is copied."""
        return DevicePicture(self.pixels()[rows, columns])

    def green(self, rows: slice, columns: slice) -> NDArray[np.uint8]:
        """Return green of a part of the picture, in memory, `(h, w)` uint8."""
        return np.ascontiguousarray(self.pixels()[rows, columns, 1].cpu().numpy())

    def warped(
        self,
        transform: NDArray[np.float64],
        size: tuple[int, int],
        *,
        border: int = cv2.BORDER_CONSTANT,
        inverse: bool = False,
    ) -> DevicePicture:
        """Return what `cv2.warpAffine` makes of the picture, bilinear, bit for bit.

        Args:
            transform: from picture to crop pixels, `(2, 3)`.
            size: width and height of the crop.
            border: what lies beyond the picture: BORDER_CONSTANT (black) or BORDER_REFLECT_101.
            inverse: the transform leads from crop to picture pixels.
        """
        back = transform if inverse else cv2.invertAffineTransform(transform)
        pixels = self.pixels()
        height, width = pixels.shape[:2]
        places = _places(np.asarray(back, np.float64), size, pixels.device)
        shown, shares = _neighbours(places, (width, height), border)
        index = shown[:, 1, None] * width + shown[None, :, 0]  # (2, 2, h, w): below, and right
        weights = shares[:, 1, None] * shares[None, :, 0]
        four = pixels.reshape(-1, 3)[index] * weights[..., None]
        sums = four.sum((0, 1), dtype=torch.int32)
        return DevicePicture(((sums + _HALF) >> 10).to(torch.uint8))

    def averaged(self, width: int, height: int) -> DevicePicture:
        """Return the picture made smaller as `cv2.INTER_AREA` does."""
        pixels = self.pixels()
        rows, columns = pixels.shape[:2]
        if rows % height or columns % width or rows // height != columns // width:
            return DevicePicture(_rounded(self._weighed(width, height)))
        times = rows // height
        parts = pixels.reshape(height, times, width, times, 3)
        sums = parts.to(torch.int32).sum((1, 3), dtype=torch.int32)
        if times == 2:
            return DevicePicture(((sums + 2) >> 2).to(torch.uint8))
        return DevicePicture(_rounded(sums.float() * float(np.float32(1 / (times * times)))))

    def stretched(self, width: int, height: int, mode: str = "bilinear") -> DevicePicture:
        """Return the picture resampled as OpenCV and PyTorch do, without averaging.

        Args:
            width: of the result, pixels.
            height: of the result, pixels.
            mode: `bilinear` or `bicubic`.
        """
        return self._interpolated((height, width), mode, antialias=False)

    def resized(self, width: int, height: int, mode: str = "bicubic") -> DevicePicture:
        """Return the picture resampled, averaging where it becomes smaller; see `stretched`."""
        return self._interpolated((height, width), mode, antialias=True)

    def pasted(self, rows: slice, columns: slice, inner: DevicePicture) -> DevicePicture:
        """Return the picture with another one in a part of it."""
        pixels = self.pixels().clone()
        pixels[rows, columns] = inner.pixels()
        return DevicePicture(pixels)

    def padded(self, width: int, height: int) -> DevicePicture:
        """Return the picture with black to the right of it and below."""
        there = self.pixels()
        pixels = there.new_zeros((height, width, 3))
        pixels[: there.shape[0], : there.shape[1]] = there
        return DevicePicture(pixels)

    def turned(self, quarters: int, *, mirrored: bool = False) -> DevicePicture:
        """Return the picture flipped left to right, then turned counterclockwise."""
        pixels = self.pixels()
        flipped = pixels.flip(1) if mirrored else pixels
        return DevicePicture(torch.rot90(flipped, quarters, (0, 1)).contiguous())

    def sharpness_and_brightness(self, rows: slice, columns: slice) -> tuple[float, float]:
        """Return variance of the Laplacian and mean of a part's luma, in grey levels."""
        part = self.pixels()[rows, columns].to(torch.int32)
        red, green, blue = (part[..., n] * weight for n, weight in enumerate(_LUMA))
        luma = ((red + green + blue + (1 << (_LUMA_BITS - 1))) >> _LUMA_BITS).double()
        wide = functional.pad(luma[None, None], (1, 1, 1, 1), mode="reflect")[0, 0]
        beside = wide[1:-1, :-2] + wide[1:-1, 2:] + wide[:-2, 1:-1] + wide[2:, 1:-1]
        edges = beside - 4 * luma
        sharp, bright = torch.stack([edges.var(correction=0), luma.mean()]).cpu().tolist()
        return sharp, bright

    def _interpolated(self, size: tuple[int, int], mode: str, *, antialias: bool) -> DevicePicture:
        planes = self.pixels().permute(2, 0, 1)[None].float()
        made = functional.interpolate(planes, size, mode=mode, antialias=antialias)
        return DevicePicture(_rounded(made[0].permute(1, 2, 0)).contiguous())

    def _weighed(self, width: int, height: int) -> Tensor:
        """Return averages over parts of pixels, added up in OpenCV's order and precision."""
        pixels = self.pixels()
        rows, columns = pixels.shape[:2]
        device = str(pixels.device)
        across = pixels.new_zeros((rows, width, 3), dtype=torch.float32)
        for places, shares in zip(*_shares(columns, width, device), strict=True):
            across += pixels[:, places] * shares[:, None]
        down = across.new_zeros((height, width, 3))
        for places, shares in zip(*_shares(rows, height, device), strict=True):
            down += across[places] * shares[:, None, None]
        return down


Pixels = NDArray[np.uint8] | DevicePicture
"""A picture or a crop, `(H, W, 3)` RGB uint8, in memory or on a device."""


P = TypeVar("P", bound=Pixels)
"""A picture and what is cut out of it lie in the same place."""


def warped(
    picture: P,
    transform: NDArray[np.float64],
    size: tuple[int, int],
    *,
    border: int = cv2.BORDER_CONSTANT,
    inverse: bool = False,
) -> P:
    """Return a crop of a picture where the picture is; see `DevicePicture.warped`."""
    if isinstance(picture, DevicePicture):
        return cast(P, picture.warped(transform, size, border=border, inverse=inverse))
    flags = cv2.INTER_LINEAR | (cv2.WARP_INVERSE_MAP if inverse else 0)
    image = cast(NDArray[np.uint8], picture)
    crop = cv2.warpAffine(image, transform, size, flags=flags, borderMode=border)
    return cast(P, np.asarray(crop, np.uint8))


def part(picture: P, rows: slice, columns: slice) -> P:
    """Return a part of a picture, where the picture is; no pixel is copied."""
    if isinstance(picture, DevicePicture):
        return cast(P, picture.part(rows, columns))
    return cast(P, cast(NDArray[np.uint8], picture)[rows, columns])


def averaged(picture: P, rows: slice, columns: slice, size: tuple[int, int]) -> P:
    """Return a part of a picture made smaller, where the picture is.

    Args:
        picture: `(H, W, 3)` uint8.
        rows: of the part.
        columns: of the part.
        size: width and height of the result.
    """
    if isinstance(picture, DevicePicture):
        return cast(P, picture.part(rows, columns).averaged(*size))
    image = cast(NDArray[np.uint8], picture)
    small = cv2.resize(image[rows, columns], size, interpolation=cv2.INTER_AREA)
    return cast(P, np.asarray(small, np.uint8))


def host(picture: Pixels) -> NDArray[np.uint8]:
    """Return a picture in memory; the same array when it is there already."""
    return picture if isinstance(picture, np.ndarray) else picture.host()


def stacked(pictures: Sequence[Pixels], device: torch.device) -> Tensor:
    """Return pictures of one shape as `(B, H, W, 3)` uint8 on a device, in as few copies.

    Those that are on the device already do not leave it.
    """
    if all(isinstance(picture, np.ndarray) for picture in pictures):
        return torch.from_numpy(np.stack([host(p) for p in pictures])).to(device)
    there = [torch.from_numpy(p) if isinstance(p, np.ndarray) else p.pixels() for p in pictures]
    return torch.stack([each.to(device) for each in there])


def _places(back: NDArray[np.float64], size: tuple[int, int], device: torch.device) -> Tensor:
    """Return where each pixel of a crop lies in its picture, in 1/32 px, x and y, `(2, h, w)`."""
    width, height = size
    across = np.rint(back[:, :1] * np.arange(width) * _FINE)
    down = np.rint((back[:, 1:2] * np.arange(height) + back[:, 2:]) * _FINE)
    down += _FINE // _STEPS // 2
    terms = np.clip(np.concatenate([across, down], 1), -_FARTHEST, _FARTHEST).astype(np.int32)
    on = torch.from_numpy(terms).to(device, non_blocking=True)
    return (on[:, None, :width] + on[:, width:, None]) >> 5


def _neighbours(places: Tensor, lengths: tuple[int, int], border: int) -> tuple[Tensor, Tensor]:
    """Return the pixels that lie round each place, and their shares.

    A launch costs more than what it computes here, so both neighbours and both directions go
    together.

    Args:
        places: from `_places`.
        lengths: width and height of the picture.
        border: see `DevicePicture.warped`.

    Returns:
        Columns and rows, `(2, 2, h, w)` int64: of the nearer neighbour before and of the one that
        follows, x and y; and the shares of each in 32, int32.
    """
    whole, part = places >> 5, places & (_STEPS - 1)
    both = torch.stack([whole, whole + 1])
    shares = torch.stack([_STEPS - part, part])
    lasts = _column(tuple(length - 1 for length in lengths), str(places.device))
    if border == cv2.BORDER_REFLECT_101:
        periods = (2 * lasts).clamp(min=1)
        there = both.abs() % periods
        return torch.minimum(there, periods - there).clamp(min=0).minimum(lasts).long(), shares
    inside = both.clamp(min=0).minimum(lasts)
    return inside.long(), shares * (inside == both)


@functools.lru_cache(maxsize=256)
def _column(values: tuple[int, ...], device: str) -> Tensor:
    """Return numbers on a device, `(N, 1, 1)` int32."""
    return torch.tensor(values, dtype=torch.int32).to(device)[:, None, None]


def _rounded(values: Tensor) -> Tensor:
    return values.round().clamp_(0, 255).to(torch.uint8)


@functools.lru_cache(maxsize=64)
def _shares(length: int, fewer: int, device: str) -> tuple[Tensor, Tensor]:
    """Return which old pixels make each new one, and their shares.

    Returns:
        Places, `(K, fewer)` int64, and shares, `(K, fewer)` float32: the K-th pixel of each new
        one. Those of few pixels have shares of 0 at the end.
    """
    scale = length / fewer
    parts: list[list[tuple[int, float]]] = []
    for number in range(fewer):
        begin, end = number * scale, (number + 1) * scale
        covered = min(scale, length - begin)
        last = min(math.floor(end), length - 1)
        first = min(math.ceil(begin), last)
        part = [(place, 1 / covered) for place in range(first, last)]
        if first - begin > _HARDLY:
            part.insert(0, (first - 1, (first - begin) / covered))
        if end - last > _HARDLY:
            part.append((last, min(end - last, 1.0, covered) / covered))
        parts.append(part)
    most = max(map(len, parts))
    padded = np.array([part + [(0, 0.0)] * (most - len(part)) for part in parts])
    places = torch.from_numpy(padded[..., 0].T.astype(np.int64))
    shares = torch.from_numpy(padded[..., 1].T.astype(np.float32))
    return places.to(device), shares.to(device)
