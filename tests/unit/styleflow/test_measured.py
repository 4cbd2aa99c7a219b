"""Figures of the shipped weights: those of the committed evaluation, and of no other weights."""

from __future__ import annotations

import json
from pathlib import Path

from styleflow.measured import distil, measured, text_of

ROOT = Path(__file__).resolve().parents[3]
COMMITTED = ROOT / "benchmarks" / "results" / "default-val.json"
SHIPPED = ROOT / "styleflow" / "measured.json"


def test_the_shipped_figures_are_those_of_the_committed_evaluation() -> None:
    """If not: `python -m styleflow.measured benchmarks/results/default-val.json`."""
    found = distil(json.loads(COMMITTED.read_text(encoding="utf-8")))
    assert SHIPPED.read_text(encoding="utf-8") == text_of(found)
    assert measured(found.sha256) == found
    assert 0.5 < found.auc.low < found.auc.value < found.auc.high < 1.0
    assert sum(kind.fakes for kind in found.kinds) == found.fakes


def test_other_weights_have_no_figures() -> None:
    assert measured("ab" * 32) is None
