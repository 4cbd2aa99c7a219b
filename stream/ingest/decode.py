"""Decoder from packets to pictures, apart from any connection.

Nothing that arrives can end the stream by itself: a packet that the decoder refuses is counted
and the next picture says that something before it is missing. Only a long run of refusals is an
error. Pictures convert themselves to RGB when asked, because most of them are never sampled.

A GPU's decoder is tried where one is wanted, and left for the processor's as soon as it fails: at
the packet that it failed at if that is a keyframe, else at the next one. `Decoder.fallback` says
why. It checks less than the processor's does: it paints over what is broken inside a picture, so
that there only losses on the way are known.
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
from styleflow.faces.device_picture import Pixels
from styleflow.faces.face import Image
from styleflow.pictures.decode_order import REORDERING, DecodeOrder
from styleflow.pictures.fallback import Fallback
from styleflow.pictures.hardware import Decoding, Refusal
from styleflow.pictures.planes import in_memory, on_device
from styleflow.pictures.seen import MAX_PIXELS, as_seen
from styleflow.pictures.upright import Orientation

ORIENTED = frozenset(("h264", "hevc"))
"""Codecs whose pictures may say how they lie (SEI, display orientation)."""

MAX_REFUSALS = 150
"""Packets refused in a row, at most: six seconds of video that never decodes."""


MAX_HARDWARE_REFUSALS = 25
"""The same for a GPU's decoder, before the processor's takes over: about a second."""


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
        """Convert to RGB with square pixels and lay upright, `(H, W, 3)` uint8; a fresh array.

        Raises:
            SourceError: it lies on a GPU that does not hand it out (CORRUPT).
        """
        try:
            frame = in_memory(self._frame)
        except av.error.FFmpegError as error:
            raise SourceError(ReasonCode.CORRUPT, f"a GPU keeps its picture: {error}") from error
        return as_seen(frame, self._orientation, self._pixel_aspect)

    def on(self, device: str | None) -> Pixels:
        """Return the same on a device, a name of torch's; in memory when None.

        Raises:
            RuntimeError: the device failed.
        """
        if device is None:
            return self.rgb()
        try:
            return on_device(self._frame, self._orientation, self._pixel_aspect, device)
        except (BufferError, av.error.FFmpegError) as error:
            raise RuntimeError(f"a picture cannot be handed over: {error}") from error


class Decoder:
    """Decodes the packets of one format.

    Args:
        format: what to know before the first packet.
        complete: no packet is lost on the way, as from a file, so their stamps can be put in order.
        decoding: where; by the processor when None.

    Attributes:
        refused: packets refused so far.
        fallback: why the processor decodes what a GPU should, and in more words; None while the GPU
            does, or where none should.
        awaits_keyframe: nothing can be decoded before the next one.

    Raises:
        SourceError: there is no decoder for this codec.
    """

    def __init__(
        self, format: StreamFormat, *, complete: bool = False, decoding: Decoding | None = None
    ) -> None:
        self.format = format
        self.refused = 0
        self.fallback: Refusal | None = None
        self.awaits_keyframe = False
        self._complete = complete
        self._refused_in_a_row = 0
        self._damaged = False
        self._time_base = Fraction(1)
        self._arrived = 0.0
        self._order = self._new_order()
        self._numbers = FrameNumbers() if format.codec == "h264" else None
        self._tells_orientation = format.quarter_turns is None and format.codec in ORIENTED
        self._orientation = Orientation(format.mirrored, (format.quarter_turns or 0) % 4)
        self._hardware = False
        self._context = self._configured(self._opened(decoding or Decoding()))

    def _new_order(self) -> DecodeOrder | None:
        return DecodeOrder() if self._complete and self.format.codec in REORDERING else None

    def _opened(self, decoding: Decoding) -> av.VideoCodecContext:
        """Return a decoder on the GPU where one is wanted and can be had, else the processor's."""
        if decoding.hardware and decoding.pictures is not None:
            found = decoding.open(self.format.codec, decoding.pictures)
            if not isinstance(found, Refusal):
                self._hardware = True
                return found
            self.fallback = found
        return self._software()

    def _software(self) -> av.VideoCodecContext:
        format = self.format
        try:
            context = av.CodecContext.create(format.codec, "r")
        except (av.error.FFmpegError, ValueError):
            raise SourceError(
                ReasonCode.CODEC, f"there is no decoder for {format.codec!r}"
            ) from None
        if not isinstance(context, av.VideoCodecContext):
            raise SourceError(ReasonCode.CODEC, f"{format.codec!r} is not a video codec")
        return context

    def _configured(self, context: av.VideoCodecContext) -> av.VideoCodecContext:
        format = self.format
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
        return context

    def decode(self, packet: Packet) -> list[Picture]:
        """Return the pictures that this packet completes, in presentation order.

        Raises:
            SourceError: nothing has been decodable for a long while (CORRUPT).
        """
        self._time_base = packet.time_base
        self._arrived = packet.arrived
        count = Count() if self._numbers is None else self._numbers.take(packet)
        return [self._picture(frame) for frame in self._frames(packet, count)]

    def _frames(self, packet: Packet, count: Count) -> Iterable[VideoFrame]:
        """Return what a packet completes, from whichever decoder is left."""
        if self.awaits_keyframe and not packet.keyframe:
            self.refused += 1
            self._damaged = True
            return []
        self.awaits_keyframe = False
        try:
            frames = self._decoded(packet, count)
        except (av.error.FFmpegError, ValueError, MemoryError) as error:
            if self._order is not None:
                self._order.forget(packet.pts)
            if not self._hardware:
                self._refuse(error)
                return []
            if isinstance(error, av.error.InvalidDataError) and not self._spent():
                return []
            self.fall_back(str(error))
            return self._frames(packet, count)
        self._refused_in_a_row = 0
        return frames

    def _decoded(self, packet: Packet, count: Count) -> Iterable[VideoFrame]:
        unit = av.Packet(packet.data)
        unit.pts = packet.pts
        unit.dts = packet.dts
        unit.time_base = packet.time_base
        if self._order is not None:
            self._order.take(packet.pts)
        unit.opaque = (packet, count)
        return self._context.decode(unit)

    def fall_back(self, detail: str) -> None:
        """Leave the GPU's decoder for the processor's, which begins at the next keyframe.

        Args:
            detail: what went wrong.
        """
        if not self._hardware:
            return
        self._hardware = False
        self.fallback = Refusal(Fallback.BROKEN, detail)
        self.awaits_keyframe = True
        self._refused_in_a_row = 0
        self._damaged = True
        self._order = self._new_order()
        self._context = self._configured(self._software())

    @property
    def on_gpu(self) -> bool:
        """Whether a GPU decodes."""
        return self._hardware

    def _spent(self) -> bool:
        """Count a refusal of the GPU's decoder; say whether there were too many in a row."""
        self.refused += 1
        self._refused_in_a_row += 1
        self._damaged = True
        return self._refused_in_a_row > MAX_HARDWARE_REFUSALS

    def flush(self) -> list[Picture]:
        """Return the pictures still held back for reordering; the decoder is then spent."""
        try:
            frames = self._context.decode(None)
        except (av.error.FFmpegError, ValueError, MemoryError):
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
        if self._hardware and frame.sw_format is None:
            self._hardware = False
            detail = f"its decoder gave way to the processor's for {frame.format.name}"
            self.fallback = Refusal(Fallback.REFUSED, detail)
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
