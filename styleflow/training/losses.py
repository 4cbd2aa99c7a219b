"""Losses that several detectors are trained with."""

from __future__ import annotations

import torch
from torch import Tensor, nn


def smoothed_bce(logits: Tensor, labels: Tensor, smoothing: float = 0.06) -> Tensor:
    """Return binary cross-entropy against labels that are never quite certain.

    Args:
        logits: any shape.
        labels: in [0, 1], same shape.
        smoothing: 0 trusts labels, 1 ignores them.
    """
    targets = labels * (1 - smoothing) + smoothing / 2
    return nn.functional.binary_cross_entropy_with_logits(logits.float(), targets)


def contrastive(features: Tensor, labels: Tensor, temperature: float = 0.2) -> Tensor:
    """Return the supervised contrastive loss: same label near, other label far.

    Args:
        features: `(B, F)`; their length does not matter.
        labels: 0 or 1, `(B,)`; an example without a partner of its label is left out.
        temperature: smaller pays more attention to the nearest.

    Returns:
        A scalar; 0 when no example has a partner.

    Source: supervised contrastive learning (Khosla et al., NeurIPS 2020).
    """
    unit = nn.functional.normalize(features.float(), dim=1)
    near = unit @ unit.T / temperature
    itself = torch.eye(len(unit), dtype=torch.bool, device=unit.device)
    partners = (labels[:, None] == labels[None]) & ~itself
    log_share = near - near.masked_fill(itself, -torch.inf).logsumexp(dim=1, keepdim=True)
    counts = partners.sum(dim=1)
    kept = counts > 0
    if not bool(kept.any()):
        return features.sum() * 0.0
    pulled = (log_share.masked_fill(~partners, 0.0)).sum(dim=1)[kept] / counts[kept]
    return -pulled.mean()
