"""Figures of the shipped weights: those of the committed evaluation, and of no other weights."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from styleflow.measured import distil, measured, text_of

ROOT = Path(__file__).resolve().parents[3]
COMMITTED = ROOT / "benchmarks" / "results" / "default-val.json"
ONCE = ROOT / "benchmarks" / "results" / "default-dev-once.json"
CARD = ROOT / "docs" / "model-card.md"
SHIPPED = ROOT / "styleflow" / "measured.json"


def read(path: Path) -> dict[str, Any]:
    return dict(json.loads(path.read_text(encoding="utf-8")))


def test_the_shipped_figures_are_those_of_the_committed_evaluation() -> None:
    """If not: `python -m styleflow.measured COMMITTED ONCE`, by the names above."""
    found = distil(read(COMMITTED), read(ONCE))
    assert SHIPPED.read_text(encoding="utf-8") == text_of(found)
    assert measured(found.sha256) == found
    assert 0.5 < found.auc.low < found.auc.value < found.auc.high < 1.0
    assert sum(kind.fakes for kind in found.kinds) == found.fakes


def test_what_chose_the_weights_says_so_and_what_did_not_stands_beside_it() -> None:
    found = distil(read(COMMITTED), read(ONCE))
    assert found.chose
    assert found.once is not None
    assert found.once.auc.low < 0.5
    one = found.once.auc
    said = f"**{one.value:.3f} ({one.low:.3f} to {one.high:.3f})**"
    assert said in CARD.read_text(encoding="utf-8")
    assert not distil(read(COMMITTED) | {"provenance": {**read(ONCE)["provenance"]}}).chose


def test_figures_of_two_weights_are_never_shown_as_one() -> None:
    other = read(ONCE)
    other["provenance"]["weights_sha256"] = "ab" * 32
    with pytest.raises(ValueError, match="same weights"):
        distil(read(COMMITTED), other)


def test_other_weights_have_no_figures() -> None:
    assert measured("ab" * 32) is None
