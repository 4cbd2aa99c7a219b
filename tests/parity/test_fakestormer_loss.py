"""FakeSTormer's losses against the published program, on its own stored outputs."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from styleflow.detectors.fakestormer.network import FakeStormerPrediction
from styleflow.training.fakestormer.loss import (
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
    stored = reference("fakestormer", "parity_model_base_c23.npz")

    def tensor(name: str) -> Tensor:
        return torch.from_numpy(stored[name]).float()

    prediction = FakeStormerPrediction(
        logit=tensor("b2_cls")[:, 0], spatial=tensor("b2_temp_loc"), temporal=tensor("b2_hm")[:, 0]
    )
    targets = VulnerabilityTargets(
        labels=tensor("loss_y")[:, 0],
        spatial=tensor("loss_loc_t"),
        temporal=tensor("loss_hm_t")[:, 0],
        visible=tensor("loss_mask")[:, 0],
    )
    got = fakestormer_loss(prediction, targets, weights)
    parts = {"hm": got.temporal, "cls": got.classes, "temp_loc": got.spatial, "total": got.total}
    for name, value in zip(stored["loss_names"].tolist(), stored[key].tolist(), strict=True):
        assert parts[name].item() == pytest.approx(value, rel=1e-4), name
