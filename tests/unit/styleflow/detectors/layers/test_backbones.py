"""Backbones: their sizes, their padding, and attention in parts."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional

from styleflow.detectors.layers.backbones import (
    EFFICIENTNET_B3,
    EFFICIENTNET_B4,
    Attention,
    EfficientNet,
    EfficientNetDims,
    InvertedResidual,
    PaddedConv2d,
    PatchEmbed,
    ResNet,
    Stage,
)

CLASSIFIER = {"resnet34": 513_000, "efficientnet-b3": 1_537_000, "efficientnet-b4": 1_793_000}
PUBLISHED = {"resnet34": 21_284_672, "efficientnet-b3": 10_696_232, "efficientnet-b4": 17_548_616}
BUILD = {
    "resnet34": ResNet,
    "efficientnet-b3": lambda: EfficientNet(EFFICIENTNET_B3),
    "efficientnet-b4": lambda: EfficientNet(EFFICIENTNET_B4),
}


@pytest.mark.parametrize("name", sorted(BUILD))
def test_parameter_counts_are_the_published_ones(name: str) -> None:
    with torch.device("meta"):
        network = BUILD[name]()
    count = sum(p.numel() for p in network.parameters())
    assert count == PUBLISHED[name] + CLASSIFIER[name]


@pytest.mark.parametrize("name", sorted(BUILD))
def test_a_crop_becomes_seven_by_seven_cells(name: str) -> None:
    with torch.device("meta"):
        network = BUILD[name]().eval()
        cells = network(torch.zeros(2, 3, 224, 224))
    assert tuple(cells.shape) == (2, network.width, 7, 7)


@pytest.mark.parametrize(("kernel", "stride"), [(3, 1), (3, 2), (5, 1), (5, 2)])
def test_padding_is_tensorflows(kernel: int, stride: int) -> None:
    """SAME padding: as little as keeps size / stride, an odd one at the far side."""
    conv = PaddedConv2d(2, 3, kernel, stride)
    x = torch.rand(1, 2, 16, 16)
    total = (16 // stride - 1) * stride + kernel - 16
    near = total // 2
    same = functional.pad(x, (near, total - near, near, total - near))
    want = functional.conv2d(same, conv.weight, stride=stride)
    assert torch.allclose(conv(x), want, atol=1e-6)


def test_gradients_reach_the_stem() -> None:
    network = EfficientNet(EfficientNetDims(4, (Stage(5, 2, 6, 8, 2), Stage(3, 1, 1, 8, 1)), 16))
    network(torch.rand(2, 3, 32, 32)).sum().backward()
    stem = next(network.parameters())
    assert stem.grad is not None
    assert bool((stem.grad != 0).any())


def test_some_queries_gather_what_all_would() -> None:
    attention = Attention(16, 4)
    qkv = attention.qkv(torch.rand(3, 6, 16))
    every = attention.mix(qkv)
    assert torch.allclose(attention.mix(qkv, slice(5, 6)), every[:, 5:6], atol=1e-6)


def test_attention_is_torchs_own() -> None:
    ours, torchs = Attention(16, 4), nn.MultiheadAttention(16, 4, batch_first=True)
    with torch.no_grad():
        torchs.in_proj_weight.copy_(ours.qkv.weight)
        torchs.in_proj_bias.copy_(ours.qkv.bias)
        torchs.out_proj.load_state_dict(ours.proj.state_dict())
    x = torch.rand(2, 5, 16)
    assert torch.allclose(ours(x), torchs(x, x, x, need_weights=False)[0], atol=1e-6)


def test_patches_come_in_reading_order() -> None:
    embed = PatchEmbed(2, 1)
    with torch.no_grad():
        embed.proj.weight.fill_(1 / 12)
        embed.proj.bias.zero_()
    corners = torch.tensor([[0.0, 1.0], [2.0, 3.0]]).repeat_interleave(2, 0).repeat_interleave(2, 1)
    assert embed(corners.expand(1, 3, 4, 4)).flatten().tolist() == pytest.approx([0, 1, 2, 3])


def test_blocks_are_dropped_whole_and_only_in_training() -> None:
    """Half of the pictures keep the block's update, doubled; the others keep what came in."""
    block = InvertedResidual(8, Stage(3, 1, 1, 8, 1), 1, dropped=0.5)
    update = torch.rand(64, 8, 4, 4) + 0.1
    thinned = block.train().thinned(update)
    kept = thinned.flatten(1).abs().sum(1) > 0
    assert 16 < int(kept.sum()) < 48
    assert torch.allclose(thinned[kept], 2 * update[kept])
    assert torch.equal(block.eval().thinned(update), update)


def test_later_blocks_drop_more() -> None:
    blocks = [
        module
        for module in EfficientNet(EFFICIENTNET_B3).modules()
        if isinstance(module, InvertedResidual)
    ]
    rates = [block.dropped for block in blocks]
    assert rates == pytest.approx([0.2 * index / 26 for index in range(26)])
