"""Packets sidecar: what is needed to check and to rebuild every single packet of a clip.

A container changes how packets are written: MP4 puts lengths where RTP and MPEG-TS put start codes,
and may leave parameter sets to its header. So the sidecar keeps, per packet, its SHA-256 as it was
received, where its sample lies in the media file, and what turns the sample back into the packet
bit by bit. A packet that cannot be made of its sample is kept whole.
"""

from __future__ import annotations

import base64
import hashlib
import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

from stream.events import CaptureConditions, Layer
from stream.ingest.frame_log import FrameNote
from stream.ingest.source import Packet, StreamFormat

VERSION = 1
MAX_PACKETS = 200_000
_NOTE = 15  # values of a frame's note

_START = re.compile(b"\x00\x00\x01")
_LENGTH_BYTES = 4

Data = bytes  # records have a field of that name

Unit = int | tuple[int, Data]
"""Start code's length in bytes of the next unit of a sample, or one with a unit that it lacks."""


@dataclass(frozen=True, slots=True)
class PacketRecord:
    """One packet of a clip.

    Attributes:
        number: from 0, in order of arrival.
        arrived: monotonic seconds of the analyzer's clock.
        pts: presentation time as received, in `time_base` units, or None.
        dts: decoding time as received, or None.
        time_base: seconds per unit.
        keyframe: decodable on its own.
        lossy: the network lost a part of it, or of what belongs right before it.
        format: index into the sidecar's formats.
        bytes: size as received.
        sha256: of the bytes as received.
        offset: where its sample begins in the media file.
        size: bytes of its sample.
        units: how start codes are put back; None when the sample is the packet.
        tail: zero bytes that followed the last unit.
        whole: the packet as received, where its sample cannot be turned back; else None.
    """

    number: int
    arrived: float
    pts: int | None
    dts: int | None
    time_base: Fraction
    keyframe: bool
    lossy: bool
    format: int
    bytes: int
    sha256: str
    offset: int
    size: int
    units: tuple[Unit, ...] | None = None
    tail: int = 0
    whole: Data | None = None

    def received(self, sample: Data) -> Data:
        """Return the packet's bytes as received, made of its sample; wrong ones if it changed.

        Raises:
            ValueError: the sample has not the shape that it had.
        """
        if self.whole is not None:
            return self.whole
        if self.units is None:
            return sample
        return _joined(sample, self.units, self.tail)


@dataclass(frozen=True, slots=True)
class Sidecar:
    """Everything known of a clip's packets.

    Attributes:
        media: name of the media file.
        formats: what a decoder must know; packets name theirs by index.
        packets: in order of arrival.
        source: kind of source: `call`, `rtsp` or `file`.
        monotonic: monotonic seconds at `utc`, which turns arrivals into wall clock.
        utc: wall clock, ISO 8601.
        left_out: packets that are not in the clip, by reason.
        frames: which of its pictures were looked at; empty where nobody took note.
        engine: thresholds and times of the stream when its incident began, by name; empty where
            nobody took note.
    """

    media: str
    formats: tuple[StreamFormat, ...]
    packets: tuple[PacketRecord, ...]
    source: str
    monotonic: float
    utc: str
    left_out: Mapping[str, int]
    frames: tuple[FrameNote, ...] = ()
    engine: Mapping[str, Any] = field(default_factory=dict)

    def to_json(self) -> bytes:
        """Return it as JSON, one packet a line."""
        head = {
            "version": VERSION,
            "media": self.media,
            "source": self.source,
            "clock": {"monotonic": self.monotonic, "utc": self.utc},
            "left_out": dict(self.left_out),
            "formats": [_format_json(each) for each in self.formats],
            **({"engine": dict(self.engine)} if self.engine else {}),
        }
        lines = ",\n".join(_compact(_packet_json(each)) for each in self.packets)
        notes = ",\n".join(json.dumps(_note_json(each), allow_nan=False) for each in self.frames)
        noted = f',"frames":[\n{notes}\n]' if notes else ""
        return f'{_compact(head)[:-1]}{noted},"packets":[\n{lines}\n]}}\n'.encode()

    @classmethod
    def of_json(cls, text: bytes) -> Sidecar:
        """Return what JSON says; it may come from anybody.

        Raises:
            ValueError: it is no sidecar of this version.
        """
        try:
            raw = json.loads(text)
            if raw["version"] != VERSION:
                raise ValueError("another version")
            if max(len(raw["packets"]), len(raw.get("frames", ()))) > MAX_PACKETS:
                raise ValueError(f"more than {MAX_PACKETS} packets or frames")
            formats = tuple(_read_format(each) for each in raw["formats"])
            packets = tuple(_read_packet(n, each) for n, each in enumerate(raw["packets"]))
            if any(not 0 <= packet.format < len(formats) for packet in packets):
                raise ValueError("a packet without a format")
            return cls(
                media=str(raw["media"]),
                formats=formats,
                packets=packets,
                source=str(raw["source"]),
                monotonic=float(raw["clock"]["monotonic"]),
                utc=str(raw["clock"]["utc"]),
                left_out={str(k): int(v) for k, v in raw["left_out"].items()},
                frames=tuple(_read_note(each) for each in raw.get("frames", ())),
                engine={str(k): v for k, v in raw.get("engine", {}).items()},
            )
        except (
            AttributeError,
            IndexError,
            KeyError,
            OverflowError,
            RecursionError,
            TypeError,
            ValueError,
            ZeroDivisionError,
        ) as error:
            raise ValueError(f"the packets' sidecar cannot be read: {error}") from None

    def rebuilt(self, media: bytes) -> Iterator[Packet]:
        """Yield the packets as they were received, made of the media file.

        Raises:
            ValueError: a packet is not as it was received.
        """
        for record in self.packets:
            fault = record_fault(record, media)
            if fault:
                raise ValueError(f"packet {record.number} {fault}")
            yield Packet(
                data=record.received(media[record.offset : record.offset + record.size]),
                pts=record.pts,
                dts=record.dts,
                time_base=record.time_base,
                keyframe=record.keyframe,
                arrived=record.arrived,
                format=self.formats[record.format],
                lossy=record.lossy,
            )


