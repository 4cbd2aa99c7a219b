"""FakeSTormer's losses against the published program, on its own stored outputs."""

from __future__ import annotations

import pytest
import torch

from styleflow.models.fakestormer import FakeStormerPrediction
from styleflow.models.fakestormer_loss import (
    C40_WEIGHTS,
    LossWeights,
    VulnerabilityTargets,
    fakestormer_loss,
)
from tests.parity.fill import reference


@pytest.mark.parametrize(
    ("weights", "key"), [(LossWeights(), "loss_vals"), (C40_WEIGHTS, "loss_vals_c40")]
)
def test_loss(weights: LossWeights, key: str) -> None:
    stored = {
        name: torch.from_numpy(value)
        for name, value in reference("fakestormer", "parity_model_base_c23.npz").items()
        if name.startswith(("b2_", "loss_")) and value.dtype.kind != "U"
    }
    prediction = FakeStormerPrediction(
        logit=stored["b2_cls"][:, 0], spatial=stored["b2_temp_loc"], temporal=stored["b2_hm"][:, 0]
    )
    targets = VulnerabilityTargets(
        labels=stored["loss_y"][:, 0],
        spatial=stored["loss_loc_t"].float(),
        temporal=stored["loss_hm_t"][:, 0],
        visible=stored["loss_mask"][:, 0],
    )
    got = fakestormer_loss(prediction, targets, weights)
    parts = [got.temporal.item(), got.classes.item(), got.spatial.item(), got.total.item()]
    assert parts == pytest.approx(stored[key].tolist(), rel=1e-4)
