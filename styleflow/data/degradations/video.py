"""Degradations of video by camera and codec: one draw for real and fake of a pair.

A degradation that only fakes suffered would become the cue, so it is drawn once and applied to a
real window and to the pseudo-fake made from it.
"""

from __future__ import annotations

import io
from dataclasses import dataclass, replace
from fractions import Fraction

import av
import cv2
import numpy as np
from numpy.typing import NDArray

from styleflow.data.video import Frames
from styleflow.faces.face import Image

_PRESETS = ("superfast", "veryfast", "faster")
_DROPS, _LOSSY = 1, 2  # streams of random numbers beside that of the noise
_WORST_DROP = 0.25  # beyond it calls fall apart, and nobody goes on looking

MACROBLOCK_PX = 16
"""H.264 codes squares of this side."""


@dataclass(frozen=True, slots=True)
class Degradation:
    """One way from a scene to a decoded picture.

    Attributes:
        scale: size of the pictures before they are encoded, as a fraction.
        blur: standard deviation of a blur in pixels; 0 for none.
        noise: standard deviation of sensor noise in grey levels; 0 for none.
        gain: factor on brightness.
        saturation: factor on colourfulness.
        crf: quality of the H.264 encoding, lower is better; None leaves it out.
        preset: speed of the encoder, in x264's words.
        drop: share of frames that never arrive; the one before stays, as a call shows it.
        seed: of noise and drops.
    """

    scale: float = 1.0
    blur: float = 0.0
    noise: float = 0.0
    gain: float = 1.0
    saturation: float = 1.0
    crf: int | None = None
    preset: str = "veryfast"
    drop: float = 0.0
    seed: int = 0

    def apply(self, frames: Frames) -> Frames:
        """Return degraded pictures, `(T, H', W', 3)`; H' and W' follow `scale` in steps of 16."""
        rng = np.random.default_rng(self.seed)
        degraded = np.stack([self._degrade(frame, rng) for frame in frames])
        coded = degraded if self.crf is None else through_h264(degraded, self.crf, self.preset)
        return coded if self.drop == 0 else coded[self.shown(len(coded))]

    def shown(self, frames: int) -> NDArray[np.int64]:
        """Return which frame is seen at each moment, `(frames,)`; whoever has masks needs it too.

        The first always arrives. Drops do not depend on the pictures, so that a real window and
        its pseudo-fakes freeze at the same moments.
        """
        rng = np.random.default_rng([self.seed, _DROPS])
        arrived = rng.random(frames) >= self.drop
        arrived[:1] = True
        return np.maximum.accumulate(np.where(arrived, np.arange(frames), 0))

    def size(self, height: int, width: int) -> tuple[int, int]:
        """Return height and width of degraded pictures; both are whole macroblocks."""
        return _whole_blocks(height * self.scale), _whole_blocks(width * self.scale)

    def _degrade(self, frame: Image, rng: np.random.Generator) -> Image:
        height, width = self.size(*frame.shape[:2])
        if (height, width) != frame.shape[:2]:
            frame = np.asarray(
                cv2.resize(frame, (width, height), interpolation=cv2.INTER_AREA), np.uint8
            )
        if self.blur > 0:
            frame = np.asarray(cv2.GaussianBlur(frame, (0, 0), self.blur), np.uint8)
        if self.noise == 0 and self.gain == 1 and self.saturation == 1:
            return frame
        picture = frame.astype(np.float32)
        grey = picture.mean(axis=-1, keepdims=True)
        picture = (grey + (picture - grey) * self.saturation) * self.gain
        if self.noise > 0:
            # Luma noise, mostly: sensors are demosaiced and codecs halve the chroma anyway.
            picture += rng.normal(0, self.noise, (*frame.shape[:2], 1)).astype(np.float32)
        return np.asarray(np.clip(picture + 0.5, 0, 255), np.uint8)


def random_degradation(rng: np.random.Generator, drops: float = 0.0) -> Degradation:
    """Draw a degradation: always a codec, sometimes what comes before it or what is lost after it.

    Args:
        rng: chooses.
        drops: share of draws in which frames are dropped. They take nothing from `rng`, so that
            what else is drawn stays the same.
    """
    degradation = Degradation(
        scale=float(rng.uniform(0.5, 1.0)) if rng.random() < 0.4 else 1.0,
        blur=float(rng.uniform(0.3, 1.1)) if rng.random() < 0.25 else 0.0,
        noise=float(rng.uniform(0.5, 6.0)) if rng.random() < 0.25 else 0.0,
        gain=float(np.exp(rng.normal(0, 0.12))),
        saturation=float(np.exp(rng.normal(0, 0.15))),
        crf=int(rng.integers(15, 34)),
        preset=str(rng.choice(_PRESETS)),
        seed=int(rng.integers(2**31)),
    )
    lossy = np.random.default_rng([degradation.seed, _LOSSY])
    if lossy.random() < drops:
        return replace(degradation, drop=float(lossy.uniform(0.02, _WORST_DROP)))
    return degradation


def through_h264(frames: Frames, crf: int, preset: str = "veryfast", rate: int = 25) -> Frames:
    """Return pictures after H.264 encoding and decoding, in memory.

    Args:
        frames: `(T, H, W, 3)` RGB uint8, H and W even.
        crf: x264's constant rate factor.
        preset: x264's preset.
        rate: frames a second that the stream claims.
    """
    # x264's macroblock tree reads past small pictures: half of all runs gave other bytes.
    options: dict[str, object] = {
        "crf": str(crf),
        "preset": preset,
        "g": "50",
        "x264-params": "mbtree=0",
    }
    return _coded(frames, "mp4", "libx264", rate, options)


def through_vp8(frames: Frames, bit_rate: int, rate: int = 25) -> Frames:
    """Return pictures after VP8 encoding, as a call does it, and decoding; however busy we are.

    Args:
        frames: `(T, H, W, 3)` RGB uint8, H and W even.
        bit_rate: bits a second.
        rate: frames a second that the stream claims.
    """
    # Above 0 the encoder works less thoroughly the longer it takes, so a busy machine would code
    # otherwise than an idle one. Below 0 is a fixed speed; this is the one of an encoder with time.
    options: dict[str, object] = {"deadline": "realtime", "cpu-used": "-4"}
    return _coded(frames, "matroska", "libvpx", rate, options, bit_rate)


def _coded(
    frames: Frames,
    container_format: str,
    codec: str,
    rate: int,
    options: dict[str, object],
    bit_rate: int | None = None,
) -> Frames:
    """Return pictures after encoding and decoding; one thread, so the same every time."""
    buffer = io.BytesIO()
    with av.open(buffer, "w", format=container_format) as container:
        stream = container.add_stream(codec, rate=Fraction(rate))
        assert isinstance(stream, av.VideoStream)
        stream.height, stream.width = frames.shape[1:3]
        stream.pix_fmt, stream.options, stream.thread_count = "yuv420p", options, 1
        if bit_rate is not None:
            stream.bit_rate = bit_rate
        for frame in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode())
    buffer.seek(0)
    with av.open(buffer, "r") as container:
        container.streams.video[0].thread_type = "NONE"
        decoded = [f.to_ndarray(format="rgb24") for f in container.decode(video=0)]
    return np.stack(decoded)


def _whole_blocks(length: float) -> int:
    """Round to whole macroblocks: what the codec would pad is not always the same twice."""
    return max(MACROBLOCK_PX, round(length / MACROBLOCK_PX) * MACROBLOCK_PX)