def record_fault(record: PacketRecord, media: bytes) -> str:
    """Return what is wrong with a packet in a media file; empty when it is as it was received."""
    sample = media[record.offset : record.offset + record.size]
    if len(sample) < record.size:
        return "is cut off"
    try:
        data = record.received(sample)
    except ValueError:
        return "has another shape"
    if len(data) != record.bytes or hashlib.sha256(data).hexdigest() != record.sha256:
        return "was changed"
    return ""


def recipe(data: bytes, sample: bytes) -> tuple[tuple[Unit, ...] | None, int, bytes | None]:
    """Return `units`, `tail` and `whole` of a record: how a sample is turned back into a packet."""
    if data == sample:
        return None, 0, None
    units, tail = _matched(data, sample)
    try:
        if _joined(sample, units, tail) == data:
            return units, tail, None
    except ValueError:
        pass
    return None, 0, data


def split(data: bytes) -> tuple[list[tuple[int, bytes]], int]:
    """Return the units of a byte stream (Annex B), with their start codes' lengths, and its tail.

    Source: ITU-T H.264, annex B; H.265, annex B.
    """
    marks = list(_START.finditer(data))
    if not marks:
        return [], 0
    found: list[tuple[int, bytes]] = []
    zeros = marks[0].start()
    tail = 0
    for mark, following in zip(marks, [*marks[1:], None], strict=True):
        end = len(data) if following is None else following.start()
        unit = data[mark.end() : end].rstrip(b"\x00")
        found.append((zeros + 3, unit))
        zeros = end - mark.end() - len(unit)
        tail = zeros
    return found, tail


def sample_units(sample: bytes) -> list[bytes]:
    """Return the units of a sample whose lengths stand before them.

    Raises:
        ValueError: the lengths do not add up.
    """
    found, place = [], 0
    while place < len(sample):
        length = int.from_bytes(sample[place : place + _LENGTH_BYTES], "big")
        place += _LENGTH_BYTES
        if place + length > len(sample):
            raise ValueError("a unit longer than its sample")
        found.append(sample[place : place + length])
        place += length
    return found


def _matched(data: bytes, sample: bytes) -> tuple[tuple[Unit, ...], int]:
    """Return the units of a packet, each with the sample's next one or, where it lacks it, whole.

    It may be wrong; the caller tries it.
    """
    units, tail = split(data)
    try:
        left = sample_units(sample)
    except ValueError:
        left = []
    made: list[Unit] = []
    for code, unit in units:
        if left and left[0] == unit:
            left.pop(0)
            made.append(code)
        else:
            made.append((code, unit))
    return tuple(made), tail


def _joined(sample: bytes, units: Sequence[Unit], tail: int) -> bytes:
    own = sample_units(sample)
    parts = []
    for unit in units:
        code, content = unit if isinstance(unit, tuple) else (unit, None)
        if content is None:
            if not own:
                raise ValueError("a unit too few")
            content = own.pop(0)
        parts += [bytes(code - 1), b"\x01", content]
    if own:
        raise ValueError("a unit too many")
    return b"".join((*parts, bytes(tail)))


def _compact(value: Mapping[str, Any]) -> str:
    return json.dumps(value, separators=(",", ":"), allow_nan=False)


def _packet_json(record: PacketRecord) -> dict[str, Any]:
    made: dict[str, Any] = {
        "arrived": record.arrived,
        "pts": record.pts,
        "dts": record.dts,
        "time_base": [record.time_base.numerator, record.time_base.denominator],
        "keyframe": record.keyframe,
        "lossy": record.lossy,
        "format": record.format,
        "bytes": record.bytes,
        "sha256": record.sha256,
        "offset": record.offset,
        "size": record.size,
    }
    if record.units is not None:
        made["units"] = [
            unit if isinstance(unit, int) else [unit[0], base64.b64encode(unit[1]).decode()]
            for unit in record.units
        ]
        made["tail"] = record.tail
    if record.whole is not None:
        made["whole"] = base64.b64encode(record.whole).decode()
    return made


