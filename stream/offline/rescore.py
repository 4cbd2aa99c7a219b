"""Scores of recorded packets, made again of the very frames that were looked at when they came in.

`stream.offline.replay` samples a source anew; here the notes of the frame log say which pictures
were looked at, where they stood on the cadence grid, and what was left out before each. So nothing
depends on how busy the machine was then or is now.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

from stream.errors import SourceError, VideoBeyondLimits
from stream.events import Event, Frame, ReasonCode
from stream.ingest.decode import Decoder, Picture
from stream.ingest.frame_log import FrameNote
from stream.ingest.source import Packet
from stream.offline.replay import STREAM
from stream.pipeline import Pipeline
from stream.scheduling.degradation import Relief


def rescore(
    packets: Iterable[Packet],
    notes: Sequence[FrameNote],
    pipeline: Pipeline,
    on_event: Callable[[Event], None],
    max_pixels: int,
) -> int:
    """Send the noted pictures of packets through a pipeline and return how many there were.

    Args:
        packets: in order of arrival, the first a keyframe.
        notes: which of their pictures are looked at, in that order.
        pipeline: from frame to event; left without this stream afterwards.
        on_event: told every event.
        max_pixels: of one picture.

    Raises:
        SourceError: the packets cannot be decoded.
        VideoBeyondLimits: a picture is larger than is allowed.
    """
    wanted = {note.arrived: note for note in notes}
    found = 0
    pipeline.open(STREAM)
    try:
        for picture in _pictures(packets):
            note = wanted.pop(picture.arrived, None)
            if note is None:
                continue
            width, height = picture.size
            if width * height > max_pixels:
                raise VideoBeyondLimits(f"its pictures have more than {max_pixels} pixels")
            found += 1
            pipeline.relieve(Relief(note.detect_factor, note.hop_factor))
            processed = pipeline.process([(_frame(note, picture), note.left_out)])
            for event in processed.events:
                on_event(event)
            for fault in processed.faults:
                raise SourceError(ReasonCode.CORRUPT, str(fault.error)) from fault.error
    finally:
        pipeline.relieve(Relief())
        pipeline.close(STREAM)
    return found


def _pictures(packets: Iterable[Packet]) -> Iterator[Picture]:
    """Yield every picture, in presentation order, as the ingest's decoder makes them."""
    decoder: Decoder | None = None
    for packet in packets:
        if decoder is not None and decoder.format != packet.format:
            yield from decoder.flush()
            decoder = None
        if decoder is None:
            if not packet.keyframe:
                continue
            decoder = Decoder(packet.format)
        yield from decoder.decode(packet)
    if decoder is not None:
        yield from decoder.flush()


def _frame(note: FrameNote, picture: Picture) -> Frame:
    return Frame(
        stream=STREAM,
        epoch=note.epoch,
        slot=note.slot,
        at=note.at,
        arrived=note.arrived,
        image=picture.rgb(),
        capture=note.capture,
    )
