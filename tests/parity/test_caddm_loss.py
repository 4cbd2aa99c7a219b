"""CADDM's box targets and loss against the published program."""

from __future__ import annotations

from zlib import crc32

import numpy as np
import pytest
import torch
from torch import Tensor

from styleflow.detectors.caddm.network import CaddmPrediction
from styleflow.training.caddm.loss import BoxTargets, assign_boxes, caddm_loss, no_boxes
from tests.parity.fill import reference


def noise(name: str, *shape: int) -> Tensor:
    rng = np.random.default_rng(crc32(name.encode()))
    return torch.from_numpy(rng.standard_normal(shape, np.float32)).requires_grad_()


@pytest.mark.parametrize("case", range(6))
def test_assignment(case: int) -> None:
    stored = reference("caddm", "parity_detection.npz")
    got = assign_boxes(torch.from_numpy(stored[f"assign{case}_boxes_px"]))
    assert np.array_equal(got.labels.numpy(), stored[f"assign{case}_conf"])
    assert np.abs(got.offsets.numpy() - stored[f"assign{case}_loc"]).max() <= 1e-4


def test_every_reachable_window() -> None:
    """All 39 windows of a partial swap, each beside the full box, some within 1e-6 of the limit."""
    stored = reference("caddm", "parity_detection.npz")
    for index, box in enumerate(stored["grid_boxes_px"]):
        got = assign_boxes(torch.tensor([[0, 0, 224, 224], box.tolist()]))
        assert np.array_equal(got.labels.numpy() > 0, stored["grid_conf"][index]), index
        positive = got.offsets.numpy() * got.labels.numpy()[:, None]
        assert np.abs(positive - stored["grid_loc_pos"][index]).max() <= 1e-4, index


def test_loss_gradients_and_mined_negatives() -> None:
    stored = reference("caddm", "parity_detection.npz")
    offsets, box_classes = noise("loc_pred", 7, 168, 4), noise("conf_pred", 7, 168, 2)
    classes = noise("logits", 7, 2)
    targets = BoxTargets(
        torch.from_numpy(stored["loss_loc_target"]), torch.from_numpy(stored["loss_conf_target"])
    )
    labels = torch.from_numpy(stored["loss_labels"])
    got = caddm_loss(CaddmPrediction(classes, offsets, box_classes), labels, targets)
    got.total.backward()
    assert got.box_offsets.item() == pytest.approx(stored["loss_loc"], rel=1e-5)
    assert got.box_classes.item() == pytest.approx(stored["loss_conf"], rel=1e-5)
    assert got.classes.item() == pytest.approx(stored["loss_ce"], rel=1e-5)
    assert got.total.item() == pytest.approx(stored["loss_total"], rel=1e-5)
    assert int((targets.labels > 0).sum()) == stored["num_pos"]
    assert np.array_equal(got.mined.numpy(), stored["mined_negatives"])
    for tensor, name in ((offsets, "loc"), (box_classes, "conf"), (classes, "logits")):
        assert tensor.grad is not None
        assert np.abs(tensor.grad.numpy() - stored[f"grad_{name}"]).max() <= 1e-6, name


def test_real_crops_add_nothing_to_detection() -> None:
    stored = reference("caddm", "parity_detection.npz")
    real = no_boxes()
    targets = BoxTargets(real.offsets.expand(2, -1, -1), real.labels.expand(2, -1))
    prediction = CaddmPrediction(
        noise("logits", 2, 2), noise("loc_pred", 2, 168, 4), noise("conf_pred", 2, 168, 2)
    )
    got = caddm_loss(prediction, torch.zeros(2, dtype=torch.int64), targets)
    assert [got.box_offsets.item(), got.box_classes.item()] == stored["all_genuine_loss"].tolist()
