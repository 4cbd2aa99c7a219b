"""Streams as an operator configures them and as the analyzer reports them. Values only."""

from __future__ import annotations

import zlib
from collections.abc import Awaitable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, Annotated, Any, Protocol

from pydantic import AfterValidator, BeforeValidator, Field, StringConstraints

from stream.engine.settings import EngineSettings
from stream.events import (
    AbstainReason,
    ConnectionState,
    DegradationLevel,
    LinkQuality,
    ReasonCode,
    Score,
)
from stream.ingest.source import SourceSettings
from styleflow.cards import ModelCard
from styleflow.overlay import PointsAt

if TYPE_CHECKING:
    from stream.explain.stills import Still


STREAM_ID = r"^\.*[A-Za-z0-9_-][A-Za-z0-9._-]*$"
"""Form of a stream's id. Dots alone are none: `.` and `..` mean something else in a path."""

MAX_STREAM_ID = 64


_PLAIN = r"[^\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069"
"""A character of a name, unclosed: not one of control, nor one that turns text around."""

StreamName = Annotated[
    str, StringConstraints(strip_whitespace=True, max_length=128, pattern=f"^{_PLAIN}]*$")
]
"""What people call a stream; empty for its id."""

StreamTag = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=32, pattern=f"^{_PLAIN},]+$"),
]
"""What people sort streams by."""

StreamTags = Annotated[
    tuple[StreamTag, ...],
    Field(max_length=16),
    AfterValidator(lambda tags: tuple(dict.fromkeys(tags))),
]
"""Tags of a stream, the most important first; one that is said twice counts once."""


def _as_text(value: Any) -> Any:
    """Return a label's value as text: YAML and JSON have `true` and 2 as other things."""
    if isinstance(value, bool):
        return str(value).lower()
    return str(value) if isinstance(value, int) else value


LabelName = Annotated[
    str, StringConstraints(max_length=32, pattern=r"^[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?$")
]
"""What a label says something about, such as `site`."""

LabelValue = Annotated[
    str,
    BeforeValidator(_as_text),
    StringConstraints(
        strip_whitespace=True, min_length=1, max_length=64, pattern=f"^{_PLAIN},=]+$"
    ),
]
"""What a label says, such as `north`; `true`, `false` and whole numbers are taken as text."""

Labels = Annotated[dict[LabelName, LabelValue], Field(max_length=16)]
"""Labels of a worker, or those that a stream demands of its worker; values are compared as text."""


class Priority(Enum):
    """Priority of a stream under overload: always analyzed, or only in windows."""

    NORMAL = "normal"
    LOW = "low"


@dataclass(frozen=True, slots=True)
class StreamSpec:
    """One monitored video, as configured.

    Attributes:
        id: 1 to 64 letters, digits, dots, dashes or underscores, not only dots; used in URLs and as
            a label.
        source: how it is obtained.
        name: what people call it; the id when empty.
        priority: what becomes of it when there is more work than the machine can do.
        tags: what people sort it by, the most important first.
        placement: labels that its worker must have, all of them; empty means any worker.
    """

    id: str
    source: SourceSettings
    name: str = ""
    priority: Priority = Priority.NORMAL
    tags: tuple[str, ...] = ()
    placement: Mapping[str, str] = field(default_factory=dict)

    @property
    def phase(self) -> float:
        """Where in the round of sampled windows it begins, 0..1; always the same."""
        return zlib.crc32(self.id.encode()) / 2**32

    @property
    def label(self) -> str:
        """What people call it, or its id."""
        return self.name or self.id


@dataclass(frozen=True, slots=True)
class StreamStatus:
    """How one stream stands now. `source` is redacted: it never shows credentials.

    `models` are those of its detectors, the first one first; every score names its own. A figure
    that is not known, or not yet, is None.
    """

    id: str
    name: str
    source: str
    demo: bool
    state: ConnectionState
    code: ReasonCode | None
    detail: str
    retry_in_s: float | None
    epoch: int
    fps: float | None
    loss: float | None
    age_s: float | None
    reconnects: int
    reasons: tuple[AbstainReason, ...]
    models: tuple[ModelCard, ...]
    scores: tuple[Score, ...]
    link: LinkQuality | None = None
    priority: Priority = Priority.NORMAL
    overload: DegradationLevel = DegradationLevel.NONE
    faces_waiting: int = 0
    tags: tuple[str, ...] = ()
    placement: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Health:
    """Whether the process should be kept and whether it should be given work.

    Attributes:
        live: False means: restart me.
        ready: False means: do not route to me.
        details: one short sentence per check, keyed by the check's name.
    """

    live: bool
    ready: bool
    details: Mapping[str, str]


class StreamEditor(Protocol):
    """Streams, as they are added, changed and removed while everything runs."""

    def add(self, spec: StreamSpec) -> Awaitable[StreamStatus]:
        """Start a stream. Raises StreamExists, TooManyStreams or Overloaded."""
        ...

    def change(self, spec: StreamSpec) -> Awaitable[StreamStatus]:
        """Give a stream other settings; it restarts unless only its name, tags or labels are new.

        Raises StreamUnknown.
        """
        ...

    def remove(self, stream: str) -> Awaitable[None]:
        """Stop and forget a stream, in any state, in bounded time. Raises StreamUnknown."""
        ...

    def spec(self, stream: str) -> StreamSpec:
        """Return a stream's settings as they were given. Raises StreamUnknown."""
        ...

    def status(self, stream: str) -> StreamStatus:
        """Return how one stream stands. Raises StreamUnknown."""
        ...

    def statuses(self) -> tuple[StreamStatus, ...]:
        """Return how every stream stands, ordered by id."""
        ...

    def thresholds(self, stream: str | None = None) -> Awaitable[EngineSettings]:
        """Return what one stream is judged by, or what holds for the others.

        Raises StreamUnknown.
        """
        ...

    def retune(self, settings: EngineSettings, stream: str | None = None) -> Awaitable[None]:
        """Judge one stream, or all, by other thresholds from now on. Raises StreamUnknown."""
        ...


class StreamControl(StreamEditor, Protocol):
    """What the web may ask of the analyzer."""

    def picture(
        self, stream: str, width: int, overlay: str | None = None, *, drawn: bool = False
    ) -> Awaitable[Still | None]:
        """Return the newest picture, about `width` pixels wide; None when there is none yet.

        Args:
            stream: whose.
            width: wanted, pixels.
            overlay: the detector whose pointing comes with it; the picture is then a frame that
                this detector has rated.
            drawn: have that painted into the picture.

        Raises StreamUnknown, DetectorUnknown, OverlayUnavailable or OverlaysBusy.
        """
        ...

    def pointers(self, stream: str) -> Awaitable[Mapping[str, PointsAt | None]]:
        """Return what each of a stream's detectors can point at; None says that it cannot.

        Raises StreamUnknown.
        """
        ...

    def health(self) -> Health:
        """Return whether the process is live and ready."""
        ...
