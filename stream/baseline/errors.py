"""Errors of baselines. They carry data and declare how they are told, as `styleflow.errors` says.

StreamError
├── BaselineTooShort   not enough known-real video
├── BaselineUnknown    a stream that has no baseline
├── BaselineUnusable   a file that is no baseline
├── BaselineSpanTooLong  a stretch of the store with more scores than are taken
└── BaselinesFull      the limit of baselines is reached
"""

from __future__ import annotations

from dataclasses import dataclass

from stream.errors import StreamError


@dataclass(eq=False)
class BaselineTooShort(StreamError):
    """There is not enough known-real video for a baseline.

    Attributes:
        minutes: of usable evidence that there are.
        least: that are needed.
    """

    code = "baseline_too_short"
    title = "This is too little video for a baseline"
    hint = "Give longer video in which a face is seen well; baseline.least_minutes says how long"
    status = 422

    minutes: float
    least: float

    def __str__(self) -> str:
        return (
            f"there are {self.minutes:.1f} min of a face's usable evidence, and a baseline needs "
            f"{self.least:g}"
        )


@dataclass(eq=False)
class BaselineUnknown(StreamError):
    """A stream has no baseline."""

    code = "baseline_unknown"
    title = "There is no such baseline"
    hint = "`styleflow baseline list` and GET /api/v1/baselines list those that exist"
    status = 404

    stream: str

    def __str__(self) -> str:
        return f"the stream {self.stream!r} has no baseline"


@dataclass(eq=False)
class BaselineUnusable(StreamError):
    """A file is no baseline, or of another version's format."""

    code = "baseline_unusable"
    title = "A baseline cannot be read"
    hint = "Remove the file and make the baseline anew"
    status = 500

    file: str
    reason: str

    def __str__(self) -> str:
        return f"{self.file}: {self.reason}"


@dataclass(eq=False)
class BaselineSpanTooLong(StreamError):
    """A stored stretch has more scores than a baseline is made of."""

    code = "baseline_span_too_long"
    title = "This is too long a stretch for a baseline"
    hint = "Name a shorter one; ten minutes of one face are plenty"
    status = 422

    limit: int

    def __str__(self) -> str:
        return f"the stretch has more than {self.limit} scores"


@dataclass(eq=False)
class BaselinesFull(StreamError):
    """As many streams as may be have a baseline."""

    code = "baselines_full"
    title = "No further baseline is kept"
    hint = "Remove those that are not needed"
    status = 429

    limit: int

    def __str__(self) -> str:
        return f"all {self.limit} baselines that may be kept exist"
