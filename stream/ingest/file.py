"""Video files as sources, at their own pace or as fast as they can be read.

A file may have been uploaded by a stranger. Only containers that hold their video themselves are
opened, by name of the demuxer, and FFmpeg may use no protocol but `file`: a playlist, a session
description or a list of other files opens nothing.
"""

from __future__ import annotations

import stat
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path

import av
from av.container import InputContainer
from av.video.stream import VideoStream

from stream.clock import Clock
from stream.errors import SourceError
from stream.events import ReasonCode
from stream.ingest.source import Pace, Packet, SourceSettings, SourceTraits, StreamFormat
from styleflow.pictures.seen import MAX_PIXELS
from styleflow.pictures.upright import Orientation
from styleflow.video_tracks import best_track

CONTAINERS = (
    "mov,matroska,avi,mpegts,mpeg,flv,ogg,asf,mxf,wtv,ivf,h264,hevc,m4v,mpegvideo,gif,yuv4mpegpipe"
)
"""Demuxers that read one self-contained file, unlike hls, concat, sdp, dash or image2."""

LONGEST_PAUSE_S = 1.0
"""A file's gap in time longer than this is not waited for; it begins a new epoch anyway."""

MAX_FPS = 1000
"""A declared frame rate above this is that of a clock, not of pictures."""


class FileSource:
    """Yields a file's packets once, from first to last, then ends with code ENDED.

    Args:
        settings: whose URL is a file.
        clock: stamps arrivals and paces native reading.
        wait: blocks for some seconds, returns True when reading should stop.
    """

    traits = SourceTraits(complete=True)

    def __init__(
        self, settings: SourceSettings, clock: Clock, wait: Callable[[float], bool]
    ) -> None:
        self._settings = settings
        self._clock = clock
        self._wait = wait
        self._closed = False

    def packets(self) -> Iterator[Packet]:
        """Open the file and yield its packets; returns early only when told to stop.

        Raises:
            SourceError: NOT_FOUND, CODEC, CORRUPT, or ENDED after the last packet.
        """
        lies = orientation(self._settings)
        with open_file(self._settings) as container:
            yield from self._read(container, lies)
        if not self._closed:
            raise SourceError(ReasonCode.ENDED, "the file has played to its end")

    def close(self) -> None:
        """Stop yielding; the file is closed by whoever reads it."""
        self._closed = True

    def _read(self, container: InputContainer, lies: Orientation) -> Iterator[Packet]:
        video = _track(container)
        context = video.codec_context
        known = StreamFormat(
            codec=context.name,
            width=context.width,
            height=context.height,
            extradata=context.extradata,
            quarter_turns=lies.quarter_turns,
            mirrored=lies.mirrored,
            pixel_aspect=video.sample_aspect_ratio or None,
            colours=(
                context.color_range,
                context.colorspace,
                context.color_trc,
                context.color_primaries,
            ),
            frame_rate=_frame_rate(video),
            duration_s=_duration_s(container),
        )
        pace = _Pacer(self._clock) if self._settings.pace is Pace.NATIVE else None
        try:
            for unit in container.demux(video):
                if not unit.size:
                    continue
                stamp = unit.dts if unit.dts is not None else unit.pts
                pause = 0.0
                if pace is not None and stamp is not None:
                    pause = pace.pause(float(stamp * unit.time_base))
                if self._wait(pause) or self._closed:
                    self._closed = True
                    return
                yield Packet(
                    data=bytes(unit),
                    pts=unit.pts,
                    dts=unit.dts,
                    time_base=unit.time_base,
                    keyframe=unit.is_keyframe,
                    arrived=self._clock.monotonic(),
                    format=known,
                )
        except av.error.FFmpegError as error:
            raise SourceError(
                ReasonCode.CORRUPT, f"the file breaks off: {error.strerror}"
            ) from None


