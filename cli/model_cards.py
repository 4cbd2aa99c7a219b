"""Whole model cards of the configured detectors, for evidence: what is known of each model.

Of a checkpoint only its manifest is read, not its tensors. The card that people read (figures,
limits, training data) travels in the package for the built-in model.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from importlib import resources
from typing import Any

from cli.settings import DetectorConfig, Settings
from styleflow.detectors.registry import BUILT_IN
from styleflow.errors import CheckpointInvalid
from styleflow.weights import checkpoint
from styleflow.weights.places import fetched

CARD = "model-card.md"


def cards(settings: Settings) -> tuple[Mapping[str, Any], ...]:
    """Return the cards of the configured detectors; of one whose file cannot be read, none."""
    wanted = settings.detectors or (DetectorConfig(name=BUILT_IN),)
    return tuple(card for each in wanted if (card := _card(each, settings)) is not None)


def _card(wanted: DetectorConfig, settings: Settings) -> Mapping[str, Any] | None:
    is_ours = wanted.name == BUILT_IN
    path = wanted.checkpoint or (settings.model.checkpoint if is_ours else fetched(wanted.name))
    try:
        shipped = checkpoint.shipped_description()
        if path is None and not is_ours:
            return None
        said = dict(shipped if path is None else checkpoint.description(path))
    except (CheckpointInvalid, OSError):
        return None
    if wanted.calibration is not None:
        said["calibration"] = asdict(wanted.calibration.fitted())
        said["calibration_is_of"] = "the configuration"
    is_shipped = said["sha256"] == shipped["sha256"]
    text = resources.files("styleflow") / "weights" / CARD
    said["text"] = text.read_text(encoding="utf-8") if is_shipped else ""
    return said
