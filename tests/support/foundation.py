"""Foundation encoders as their own libraries build them, and GenD files made of them.

Weights follow from tensor names (`tests.parity.fill`). In toys, queries and keys are three times as
large: with the plain rule two blocks look at all tokens almost alike, and hardly notice a lost
position. Twenty-four blocks would only amplify rounding.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from tests.parity.fill import named_values

LOOKING = ("q_proj.weight", "k_proj.weight", "qkv.weight", "attn_pool.q.weight")
GAIN = 3.0

BACKBONES = {
    "gend-clip-l14": "openai/clip-vit-large-patch14",
    "gend-pe-l": "vit_pe_core_large_patch14_336",
    "gend-dinov3-l": "facebook/dinov3-vitl16-pretrain-lvd1689m",
}
HOLDERS = {
    "gend-clip-l14": "feature_extractor.vision_model.",
    "gend-pe-l": "feature_extractor.backbone.",
    "gend-dinov3-l": "feature_extractor.backbone.",
}
SLIM = {"gend-clip-l14": "clip-slim", "gend-pe-l": "pe-slim", "gend-dinov3-l": "dinov3-slim"}
"""The toy of each detector's encoder."""

_TOY = {
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "image_size": 224,
}
_LARGE = {
    "hidden_size": 1024,
    "intermediate_size": 4096,
    "num_hidden_layers": 24,
    "num_attention_heads": 16,
    "image_size": 224,
}


def sized(*, toy: bool) -> dict[str, Any]:
    """Return the sizes of a library's encoder, as transformers spells them."""
    return dict(_TOY if toy else _LARGE)


def clip_reference(*, toy: bool) -> nn.Module:
    """Return the vision tower of CLIP ViT-L/14, or a toy of it, as transformers has it."""
    from transformers import CLIPVisionConfig, CLIPVisionModel

    config = CLIPVisionConfig(**sized(toy=toy), patch_size=14, hidden_act="quick_gelu")
    return _built(CLIPVisionModel, config)


def dinov3_reference(*, toy: bool) -> nn.Module:
    """Return DINOv3 ViT-L/16, or a toy of it, as transformers has it."""
    from transformers import DINOv3ViTConfig, DINOv3ViTModel

    config = DINOv3ViTConfig(**sized(toy=toy), patch_size=16, num_register_tokens=4)
    return _built(DINOv3ViTModel, config)


def _built(kind: Any, config: Any) -> nn.Module:
    with torch.device("meta"):
        model = kind(config)
    state = {name: seeded(name, t.shape) for name, t in model.state_dict().items()}
    model.load_state_dict(state, assign=True)
    for name, buffer in model.named_buffers():  # those that no file holds
        if buffer.is_meta:
            holder = model.get_submodule(name.rpartition(".")[0])
            setattr(holder, name.rpartition(".")[2], _computed(holder, name, config))
    return model.eval().requires_grad_(requires_grad=False)


def _computed(holder: Any, name: str, config: Any) -> Tensor:
    if name.endswith("position_ids"):
        return torch.arange(holder.num_positions)[None]
    assert name.endswith("inv_freq"), name
    steps = torch.arange(0, 1, 4 / (config.hidden_size // config.num_attention_heads))
    return 1 / config.rope_theta**steps


def seeded(name: str, shape: Any) -> Tensor:
    """Return the values of a tensor with this name in its library."""
    values = torch.from_numpy(named_values(name, tuple(shape)))
    is_toy = shape[-1] < 1024 if len(shape) else False
    return values * GAIN if is_toy and name.endswith(LOOKING) else values


def pe_shapes(*, toy: bool) -> dict[str, tuple[int, ...]]:
    """Return names and shapes of Perception Encoder's tensors in timm, its classifier removed."""
    width, mlp, depth = (32, 64, 2) if toy else (1024, 4096, 24)
    shapes: dict[str, tuple[int, ...]] = {
        "cls_token": (1, 1, width),
        "pos_embed": (1, 1 + 24 * 24, width),
        "patch_embed.proj.weight": (width, 3, 14, 14),
        "attn_pool.latent": (1, 1, width),
    }
    linear = {
        "attn_pool.q": (width, width),
        "attn_pool.kv": (2 * width, width),
        "attn_pool.proj": (width, width),
        "attn_pool.mlp.fc1": (mlp, width),
        "attn_pool.mlp.fc2": (width, mlp),
    }
    norms = ["norm_pre", "norm", "attn_pool.norm"]
    for number in range(depth):
        block = f"blocks.{number}"
        norms += [f"{block}.norm1", f"{block}.norm2"]
        linear |= {
            f"{block}.attn.qkv": (3 * width, width),
            f"{block}.attn.proj": (width, width),
            f"{block}.mlp.fc1": (mlp, width),
            f"{block}.mlp.fc2": (width, mlp),
        }
    for name, shape in linear.items():
        shapes |= {f"{name}.weight": shape, f"{name}.bias": shape[:1]}
    for name in norms:
        shapes |= {f"{name}.weight": (width,), f"{name}.bias": (width,)}
    return shapes


def encoder_tensors(name: str, *, toy: bool) -> dict[str, Tensor]:
    """Return the tensors of a detector's encoder under its library's names."""
    if name == "gend-pe-l":
        return {n: seeded(n, shape) for n, shape in pe_shapes(toy=toy).items()}
    reference = clip_reference if name == "gend-clip-l14" else dinov3_reference
    return dict(reference(toy=toy).state_dict())


def authors_tensors(name: str, *, toy: bool = True) -> dict[str, Tensor]:
    """Return the tensors of a published GenD in its authors' layout."""
    encoder = encoder_tensors(name, toy=toy)
    tensors = {HOLDERS[name] + n: tensor for n, tensor in encoder.items()}
    width = 32 if toy else 1024
    tensors["model.linear.weight"] = seeded("model.linear.weight", (2, width)) * 8
    tensors["model.linear.bias"] = seeded("model.linear.bias", (2,))
    if name == "gend-clip-l14":
        projected = seeded("visual_projection.weight", (24, width))
        tensors["feature_extractor.visual_projection.weight"] = projected
    return tensors


def write_authors_files(
    name: str,
    folder: Path,
    tensors: Mapping[str, Tensor] | None = None,
    *,
    head: str = "LinearNorm",
) -> list[Path]:
    """Write the two files of a published GenD, small, and return their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    weights, config = folder / "model.safetensors", folder / "config.json"
    tensors = authors_tensors(name) if tensors is None else tensors
    save_file({n: t.contiguous() for n, t in tensors.items()}, weights, {"format": "pt"})
    said = {"architectures": ["GenD"], "backbone": BACKBONES[name], "head": head}
    config.write_text(json.dumps(said), encoding="utf-8")
    return [weights, config]
