"""Packets as a source hands them over, made of small encoded videos."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
from av.bitstream import BitStreamFilterContext

from stream.ingest.source import Packet, StreamFormat
from tests.support.media import Picture, encode, moving_pictures

_FILTERS = {"h264": "h264_mp4toannexb", "hevc": "hevc_mp4toannexb"}


def recorded(
    folder: Path,
    codec: str = "h264",
    count: int = 50,
    *,
    gop: int = 25,
    b_frames: int = 0,
    lengths: bool = False,
    began: float = 100.0,
    size: tuple[int, int] = (160, 120),
    pictures: Sequence[Picture] = (),
) -> list[Packet]:
    """Return the packets of a small video, 25 a second.

    Args:
        folder: where the video is made.
        codec: of the video.
        count: packets.
        gop: pictures from one keyframe to the next.
        b_frames: pictures that refer to later ones.
        lengths: units with lengths, and parameter sets apart, as a file has them; else start codes
            and sets in the packets, as a camera sends them.
        began: monotonic seconds of the first packet.
        size: of the pictures.
        pictures: what is filmed instead of a moving disc.
    """
    ending = "webm" if codec == "vp8" else "mp4"
    path = folder / f"{codec}-{count}-{gop}-{b_frames}-{size[0]}.{ending}"
    filmed = list(pictures) or moving_pictures(count, *size)
    encode(path, filmed, codec, gop=gop, b_frames=b_frames)
    return list(_packets(path, codec, began, lengths=lengths))


def _packets(path: Path, codec: str, began: float, *, lengths: bool) -> Iterator[Packet]:
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        context = stream.codec_context
        extra = context.extradata if lengths else None
        known = StreamFormat(codec, context.width, context.height, extra)
        turned = None
        if codec in _FILTERS and not lengths:
            turned = BitStreamFilterContext(_FILTERS[codec], stream)
        number = 0
        for unit in container.demux(stream):
            if not unit.size:
                continue
            for made in turned.filter(unit) if turned is not None else [unit]:
                base = made.time_base or stream.time_base or Fraction(1)
                yield Packet(
                    bytes(made),
                    made.pts,
                    made.dts,
                    base,
                    made.is_keyframe,
                    began + number / 25,
                    known,
                )
                number += 1


def as_called(packets: list[Packet]) -> list[Packet]:
    """Return packets as a peer's: without decoding times and without the picture's size."""
    known = replace(packets[0].format, width=0, height=0)
    return [replace(packet, dts=None, format=known) for packet in packets]
