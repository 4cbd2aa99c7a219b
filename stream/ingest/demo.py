"""Demo sources: a talking head that nobody filmed, encoded and paced like a camera.

`demo://authentic` and `demo://tampered` differ in nothing but the face. The query may say
`seconds` (how long it lasts; endless otherwise), `fps`, `seed` and `size` as WIDTHxHEIGHT, for
example `demo://tampered?seconds=6&size=1280x720`. What moves, and how, is in `demo_scene.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from fractions import Fraction

import av
import cv2
import numpy as np
from av.video.codeccontext import VideoCodecContext
from av.video.frame import VideoFrame

from stream.clock import Clock
from stream.errors import SourceError
from stream.events import ReasonCode
from stream.ingest.demo_scene import Scene
from stream.ingest.demo_settings import DemoSettings
from stream.ingest.source import Packet, SourceTraits, SourceUrl, StreamFormat
from styleflow.faces.face import Image

TIME_BASE = Fraction(1, 90_000)
"""Seconds per PTS unit, as RTP counts video."""

KEYFRAME_EVERY_S = 2.0
"""Seconds from one keyframe to the next, as many cameras have it."""

_LATE_S = 1.0  # whoever falls this far behind goes on from now instead of hurrying


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
