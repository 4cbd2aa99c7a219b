"""Decoding on a GPU: what NVDEC decodes, how its decoder is opened, and why one is not.

PyAV 18 opens FFmpeg's own decoders on a device: `HWAccel("cuda", is_hw_owned=True)` leaves their
pictures in the GPU's memory, whose planes DLPack hands to torch (`planes.py`). The device's primary
CUDA context is used, which is torch's too. FFmpeg copies each picture out of the decoder's few
surfaces on the device, so a picture may be kept as long as it is wanted.

FFmpeg falls back by itself where the decoder does not take a stream (its profile, size or samples):
then its pictures are in memory. Whatever else fails is the caller's to fall back from.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum

import av
from av.codec.hwaccel import HWAccel, hwdevices_available

_NVDEC = {"h264": "h264", "hevc": "hevc", "vp8": "vp8", "vp9": "vp9", "av1": "av1"}
_NVDEC["libdav1d"] = "av1"  # the decoder in memory has no other way than memory


class Fallback(Enum):
    """Why video that a GPU should decode is decoded by the processor."""

    CODEC = "codec"
    """NVDEC does not decode it, or this build of FFmpeg cannot ask it to."""

    DEVICE = "device"
    """The GPU or its driver could not be opened."""

    REFUSED = "refused"
    """The decoder does not take this stream's profile, size or samples, or has no room for it."""

    BROKEN = "broken"
    """The decoder, or what makes RGB of its pictures, failed in the middle of the stream."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a hardware decoder was not opened, and what the libraries said."""

    reason: Fallback
    detail: str


OpenHardware = Callable[[str, str], "av.VideoCodecContext | Refusal"]
"""Opens a decoder for a codec, by FFmpeg's name, on a device, by torch's; or says why not."""


def hardware_context(codec: str, device: str) -> av.VideoCodecContext | Refusal:
    """Return a decoder on a GPU that is not open yet, or why there is none.

    Args:
        codec: FFmpeg's name of it.
        device: torch's name of the GPU, `cuda` or `cuda:N`.
    """
    name = _NVDEC.get(codec)
    if name is None:
        return Refusal(Fallback.CODEC, f"NVDEC does not decode {codec}")
    if "cuda" not in hwdevices_available():
        return Refusal(Fallback.CODEC, "this build of FFmpeg knows no CUDA")
    _, _, index = device.partition(":")
    wanted = HWAccel("cuda", index or None, allow_software_fallback=True, is_hw_owned=True)
    try:
        context = av.CodecContext.create(name, "r", wanted)
    except (av.error.FFmpegError, ValueError, MemoryError) as error:
        said = getattr(error, "strerror", None) or error
        return Refusal(Fallback.DEVICE, f"the CUDA device cannot be opened: {said}")
    if not isinstance(context, av.VideoCodecContext) or not context.is_hwaccel:
        return Refusal(Fallback.CODEC, f"this build of FFmpeg has no NVDEC for {name}")
    return context


@dataclass(frozen=True, slots=True)
class Decoding:
    """Where video is decoded, and where its pictures lie.

    Attributes:
        pictures: torch's name of the device where pictures lie and are converted; None leaves them
            in memory. `cpu` is the same path on the processor.
        hardware: the GPU where they lie decodes what it can.
        open: opens its decoders.
    """

    pictures: str | None = None
    hardware: bool = False
    open: OpenHardware = field(default=hardware_context)

    @classmethod
    def on(cls, device: str, *, hardware: bool = True) -> Decoding:
        """Return where video is decoded whose faces are scored on a device, a name of torch's."""
        if not device.startswith("cuda"):
            return cls()
        return cls(device, hardware)


def why_not(device: str = "cuda") -> str | None:
    """Return why a GPU does not decode H.264 here, in the libraries' words; None where it does."""
    found = hardware_context("h264", device)
    return found.detail if isinstance(found, Refusal) else None
