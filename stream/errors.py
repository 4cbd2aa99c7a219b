"""Errors of live video. They carry data; `stream.problems` finds the words for people.

StreamError
├── SourceError            a source cannot go on; carries a ReasonCode
├── SourceUrlInvalid       a URL that names no source we can open
├── StreamExists           a stream id that is taken
├── StreamUnknown          a stream id that nobody has
├── TooManyStreams         the configured limit of streams is reached
├── Overloaded             the machine has more to do than it can
├── OfferInvalid           a WebRTC offer that cannot be understood
├── OfferRefused           a WebRTC offer that is understood but cannot be met
├── NotACall               a call to a stream that has a source of its own
├── StreamBusy             a call to a stream that another peer is sending
├── TooManyPeers           the configured limit of calls is reached
├── CallUnknown            a call that nobody is in
└── SettingInvalid         a setting that makes no sense; names its key
"""

from __future__ import annotations

from dataclasses import dataclass

from stream.events import ReasonCode


class StreamError(Exception):
    """Anything that `stream` raises on purpose."""


@dataclass(eq=False)
class SourceError(StreamError):
    """A source cannot deliver; `detail` never contains credentials."""

    code: ReasonCode
    detail: str

    def __str__(self) -> str:
        return f"{self.code.value}: {self.detail}"


@dataclass(eq=False)
class SourceUrlInvalid(StreamError):
    """A source URL cannot be used; `shown` is its redacted form."""

    shown: str
    reason: str

    def __str__(self) -> str:
        return f"source {self.shown!r}: {self.reason}"


@dataclass(eq=False)
class StreamExists(StreamError):
    """A stream with this id is already there."""

    stream: str

    def __str__(self) -> str:
        return f"stream {self.stream!r} exists already"


@dataclass(eq=False)
class StreamUnknown(StreamError):
    """No stream has this id."""

    stream: str

    def __str__(self) -> str:
        return f"there is no stream {self.stream!r}"


@dataclass(eq=False)
class TooManyStreams(StreamError):
    """No further stream is accepted."""

    limit: int

    def __str__(self) -> str:
        return f"all {self.limit} streams that this analyzer may hold are in use"


@dataclass(eq=False)
class Overloaded(StreamError):
    """There is more work than the machine can do, so no further stream is accepted now."""

    retry_after_s: float

    def __str__(self) -> str:
        return "this analyzer has more to do than the machine can"


@dataclass(eq=False)
class OfferInvalid(StreamError):
    """A session description is not one; `reason` never repeats what it said."""

    reason: str

    def __str__(self) -> str:
        return self.reason


@dataclass(eq=False)
class OfferRefused(StreamError):
    """A session description asks for what there is not."""

    reason: str

    def __str__(self) -> str:
        return self.reason


@dataclass(eq=False)
class NotACall(StreamError):
    """A stream is obtained otherwise, so nobody may call it."""

    stream: str

    def __str__(self) -> str:
        return f"stream {self.stream!r} has a source of its own"


@dataclass(eq=False)
class StreamBusy(StreamError):
    """Somebody else is sending this stream."""

    stream: str

    def __str__(self) -> str:
        return f"another peer is sending stream {self.stream!r}"


@dataclass(eq=False)
class TooManyPeers(StreamError):
    """No further call is answered now."""

    limit: int

    def __str__(self) -> str:
        return f"all {self.limit} calls that this analyzer may hold are in use"


@dataclass(eq=False)
class CallUnknown(StreamError):
    """There is no such call; it is over, or never was."""

    def __str__(self) -> str:
        return "the call is over, or never was"


@dataclass(eq=False)
class SettingInvalid(StreamError, ValueError):
    """A setting has a value that makes no sense; `rule` says what would."""

    key: str
    value: object
    rule: str

    def __str__(self) -> str:
        return f"{self.key} {self.rule}, not {self.value}"
