"""Colours as faces are looked at: BT.709, standard range, whatever they were filmed in.

HDR pictures (PQ and HLG, SMPTE ST 2084 and ARIB STD-B67) go by way of light: each code value
becomes the light of a reference display, the primaries of BT.2020 become those of BT.709, and
diffuse white (203 cd/m2, ITU-R BT.2408) becomes white. What is brighter is rolled off, what lies
below stays as it is, so a face looks as it does in SDR. The display's gamma is 2.4 (BT.1886).
"""

from __future__ import annotations

from functools import cache

import cv2
import numpy as np
from av.video.frame import VideoFrame
from av.video.reformatter import ColorPrimaries, ColorTrc
from numpy.typing import NDArray

from styleflow.faces.face import Image

WHITE_NITS = 203.0
"""Light of diffuse white in HDR, cd/m2 (ITU-R BT.2408)."""

PEAK_NITS = 1000.0
"""Brightest light of the reference display of HLG, cd/m2."""

_HDR = frozenset({int(ColorTrc.SMPTE2084), int(ColorTrc.ARIB_STD_B67)})
_WIDE = int(ColorPrimaries.BT2020)
_BITS = 12  # of a code value in the tables
_SHOULDER = 0.85  # share of white from which light is rolled off
_GAMMA = 2.4
_TO_709 = np.array(
    [[1.6605, -0.5876, -0.0728], [-0.1246, 1.1329, -0.0083], [-0.0182, -0.1006, 1.1187]],
    np.float32,
)  # linear light of BT.2020 primaries to BT.709 (ITU-R BT.2087)
_LUMA_2020 = np.array([[0.2627, 0.6780, 0.0593]], np.float32)
_LUMA_709 = np.array([[0.2126, 0.7152, 0.0722]], np.float32)

_Light = NDArray[np.float32]
_Codes = NDArray[np.float32]


def is_foreign(frame: VideoFrame) -> bool:
    """Say whether a frame's colours are not those of BT.601 or BT.709."""
    return frame.color_trc in _HDR or frame.color_primaries == _WIDE


def to_standard(codes: _Codes, transfer: int, shared: tuple[int, int] = (1, 1)) -> Image:
    """Return a picture of BT.2020 primaries as BT.709 of standard range.

    Args:
        codes: `(H, W, 3)` RGB code values in [0, 1] and a little beyond.
        transfer: how code values stand for light, a number of `ColorTrc`; any but PQ and HLG is
            taken for a standard display.
        shared: how many pixels across and down share a sample of chroma.
    """
    places = np.rint(np.clip(codes, 0.0, 1.0) * ((1 << _BITS) - 1)).astype(np.uint16)
    light = np.take(_lights(transfer), places, mode="clip")
    if transfer == ColorTrc.ARIB_STD_B67:
        # The display's own gamma of 1.2 acts on luma, so that hues stay.
        luma = cv2.transform(light, _LUMA_2020)
        light *= (PEAK_NITS / WHITE_NITS) * cv2.pow(np.maximum(luma, 1e-6), 0.2)[..., None]
    light = np.clip(cv2.transform(light, _TO_709), 0.0, None)
    if transfer in _HDR:
        room = 1.0 - _SHOULDER
        rolled = 1.0 - room * cv2.exp((_SHOULDER - light) / room)
        light = np.where(light > _SHOULDER, rolled, light)
    code = np.asarray(cv2.pow(np.clip(light, 0.0, 1.0), 1.0 / _GAMMA), np.float32)
    if shared != (1, 1):
        code = _share(code, shared)
    return np.asarray(cv2.convertScaleAbs(np.maximum(code, 0.0), alpha=255.0), np.uint8)


def _share(code: _Codes, shared: tuple[int, int]) -> _Codes:
    """Return a picture whose neighbours share their chroma again, as they do in SDR.

    What they share in HDR is not what they would share in SDR: the steep curves turn it into hues
    that change from one pixel to the next, twenty grey levels at the edges of a small face.
    """
    height, width = code.shape[:2]
    right, below = -width % shared[0], -height % shared[1]
    whole = code
    if right or below:
        whole = np.asarray(cv2.copyMakeBorder(code, 0, below, 0, right, cv2.BORDER_REPLICATE))
    few = (whole.shape[1] // shared[0], whole.shape[0] // shared[1])
    few_codes = cv2.resize(whole, few, interpolation=cv2.INTER_AREA)
    chroma = few_codes - cv2.transform(few_codes, _LUMA_709)[..., None]
    size = (whole.shape[1], whole.shape[0])
    spread = cv2.resize(chroma, size, interpolation=cv2.INTER_NEAREST)[:height, :width]
    luma = cv2.cvtColor(cv2.transform(code, _LUMA_709), cv2.COLOR_GRAY2RGB)
    return np.asarray(cv2.add(luma, spread), np.float32)


@cache
def _lights(transfer: int) -> _Light:
    """Return the light of every code value: 1 is diffuse white, but for HLG the camera's peak."""
    code = np.arange(1 << _BITS) / ((1 << _BITS) - 1)
    match transfer:
        case ColorTrc.SMPTE2084:
            light = _pq(code) / WHITE_NITS
        case ColorTrc.ARIB_STD_B67:
            light = _hlg(code)
        case _:
            light = code**_GAMMA
    return light.astype(np.float32)


def _pq(code: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return cd/m2 of PQ code values in [0, 1] (SMPTE ST 2084)."""
    m1, m2 = 2610 / 16384, 2523 / 4096 * 128
    c1, c2, c3 = 3424 / 4096, 2413 / 4096 * 32, 2392 / 4096 * 32
    root = code ** (1 / m2)
    return np.asarray(10_000.0 * (np.maximum(root - c1, 0.0) / (c2 - c3 * root)) ** (1 / m1))


def _hlg(code: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the camera's light in [0, 1] of HLG code values in [0, 1] (ITU-R BT.2100)."""
    a, b, c = 0.17883277, 0.28466892, 0.55991073
    return np.asarray(np.where(code <= 0.5, code**2 / 3, (np.exp((code - c) / a) + b) / 12))
