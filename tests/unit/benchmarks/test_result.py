"""Results are JSON that any parser reads."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks.result import write_result


def test_a_figure_that_does_not_exist_is_null(tmp_path: Path) -> None:
    path = tmp_path / "new" / "result.json"
    write_result({"p95": [1.5, float("nan")], "busy": {"ms": float("nan")}, "name": "x"}, path)

    def refuse(name: str) -> None:
        pytest.fail(f"{name} is not JSON")

    found = json.loads(path.read_text(), parse_constant=refuse)
    assert found == {"p95": [1.5, None], "busy": {"ms": None}, "name": "x"}
