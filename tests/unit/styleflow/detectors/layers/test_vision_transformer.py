"""The vision transformer: its sizes, its positions, and the same answers once compiled."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from styleflow.detectors.layers.seeding import seed_weights
from styleflow.detectors.layers.vision_transformer import (
    CLIP_L14,
    DINOV2_S14,
    DINOV3_L16,
    PE_CORE_L14,
    AttentionPooling,
    Pairing,
    Rotary,
    SelfAttention,
    VisionTransformer,
    ViTDims,
    resampled_positions,
)
from styleflow.errors import ShapeMismatch
from styleflow.runtime import Compiled, accelerated
from styleflow.runtime_settings import RuntimeSettings

PUBLISHED = {  # parameters of the released vision towers, without heads and projections
    "clip": (CLIP_L14, 303_179_776),
    "dinov2": (DINOV2_S14, 22_056_576 - 384),  # its mask token is of use in training only
    "dinov3": (DINOV3_L16, 303_129_600 - 1024),  # so is this one's
    "pe": (PE_CORE_L14, 316_102_656 - (24**2 - 16**2) * 1024),  # positions of 224 px
}
TOYS = {
    name: dataclasses.replace(dims, width=48, depth=3, heads=4, mlp=96, pool_heads=pool)
    for name, (dims, _), pool in (
        ("clip", PUBLISHED["clip"], 0),
        ("dinov2", PUBLISHED["dinov2"], 0),
        ("dinov3", PUBLISHED["dinov3"], 0),
        ("pe", PUBLISHED["pe"], 2),
    )
}


def toy(name: str) -> VisionTransformer:
    network = VisionTransformer(TOYS[name])
    seed_weights(network, 1)
    generator = torch.Generator().manual_seed(2)
    for parameter in network.parameters():
        parameter.data += 0.1 * torch.randn(parameter.shape, generator=generator)
    return network.eval().requires_grad_(requires_grad=False)


def pictures(px: int, count: int = 2, seed: int = 3) -> torch.Tensor:
    return torch.randn(count, 3, px, px, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("name", sorted(PUBLISHED))
def test_parameter_counts_are_the_published_ones(name: str) -> None:
    dims, published = PUBLISHED[name]
    with torch.device("meta"):
        network = VisionTransformer(dims)
    assert sum(p.numel() for p in network.parameters()) == published


@pytest.mark.parametrize("name", sorted(TOYS))
@torch.inference_mode()
def test_a_compiled_transformer_answers_like_the_network(name: str) -> None:
    """Resampled positions, rotations and attention all go through the converter."""
    network = toy(name)
    px = network.dims.patch_px * 5
    fast = accelerated(network, RuntimeSettings())
    assert isinstance(fast, Compiled)
    torch.testing.assert_close(fast(pictures(px)), network(pictures(px)), atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("name", sorted(TOYS))
@torch.inference_mode()
def test_every_place_counts(name: str) -> None:
    """Two patches that change places change the feature: the network knows where they are."""
    network = toy(name)
    side = network.dims.patch_px
    before = pictures(side * 4, 1)
    after = before.clone()
    after[..., :side, :side] = before[..., side : 2 * side, 2 * side : 3 * side]
    after[..., side : 2 * side, 2 * side : 3 * side] = before[..., :side, :side]
    assert (network(before) - network(after)).abs().max() > 1e-3


@torch.inference_mode()
def test_without_positions_no_place_counts() -> None:
    """What `test_every_place_counts` sees comes from the positions alone."""
    network = toy("clip")
    network.positions.zero_()
    side = network.dims.patch_px
    before = pictures(side * 4, 1)
    after = before.clone()
    after[..., :side, :side] = before[..., side : 2 * side, 2 * side : 3 * side]
    after[..., side : 2 * side, 2 * side : 3 * side] = before[..., :side, :side]
    torch.testing.assert_close(network(before), network(after), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("name", sorted(TOYS))
@torch.inference_mode()
def test_a_picture_answers_the_same_whoever_its_neighbours_are(name: str) -> None:
    network = toy(name)
    batch = pictures(network.dims.patch_px * 4, 3)
    torch.testing.assert_close(network(batch)[1:2], network(batch[1:2]), atol=1e-5, rtol=1e-5)


@torch.inference_mode()
def test_streams_end_at_the_last_wanted_block_and_lead_to_the_feature() -> None:
    network = toy("dinov3")
    shown = pictures(network.dims.patch_px * 2)
    second, third = network.streams(shown, (2, 3))
    assert second.shape == third.shape == (2, 1 + 4 + 4, 48)
    torch.testing.assert_close(network.read(third), network(shown))
    ran = []
    network.blocks[2].register_forward_hook(lambda *_: ran.append(3))
    torch.testing.assert_close(network.streams(shown, (2,))[0], second)
    assert not ran


@pytest.mark.parametrize("pairing", list(Pairing))
@pytest.mark.parametrize("reference", [None, 24])
def test_a_rotation_keeps_lengths_and_knows_only_distances(
    pairing: Pairing, reference: int | None
) -> None:
    """Rotated queries and keys meet as if only the way from one to the other mattered."""
    rotary = Rotary(100.0, pairing, reference)
    cosine, sine = rotary.rotation(4, 4, 8, torch.device("cpu"))
    generator = torch.Generator().manual_seed(4)
    query, key = (torch.randn(8, generator=generator).expand(1, 1, 17, 8) for _ in range(2))
    turned_query, turned_key = (rotary.rotate(x, (cosine, sine)) for x in (query, key))
    torch.testing.assert_close(turned_query.norm(dim=-1), query.norm(dim=-1))
    assert torch.equal(turned_query[:, :, 0], query[:, :, 0])  # the class token stays
    meet = (turned_query @ turned_key.transpose(-1, -2))[0, 0, 1:, 1:].view(4, 4, 4, 4)
    torch.testing.assert_close(meet[0, 0, 1, 2], meet[1, 1, 2, 3])
    torch.testing.assert_close(meet[2, 0, 3, 1], meet[0, 2, 1, 3])
    assert (meet[0, 0, 1, 2] - meet[0, 0, 2, 1]).abs() > 1e-4


@torch.inference_mode()
def test_shares_of_attention_add_up_and_explain_what_is_gathered() -> None:
    dims = TOYS["pe"]
    attention = SelfAttention(dims)
    seed_weights(attention, 5)
    tokens = torch.randn(2, 7, dims.width, generator=torch.Generator().manual_seed(6))
    shares = attention.shares(tokens)
    torch.testing.assert_close(shares.sum(-1), torch.ones(2, dims.heads, 7))
    _, _, value = attention.projected(tokens)
    by_hand = attention.out((shares @ value).transpose(1, 2).flatten(2))
    torch.testing.assert_close(by_hand, attention(tokens), atol=1e-5, rtol=1e-5)
    pooling = AttentionPooling(dims)
    seed_weights(pooling, 7)
    torch.testing.assert_close(pooling.shares(tokens).sum(-1), torch.ones(2, dims.pool_heads))


@pytest.mark.parametrize("averaging", [False, True])
def test_resampled_positions_keep_the_class_token_and_what_is_even(*, averaging: bool) -> None:
    positions = torch.cat((torch.full((1, 1, 3), 7.0), torch.full((1, 36, 3), 2.0)), 1)
    resampled = resampled_positions(positions, 4, 3, averaging=averaging)
    assert resampled.shape == (1, 13, 3)
    assert torch.equal(resampled[:, 0], positions[:, 0])
    torch.testing.assert_close(resampled[:, 1:], torch.full((1, 12, 3), 2.0))
    waves = torch.tensor([1.0, -1.0]).repeat(18)[None, :, None]
    rough = torch.cat((waves[:, :1], waves), 1)
    change = resampled_positions(rough, 2, 2, averaging=averaging)[:, 1:].abs().max()
    assert (change < 0.2) == averaging  # stripes of one cell are averaged away, or read as they are


def test_impossible_dimensions_are_refused() -> None:
    with pytest.raises(ValueError, match="heads"):
        ViTDims(width=100, heads=16)
    with pytest.raises(ValueError, match="multiple of 4"):
        ViTDims(width=24, heads=4, rotary=Rotary(100.0, Pairing.HALVES))
    with pytest.raises(ValueError, match="fused"):
        ViTDims(fused=True, key_bias=False)


def test_pictures_that_patches_do_not_cover_are_refused() -> None:
    with pytest.raises(ShapeMismatch):
        toy("clip")(torch.zeros(1, 3, 60, 56))
