"""GenD's encoders against the libraries they come from, on weights that follow from tensor names.

CLIP and DINOv3 run side by side with transformers. Perception Encoder's reference is timm, which
needs torchvision: `gend_references.py` ran it once, elsewhere, and stored what came out.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from styleflow.detectors.gend.network import ENCODERS, Gend, GendDims
from styleflow.detectors.gend.published import PUBLISHED
from tests.parity.fill import uniform_input
from tests.support.foundation import (
    SLIM,
    authors_tensors,
    clip_reference,
    dinov3_reference,
)

STORED = Path(__file__).parent / "gend_references.npz"
TOLERANCE = 1e-4

REFERENCES: dict[str, Callable[..., nn.Module]] = {
    "gend-clip-l14": clip_reference,
    "gend-dinov3-l": dinov3_reference,
}
sizes = pytest.mark.parametrize(
    "toy", [True, pytest.param(False, marks=pytest.mark.huge)], ids=["toy", "full"]
)


def ours(name: str, *, toy: bool) -> Gend:
    """Return our network with the weights of the authors' layout."""
    encoder = SLIM[name] if toy else name.removeprefix("gend-")
    with torch.device("meta"):
        network = Gend(GendDims(encoder=encoder))
    renamed = PUBLISHED[name].tensors.renaming(authors_tensors(name, toy=toy))
    network.load_state_dict(renamed, assign=True)
    return network.eval().requires_grad_(requires_grad=False)


def shown(count: int = 2) -> Tensor:
    """Return the reference input about zero, as encoders see pictures."""
    return uniform_input(count, 3, 224, 224) * 4 - 2


@sizes
@pytest.mark.parametrize("name", sorted(REFERENCES))
@torch.inference_mode()
def test_features_are_those_of_transformers(name: str, *, toy: bool) -> None:
    """Pooled output and class token, whatever the size of the encoder."""
    x = shown()
    wanted = REFERENCES[name](toy=toy)(x).pooler_output
    features = ours(name, toy=toy).encoder(x)
    assert wanted.std() > 0.5  # there is something to compare
    torch.testing.assert_close(features, wanted, atol=TOLERANCE, rtol=TOLERANCE)


@pytest.mark.parametrize("name", sorted(REFERENCES))
@torch.inference_mode()
def test_features_notice_where_patches_are(name: str) -> None:
    """A picture upside down is another picture, to both alike."""
    x = shown(1)
    upside_down = x.flip(2)
    network, reference = ours(name, toy=True).encoder, REFERENCES[name](toy=True)
    assert (network(x) - network(upside_down)).abs().max() > 100 * TOLERANCE
    torch.testing.assert_close(
        network(upside_down), reference(upside_down).pooler_output, atol=TOLERANCE, rtol=TOLERANCE
    )


@sizes
@torch.inference_mode()
def test_features_are_those_of_timm(*, toy: bool) -> None:
    """Perception Encoder at 224 px, its positions resampled from 336 px."""
    with np.load(STORED) as stored:
        wanted = torch.from_numpy(stored["pe_toy" if toy else "pe_full"])
    network = ours("gend-pe-l", toy=toy)
    features = network.encoder(shown())
    assert wanted.std() > 0.5
    torch.testing.assert_close(features, wanted, atol=TOLERANCE, rtol=TOLERANCE)


@pytest.mark.parametrize("name", sorted(SLIM))
@torch.inference_mode()
def test_only_a_features_direction_counts_where_the_head_says_so(name: str) -> None:
    network = ours(name, toy=True)
    features = network.encoder(shown())
    by_hand = features / features.norm(dim=1, keepdim=True)
    expected = by_hand @ network.head.weight.T + network.head.bias
    torch.testing.assert_close(network.judge(features), expected, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(network.judge(3 * features), expected, atol=1e-5, rtol=1e-5)


def test_encoders_of_real_size_have_the_widths_of_the_published_ones() -> None:
    assert {ENCODERS[name].vit.width for name in ("clip-l14", "pe-l", "dinov3-l")} == {1024}
