"""FakeSTormer against the published program, full size, on weights from tensor names."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from styleflow.detectors.fakestormer.backbone import FakeStormerDims, Tokens
from styleflow.detectors.fakestormer.network import (
    IMAGENET_MEAN,
    IMAGENET_STD,
    FakeStormer,
    FakeStormerPrediction,
    head_volume,
)
from tests.parity.fill import (
    filled_state,
    named_values,
    reference,
    reference_shapes,
    shapes,
    uniform_input,
)

CONFIGS = {
    "base_c23": FakeStormerDims(),
    "base_T8": FakeStormerDims(frames=8),
    "small_112p8_fixed": FakeStormerDims(
        image_px=112, patch_px=8, width=384, heads=6, register_token=True
    ),
}
HEADLINE = {"base_c23": -1.4730204, "base_T8": -0.6102724, "small_112p8_fixed": 0.5204619}
OUTPUT, MAP, INSIDE = 2e-5, 5e-5, 1e-4  # stated tolerances

huge_base = pytest.param("base_c23", marks=pytest.mark.huge)
configs = pytest.mark.parametrize(
    "config", ["small_112p8_fixed", huge_base, pytest.param("base_T8", marks=pytest.mark.huge)]
)
with_insides = pytest.mark.parametrize("config", ["small_112p8_fixed", huge_base])


@cache
def filled(config: str) -> FakeStormer:
    with torch.device("meta"):
        model = FakeStormer(CONFIGS[config])
    model.load_state_dict(filled_state(model.state_dict()), assign=True)
    return model.eval().requires_grad_(requires_grad=False)


@pytest.fixture(scope="module", autouse=True)
def _forget_weights() -> Any:
    yield
    filled.cache_clear()
    pair_together.cache_clear()


def clips(config: str, count: int) -> Tensor:
    dims = CONFIGS[config]
    pixels = uniform_input(count, 3, dims.frames, dims.image_px, dims.image_px)
    mean = torch.tensor(IMAGENET_MEAN).view(1, 3, 1, 1, 1)
    return (pixels - mean) / torch.tensor(IMAGENET_STD).view(1, 3, 1, 1, 1)


@cache
def pair_together(config: str) -> FakeStormerPrediction:
    """Return what the network says of two clips in one batch."""
    return filled(config)(clips(config, 2))


def apart(got: Tensor, want: NDArray[Any]) -> float:
    assert tuple(got.shape) == want.shape
    return float(np.abs(got.numpy() - want).max())


def released_seed(patches: Tensor) -> Tensor:
    """The temporal tokens of the released program: patch b of the first clip in the batch."""
    places = patches.shape[2]
    return torch.stack([patches[b // places, 0, b % places] for b in range(len(patches))])


def check(got: FakeStormerPrediction, stored: dict[str, NDArray[Any]], prefix: str) -> None:
    assert apart(got.logit[:, None], stored[f"{prefix}_cls"]) <= OUTPUT
    assert apart(got.spatial, stored[f"{prefix}_temp_loc"]) <= OUTPUT
    if f"{prefix}_hm" in stored:
        assert apart(got.temporal[:, None], stored[f"{prefix}_hm"]) <= MAP


@pytest.mark.parametrize(
    "config",
    [
        "small_112p8_fixed",
        pytest.param("base_c23", marks=pytest.mark.slow),
        pytest.param("base_T8", marks=pytest.mark.huge),
    ],
)
def test_headline_logits(config: str) -> None:
    """A full forward gives the published program's logit, without any stored file."""
    logit = filled(config)(clips(config, 1)).logit
    assert logit.item() == pytest.approx(HEADLINE[config], abs=OUTPUT)


@pytest.mark.parametrize("config", ["base_c23", "small_112p8_fixed"])
def test_names_and_shapes(config: str) -> None:
    """The state dict is laid out as the published file, in its order."""
    published = reference_shapes("fakestormer", config)
    assert list(shapes(filled(config)).items()) == list(published.items())


@configs
def test_one_clip(config: str) -> None:
    """Logit, spatial and temporal vulnerability of a clip agree."""
    stored = reference("fakestormer", f"parity_model_{config}.npz")
    check(filled(config)(clips(config, 1)), stored, "b1")


def test_input_of_the_fixtures() -> None:
    stored = reference("fakestormer", "parity_model_base_c23.npz")
    x = clips("base_c23", 1)
    got = torch.stack([x.mean(), x.std(), x.flatten()[0], x.flatten()[-1]])
    assert apart(got, stored["input_stats"]) <= INSIDE


def test_weights_of_the_fixtures() -> None:
    """What the fill rule makes of two names is what the stored outputs were made with."""
    stored = reference("fakestormer", "parity_model_base_c23.npz")
    published = reference_shapes("fakestormer", "base_c23")
    for name, probe in (
        ("backbone.blocks.0.attn.qkv.weight", stored["fill_probe_qkv0"]),
        ("backbone.pos_embed", stored["fill_probe_pos"]),
    ):
        made = named_values(name, published[name])
        rows = made.reshape(-1, made.shape[-1])[: len(probe), : probe.shape[1]]
        assert np.abs(rows - probe).max() <= 1e-7


