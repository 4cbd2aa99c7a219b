"""Videos after preparation, drawn and not filmed, and a style encoder small enough for them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from styleflow.data.index import Entry
from styleflow.data.video import FacePath, Frames, Times
from styleflow.detectors.styleflow.psp import PspDims, PspEncoder

SIDE = 72
PSP_DIMS = PspDims(size_px=32, width=2, units=(1, 1, 1, 1))


@dataclass(frozen=True, eq=False)
class DrawnVideo:
    """A face of coarse tiles; a fake one's tiles flicker, a real one's hardly do."""

    entry: Entry
    path: FacePath
    pictures: Frames

    @property
    def times(self) -> Times:
        """Say that there are 25 frames a second."""
        return np.arange(len(self.pictures)) / 25

    def frames(self, numbers: Sequence[int]) -> Frames:
        """Return some pictures."""
        return self.pictures[list(numbers)]


def drawn(label: int, seed: int, frames: int = 48, lost: Sequence[int] = ()) -> DrawnVideo:
    """Return a video of one face in the middle; it is not found in `lost` frames."""
    rng = np.random.default_rng([label, seed])
    still = rng.integers(60, 190, (1, 4, 4, 3))
    flicker = rng.normal(0, 40 if label else 2, (frames, 4, 4, 3))
    tiles = np.clip(still + flicker, 0, 255).astype(np.uint8)
    pictures = tiles.repeat(SIDE // 4, 1).repeat(SIDE // 4, 2)
    mesh = np.full((468, 2), SIDE / 2, np.float32)
    half = SIDE / 8
    for indices, place in (
        ((33, 133), (-1.0, -1.0)),
        ((362, 263), (1.0, -1.0)),
        ((1, 4), (0.0, 0.1)),
        ((61,), (-0.8, 1.0)),
        ((291,), (0.8, 1.0)),
    ):
        mesh[list(indices)] += np.array(place, np.float32) * half
    found = np.ones(frames, np.bool_)
    found[list(lost)] = False
    meshes = np.repeat(mesh[None], frames, 0) + rng.normal(0, 0.1, (frames, 1, 2))
    entry = Entry(Path(f"drawn-{label}-{seed}.mp4"), "train", label, f"person-{seed}")
    return DrawnVideo(entry, FacePath(meshes.astype(np.float32), found), pictures)


def toy_psp() -> PspEncoder:
    """Return an encoder whose latents move with what it sees."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        psp = PspEncoder(PSP_DIMS)
        for style in psp.encoder.styles:
            style.linear.weight.data.mul_(200)
    return psp.eval().requires_grad_(requires_grad=False)


def psp_file(folder: Path) -> Path:
    """Write the encoder as the authors of pSp publish theirs."""
    psp = toy_psp()
    encoder = {f"encoder.{n}": t for n, t in psp.encoder.state_dict().items()}
    path = folder / "psp_ffhq_encode.pt"
    torch.save({"state_dict": encoder, "latent_avg": psp.latent_avg}, path)
    return path
