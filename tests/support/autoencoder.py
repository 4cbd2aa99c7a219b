"""A tiny auto-encoder with seeded weights, in the files that the published one comes in."""

from pathlib import Path

import safetensors.torch
import torch

from styleflow.training.styleflow_live.autoencoder import DECODER, ENCODER

WIDTH, POOLED, LATENTS = 64, 256, 32


def _convolutions(layout: list[tuple[str, int, int, bool]]) -> dict[str, tuple[int, ...]]:
    shapes: dict[str, tuple[int, ...]] = {}
    for name, take, give, bias in layout:
        shapes[f"{name}.weight"] = (give, take, 3, 3)
        if bias:
            shapes[f"{name}.bias"] = (give,)
    return shapes


def _block(name: int, *, pooled: bool) -> dict[str, tuple[int, ...]]:
    shapes = _convolutions([(f"{name}.conv.{n}", WIDTH, WIDTH, True) for n in (0, 2, 4)])
    if pooled:
        shapes |= {
            f"{name}.pool.0.weight": (POOLED, WIDTH, 1, 1),
            f"{name}.pool.1.weight": (POOLED,),
            f"{name}.pool.1.bias": (POOLED,),
            f"{name}.pool.3.weight": (WIDTH, POOLED, 1, 1),
        }
    return shapes


def shapes_of(file: str) -> dict[str, tuple[int, ...]]:
    """Return the published names and shapes of one of the two files."""
    if file == ENCODER:
        plain, pooled, bare = (1, 3, 4, 5, 7, 8, 9), (11, 12, 13), (2, 6, 10)
        ends = [("0", 3, WIDTH, True), ("14", WIDTH, LATENTS, True)]
    else:
        plain, pooled, bare = (8, 9, 10, 13, 14, 15, 18), (3, 4, 5), (7, 12, 17)
        ends = [("1", LATENTS, WIDTH, True), ("19", WIDTH, 3, True)]
    shapes = _convolutions(ends + [(str(n), WIDTH, WIDTH, False) for n in bare])
    for number in (*plain, *pooled):
        shapes |= _block(number, pooled=number in pooled)
    return shapes


def write_autoencoder(folder: Path, seed: int = 0) -> Path:
    """Write both files with seeded weights and return their folder."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = torch.Generator().manual_seed(seed)
    for file in (ENCODER, DECODER):
        drawn = {
            name: (torch.randn(shape, generator=rng) * 0.05).half()
            for name, shape in shapes_of(file).items()
        }
        safetensors.torch.save_file(drawn, folder / file)
    return folder
