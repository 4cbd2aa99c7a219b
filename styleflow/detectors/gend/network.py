"""GenD: a foundation encoder's feature of one face, and a line through it.

The paper's finding is that little has to be learned. A vision transformer that was trained on
hundreds of millions of pictures is kept as it is, but for the scales and shifts of its layer
norms, 0.03 % of its numbers. Its feature is brought to length one, so that only its direction
counts, and one linear layer says real or fake.

    crop (3, 224, 224) -> encoder -> feature (1024) -> length one -> head -> logits (real, fake)

The encoders themselves are in `styleflow.detectors.layers.vision_transformer`.

Source: Deepfake Detection that Generalizes Across Benchmarks (Yermakov et al., WACV 2026), arXiv
2508.06248, and its released program.
Departs: the crop and its resizing are one step, `styleflow.faces.crops.gend`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

import torch
from torch import Tensor, nn
from torch.nn import functional

from styleflow.clips import ClipSpec, Framing
from styleflow.detectors.layers.vision_transformer import (
    CLIP_L14,
    DINOV3_L16,
    PE_CORE_L14,
    VisionTransformer,
    ViTDims,
)
from styleflow.errors import ShapeMismatch

CROP_PX = 224
CPU_CADENCE_HZ = 2.0
"""Frames per second that a CPU is fed; in bfloat16 one face takes most of a core."""

GPU_CADENCE_HZ = 12.5
MAX_WINDOW = 1024


@dataclass(frozen=True, slots=True)
class Encoder:
    """One foundation encoder, and how pictures are made ready for it.

    Attributes:
        vit: its dimensions.
        mean: of red, green and blue in [0, 1]; subtracted.
        std: of red, green and blue; divided by.
        framing: of the crops; encoders were trained on pictures resized by different kernels.
    """

    vit: ViTDims
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    framing: Framing


def _slim(encoder: Encoder) -> Encoder:
    """Return an encoder of a few thousand numbers, unpublished: tests run on it."""
    pool = min(encoder.vit.pool_heads, 2)
    vit = replace(encoder.vit, width=32, depth=2, heads=2, mlp=64, pool_heads=pool)
    return replace(encoder, vit=vit)


_CLIP = Encoder(
    CLIP_L14,
    (0.48145466, 0.4578275, 0.40821073),
    (0.26862954, 0.26130258, 0.27577711),
    Framing.GEND,
)
_PE = Encoder(PE_CORE_L14, (0.5, 0.5, 0.5), (0.5, 0.5, 0.5), Framing.GEND)
_DINOV3 = Encoder(DINOV3_L16, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225), Framing.GEND_BILINEAR)

ENCODERS: Mapping[str, Encoder] = MappingProxyType(
    {
        "clip-l14": _CLIP,
        "pe-l": _PE,
        "dinov3-l": _DINOV3,
        "clip-slim": _slim(_CLIP),
        "pe-slim": _slim(_PE),
        "dinov3-slim": _slim(_DINOV3),
    }
)
"""Every encoder by name."""


@dataclass(frozen=True, slots=True)
class GendDims:
    """Everything needed to build a GenD.

    Attributes:
        encoder: a name of `ENCODERS`.
        unit_length: features are brought to length one before the head.
        cadence_hz: sampled frames per second of media time when live; the network itself knows
            no time. None is what the device can do: 2 on a CPU, 12.5 on a GPU.
        window_s: media seconds whose frames the live score averages; the authors average 32 frames
            of a video.
    """

    encoder: str = "clip-l14"
    unit_length: bool = True
    cadence_hz: float | None = None
    window_s: float = 8.0

    def __post_init__(self) -> None:
        """Refuse dimensions that no network can have."""
        if self.encoder not in ENCODERS:
            raise ValueError(f"encoder is one of {', '.join(ENCODERS)}, not {self.encoder!r}")
        fastest = GPU_CADENCE_HZ if self.cadence_hz is None else self.cadence_hz
        if not 0 < fastest <= 1000:
            raise ValueError(f"cadence_hz lies in 0..1000, not {fastest}")
        if not 0 < self.window_s * fastest <= MAX_WINDOW:
            frames = self.window_s * fastest
            raise ValueError(f"a window has at most {MAX_WINDOW} frames, not {frames:g}")

    def on(self, device: str) -> GendDims:
        """Return the dimensions with the cadence of a device's kind, unless they have one."""
        if self.cadence_hz is not None:
            return self
        return replace(self, cadence_hz=CPU_CADENCE_HZ if device == "cpu" else GPU_CADENCE_HZ)

    @property
    def clip(self) -> ClipSpec:
        """The format of its input; on a CPU, where no cadence is said."""
        cadence = CPU_CADENCE_HZ if self.cadence_hz is None else self.cadence_hz
        frames = max(1, round(self.window_s * cadence))
        return ClipSpec(frames, cadence, CROP_PX, ENCODERS[self.encoder].framing)


class Gend(nn.Module):
    """The network: crops in, logits of real and fake out."""

    def __init__(self, dims: GendDims) -> None:
        super().__init__()
        self.dims = dims
        self.encoder = VisionTransformer(ENCODERS[dims.encoder].vit)
        self.head = nn.Linear(self.encoder.dims.width, 2)

    def forward(self, x: Tensor) -> Tensor:
        """Judge crops.

        Args:
            x: normalised, `(B, 3, 224, 224)`; see `network_input`.

        Returns:
            Logits of real and fake, `(B, 2)`.
        """
        return self.judge(self.encoder(x))

    def judge(self, features: Tensor) -> Tensor:
        """Return logits of real and fake, `(B, 2)`, of the encoder's features, `(B, D)`."""
        if self.dims.unit_length:
            features = functional.normalize(features, dim=1)
        return self.head(features)  # type: ignore[no-any-return]

    def network_input(self, images: Tensor) -> Tensor:
        """Return the network's input for crops, `(B, 224, 224, 3)` RGB uint8.

        Raises:
            ShapeMismatch: crops of another size.
        """
        if images.shape[1:] != (CROP_PX, CROP_PX, 3):
            raise ShapeMismatch("GenD crops", f"(B, {CROP_PX}, {CROP_PX}, 3)", images.shape)
        return self.normalised(images, *self.mean_and_std())

    def mean_and_std(self) -> tuple[Tensor, Tensor]:
        """Return what the encoder's pictures are normalised by, each `(3,)`, on its device."""
        encoder, device = ENCODERS[self.dims.encoder], self.head.weight.device
        return torch.tensor(encoder.mean, device=device), torch.tensor(encoder.std, device=device)

    def normalised(self, images: Tensor, mean: Tensor, std: Tensor) -> Tensor:
        """Return crops, `(B, S, S, 3)` uint8, normalised, `(B, 3, S, S)`."""
        scaled = (images.float() / 255 - mean) / std
        return scaled.to(self.head.weight.dtype).permute(0, 3, 1, 2)


def fake_logit(logits: Tensor) -> Tensor:
    """Return the one number whose sigmoid is the softmax probability of fake, `(B,)`."""
    return logits[:, 1] - logits[:, 0]
