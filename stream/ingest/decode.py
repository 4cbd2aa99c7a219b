"""Decoder from packets to pictures, apart from any connection.

Nothing that arrives can end the stream by itself: a packet that the decoder refuses is counted
and the next picture says that something before it is missing. Only a long run of refusals is an
error. Pictures convert themselves to RGB when asked, because most of them are never sampled.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction

import av
from av.video.frame import VideoFrame

from stream.errors import SourceError
from stream.events import ReasonCode
from stream.ingest.frame_numbers import Count, FrameNumbers
from stream.ingest.source import Packet, StreamFormat
from styleflow.faces.face import Image
from styleflow.pictures.decode_order import REORDERING, DecodeOrder
from styleflow.pictures.seen import MAX_PIXELS, as_seen
from styleflow.pictures.upright import Orientation

ORIENTED = frozenset(("h264", "hevc"))
"""Codecs whose pictures may say how they lie (SEI, display orientation)."""

MAX_REFUSALS = 150
"""Packets refused in a row, at most: six seconds of video that never decodes."""


@dataclass(frozen=True, slots=True, eq=False)
class Picture:
    """One decoded picture.

    Attributes:
        pts: presentation time in `time_base` units, or None.
        time_base: seconds per unit.
        codec: name of the codec.
        size: width and height.
        keyframe: decodable on its own.
        damaged: the decoder refused something since the previous picture.
        corrupt: a part of it was lost, or the decoder says that it is damaged.
        dts: decoding time in `time_base` units, or None.
        arrived: monotonic arrival of its packet.
        bits: compressed size of its packet; 0 where nobody knows.
        count: what the stream's own numbering says about what came before its packet.
    """

    pts: int | None
    time_base: Fraction
    codec: str
    size: tuple[int, int]
    keyframe: bool
    damaged: bool
    corrupt: bool
    dts: int | None
    arrived: float
    bits: int
    count: Count
    _frame: VideoFrame
    _orientation: Orientation
    _pixel_aspect: Fraction | None = None

    def rgb(self) -> Image:
        """Convert to RGB with square pixels and lay upright, `(H, W, 3)` uint8; a fresh array."""
        return as_seen(self._frame, self._orientation, self._pixel_aspect)


class Decoder:
    """Decodes the packets of one format.

    Args:
        format: what to know before the first packet.
        complete: no packet is lost on the way, as from a file, so their stamps can be put in order.

    Raises:
        SourceError: there is no decoder for this codec.
    """

    def __init__(self, format: StreamFormat, *, complete: bool = False) -> None:
        self.format = format
        self.refused = 0
        self._refused_in_a_row = 0
        self._damaged = False
        self._time_base = Fraction(1)
        self._arrived = 0.0
        self._order = DecodeOrder() if complete and format.codec in REORDERING else None
        self._numbers = FrameNumbers() if format.codec == "h264" else None
        self._tells_orientation = format.quarter_turns is None and format.codec in ORIENTED
        self._orientation = Orientation(format.mirrored, (format.quarter_turns or 0) % 4)
        try:
            context = av.CodecContext.create(format.codec, "r")
        except (av.error.FFmpegError, ValueError):
            raise SourceError(
                ReasonCode.CODEC, f"there is no decoder for {format.codec!r}"
            ) from None
        if not isinstance(context, av.VideoCodecContext):
            raise SourceError(ReasonCode.CODEC, f"{format.codec!r} is not a video codec")
        context.thread_type = "NONE"
        context.thread_count = 1
        context.copy_opaque = True
        # Refuse damaged slices rather than paint over them: concealment looks like forgery.
        context.options = {"max_pixels": str(MAX_PIXELS), "err_detect": "+explode"}
        if format.extradata:
            context.extradata = format.extradata
        if format.colours is not None:
            context.color_range, context.colorspace, trc, primaries = format.colours
            context.color_trc, context.color_primaries = trc, primaries
        self._context = context

    def decode(self, packet: Packet) -> list[Picture]:
        """Return the pictures that this packet completes, in presentation order.

        Raises:
            SourceError: nothing has been decodable for a long while (CORRUPT).
        """
        self._time_base = packet.time_base
        self._arrived = packet.arrived
        unit = av.Packet(packet.data)
        unit.pts = packet.pts
        unit.dts = packet.dts
        unit.time_base = packet.time_base
        if self._order is not None:
            self._order.take(packet.pts)
        unit.opaque = (packet, Count() if self._numbers is None else self._numbers.take(packet))
        try:
            frames: Iterable[VideoFrame] = self._context.decode(unit)
        except (av.error.FFmpegError, ValueError) as error:
            if self._order is not None:
                self._order.forget(packet.pts)
            self._refuse(error)
            return []
        self._refused_in_a_row = 0
        return [self._picture(frame) for frame in frames]

    def flush(self) -> list[Picture]:
        """Return the pictures still held back for reordering; the decoder is then spent."""
        try:
            frames = self._context.decode(None)
        except (av.error.FFmpegError, ValueError):
            self.refused += 1
            return []
        return [self._picture(frame) for frame in frames]

    def _refuse(self, error: Exception) -> None:
        self.refused += 1
        self._refused_in_a_row += 1
        self._damaged = True
        if self._refused_in_a_row > MAX_REFUSALS:
            detail = f"{self._refused_in_a_row} packets in a row could not be decoded"
            raise SourceError(ReasonCode.CORRUPT, detail) from error

    def _picture(self, frame: VideoFrame) -> Picture:
        damaged, self._damaged = self._damaged, False
        packet, count = frame.opaque if isinstance(frame.opaque, tuple) else (None, Count())
        return Picture(
            pts=frame.pts if self._order is None else self._order.stamp(frame.pts),
            time_base=self._time_base,
            codec=self.format.codec,
            size=(frame.width, frame.height),
            keyframe=bool(frame.key_frame),
            damaged=damaged,
            corrupt=frame.is_corrupt or (packet is not None and packet.lossy),
            dts=None if packet is None else packet.dts,
            arrived=self._arrived if packet is None else packet.arrived,
            bits=0 if packet is None else 8 * len(packet.data),
            count=count,
            _frame=frame,
            _orientation=self._orientation_of(frame),
            _pixel_aspect=self.format.pixel_aspect or self._context.sample_aspect_ratio,
        )

    def _orientation_of(self, frame: VideoFrame) -> Orientation:
        """Return how a picture lies: what its file says, else what it said itself at a keyframe.

        Side data is asked for as rarely as that because a frame whose side data was looked at
        refers to itself, so that its memory waits for the garbage collector.
        """
        if self._tells_orientation and frame.key_frame:
            self._orientation = Orientation.of(frame)
        return self._orientation
