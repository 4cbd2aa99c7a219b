"""Results as files: JSON in which a figure that does not exist is null."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any


def write_result(document: dict[str, Any], path: Path) -> None:
    """Write a result, and make its folder; NaN, which JSON does not know, becomes null."""
    path.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps(_without_nan(document), indent=2, allow_nan=False)
    path.write_text(text + "\n", encoding="utf-8")


def _without_nan(value: Any) -> Any:  # Any: JSON
    if isinstance(value, dict):
        return {key: _without_nan(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_without_nan(one) for one in value]
    return None if isinstance(value, float) and math.isnan(value) else value