@pytest.mark.huge
def test_other_inputs() -> None:
    """An all-zero tensor and a mirrored clip agree too, so the input does matter."""
    stored = reference("fakestormer", "parity_model_base_c23.npz")
    model, clip = filled("base_c23"), clips("base_c23", 1)
    check(model(torch.zeros_like(clip)), stored, "zero")
    check(model(clip.flip(-1)), stored, "flip")


@with_insides
def test_released_batch_of_two(config: str) -> None:
    """With the release's leak between clips put back, its outputs for a batch come out."""
    stored = reference("fakestormer", f"parity_model_{config}.npz")
    model = filled(config)
    patches = model.backbone.embed(clips(config, 2))
    check(model.judge(model.backbone.start(patches, released_seed(patches))), stored, "b2")


@pytest.mark.huge
def test_a_full_size_batch_judges_each_clip_alone() -> None:
    """The second clip scores 0.2692 beside a neighbour, as it does alone in the release."""
    model, pair = filled("base_c23"), clips("base_c23", 2)
    assert model.score(pair).tolist() == pytest.approx([-1.47302, 0.2692], abs=1e-4)


@with_insides
def test_batch_invariance(config: str) -> None:
    """A clip's outputs do not depend on its neighbours, unlike the release's."""
    together, alone = pair_together(config), filled(config)(clips(config, 2)[1:])
    assert torch.allclose(together.logit[1:], alone.logit, atol=OUTPUT)
    assert torch.allclose(together.spatial[1:], alone.spatial, atol=OUTPUT)
    assert torch.allclose(together.temporal[1:], alone.temporal, atol=MAP)


@with_insides
def test_score_only_path(config: str) -> None:
    """The fast path skips what the class head never reads, and nothing else."""
    score = filled(config).score(clips(config, 2))
    assert torch.allclose(score, pair_together(config).logit, atol=5e-6, rtol=0)


@with_insides
def test_insides(config: str) -> None:
    """Tokens before and after blocks, and the features that the heads read, agree."""
    stored = reference("fakestormer", f"parity_model_{config}.npz")
    model = filled(config)
    backbone = model.backbone
    seen: dict[str, Any] = {}
    handles = [
        backbone.blocks[i].register_forward_hook(
            lambda _m, _i, out, i=i: seen.update({f"block{i}": out})
        )
        for i in (0, 5, 11)
    ]
    patches = backbone.embed(clips(config, 1))
    tokens = backbone.start(patches, backbone.seed(patches))
    features = backbone(tokens)
    for handle in handles:
        handle.remove()
    index = torch.from_numpy(stored["token_idx"])
    assert apart(sequence(tokens)[:, index, :16], stored["tokens_in_sl"]) <= INSIDE
    for i in (0, 5, 11):
        following, per_frame = seen[f"block{i}"]
        assert apart(sequence(following)[:, index, :16], stored[f"block{i}_x_sl"]) <= INSIDE
        assert apart(per_frame[..., :16], stored[f"block{i}_s_sl"]) <= INSIDE
    volume = head_volume(features.patches, model.dims.grid)
    channels = stored["bb_embed_sl"].shape[1]
    assert apart(features.temporal[:, None], stored["bb_cls"]) <= INSIDE
    assert apart(features.per_frame[..., :64], stored["bb_s_cls_token"]) <= INSIDE
    assert apart(volume[:, :channels], stored["bb_embed_sl"]) <= INSIDE


@pytest.mark.huge
def test_inside_the_heads() -> None:
    stored = reference("fakestormer", "parity_model_base_c23.npz")
    model, clip = filled("base_c23"), clips("base_c23", 1)
    flat = model.backbone.patch_embed(clip.transpose(1, 2).flatten(0, 1))
    assert apart(flat[:, [0, 1, 97, 195], :16], stored["patch_embed_sl"]) <= INSIDE
    patches = model.backbone.embed(clip)
    features = model.backbone(model.backbone.start(patches, model.backbone.seed(patches)))
    before = model.keypoint_head.hm.before_proj(head_volume(features.patches, 14))
    assert apart(before[:, :4], stored["hm_before_sl"]) <= INSIDE
    assert apart(model.keypoint_head.hm.proj[0](before)[:, :4], stored["hm_mid_sl"]) <= INSIDE
    hidden = model.keypoint_head.temp_loc.fc1(features.per_frame)
    assert apart(hidden[..., :32], stored["loc_hidden_sl"]) <= INSIDE


def sequence(tokens: Tokens) -> Tensor:
    """The release's flat layout: the spatial token, patches place by place, the temporal token."""
    patches = tokens.patches.transpose(1, 2).flatten(1, 2)
    return torch.cat((tokens.spatial[:, None], patches, tokens.temporal[:, None]), 1)
