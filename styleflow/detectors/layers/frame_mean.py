"""Rating of a track by detectors that judge every frame alone: the mean over its last frames."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional


def mean_probability_logit(logits: Tensor, pushed: Tensor) -> Tensor:
    """Return the logit of the mean probability of each row's last frames, `(B,)` float32.

    A row that has seen nothing is NaN.

    Args:
        logits: rings of frame logits, `(B, W)`.
        pushed: frames that each row has seen, `(B,)` int64; of fewer than W the rest is unused.
    """
    exact = logits.double()
    unused = torch.arange(logits.shape[1], device=logits.device) >= pushed[:, None]
    fake = functional.logsigmoid(exact).masked_fill(unused, -math.inf).logsumexp(1)
    real = functional.logsigmoid(-exact).masked_fill(unused, -math.inf).logsumexp(1)
    return (fake - real).float()
