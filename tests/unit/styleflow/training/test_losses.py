"""Promises of the losses."""

import math

import pytest
import torch

from styleflow.training.losses import contrastive, smoothed_bce


def test_certainty_about_a_smoothed_label_is_punished():
    label = torch.tensor([1.0])
    sure, surer = smoothed_bce(torch.tensor([3.0]), label), smoothed_bce(torch.tensor([9.0]), label)
    assert sure < surer
    assert smoothed_bce(torch.zeros(1), label, 0.0).item() == pytest.approx(math.log(2))


def test_contrast_is_low_when_labels_are_apart():
    labels = torch.tensor([0, 0, 1, 1])
    apart = torch.tensor([[1.0, 0], [1, 0.1], [-1, 0], [-1, 0.1]])
    mixed = apart[[0, 2, 1, 3]]
    assert contrastive(apart, labels) < contrastive(mixed, labels)
    assert contrastive(apart * 7, labels).item() == pytest.approx(
        contrastive(apart, labels).item(), rel=1e-5
    )


def test_contrast_without_partners_is_nothing():
    features = torch.rand(2, 3, requires_grad=True)
    loss = contrastive(features, torch.tensor([0, 1]))
    loss.backward()
    assert loss.item() == 0
