"""Train the networks that draw faces again: the style auto-encoder and the patch auto-encoders.

The first gives the style encoder its latents, and its decoder draws faces of pseudo-fakes; the
others give pseudo-fakes their traces.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from styleflow.data.pseudo_fakes.blending import pick
from styleflow.data.pseudo_fakes.kinds import Redraw
from styleflow.data.pseudo_fakes.restyling import Latents, Styles
from styleflow.data.video import Frames
from styleflow.detectors.styleflow_live.lite import LiteTrunk
from styleflow.detectors.styleflow_live.style_encoder import StyleEncoder, StyleEncoderDims
from styleflow.faces.face import Image
from styleflow.training.losses import redrawing_loss
from styleflow.training.styleflow_live.resynthesis import PatchAutoencoder, StyleDecoder

_COLOUR_PX = 16  # colours of drawn pictures are kept to the originals' at this coarseness
_CRITIC_WEIGHT = 0.3
_AT_ONCE = 10  # pictures per pass when redrawing


class StyleAutoencoder(nn.Module):
    """A style encoder and the decoder that proves its latents to be styles."""

    def __init__(self, dims: StyleEncoderDims) -> None:
        super().__init__()
        self.encoder = StyleEncoder(dims)
        self.decoder = StyleDecoder(dims)

    def forward(self, images: Tensor) -> Tensor:
        """Return faces drawn again, `(B, 3, S, S)` in about [-1, 1], from `(B, S, S, 3)` uint8."""
        drawn: Tensor = self.decoder(self.encoder(images))
        return drawn


class StyleAutoencoderTask:
    """Repeat aligned faces through W+ latents.

    Args:
        network: trained in place.
        faces: aligned crops at the encoder's size, `(n, S, S, 3)` uint8.
        held_out: crops of other people, for validation.
        batch: crops per batch.
        critic: a published trunk in whose features pictures shall agree, too; None leaves it out.
    """

    def __init__(
        self,
        network: StyleAutoencoder,
        faces: NDArray[np.uint8],
        held_out: NDArray[np.uint8],
        batch: int,
        critic: LiteTrunk | None = None,
    ) -> None:
        self.network: nn.Module = network
        self._faces, self._held_out, self._batch = faces, held_out, batch
        self._critic = critic
        if critic is not None:
            critic.eval().requires_grad_(requires_grad=False)

    def loss(self, rng: np.random.Generator) -> tuple[Tensor, Mapping[str, float]]:
        """Return the redrawing loss of one batch; half of it is mirrored."""
        chosen = self._faces[rng.integers(len(self._faces), size=self._batch)]
        half = self._batch // 2
        chosen = np.concatenate([chosen[:half], chosen[half:, :, ::-1]])
        drawn, wanted = self.network(torch.from_numpy(chosen)).float(), to_signed(chosen)
        loss = redrawing_loss(drawn, wanted)
        if self._critic is not None:
            loss = loss + _CRITIC_WEIGHT * feature_distance(self._critic, drawn, wanted)
        return loss, {}

    def validate(self, network: nn.Module) -> float:
        """Return minus the mean absolute error on people who were held out, in grey levels."""
        errors = []
        with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
            for start in range(0, len(self._held_out), 32):
                part = self._held_out[start : start + 32]
                errors.append((network(torch.from_numpy(part)).float() - to_signed(part)).abs())
        return -127.5 * float(torch.cat(errors).mean())


def feature_distance(critic: LiteTrunk, drawn: Tensor, wanted: Tensor) -> Tensor:
    """Return how far pictures are from others in a published trunk's eyes, relative to them.

    Pixels alone are content with fog; edges and textures as a trained network sees them are not.

    Args:
        critic: held still.
        drawn: `(B, 3, S, S)` in about [-1, 1].
        wanted: the same.
    """
    with torch.no_grad():
        goals = critic.features(_for_critic(wanted))
    distances = [
        (found.float() - goal.float()).abs().mean() / goal.float().abs().mean().clamp_min(1e-6)
        for found, goal in zip(critic.features(_for_critic(drawn)), goals, strict=True)
    ]
    return torch.stack(distances).sum()


def _for_critic(pictures: Tensor) -> Tensor:
    """Return pictures in [-1, 1] as grey levels, half as large again: faces here are small."""
    larger = nn.functional.interpolate(pictures, scale_factor=1.5, mode="bilinear")
    return larger * 127.5 + 127.5


class PatchTask:
    """Repeat square patches of pictures.

    Args:
        network: trained in place.
        pictures: where patches are cut, each `(H, W, 3)` uint8.
        patch_px: their side.
        batch: patches per batch.
    """

    def __init__(
        self, network: PatchAutoencoder, pictures: Sequence[Image], patch_px: int, batch: int
    ) -> None:
        self.network: nn.Module = network
        self._pictures, self._px, self._batch = pictures, patch_px, batch

    def loss(self, rng: np.random.Generator) -> tuple[Tensor, Mapping[str, float]]:
        """Return the redrawing loss of one batch."""
        patches = to_signed(np.stack([self._patch(rng) for _ in range(self._batch)]))
        return redrawing_loss(self.network(patches).float(), patches), {}

    def validate(self, network: nn.Module) -> float:
        """Not used: these networks leave traces, and need not be the best of their kind."""
        return 0.0

    def _patch(self, rng: np.random.Generator) -> Image:
        picture = pick(rng, self._pictures)
        y = int(rng.integers(picture.shape[0] - self._px + 1))
        x = int(rng.integers(picture.shape[1] - self._px + 1))
        patch = picture[y : y + self._px, x : x + self._px]
        return np.asarray(patch[:, ::-1] if rng.random() < 0.5 else patch, np.uint8)


def to_signed(images: NDArray[np.uint8]) -> Tensor:
    """Return pictures `(B, H, W, 3)` uint8 as `(B, 3, H, W)` in [-1, 1], channels last."""
    return torch.from_numpy(np.ascontiguousarray(images)).permute(0, 3, 1, 2) / 127.5 - 1.0


def redraw_with(network: PatchAutoencoder) -> Redraw:
    """Return what draws pictures anew through a patch auto-encoder.

    Coarse colours are those of the originals: a small network that gets them wrong would be
    recognised by its colours and by nothing else.
    """
    light = network.to(torch.bfloat16).to(memory_format=torch.channels_last).eval()  # type: ignore[call-overload]

    def redraw(frames: Frames) -> Frames:
        parts = []
        with torch.inference_mode():
            for start in range(0, len(frames), _AT_ONCE):
                drawn = light(to_signed(frames[start : start + _AT_ONCE]).to(torch.bfloat16))
                levels = (drawn.float() + 1) * 127.5
                parts.append(levels.permute(0, 2, 3, 1).numpy())
        pairs = zip(frames, np.concatenate(parts), strict=True)
        return np.stack([_recoloured(frame, drawn) for frame, drawn in pairs])

    return redraw


def styles_with(network: StyleAutoencoder) -> Styles:
    """Return what pseudo-fakes need of a style auto-encoder; the network stays as it is."""
    twin = copy.deepcopy(network).eval().requires_grad_(requires_grad=False)
    encoder, dims = twin.encoder.folded(), twin.encoder.dims

    def read(faces: Frames) -> Latents:
        parts = []
        with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
            for start in range(0, len(faces), _AT_ONCE):
                part = np.ascontiguousarray(faces[start : start + _AT_ONCE])
                parts.append(encoder(torch.from_numpy(part)).float().numpy())
        return np.concatenate(parts)

    def draw(latents: Latents) -> Frames:
        parts = []
        with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
            for start in range(0, len(latents), _AT_ONCE):
                drawn = twin.decoder(torch.from_numpy(latents[start : start + _AT_ONCE])).float()
                levels = (drawn + 1) * 127.5 + 0.5
                parts.append(levels.clamp(0, 255).permute(0, 2, 3, 1).to(torch.uint8).numpy())
        return np.concatenate(parts)

    return Styles(dims.size_px, dims.levels, read, draw)


def _recoloured(frame: Image, drawn: NDArray[np.float32]) -> Image:
    height, width = frame.shape[:2]
    drawn = drawn[:height, :width]
    off = frame.astype(np.float32) - drawn
    small = (max(1, width // _COLOUR_PX), max(1, height // _COLOUR_PX))
    coarse = cv2.resize(off, small, interpolation=cv2.INTER_AREA)
    smooth = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
    return np.asarray(np.clip(drawn + smooth + 0.5, 0, 255), np.uint8)
