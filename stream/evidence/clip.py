"""Clips: packets remuxed without re-encoding, so that every player shows them.

H.264 and H.265 go into fragmented MP4; VP8, VP9 and AV1 into WebM, as few players take VP8 in MP4;
any other codec into Matroska. The container has stamps of its own, made of the packets': they begin
at zero and only rise, also across a reconnection. What was received stands in the sidecar.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
from av.container import InputContainer, OutputContainer

from stream.errors import ClipUnmade, SourceError
from stream.evidence.sidecar import PacketRecord, recipe, split
from stream.explain.stills import encode_jpeg
from stream.ingest.decode import Decoder
from stream.ingest.source import Packet, StreamFormat

MEDIA_TYPES = {"mp4": "video/mp4", "webm": "video/webm", "mkv": "video/x-matroska"}
"""Media type of each ending of a clip's name."""

PICTURE_WIDTH = 1280
PICTURE_QUALITY = 88

_CONTAINERS = {"h264": "mp4", "hevc": "mp4", "vp8": "webm", "vp9": "webm", "libdav1d": "webm"}
_MUXERS = {"mp4": "mp4", "webm": "webm", "mkv": "matroska"}
_FRAGMENTED = {"movflags": "frag_keyframe+empty_moov+default_base_moof"}
_UNITS = ("h264", "hevc")
_TICKS = Fraction(1, 90_000)
_MS = Fraction(1, 1000)
_MAX_STEP_S = 5.0
_LOOK_AHEAD = 64  # bytes between a block's head and its payload, in Matroska


@dataclass(frozen=True, slots=True)
class Chosen:
    """The packets of one clip, and how many are left out.

    Attributes:
        packets: in order, all of one codec; the first is a keyframe.
        before_keyframe: packets left out because nothing before them can be decoded.
        other_codec: packets left out because one file holds one codec.
    """

    packets: tuple[Packet, ...]
    before_keyframe: int
    other_codec: int


def choose(packets: Sequence[Packet], moment: float) -> Chosen:
    """Return what can be one clip: the codec at a moment, from a keyframe on.

    Args:
        packets: in order of arrival.
        moment: monotonic seconds that the clip is about.
    """
    if not packets:
        return Chosen((), 0, 0)
    about = min(packets, key=lambda packet: abs(packet.arrived - moment))
    key = _decoder_key(about.format)
    same = [packet for packet in packets if _decoder_key(packet.format) == key]
    first = next((n for n, packet in enumerate(same) if packet.keyframe), len(same))
    return Chosen(tuple(same[first:]), first, len(packets) - len(same))


def container_of(codec: str) -> str:
    """Return the ending of a clip's name."""
    return _CONTAINERS.get(codec, "mkv")


def write(packets: Sequence[Packet], path: Path) -> tuple[PacketRecord, ...]:
    """Write packets to a media file and return what there is to know of each.

    Args:
        packets: of one codec, the first a keyframe; at least one.
        path: the file; its ending is that of `container_of`.

    Raises:
        ClipUnmade: the packets cannot be put into a container.
        OSError: the file cannot be written.
    """
    try:
        muxed = _mux(packets, path)
        found = _places(path, packets[0].format.codec)
    except (av.error.FFmpegError, ValueError) as error:
        if isinstance(error, OSError) and error.errno in _DISK:
            raise
        raise ClipUnmade(str(error)) from error
    if len(found) != len(muxed):
        raise ClipUnmade(f"{len(muxed)} packets became {len(found)} samples")
    places = dict(zip(muxed, found, strict=True))
    media = path.read_bytes()
    formats = format_indices(packets)
    return tuple(
        _record(number, packet, formats, media, places.get(number))
        for number, packet in enumerate(packets)
    )


def _record(
    number: int,
    packet: Packet,
    formats: Sequence[StreamFormat],
    media: bytes,
    place: tuple[int, int] | None,
) -> PacketRecord:
    """Return what there is to know of a packet; one without a sample is kept whole."""
    offset, size = place or (0, 0)
    units, tail, whole = recipe(packet.data, media[offset : offset + size])
    return PacketRecord(
        number=number,
        arrived=packet.arrived,
        pts=packet.pts,
        dts=packet.dts,
        time_base=packet.time_base,
        keyframe=packet.keyframe,
        lossy=packet.lossy,
        format=formats.index(packet.format),
        bytes=len(packet.data),
        sha256=hashlib.sha256(packet.data).hexdigest(),
        offset=offset,
        size=size,
        units=units,
        tail=tail,
        whole=whole,
    )


