"""Settings of drift: when a stream's picture counts as changed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from pydantic import Field


@dataclass(frozen=True, slots=True)
class DriftSettings:
    """When a stream is said to have changed against its own past.

    Attributes:
        enabled: whether the figures are gathered and compared; needs the store.
        distance: share of ratings that must have moved, 0..1.
        margin: how many times as far from the others as the strangest day before the last day must
            be.
        least_ratings: ratings of a day below which it is not compared.
        least_days: days before the last one that are needed.
        every_s: seconds between two comparisons.
        save_s: seconds between two writes of what was gathered; what `kill -9` may lose.
    """

    enabled: bool = True
    distance: Annotated[float, Field(gt=0, le=1)] = 0.6
    margin: Annotated[float, Field(ge=1, le=10)] = 2.0
    least_ratings: Annotated[int, Field(ge=1, le=10_000_000)] = 1000
    least_days: Annotated[int, Field(ge=2, le=7)] = 3
    every_s: Annotated[float, Field(ge=1, le=86_400, allow_inf_nan=False)] = 900.0
    save_s: Annotated[float, Field(ge=1, le=3600, allow_inf_nan=False)] = 60.0
