"""Making of a baseline from known-real trials. Pure.

Three minutes are the least by default: that is 45 trials, hardly more than the 41 known sources of
the shipped table, so that the camera's "one in 42" is a value that was seen and not one made up
beyond the highest.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from stream.baseline.baseline import Baseline
from stream.baseline.errors import BaselineTooShort
from stream.baseline.settings import BaselineSettings
from stream.baseline.statistics import Statistics, summarised
from stream.baseline.trials import RealTrial
from styleflow.decisions import DecisionTable, Horizon, Ranks

UNUSUAL = 0.1
"""A baseline whose middle trial so few known real sources reach is told to be looked at again."""


@dataclass(frozen=True, slots=True)
class Rated:
    """Whose ratings baselines are made of.

    Attributes:
        detector: name of the detector.
        digest: SHA-256 of its weights.
        table: known trials that a budget compares with; None where thresholds decide.
    """

    detector: str
    digest: str
    table: DecisionTable | None = None

    @property
    def horizon(self) -> Horizon:
        """Times of a trial."""
        return Horizon() if self.table is None else self.table.horizon


@dataclass(frozen=True, slots=True)
class Said:
    """What somebody says of the video.

    Attributes:
        stream: id of the stream that it is for.
        name: what people call it.
        source: where it comes from, in words.
        by: who says that it is real.
        at: wall clock, UTC.
    """

    stream: str
    name: str
    source: str
    by: str
    at: datetime


def minutes_of(trials: Sequence[RealTrial]) -> float:
    """Return the minutes of evidence in some trials."""
    return sum(trial.seconds for trial in trials) / 60.0


def made_of(
    trials: Sequence[RealTrial], rated: Rated, said: Said, settings: BaselineSettings
) -> Baseline:
    """Return the baseline of some trials.

    Raises:
        BaselineTooShort: they are too few.
    """
    minutes = minutes_of(trials)
    if not trials or minutes < settings.least_minutes:
        raise BaselineTooShort(minutes, settings.least_minutes)
    return Baseline(
        stream=said.stream,
        name=said.name or said.stream,
        detector=rated.detector,
        digest=rated.digest,
        horizon=rated.horizon,
        made=said.at,
        expires=said.at + timedelta(days=settings.expires_days),
        source=said.source,
        by=said.by,
        statistics=summarised(trials),
    )


def advice(statistics: Statistics, table: DecisionTable | None) -> str:
    """Return what is worth a second look in a baseline, in words; empty when nothing is."""
    if table is None:
        return ""
    share = Ranks(table.reals).share_at_least(statistics.quantile(0.5))
    if share > UNUSUAL:
        return ""
    return (
        f"only one in {1 / share:.0f} known real videos scores as high as this one usually does; "
        "make sure that it was real"
    )
