"""Settings of baselines."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from pydantic import Field


@dataclass(frozen=True, slots=True)
class BaselineSettings:
    """Known-real video of streams: how much makes a baseline, and for how long it holds.

    Attributes:
        least_minutes: minutes of a face's usable evidence that a baseline needs.
        expires_days: days after which a baseline is used no longer.
        folder: where baselines are kept, a small file each; empty means `baselines` in the user's
            data directory.
    """

    least_minutes: Annotated[float, Field(ge=1, le=600, allow_inf_nan=False)] = 3.0
    expires_days: Annotated[float, Field(gt=0, le=3650, allow_inf_nan=False)] = 30.0
    folder: Path | None = None
