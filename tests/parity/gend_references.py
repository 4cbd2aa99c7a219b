"""Makes `gend_references.npz`: what timm and torchvision answer, for the parity tests of GenD.

They do not import beside the torch that this project is tested with, so they run once, in an
environment of their own; the answers are small and are stored:

    python -m venv /tmp/references
    /tmp/references/bin/pip install timm torchvision transformers pytest
    PYTHONPATH=. /tmp/references/bin/python -m tests.parity.gend_references

Weights follow from tensor names (`tests.support.foundation.seeded`), the input from
`tests.parity.fill.uniform_input`; nothing else is needed. Made with timm 1.0.31, transformers
5.24.0, torch 2.14.1 and torchvision 0.29.1.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch

from tests.parity.fill import uniform_input
from tests.support.foundation import seeded

OUT = Path(__file__).with_name("gend_references.npz")
SIDES = (96, 311)
"""Sides of the pictures that the image processors resize, one smaller than 224 px, one larger."""


def perception(*, toy: bool) -> torch.Tensor:
    """Return the pooled features of two inputs, as GenD builds the encoder."""
    import timm

    sizes: dict[str, Any] = {}
    if toy:
        sizes = {"embed_dim": 32, "depth": 2, "num_heads": 2, "mlp_ratio": 2.0}
        sizes |= {"attn_pool_num_heads": 2, "attn_pool_mlp_ratio": 2.0}
    model = timm.create_model(
        "vit_pe_core_large_patch14_336", pretrained=False, dynamic_img_size=True, **sizes
    )
    model.head = torch.nn.Identity()
    state = {name: seeded(name, tensor.shape) for name, tensor in model.state_dict().items()}
    model.load_state_dict(state, assign=True)
    with torch.inference_mode():
        return model.eval()(uniform_input(2, 3, 224, 224) * 4 - 2)


def picture(side: int) -> np.ndarray:
    """Return a square picture of this side, smooth here and rough there, `(S, S, 3)` uint8."""
    rng = np.random.default_rng(side)
    rows, columns = np.mgrid[:side, :side] / side
    waves = [np.sin(9 * rows + k) * np.cos(7 * columns * (k + 1)) for k in range(3)]
    smooth = 128 + 90 * np.stack(waves, -1)
    return np.clip(smooth + rng.normal(0, 25, smooth.shape), 0, 255).astype(np.uint8)


def processed() -> dict[str, np.ndarray]:
    """Return what each encoder's own image processor makes of the pictures."""
    import timm
    from PIL import Image
    from timm.data import create_transform, resolve_model_data_config
    from transformers import CLIPImageProcessor, DINOv3ViTImageProcessor

    config = resolve_model_data_config(
        timm.create_model("vit_pe_core_large_patch14_336", pretrained=False, depth=1)
    )
    config["input_size"] = (3, 224, 224)
    transform = create_transform(**config, is_training=False)
    found: dict[str, np.ndarray] = {}
    for side in SIDES:
        image = Image.fromarray(picture(side))
        for name, processor in (
            ("clip", CLIPImageProcessor()),
            ("dinov3", DINOv3ViTImageProcessor()),
        ):
            values = processor(images=image, return_tensors="pt")["pixel_values"][0]
            found[f"{name}_{side}"] = thinned(values)
        found[f"pe_{side}"] = thinned(transform(image))
    return found


def thinned(values: torch.Tensor) -> np.ndarray:
    """Return every fifth row and column: enough to compare, and small."""
    return values[:, ::5, ::5].numpy().astype(np.float32)


def main() -> None:
    """Write the file."""
    torch.set_num_threads(1)
    arrays = processed()
    for size in ("toy", "full"):
        arrays[f"pe_{size}"] = perception(toy=size == "toy").numpy()
    np.savez_compressed(OUT, **arrays)


if __name__ == "__main__":
    main()
