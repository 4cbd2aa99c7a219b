"""Recorded traces: a source's compressed packets with their arrival times, for exact replay.

A trace holds what came off the wire, not what we made of it, so a replay decodes, samples and
scores it again from the first byte. File layout: the line `MAGIC`, a line of JSON that says where
the packets came from, then records. A record is two little-endian 32-bit lengths, a JSON object of
that many bytes and the packet's bytes. The JSON of a record repeats the stream's format only where
it changed.
"""

from __future__ import annotations

import base64
import json
import struct
from collections.abc import Callable, Iterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import IO, Any

from stream.clock import Clock
from stream.errors import SourceError
from stream.events import ReasonCode
from stream.ingest.source import (
    Packet,
    Source,
    SourceSettings,
    SourceTraits,
    SourceUrl,
    StreamFormat,
)

MAGIC = b"styleflow trace 1\n"
SUFFIX = ".sftrace"
MAX_HEAD_BYTES = 1 << 20
MAX_PACKET_BYTES = 64 << 20
_LENGTHS = struct.Struct("<II")


class TraceWriter:
    """Writes packets to a trace file; a context manager.

    Args:
        path: the file, which is replaced.
        source: where the packets come from; kept redacted.
    """

    def __init__(self, path: Path, source: SourceUrl) -> None:
        self._file: IO[bytes] = path.open("wb")
        origin = {"source": source.redacted, "demo": source.is_demo}
        self._file.write(MAGIC + json.dumps(origin).encode() + b"\n")
        self._format: StreamFormat | None = None

    def write(self, packet: Packet) -> None:
        """Append one packet."""
        head: dict[str, Any] = {
            "pts": packet.pts,
            "dts": packet.dts,
            "time_base": [packet.time_base.numerator, packet.time_base.denominator],
            "keyframe": packet.keyframe,
            "arrived": packet.arrived,
        }
        if packet.format != self._format:
            self._format = packet.format
            extra, aspect = packet.format.extradata, packet.format.pixel_aspect
            head["format"] = {
                "codec": packet.format.codec,
                "width": packet.format.width,
                "height": packet.format.height,
                "extradata": None if extra is None else base64.b64encode(extra).decode(),
                "quarter_turns": packet.format.quarter_turns,
                "mirrored": packet.format.mirrored,
                "colours": packet.format.colours,
                "pixel_aspect": None if aspect is None else [aspect.numerator, aspect.denominator],
            }
        text = json.dumps(head, separators=(",", ":")).encode()
        self._file.write(_LENGTHS.pack(len(text), len(packet.data)) + text + packet.data)

    def __enter__(self) -> TraceWriter:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._file.close()


class TraceSource:
    """Yields the packets of a trace as they were, arrival times included, then ends."""

    traits = SourceTraits()

    def __init__(self, settings: SourceSettings) -> None:
        self._path = Path(settings.url.reveal())
        self._closed = False

    def packets(self) -> Iterator[Packet]:
        """Yield the recorded packets.

        Raises:
            SourceError: NOT_FOUND, CORRUPT, or ENDED after the last packet.
        """
        try:
            file = self._path.open("rb")
        except OSError as error:
            raise SourceError(
                ReasonCode.NOT_FOUND, f"{self._path} cannot be read: {error.strerror}"
            ) from None
        with file:
            _read_origin(file, self._path)
            known: StreamFormat | None = None
            while not self._closed and (lengths := file.read(_LENGTHS.size)):
                packet = _read_record(file, lengths, known)
                known = packet.format
                yield packet
        if not self._closed:
            raise SourceError(ReasonCode.ENDED, "the trace has played to its end")

    def close(self) -> None:
        """Stop yielding."""
        self._closed = True


def comes_from_demo(path: Path) -> bool:
    """Say whether a trace holds a demo source; one that cannot be read holds nothing."""
    try:
        with path.open("rb") as file:
            return bool(_read_origin(file, path).get("demo"))
    except (OSError, SourceError):
        return False


def recording(
    open_source: Callable[[SourceSettings, Clock, Callable[[float], bool]], Source],
    writer: TraceWriter,
) -> Callable[[SourceSettings, Clock, Callable[[float], bool]], Source]:
    """Return a way to open sources that also writes what they yield to a trace."""

    def opened(settings: SourceSettings, clock: Clock, wait: Callable[[float], bool]) -> Source:
        return _Recorded(open_source(settings, clock, wait), writer)

    return opened


class _Recorded:
    def __init__(self, source: Source, writer: TraceWriter) -> None:
        self._source = source
        self._writer = writer
        # As the trace will be read: a trace does not say that it holds all that was sent.
        self.traits = replace(source.traits, complete=False, tells_losses=False)

    def packets(self) -> Iterator[Packet]:
        for packet in self._source.packets():
            self._writer.write(packet)
            yield packet

    def close(self) -> None:
        self._source.close()


def _read_origin(file: IO[bytes], path: Path) -> dict[str, Any]:
    if file.read(len(MAGIC)) != MAGIC:
        raise SourceError(ReasonCode.CORRUPT, f"{path} is no trace of version 1")
    try:
        origin = json.loads(file.readline(MAX_HEAD_BYTES))
    except (ValueError, RecursionError):
        origin = None
    if not isinstance(origin, dict):
        raise SourceError(ReasonCode.CORRUPT, "the trace is damaged")
    return origin


def _read_record(file: IO[bytes], lengths: bytes, known: StreamFormat | None) -> Packet:
    broken = SourceError(ReasonCode.CORRUPT, "the trace is damaged")
    if len(lengths) < _LENGTHS.size:
        raise broken
    head_bytes, data_bytes = _LENGTHS.unpack(lengths)
    if head_bytes > MAX_HEAD_BYTES or data_bytes > MAX_PACKET_BYTES:
        raise broken
    text, data = file.read(head_bytes), file.read(data_bytes)
    if len(text) < head_bytes or len(data) < data_bytes:
        raise SourceError(ReasonCode.CORRUPT, "the trace breaks off")
    try:
        head = json.loads(text)
        if "format" in head:
            known = _read_format(head["format"])
        if known is None:
            raise broken
        return Packet(
            data=data,
            pts=_whole(head["pts"]),
            dts=_whole(head["dts"]),
            time_base=Fraction(*head["time_base"]),
            keyframe=bool(head["keyframe"]),
            arrived=float(head["arrived"]),
            format=known,
        )
    except (ValueError, TypeError, KeyError, ZeroDivisionError, RecursionError):
        raise broken from None


def _read_format(raw: dict[str, Any]) -> StreamFormat:
    extra, aspect = raw["extradata"], raw.get("pixel_aspect")
    return StreamFormat(
        codec=str(raw["codec"]),
        width=int(raw["width"]),
        height=int(raw["height"]),
        extradata=None if extra is None else base64.b64decode(extra, validate=True),
        quarter_turns=_whole(raw.get("quarter_turns")),  # older traces say nothing
        mirrored=bool(raw.get("mirrored", False)),
        colours=_colours(raw.get("colours")),
        pixel_aspect=None if aspect is None else Fraction(*aspect),
    )


def _colours(value: Any) -> tuple[int, int, int, int] | None:
    if value is None:
        return None
    colour_range, matrix, transfer, primaries = (int(number) for number in value)
    return colour_range, matrix, transfer, primaries


def _whole(value: Any) -> int | None:
    return None if value is None else int(value)