_DISK = (5, 13, 28, 30, 122)  # EIO, EACCES, ENOSPC, EROFS, EDQUOT


def format_indices(packets: Sequence[Packet]) -> tuple[StreamFormat, ...]:
    """Return the formats of packets, each once, in order of appearance."""
    found: list[StreamFormat] = []
    for packet in packets:
        if packet.format not in found:
            found.append(packet.format)
    return tuple(found)


def picture(packets: Sequence[Packet], moment: float) -> bytes | None:
    """Return a JPEG of the picture whose packet arrived nearest to a moment; None without any.

    Args:
        packets: of one codec, the first a keyframe.
        moment: monotonic seconds.
    """
    if not packets:
        return None
    wanted = min(range(len(packets)), key=lambda n: abs(packets[n].arrived - moment))
    first = max((n for n in range(wanted + 1) if packets[n].keyframe), default=0)
    nearest = None
    try:
        decoder = Decoder(packets[wanted].format)
        # Pictures that refer to later ones come out a few packets late.
        for packet in packets[first : wanted + 1]:
            for shown in decoder.decode(packet):
                nearest = shown
        for shown in decoder.flush() if nearest is None or _reorders(packets) else ():
            if abs(shown.arrived - moment) <= abs((nearest or shown).arrived - moment):
                nearest = shown
    except SourceError:
        pass
    return None if nearest is None else encode_jpeg(nearest.rgb(), PICTURE_WIDTH, PICTURE_QUALITY)


def _reorders(packets: Sequence[Packet]) -> bool:
    return packets[0].format.codec in _UNITS


def _decoder_key(known: StreamFormat) -> tuple[str, bool]:
    """Return what must not change within a file: the codec, and how its units are told apart."""
    return known.codec, (known.extradata or b"")[:1] == b"\x01"


def _mux(packets: Sequence[Packet], path: Path) -> list[int]:
    """Write the samples, and return which packets have one: no container takes every rubbish."""
    codec = packets[0].format.codec
    ending = container_of(codec)
    base = _TICKS if ending == "mp4" else _MS
    options = _FRAGMENTED if ending == "mp4" else {}
    taken = []
    with av.open(str(path), "w", format=_MUXERS[ending], options=options) as out:
        stream = _add_stream(out, packets)
        stream.time_base = base
        times = stamps(packets, base)
        for number, (packet, (pts, dts)) in enumerate(zip(packets, times, strict=True)):
            data = _for_muxer(packet)
            if not data or (codec in _UNITS and not any(unit for _, unit in split(data)[0])):
                continue
            unit = av.Packet(data)
            unit.pts, unit.dts, unit.time_base = pts, dts, base
            unit.is_keyframe = packet.keyframe
            unit.stream = stream
            out.mux(unit)
            taken.append(number)
    return taken


def _add_stream(out: OutputContainer, packets: Sequence[Packet]) -> Any:
    first = packets[0]
    known = first.format
    if known.codec not in _UNITS:
        width, height = known.width, known.height
        if not width or not height:
            width, height = _size_of(packets)
        return out.add_mux_stream(known.codec, width=width, height=height)
    # FFmpeg makes the container's header of the parameter sets, which it finds by itself.
    for packet in packets:
        if not packet.keyframe:
            continue
        head = _sets_of(packet.format) + _for_muxer(packet)
        with suppress(av.error.FFmpegError), av.open(io.BytesIO(head), "r", known.codec) as probe:
            assert isinstance(probe, InputContainer)
            if probe.streams.video and probe.streams.video[0].codec_context.width:
                return out.add_stream_from_template(probe.streams.video[0])
    raise ClipUnmade("no keyframe has what a decoder must know")


def _size_of(packets: Sequence[Packet]) -> tuple[int, int]:
    try:
        decoder = Decoder(packets[0].format)
        for packet in packets:
            for shown in decoder.decode(packet):
                return shown.size
    except SourceError as error:
        raise ClipUnmade(error.detail) from error
    raise ClipUnmade("no picture can be decoded")


