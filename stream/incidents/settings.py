"""Settings of incidents: when suspect verdicts become one, and how much it asks for attention."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from typing import Annotated

from pydantic import Field

from stream.errors import SettingInvalid

_Seconds = Annotated[float, Field(ge=0, le=86_400, allow_inf_nan=False)]
_Share = Annotated[float, Field(ge=0, le=1)]


@dataclass(frozen=True, slots=True)
class IncidentSettings:
    """When suspect verdicts become an incident, and how severe it is.

    Attributes:
        enabled: whether there are any.
        merge_s: seconds after which a face that is suspect again is a new incident; the same for a
            new face while the one before it is out of view.
        quiet_s: seconds without suspicion after which an incident is closed; at least `merge_s`.
        experimental_alarms: let models that are experimental or uncalibrated raise alarms. Without
            it they give hints, whatever they score.
        detectors: names of those whose verdicts open incidents, `ensemble` among them; all of them
            when empty.
        medium_s: seconds of suspicion from which an incident may be of medium severity.
        medium_lo: lower end of a score's interval that it needs besides.
        high_s: seconds of suspicion from which it may be of high severity.
        high_lo: lower end of a score's interval that it needs besides.
        high_p: score that it needs besides.
        extend_s: least seconds between two reports that an incident goes on; a severity that rises
            is told at once.
        max_open_per_stream: incidents of one stream that may be open; a further face has none
            until another's is closed, which is counted.
        max_open: incidents of all streams that may be open, likewise.
        kept: closed incidents that are kept in memory, the newest; the store keeps the others.
        max_notes: comments that one incident takes.
    """

    enabled: bool = True
    merge_s: _Seconds = 30.0
    quiet_s: _Seconds = 30.0
    experimental_alarms: bool = False
    detectors: tuple[str, ...] = ()
    medium_s: _Seconds = 5.0
    medium_lo: _Share = 0.5
    high_s: _Seconds = 20.0
    high_lo: _Share = 0.7
    high_p: _Share = 0.9
    extend_s: Annotated[float, Field(ge=1, le=3600, allow_inf_nan=False)] = 5.0
    max_open_per_stream: Annotated[int, Field(ge=1, le=256)] = 8
    max_open: Annotated[int, Field(ge=1, le=4096)] = 256
    kept: Annotated[int, Field(ge=1, le=4096)] = 256
    max_notes: Annotated[int, Field(ge=1, le=1000)] = 200

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if isinstance(value, float) and not (math.isfinite(value) and value >= 0):
                raise SettingInvalid(field.name, value, "must be a number of at least 0")
        if self.quiet_s < self.merge_s:
            rule = f"must be at least merge_s ({self.merge_s:g})"
            raise SettingInvalid("quiet_s", self.quiet_s, rule)
