"""Building blocks of the wire format: the base of its models, and its numbers."""

from __future__ import annotations

import math
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field


def finite_or_none(value: float | None) -> float | None:
    """Return a number, or None for one that is not finite."""
    return value if value is not None and math.isfinite(value) else None


def share_or_none(value: float | None) -> float | None:
    """Return a number in [0, 1], or None for any other."""
    return value if value is not None and 0.0 <= value <= 1.0 else None


Number = Annotated[float | None, BeforeValidator(finite_or_none)]
"""A finite number, or null when there is none."""

Share = Annotated[Annotated[float, Field(ge=0.0, le=1.0)] | None, BeforeValidator(share_or_none)]
"""A number in [0, 1], or null when there is none."""


class WireModel(BaseModel):
    """Base of what the server sends: immutable; a later version may add fields."""

    model_config = ConfigDict(
        frozen=True, protected_namespaces=(), json_schema_serialization_defaults_required=True
    )
