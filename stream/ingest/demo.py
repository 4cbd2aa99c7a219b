"""Demo sources: a talking head that nobody filmed, encoded and paced like a camera.

`demo://authentic` and `demo://tampered` differ in nothing but the face. The query may say
`seconds` (how long it lasts; endless otherwise), `fps`, `seed` and `size` as WIDTHxHEIGHT, for
example `demo://tampered?seconds=6&size=1280x720`. What moves, and how, is in `demo_scene.py`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import NoReturn
from urllib.parse import parse_qsl, urlsplit

import av
import cv2
import numpy as np
from av.video.codeccontext import VideoCodecContext
from av.video.frame import VideoFrame

from stream.clock import Clock
from stream.errors import SourceError, SourceUrlInvalid
from stream.events import ReasonCode
from stream.ingest.demo_scene import Scene
from stream.ingest.source import Packet, SourceTraits, SourceUrl, StreamFormat
from styleflow.faces.face import Image

TIME_BASE = Fraction(1, 90_000)
"""Seconds per PTS unit, as RTP counts video."""

KEYFRAME_EVERY_S = 2.0
"""Seconds from one keyframe to the next, as many cameras have it."""

_LATE_S = 1.0  # whoever falls this far behind goes on from now instead of hurrying
_KEYS = ("seconds", "fps", "seed", "size")


@dataclass(frozen=True, slots=True)
class DemoSettings:
    """What a demo URL asks for.

    Attributes:
        tampered: the face is made anew in every frame.
        seconds: length in media time; None means endless.
        fps: frames per second, 1 to 60.
        seed: chooses motion, blinks and noise.
        size: width and height in pixels, both even, 160x120 to 1920x1080.
    """

    tampered: bool
    seconds: float | None = None
    fps: float = 25.0
    seed: int = 0
    size: tuple[int, int] = (640, 480)

    @classmethod
    def parse(cls, url: SourceUrl) -> DemoSettings:
        """Understand a demo URL.

        Raises:
            SourceUrlInvalid: naming the part of the query that cannot be used.
        """
        parts = urlsplit(url.reveal())
        given: dict[str, str] = {}
        for key, value in parse_qsl(parts.query, keep_blank_values=True):
            if key not in _KEYS:
                _refuse(url, f"there is no {key!r}; it may say {', '.join(_KEYS)}")
            if key in given:
                _refuse(url, f"{key} is given twice")
            given[key] = value
        chosen: dict[str, object] = {}
        if "seconds" in given:
            chosen["seconds"] = _number(url, "seconds", given["seconds"], 0.1, 86_400.0)
        if "fps" in given:
            chosen["fps"] = _number(url, "fps", given["fps"], 1.0, 60.0)
        if "seed" in given:
            chosen["seed"] = _seed(url, given["seed"])
        if "size" in given:
            chosen["size"] = _size(url, given["size"])
        return cls(tampered=parts.netloc.lower() == "tampered", **chosen)  # type: ignore[arg-type]

    @property
    def frames(self) -> int | None:
        """How many frames there are, at least 1; None means endless."""
        return None if self.seconds is None else max(1, round(self.seconds * self.fps))


class DemoSource:
    """Yields the packets of a demo at its own pace.

    Args:
        url: `demo://authentic` or `demo://tampered`, with its query.
        clock: stamps arrivals and keeps the pace.
        wait: blocks for some seconds, returns True when the stream should stop.

    Raises:
        SourceUrlInvalid: the query cannot be used.
    """

    traits = SourceTraits()

    def __init__(self, url: SourceUrl, clock: Clock, wait: Callable[[float], bool]) -> None:
        self.settings = DemoSettings.parse(url)
        self._clock = clock
        self._wait = wait
        self._closed = False

    def packets(self) -> Iterator[Packet]:
        """Draw, encode and yield frame after frame; returns early only when told to stop.

        Raises:
            SourceError: ENDED after the last frame.
        """
        settings = self.settings
        scene = Scene(settings.size, settings.fps, settings.seed)
        draw = scene.tampered if settings.tampered else scene.authentic
        encoder = _encoder(settings)
        known = StreamFormat("h264", *settings.size, extradata=None)
        start, index = self._clock.monotonic(), 0
        while settings.frames is None or index < settings.frames:
            for data, pts, keyframe in _encode(encoder, draw(index), _pts(index, settings.fps)):
                due = start + pts * float(TIME_BASE)
                now = self._clock.monotonic()
                if now - due > _LATE_S:
                    start, due = start + now - due, now
                if self._wait(max(due - now, 0.0)) or self._closed:
                    return
                arrived = self._clock.monotonic()
                yield Packet(data, pts, pts, TIME_BASE, keyframe, arrived, known)
            index += 1
        raise SourceError(ReasonCode.ENDED, "the demo has played to its end")

    def close(self) -> None:
        """Stop yielding at the next frame."""
        self._closed = True


def _pts(index: int, fps: float) -> int:
    return round(index / fps / TIME_BASE)


def _encoder(settings: DemoSettings) -> VideoCodecContext:
    encoder = av.CodecContext.create("libx264", "w")
    encoder.width, encoder.height = settings.size
    encoder.pix_fmt = "yuv420p"
    encoder.time_base = TIME_BASE
    encoder.framerate = Fraction(settings.fps).limit_denominator(1001)
    encoder.gop_size = max(1, round(KEYFRAME_EVERY_S * settings.fps))
    encoder.thread_count = 1
    encoder.options = {
        "preset": "veryfast",
        "tune": "zerolatency",
        "crf": "23",
        "x264-params": "scenecut=0:repeat-headers=1",
    }
    return encoder


def _encode(
    encoder: VideoCodecContext, picture: Image, pts: int
) -> Iterator[tuple[bytes, int, bool]]:
    planes = np.asarray(cv2.cvtColor(picture, cv2.COLOR_RGB2YUV_I420), np.uint8)
    frame = VideoFrame.from_ndarray(planes, format="yuv420p")
    frame.pts, frame.time_base = pts, TIME_BASE
    for unit in encoder.encode(frame):
        # Without B-frames every frame gives one packet at once, with its own stamp.
        yield bytes(unit), pts, unit.is_keyframe


def _number(url: SourceUrl, key: str, text: str, low: float, high: float) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not low <= value <= high:
        _refuse(url, f"{key} must be a number from {low:g} to {high:g}, not {text!r}")
    return value


def _seed(url: SourceUrl, text: str) -> int:
    if not re.fullmatch(r"[0-9]{1,9}", text):
        _refuse(url, f"seed must be a whole number of at most nine digits, not {text!r}")
    return int(text)


def _size(url: SourceUrl, text: str) -> tuple[int, int]:
    match = re.fullmatch(r"([0-9]{1,4})x([0-9]{1,4})", text)
    width, height = (int(match[1]), int(match[2])) if match else (0, 0)
    if not (160 <= width <= 1920 and 120 <= height <= 1080) or width % 2 or height % 2:
        _refuse(url, f"size must be even, from 160x120 to 1920x1080, not {text!r}")
    return width, height


def _refuse(url: SourceUrl, reason: str) -> NoReturn:
    raise SourceUrlInvalid(url.redacted, reason)
