"""Mark of a stream's baseline: what is told of it beside scores. Values only."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class BaselineState(StrEnum):
    """Whether trials are compared with a stream's own baseline. A closed list."""

    ACTIVE = "active"
    CHANGED = "changed"  # the camera's picture has; trials are compared with the general null
    EXPIRED = "expired"
    UNUSED = "unused"  # thresholds decide, or it is of other weights


@dataclass(frozen=True, slots=True)
class BaselineMark:
    """What a stream's baseline is, as it is told beside scores.

    Attributes:
        name: what people call it.
        minutes: of evidence that it was made of.
        made: wall clock, UTC.
        state: whether trials are compared with it now.
        reason: why not, in words; empty while they are.
    """

    name: str
    minutes: float
    made: datetime
    state: BaselineState
    reason: str = ""