def _read_packet(number: int, raw: Mapping[str, Any]) -> PacketRecord:
    units, whole = raw.get("units"), raw.get("whole")
    made = PacketRecord(
        number=number,
        arrived=float(raw["arrived"]),
        pts=_whole(raw["pts"]),
        dts=_whole(raw["dts"]),
        time_base=Fraction(*(int(part) for part in raw["time_base"])),
        keyframe=bool(raw["keyframe"]),
        lossy=bool(raw["lossy"]),
        format=int(raw["format"]),
        bytes=int(raw["bytes"]),
        sha256=str(raw["sha256"]),
        offset=int(raw["offset"]),
        size=int(raw["size"]),
        units=None if units is None else tuple(_read_unit(unit) for unit in units),
        tail=_zeros(raw.get("tail", 0)),
        whole=None if whole is None else base64.b64decode(whole, validate=True),
    )
    if made.offset < 0 or made.size < 0 or made.bytes < 0:
        raise ValueError("a negative size")
    return made


def _note_json(note: FrameNote) -> list[Any]:
    capture, layer = note.capture, note.capture.simulcast_layer
    return [
        *(note.arrived, note.epoch, note.slot, note.at, note.left_out, note.begins),
        *(note.detect_factor, note.hop_factor, capture.contaminated, capture.source_fps),
        *(capture.link_loss, capture.bits_per_pixel, capture.camera_clock, capture.lossless),
        None if layer is None else [layer.width, layer.height, layer.of],
    ]


def _read_note(raw: Sequence[Any]) -> FrameNote:
    if len(raw) != _NOTE:
        raise ValueError("a frame's note of another length")
    arrived, epoch, slot, at, left_out, begins, detect, hop = raw[:8]
    contaminated, fps, loss, bits, camera_clock, lossless, layer = raw[8:]
    capture = CaptureConditions(
        contaminated=bool(contaminated),
        source_fps=_finite(fps),
        link_loss=_finite(loss),
        bits_per_pixel=_finite(bits),
        camera_clock=bool(camera_clock),
        lossless=bool(lossless),
        simulcast_layer=None if layer is None else Layer(*(int(each) for each in layer)),
    )
    return FrameNote(
        arrived=_finite(arrived),
        epoch=int(epoch),
        slot=int(slot),
        at=_finite(at),
        left_out=int(left_out),
        begins=bool(begins),
        detect_factor=_factor(detect),
        hop_factor=_factor(hop),
        capture=capture,
    )


def _finite(raw: Any) -> float:
    if not math.isfinite(value := float(raw)):
        raise ValueError("no finite number")
    return value


def _factor(raw: Any) -> int:
    if not 1 <= int(raw) <= 1000:
        raise ValueError("a factor out of range")
    return int(raw)


def _read_unit(raw: Any) -> Unit:
    if isinstance(raw, list):
        return _code(raw[0]), base64.b64decode(raw[1], validate=True)
    return _code(raw)


def _code(raw: Any) -> int:
    if not 3 <= int(raw) <= 1 << 16:
        raise ValueError("no start code")
    return int(raw)


def _zeros(raw: Any) -> int:
    if not 0 <= int(raw) <= 1 << 16:
        raise ValueError("too many zeros")
    return int(raw)


def _format_json(known: StreamFormat) -> dict[str, Any]:
    extra, aspect, rate = known.extradata, known.pixel_aspect, known.frame_rate
    return {
        "codec": known.codec,
        "width": known.width,
        "height": known.height,
        "extradata": None if extra is None else base64.b64encode(extra).decode(),
        "quarter_turns": known.quarter_turns,
        "mirrored": known.mirrored,
        "pixel_aspect": None if aspect is None else [aspect.numerator, aspect.denominator],
        "colours": known.colours,
        "frame_rate": None if rate is None else [rate.numerator, rate.denominator],
        "duration_s": known.duration_s,
    }


def _read_format(raw: Mapping[str, Any]) -> StreamFormat:
    extra, colours = raw["extradata"], raw["colours"]
    return StreamFormat(
        codec=str(raw["codec"]),
        width=int(raw["width"]),
        height=int(raw["height"]),
        extradata=None if extra is None else base64.b64decode(extra, validate=True),
        quarter_turns=_whole(raw["quarter_turns"]),
        mirrored=bool(raw["mirrored"]),
        pixel_aspect=_fraction(raw["pixel_aspect"]),
        colours=None if colours is None else _four(colours),
        frame_rate=_fraction(raw["frame_rate"]),
        duration_s=None if raw["duration_s"] is None else float(raw["duration_s"]),
    )


def _four(raw: Sequence[Any]) -> tuple[int, int, int, int]:
    one, two, three, four = (int(each) for each in raw)
    return one, two, three, four


def _fraction(raw: Any) -> Fraction | None:
    return None if raw is None else Fraction(int(raw[0]), int(raw[1]))


def _whole(raw: Any) -> int | None:
    return None if raw is None else int(raw)
