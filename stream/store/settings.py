"""Settings of the store; values only."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated

from pydantic import Field, SecretStr


@dataclass(frozen=True, slots=True)
class StoreSettings:
    """How much is remembered beyond a restart, and where.

    Attributes:
        enabled: keep scores, events and incidents in a database; `serve --no-store` turns it off.
        url: empty means a SQLite file in the user's data directory; else sqlite:///PATH or
            postgresql://USER:PASSWORD@HOST/NAME (needs the extra `postgres`).
        full_rate_hours: hours for which every score is kept.
        seconds_days: days for which minima, means and maxima per second are kept, and reports.
        events_days: days for which events and verdicts are kept.
        drift_days: days for which a stream's figures of quality by hour are kept; drift compares
            with seven.
        max_bytes: size beyond which the oldest scores at full rate give way early, SQLite only; 0
            means no limit.
        queue: events that may wait to be written; the oldest gives way and is counted.
        writes: other writes that may wait; a further one is refused and counted.
        commit_s: seconds between two commits at most; what `kill -9` may lose.
        purge_rows: rows that one step of retention deletes at most.
    """

    enabled: bool = True
    url: SecretStr = field(default_factory=lambda: SecretStr(""))
    full_rate_hours: Annotated[float, Field(ge=0.01, le=87_600)] = 48.0
    seconds_days: Annotated[float, Field(ge=0.01, le=36_500)] = 90.0
    events_days: Annotated[float, Field(ge=0.01, le=36_500)] = 365.0
    drift_days: Annotated[float, Field(ge=8, le=36_500)] = 30.0
    max_bytes: Annotated[int, Field(ge=0, le=1 << 50)] = 0
    queue: Annotated[int, Field(ge=16, le=1_000_000)] = 16_384
    writes: Annotated[int, Field(ge=1, le=100_000)] = 1024
    commit_s: Annotated[float, Field(ge=0.05, le=0.5)] = 0.5
    purge_rows: Annotated[int, Field(ge=1, le=100_000)] = 2000
