"""How a stream is obtained: a URL that hides its secrets, its settings, and the protocol."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from fractions import Fraction
from pathlib import Path
from typing import Protocol


@dataclass(frozen=True, slots=True)
class SourceUrl:
    """A source URL whose repr, str and JSON hide its credentials."""

    secret: str


class Transport(Enum):
    """How RTP travels for an RTSP source."""

    AUTO = "auto"
    TCP = "tcp"
    UDP = "udp"


class Pace(Enum):
    """How fast a file is read."""

    NATIVE = "native"
    FAST = "fast"


@dataclass(frozen=True, slots=True)
class SourceSettings:
    """Everything needed to open one source.

    Attributes:
        url: `rtsp://`, `rtsps://`, `demo://authentic`, `demo://tampered`, or a file path.
        transport: RTP transport (RTSP only).
        timeout_s: silence after which the network layer gives up (RTSP only).
        tls_verify: check the server's certificate (RTSPS only).
        tls_ca_file: certificates to trust instead of the system's (RTSPS only).
        pace: native speed or as fast as possible (files only).
        loop: start again at the end, in a new epoch (files only).
    """

    url: SourceUrl
    transport: Transport = Transport.AUTO
    timeout_s: float = 2.5
    tls_verify: bool = True
    tls_ca_file: Path | None = None
    pace: Pace = Pace.NATIVE
    loop: bool = False


@dataclass(frozen=True, slots=True)
class StreamFormat:
    """What a decoder must know before the first packet."""

    codec: str
    width: int
    height: int
    extradata: bytes | None


@dataclass(frozen=True, slots=True)
class Packet:
    """One compressed access unit.

    Attributes:
        data: the bytes as received.
        pts: presentation time in `time_base` units, or None when the sender gave none.
        dts: decoding time in `time_base` units, or None.
        time_base: seconds per unit.
        keyframe: decodable on its own.
        arrived: monotonic seconds.
        format: what a decoder must know; a change of it begins a new epoch.
    """

    data: bytes
    pts: int | None
    dts: int | None
    time_base: Fraction
    keyframe: bool
    arrived: float
    format: StreamFormat


class Source(Protocol):
    """Something that yields packets until it cannot; every end is a SourceError with a code."""

    def packets(self) -> Iterator[Packet]:
        """Open the source and yield its packets. Raises SourceError when it ends or fails."""
        ...

    def close(self) -> None:
        """Release everything; safe to call in any state and more than once."""
        ...