class _Pacer:
    """Says how long to pause so that packets come at the pace of their stamps."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._start: float | None = None

    def pause(self, at: float) -> float:
        now = self._clock.monotonic()
        if self._start is None:
            self._start = now - at
        pause = self._start + at - now
        if not -LONGEST_PAUSE_S <= pause <= LONGEST_PAUSE_S:
            self._start = now - at
            return 0.0
        return max(0.0, pause)


def open_file(settings: SourceSettings) -> InputContainer:
    """Open a video file for reading.

    Raises:
        SourceError: NOT_FOUND when there is no such file; CODEC when it is not a video that can
            be decoded; CORRUPT when it begins like one and then makes no sense.
    """
    path = Path(settings.url.reveal()).absolute()
    _check(path)
    options = {"protocol_whitelist": "file", "format_whitelist": CONTAINERS}
    try:
        container = av.open(f"file:{path}", options=options)
    except (av.error.InvalidDataError, av.error.EOFError) as error:
        raise SourceError(ReasonCode.CORRUPT, f"not a video file: {error.strerror}") from None
    except (av.error.FFmpegError, ValueError):
        raise SourceError(ReasonCode.CODEC, "not a kind of video file that is accepted") from None
    video = best_track(container)
    if video is None:
        pictures = len(container.streams.video)
        container.close()
        only = ", only a picture such as cover art" if pictures else ""
        raise SourceError(ReasonCode.CODEC, f"the file has no video stream{only}")
    if video.codec_context is None:
        container.close()
        raise SourceError(ReasonCode.CODEC, "there is no decoder for this file's video")
    return container


def _track(container: InputContainer) -> VideoStream:
    """Return the video of a file that `open_file` has opened."""
    video = best_track(container)
    assert video is not None
    return video


def _frame_rate(video: VideoStream) -> Fraction | None:
    """Return the frame rate that a file declares, or None when it declares none that can be.

    What the pictures themselves say comes first, because containers reckon it from the stamps.
    """
    declared = (video.codec_context.framerate, video.guessed_rate, video.average_rate)
    return next((rate for rate in declared if rate and 1 <= rate <= MAX_FPS), None)


def _duration_s(container: InputContainer) -> float | None:
    duration = container.duration
    return None if duration is None or duration <= 0 else duration / av.time_base


def duration_s(settings: SourceSettings) -> float | None:
    """Return how long a file says it is, or None when it does not say.

    Raises:
        SourceError: as `open_file`.
    """
    with open_file(settings) as container:
        return _duration_s(container)


def orientation(settings: SourceSettings) -> Orientation:
    """Return how a file's pictures lie: phones film sideways, and front cameras mirrored.

    FFmpeg attaches this to the pictures that its own reader decodes, so one is decoded to look.

    Raises:
        SourceError: as `open_file`.
    """
    with open_file(settings) as container:
        # A GIF of fifty bytes may declare 16000x16000 pixels: a gigabyte, before one is decoded.
        video = _track(container)
        video.codec_context.options = {"max_pixels": str(MAX_PIXELS)}
        try:
            first = next(container.decode(video), None)
        except av.error.FFmpegError:
            return (
                Orientation()
            )  # whatever is wrong will be noticed and counted when the file is played
    return Orientation() if first is None else Orientation.of(first)


def _check(path: Path) -> None:
    """Refuse what is not an ordinary readable file; a pipe or a device could block for ever."""
    try:
        mode = path.stat().st_mode
        if stat.S_ISREG(mode):
            path.open("rb").close()
    except (FileNotFoundError, NotADirectoryError):
        raise SourceError(ReasonCode.NOT_FOUND, f"no such file: {path}") from None
    except PermissionError:
        raise SourceError(ReasonCode.AUTH, f"no permission to read {path}") from None
    except (OSError, ValueError) as error:
        raise SourceError(ReasonCode.UNREACHABLE, f"cannot read {path}: {error}") from None
    if not stat.S_ISREG(mode):
        raise SourceError(ReasonCode.CODEC, f"not an ordinary file: {path}")
