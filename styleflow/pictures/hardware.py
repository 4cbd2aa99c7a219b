"""Decoding on a GPU: what NVDEC decodes, how its decoder is opened, and why one is not.

PyAV 18 opens FFmpeg's own decoders on a device: `HWAccel("cuda", is_hw_owned=True)` leaves their
pictures in the GPU's memory, whose planes DLPack hands to torch (`planes.py`). The CUDA context is
torch's. FFmpeg copies each picture out of the decoder's few surfaces on the device, so a picture
may be kept as long as it is wanted.

FFmpeg falls back by itself where the decoder does not take a stream (its profile, size or samples):
then its pictures are in memory. Whatever else fails is the caller's to fall back from.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import av
from av.codec.hwaccel import HWAccel, hwdevices_available

from styleflow.pictures.fallback import Fallback

_NVDEC = {"h264": "h264", "hevc": "hevc", "vp8": "vp8", "vp9": "vp9", "av1": "av1"}
_NVDEC["libdav1d"] = "av1"  # the decoder in memory has no other way than memory
_CONTEXTS: tuple[dict[str, object], ...] = (
    {"current_ctx": "1", "primary_ctx": "0"},
    {"primary_ctx": "1"},
)


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
    context = _opened(name, device)
    if isinstance(context, Refusal):
        return context
    if not isinstance(context, av.VideoCodecContext) or not context.is_hwaccel:
        return Refusal(Fallback.CODEC, f"this build of FFmpeg has no NVDEC for {name}")
    return context


def _opened(name: str, device: str) -> av.CodecContext | Refusal:
    """Return a decoder in torch's CUDA context, which is made if it is not there yet.

    FFmpeg refuses to share a context that it has not made itself (`primary_ctx`: torch's is
    scheduled otherwise), unless it is told to take the one that is current. A context of its own
    would do as well, but for the memory.
    """
    import torch

    if not torch.cuda.is_available():
        return Refusal(Fallback.DEVICE, "torch sees no CUDA device")
    _, _, index = device.partition(":")
    said: object = None
    try:
        number = int(index or torch.cuda.current_device())
        with torch.cuda.device(number):
            torch.empty(1, device="cuda")  # has torch make its context, current on this thread
            for options in _CONTEXTS:
                try:
                    return _created(name, number, options)
                except (av.error.FFmpegError, ValueError, MemoryError) as error:
                    said = getattr(error, "strerror", None) or error
    except (RuntimeError, AssertionError) as error:
        said = error
    return Refusal(Fallback.DEVICE, f"the CUDA device cannot be used for video: {said}")


def _created(name: str, number: int, options: dict[str, object]) -> av.CodecContext:
    wanted = HWAccel(
        "cuda",
        str(number),
        allow_software_fallback=True,
        options=dict(options),
        is_hw_owned=True,
    )
    return av.CodecContext.create(name, "r", wanted)


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
