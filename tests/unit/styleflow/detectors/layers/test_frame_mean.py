"""Mean over frames: it is that of probabilities, of those frames alone that there were."""

from __future__ import annotations

import math

import torch

from styleflow.detectors.layers.frame_mean import mean_probability_logit


def test_probabilities_are_averaged_over_the_frames_that_there_were() -> None:
    logits = torch.tensor([[2.0, -1.0, 9.0], [0.5, 0.5, 0.5], [2.0, -1.0, 0.0]])
    rated = mean_probability_logit(logits, torch.tensor([2, 1, 7]))
    first, last = logits[0, :2].sigmoid().mean(), logits[2].sigmoid().mean()
    assert torch.allclose(rated[0].sigmoid(), first)
    assert math.isclose(float(rated[1]), 0.5, rel_tol=1e-6)
    assert torch.allclose(rated[2].sigmoid(), last)


def test_a_row_that_has_seen_nothing_is_unknown() -> None:
    assert mean_probability_logit(torch.zeros(1, 4), torch.tensor([0])).isnan().all()


def test_certain_frames_stay_finite() -> None:
    rated = mean_probability_logit(torch.tensor([[80.0, 90.0]]), torch.tensor([2]))
    assert rated.isfinite().all()
    assert float(rated) > 79
