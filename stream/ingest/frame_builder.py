"""Sampled frames of one stream, built from the packets of one connection after another.

Theory of operation. A packet passes through the decoder, the timeline (its place in media time),
the meter (the conditions of its capture) and the sampler (the cadence grid). Nothing here waits,
reads a clock, or speaks to a source: what should happen is returned as a value, a keyframe that is
needed like every frame.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass

import structlog

from stream.errors import SourceError
from stream.events import CaptureConditions, EpochStarted, Frame, ReasonCode
from stream.ingest.conditions import CaptureMeter
from stream.ingest.context import IngestContext
from stream.ingest.counters import Tally
from stream.ingest.decode import Decoder, Picture
from stream.ingest.source import Packet, SourceTraits
from stream.ingest.timeline import Discard, Moment, Stamp, Timeline
from styleflow.faces.device_picture import Pixels
from styleflow.pictures.fallback import Fallback
from styleflow.pictures.hardware import Decoding, Refusal
from styleflow.sampling import GridSampler

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class KeyframeNeeded:
    """The decision that nothing which comes is of use before the next keyframe."""


Output = Frame | EpochStarted | KeyframeNeeded
"""What a packet leads to."""

_Candidate = tuple[Picture, Moment, CaptureConditions]


class FrameBuilder:
    """Turns packets into frames on the cadence grid.

    Args:
        stream: id of the stream.
        context: its cadence, its first epoch and the largest picture that is allowed.
        tally: counts pictures and frames.
    """

    def __init__(self, stream: str, context: IngestContext, tally: Tally) -> None:
        self._stream = stream
        self._max_pixels = context.access.max_pixels
        self._tally = tally
        self._timeline = Timeline(context.first_epoch)
        self._meter = CaptureMeter(context.access.loss)
        self._sampler: GridSampler[_Candidate] = GridSampler(context.cadence_hz)
        self._decoder: Decoder | None = None
        self._decoding = context.decoding
        self._told: set[Fallback] = set()
        self._traits = SourceTraits()

    def connected(self, traits: SourceTraits) -> None:
        """Let the next packet be the first of a new connection."""
        self._decoder = None
        self._traits = traits
        self._meter.layers = traits.layers
        self._meter.complete = traits.complete
        self._timeline.reconnected(losses_are_told=traits.tells_losses, complete=traits.complete)

    def take(self, packet: Packet) -> Iterator[Output]:
        """Yield what a packet leads to, in order.

        Raises:
            SourceError: the connection has to end: CODEC for pictures that are too large, CORRUPT
                when nothing has been decodable for a long while.
        """
        if self._decoder is not None and self._decoder.format != packet.format:
            yield from self._flush_decoder()
        if self._decoder is None and packet.keyframe:
            complete, decoding = self._traits.complete, self._decoding
            self._decoder = Decoder(packet.format, complete=complete, decoding=decoding)
            self._note_fallback(self._decoder, None)
            self._timeline.declared(packet.format.frame_rate, packet.format.duration_s)
        if self._decoder is None:
            self._tally.before_keyframe()
            return
        decoder = self._decoder
        waited = decoder.awaits_keyframe
        for picture in self._decode(decoder, packet):
            self._check_size(picture)
            yield from self._place(picture)
        if decoder.awaits_keyframe and not waited:
            yield KeyframeNeeded()

    def finish(self) -> Iterator[Output]:
        """Yield what is still held back when a connection ends."""
        yield from self._flush_decoder()
        yield from self._finish_sampling()

    def _decode(self, decoder: Decoder, packet: Packet) -> list[Picture]:
        refused, before = decoder.refused, decoder.fallback
        if decoder.on_gpu:
            self._tally.given_to_gpu()
        try:
            return decoder.decode(packet)
        finally:
            self._note_fallback(decoder, before)
            if decoder.refused > refused:
                self._tally.refused(decoder.refused - refused)

    def _note_fallback(self, decoder: Decoder, before: Refusal | None) -> None:
        """Count why a decoder is not a GPU's, if that is new, and log each reason once."""
        refusal = decoder.fallback
        if refusal is None or refusal is before:
            return
        self._tally.fell_back(refusal.reason)
        if refusal.reason not in self._told:
            self._told.add(refusal.reason)
            log.warning(
                "the processor decodes what a GPU should",
                stream=self._stream,
                reason=refusal.reason.value,
                detail=refusal.detail,
            )

    def _check_size(self, picture: Picture) -> None:
        width, height = picture.size
        if self._max_pixels is not None and width * height > self._max_pixels:
            detail = f"pictures of {width}x{height} are larger than is allowed"
            raise SourceError(ReasonCode.CODEC, detail)

    def _flush_decoder(self) -> Iterator[Output]:
        if self._decoder is not None:
            for picture in self._decoder.flush():
                yield from self._place(picture)
            self._decoder = None

    def _place(self, picture: Picture) -> Iterator[Output]:
        moment = self._timeline.place(self._stamp(picture))
        self._tally.picture(moment, picture.arrived)
        if isinstance(moment, Discard):
            return
        if moment.damage is not None:
            yield KeyframeNeeded()
        if moment.began is not None:
            yield from self._finish_sampling()
            yield EpochStarted(self._stream, moment.epoch, moment.began)
        capture = self._meter.measure(picture, moment)
        for sampled in self._sampler.push(moment.at, (picture, moment, capture)):
            yield self._frame(sampled.slot, *sampled.item)

    def _stamp(self, picture: Picture) -> Stamp:
        return Stamp(
            pts=picture.pts,
            time_base=picture.time_base,
            codec=picture.codec,
            size=picture.size,
            keyframe=picture.keyframe,
            damaged=picture.damaged,
            corrupt=picture.corrupt,
            broken=picture.count.broken,
            dts=picture.dts,
            arrived=picture.arrived,
            vouched=sys.maxsize if self._traits.complete else picture.count.up_to,
        )

    def _finish_sampling(self) -> Iterator[Output]:
        for sampled in self._sampler.finish():
            yield self._frame(sampled.slot, *sampled.item)

    def _frame(
        self, slot: int, picture: Picture, moment: Moment, capture: CaptureConditions
    ) -> Frame:
        self._tally.sampled()
        return Frame(
            stream=self._stream,
            epoch=moment.epoch,
            slot=slot,
            at=moment.at,
            arrived=picture.arrived,
            image=self._pixels(picture),
            capture=capture,
        )

    def _pixels(self, picture: Picture) -> Pixels:
        """Return a picture where pictures lie; in memory from now on where that has failed."""
        device = self._decoding.pictures
        if device is None:
            return picture.rgb()
        try:
            return picture.on(device)
        except RuntimeError as error:
            self._decoding = Decoding()
            refusal = Refusal(Fallback.BROKEN, str(error))
            if self._decoder is not None:
                before = self._decoder.fallback
                self._decoder.fall_back(refusal.detail)
                self._note_fallback(self._decoder, before)
            return picture.rgb()
