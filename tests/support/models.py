"""A `styleflow-live` small enough for unit tests, and pictures for it."""

import numpy as np
import torch
from torch import Tensor

from styleflow.detectors.layers.seeding import seed_weights
from styleflow.detectors.layers.vision_transformer import ViTDims
from styleflow.detectors.styleflow_live.live import StyleFlowLiveDetector
from styleflow.detectors.styleflow_live.network import StyleFlowLiveDims
from styleflow.faces.face import Image
from styleflow.weights.checkpoint import Checkpoint, seeded_untrained

TOY = StyleFlowLiveDims(
    backbone=ViTDims(patch_px=4, width=12, depth=2, heads=2, mlp=24, grid=8),
    published=False,
    blocks=(1, 2),
    size_px=32,
    latent=3,
    hidden=6,
    layers=2,
    gap_half_life=3.0,
    frames=4,
    look_every=1,
)
"""It looks at every frame."""


def toy_checkpoint(seed: int = 0) -> Checkpoint:
    """Return a seeded checkpoint of toy dimensions."""
    return seeded_untrained(seed, TOY)


def toy_network(seed: int = 0, dims: StyleFlowLiveDims = TOY) -> StyleFlowLiveDetector:
    """Return a toy network in inference mode whose learned start and projection are not zero."""
    network = StyleFlowLiveDetector(dims)
    seed_weights(network, seed)
    generator = torch.Generator().manual_seed(seed)
    network.style_gru.initial.data.normal_(generator=generator)
    network.projection.data.normal_(generator=generator)
    return network.eval().requires_grad_(False)


def crop(seed: int) -> Image:
    """Return one toy crop, `(32, 32, 3)` uint8."""
    return np.random.default_rng(seed).integers(0, 256, (32, 32, 3), dtype=np.uint8)


def crops(seed: int, *shape: int) -> Tensor:
    """Return toy crops, `(*shape, 32, 32, 3)` uint8."""
    pictures = np.random.default_rng(seed).integers(0, 256, (*shape, 32, 32, 3), dtype=np.uint8)
    return torch.from_numpy(pictures)
