"""Errors of live video. They carry data; `stream.problems` finds the words for people.

StreamError
├── SourceError            a source cannot go on; carries a ReasonCode
├── SourceUrlInvalid       a URL that names no source we can open
├── StreamExists           a stream id that is taken
├── StreamUnknown          a stream id that nobody has
├── TooManyStreams         the configured limit of streams is reached
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
class SettingInvalid(StreamError, ValueError):
    """A setting has a value that makes no sense; `rule` says what would."""

    key: str
    value: object
    rule: str

    def __str__(self) -> str:
        return f"{self.key} {self.rule}, not {self.value}"