def _sets_of(known: StreamFormat) -> bytes:
    """Return the parameter sets that came apart from the packets, as a byte stream (Annex B).

    Source: ISO/IEC 14496-15, 5.3.3.1 (avcC) and 8.3.3.1 (hvcC).
    """
    extra = known.extradata or b""
    if extra[:1] != b"\x01":
        return extra
    return b"".join(b"\x00\x00\x00\x01" + unit for unit in _header_units(known.codec, extra))


def _header_units(codec: str, extra: bytes) -> list[bytes]:
    found: list[bytes] = []

    def take(place: int, count: int) -> int:
        for _ in range(count):
            length = int.from_bytes(extra[place : place + 2], "big")
            found.append(extra[place + 2 : place + 2 + length])
            place += 2 + length
        return place

    if codec == "h264":
        place = take(6, extra[5] & 31)
        take(place + 1, extra[place])
        return found
    place = 23
    for _ in range(extra[22]):
        place = take(place + 3, int.from_bytes(extra[place + 1 : place + 3], "big"))
    return found


def _for_muxer(packet: Packet) -> bytes:
    """Return a packet's bytes as the muxer takes them: units of H.264 and H.265 as Annex B."""
    extra = packet.format.extradata or b""
    if packet.format.codec not in _UNITS or extra[:1] != b"\x01":
        return packet.data
    index = 4 if packet.format.codec == "h264" else 21
    width = (extra[index] & 3) + 1
    parts, place = [], 0
    while place + width <= len(packet.data):
        length = int.from_bytes(packet.data[place : place + width], "big")
        parts += [b"\x00\x00\x00\x01", packet.data[place + width : place + width + length]]
        place += width + length
    return b"".join(parts)


def stamps(packets: Sequence[Packet], base: Fraction) -> list[tuple[int, int]]:
    """Return PTS and DTS of a container's samples, in units of `base`.

    PTS are the packets' own where they go on smoothly, and arrival tells the step where they jump
    or lack. DTS are the PTS in rising order, early enough that none lies behind its PTS.
    """
    shown = _seconds(packets)
    least = min(shown)
    pts = [round((at - least) / float(base)) for at in shown]
    order = sorted(pts)
    for n in range(1, len(order)):  # no two samples share a time
        order[n] = max(order[n], order[n - 1] + 1)
    rank: dict[int, list[int]] = {}
    for n, value in enumerate(sorted(range(len(pts)), key=lambda index: (pts[index], index))):
        rank.setdefault(value, []).append(order[n])
    distinct = [rank[n][0] for n in range(len(pts))]
    delay = max(max(early - late for early, late in zip(order, distinct, strict=True)), 0)
    return [(late + delay, early) for late, early in zip(distinct, order, strict=True)]


def _seconds(packets: Sequence[Packet]) -> list[float]:
    found: list[float] = []
    shift: float | None = None
    for n, packet in enumerate(packets):
        own = None if packet.pts is None else float(packet.pts * packet.time_base)
        if own is None:
            at = found[-1] + max(packet.arrived - packets[n - 1].arrived, 0.0) if n else 0.0
        elif shift is None:
            at = found[-1] if n else 0.0
            shift = at - own
        else:
            at = own + shift
            if abs(at - found[-1]) > _MAX_STEP_S:  # another connection, or the sender's clock
                at = max(found) + max(packet.arrived - packets[n - 1].arrived, 0.0)
                shift = at - own
        found.append(at)
    return found


def _places(path: Path, codec: str) -> list[tuple[int, int]]:
    """Return offset and size of every sample of a media file."""
    media = path.read_bytes()
    found = []
    with av.open(str(path)) as container:
        for sample in container.demux(container.streams.video[0]):
            if not sample.size or sample.pos is None or sample.pos < 0:
                continue
            data = bytes(sample)
            offset = media.find(data, sample.pos, sample.pos + len(data) + _LOOK_AHEAD)
            if offset < 0:
                raise ClipUnmade("a sample is not where the container says")
            found.append((offset, len(data)))
    return found
