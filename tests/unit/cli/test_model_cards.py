"""Whole model cards: what the checkpoint says of itself, and the card that people read."""

from __future__ import annotations

from pathlib import Path

from cli.model_cards import cards
from cli.settings import Settings
from styleflow.weights.checkpoint import shipped

ROOT = Path(__file__).resolve().parents[3]


def test_the_built_in_model_has_figures_limits_data_and_calibration() -> None:
    (card,) = cards(Settings())
    model = shipped()
    assert card["sha256"] == model.sha256
    assert card["calibration"]["scale"] == model.calibration.scale
    assert card["calibration_is_of"] == "the checkpoint"
    assert card["provenance"] == model.provenance
    assert card["text"] == (ROOT / "docs" / "model-card.md").read_text(encoding="utf-8")
    assert "## Figures" in card["text"]


def test_the_calibration_is_the_one_that_scores_were_made_with() -> None:
    calibration = {"scale": 2.0, "bias": 1.0, "spread": 0.5}
    wanted = {"detectors": [{"name": "styleflow-live", "calibration": calibration}]}
    (card,) = cards(Settings.model_validate(wanted))
    assert {**card["calibration"], **calibration} == card["calibration"]
    assert card["calibration"]["fitted"]
    assert card["calibration_is_of"] == "the configuration"


def test_detectors_whose_file_is_not_there_or_is_none_have_no_card(tmp_path: Path) -> None:
    (tmp_path / "x.safetensors").write_bytes(b"none")
    wanted = {
        "detectors": [
            {"name": "fakestormer-c0", "checkpoint": str(tmp_path / "gone.safetensors")},
            {"name": "styleflow-live", "checkpoint": str(tmp_path / "x.safetensors")},
        ]
    }
    assert cards(Settings.model_validate(wanted)) == ()
