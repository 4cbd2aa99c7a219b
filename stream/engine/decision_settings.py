"""Settings of decisions: by thresholds, or against a budget of false alarms."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from stream.errors import SettingInvalid

_BUDGET = re.compile(r"(\d+(?:\.\d+)?) per (\d+(?:\.\d+)? ?)?(h|hour|hours|d|day|days)")
_HOURS = {"h": 1.0, "d": 24.0}
_LEAST_PER_HOUR, _MOST_PER_HOUR = 1e-4, 60.0


@dataclass(frozen=True, slots=True)
class DecisionSettings:
    """How ratings become a verdict.

    Attributes:
        by: thresholds (`engine.enter` and `leave` on the smoothed score) or budget (trials compared
            with known ones, each paid for from a budget of false alarms; docs/decisions.md).
        false_alarms: of each stream in the mean, as in "1 per 10 h" or "2 per day".
        miss: chance that a fake face is called clear, 0..1.
        give_up_s: seconds of evidence after which an undecided face is said to stay so.
        again_s: seconds of evidence between two trials of one face that are paid for.
        table: file of known trials from `styleflow evaluate trials`; None means the one that comes
            with styleflow-live.
    """

    by: Literal["thresholds", "budget"] = "thresholds"
    false_alarms: Annotated[str, Field(max_length=40)] = "1 per 10 h"
    miss: Annotated[float, Field(gt=0, lt=1)] = 0.2
    give_up_s: Annotated[float, Field(gt=0, le=3600, allow_inf_nan=False)] = 30.0
    again_s: Annotated[float, Field(ge=0, le=86400, allow_inf_nan=False)] = 300.0
    table: Path | None = None

    def __post_init__(self) -> None:
        if not _LEAST_PER_HOUR <= self.per_hour <= _MOST_PER_HOUR:
            raise SettingInvalid(
                "decision.false_alarms",
                repr(self.false_alarms),
                "must lie between 1 per 10000 h and 60 per 1 h",
            )

    @property
    def per_hour(self) -> float:
        """False alarms an hour."""
        found = _BUDGET.fullmatch(self.false_alarms.strip())
        if found is None:
            raise SettingInvalid(
                "decision.false_alarms",
                repr(self.false_alarms),
                'must be like "1 per 10 h" or "2 per day"',
            )
        hours = float(found[2] or 1) * _HOURS[found[3][0]]
        return float(found[1]) / hours if hours else float("inf")
