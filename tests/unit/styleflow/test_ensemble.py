"""Logistic stacking: what it recovers, what it refuses, and what its file says."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from styleflow.ensemble import Ensemble, fit, held_out_loss, load, save
from styleflow.errors import EnsembleInvalid

NAMES = ("caddm-resnet34", "fakestormer-c23")


def drawn(weights: tuple[float, ...], intercept: float, count: int, seed: int = 0):
    """Return logits, and labels drawn with the probability that known weights say."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, 2, (count, len(weights)))
    chance = 1 / (1 + np.exp(-(logits @ np.array(weights) + intercept)))
    return logits, (rng.random(count) < chance).astype(float)


def test_known_weights_are_recovered() -> None:
    """Labels drawn from 1.2 a - 0.4 b + 0.7 lead back to these numbers."""
    made = fit(*drawn((1.2, -0.4), 0.7, 40_000), NAMES, l2=0.0)
    assert [m.weight for m in made.members] == pytest.approx([1.2, -0.4], abs=0.05)
    assert made.intercept == pytest.approx(0.7, abs=0.05)


def test_the_mean_probability_is_the_share_of_fakes() -> None:
    """A fitted intercept makes the ensemble calibrated on what it was fitted on."""
    logits, labels = drawn((0.8, 0.3), -1.0, 500)
    made = fit(logits, labels, NAMES)
    p = [
        made.calibration.probability(made.logit(dict(zip(NAMES, row, strict=True))))
        for row in logits
    ]
    assert np.mean(p) == pytest.approx(labels.mean(), abs=1e-6)


def test_a_member_that_knows_nothing_gets_no_weight() -> None:
    logits, labels = drawn((1.0, 0.0), 0.0, 20_000)
    made = fit(logits, labels, NAMES)
    assert abs(made.members[1].weight) < 0.05 < made.members[0].weight


def test_separable_labels_settle_because_weights_are_held_back() -> None:
    logits = np.linspace(-3, 3, 40)[:, None].repeat(2, 1)
    made = fit(logits, (logits[:, 0] > 0).astype(float), NAMES)
    assert all(0 < m.weight < 100 for m in made.members)


@pytest.mark.parametrize(
    ("logits", "labels", "said"),
    [
        (np.zeros((40, 2)), np.zeros(40), "both must occur"),
        (np.zeros((40, 2)), np.full(40, 0.5), "labels must be"),
        (np.full((40, 2), np.nan), np.arange(40) % 2, "finite"),
        (np.zeros((4, 2)), np.arange(4) % 2, "needs 15 samples"),
        (np.zeros((40, 1)), np.arange(40) % 2, "two or more"),
    ],
)
def test_what_cannot_be_fitted_is_said(logits, labels, said: str) -> None:
    with pytest.raises(EnsembleInvalid, match=said):
        fit(logits, labels, NAMES[: logits.shape[1]])


def test_a_file_brings_an_ensemble_back(tmp_path: Path) -> None:
    made = fit(*drawn((1.0, 0.5), 0.1, 200), NAMES, {NAMES[0]: "ab" * 32})
    save(made, tmp_path / "ensemble.json")
    assert load(tmp_path / "ensemble.json") == made
    assert made.members[0].sha256 == "ab" * 32


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"members": []}, "two members"),
        ({"intercept": "much"}, "intercept"),
        ({"members": [{"detector": "a", "sha256": "", "weight": 1}] * 2}, "twice"),
    ],
)
def test_a_file_that_is_no_ensemble_is_refused(tmp_path: Path, change, said: str) -> None:
    path = tmp_path / "ensemble.json"
    save(fit(*drawn((1.0, 0.5), 0.1, 200), NAMES), path)
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(EnsembleInvalid, match=said):
        load(path)


def test_a_missing_file_names_the_command(tmp_path: Path) -> None:
    with pytest.raises(EnsembleInvalid, match="styleflow ensemble fit"):
        load(tmp_path / "nowhere.json")


def test_one_member_cannot_outvote_a_hundred() -> None:
    made: Ensemble = fit(*drawn((1.0, 1.0), 0.0, 500), NAMES)
    mild, wild = ({NAMES[0]: x, NAMES[1]: 0.0} for x in (30.0, 3e8))
    assert made.logit(mild) == made.logit(wild)


def test_held_out_loss_keeps_groups_together() -> None:
    """Copies of one sample in a group cannot be learnt by heart."""
    rng = np.random.default_rng(4)
    logits = rng.normal(0, 1, (30, 2)).repeat(4, 0)
    labels = (np.arange(30) % 2).repeat(4).astype(float)
    groups = [str(i) for i in range(30) for _ in range(4)]
    loss = held_out_loss(logits, labels, NAMES, groups)
    assert loss is not None
    assert loss > fit(logits, labels, NAMES).fit.log_loss
