"""The published StyleFlow detector, from aligned clips to logits.

Two branches look at the same clip. The style branch encodes every frame into its W+ latent (pSp),
takes differences and lets StyleGRU summarise them in one code. The content branch turns the clip
into sixteen tokens (temporal ResNet-50). Style attention adds to each token what the code says
about it, and a temporal transformer reads the result. Read `StyleFlow.forward` top to bottom;
every other file of this family is one of the parts it names.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from styleflow.clips import PspInput, WideCrop
from styleflow.detectors.layers.style_gru import StyleGRU, StyleGruDims, style_flow
from styleflow.detectors.styleflow.cnn3d import ContentDims, TemporalResNet
from styleflow.detectors.styleflow.psp import PspDims, PspEncoder
from styleflow.detectors.styleflow.style_attention import StyleAttention
from styleflow.detectors.styleflow.style_levels import StyleLevels
from styleflow.detectors.styleflow.temporal_transformer import TemporalTransformer, TransformerDims
from styleflow.errors import ShapeMismatch

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


@dataclass(frozen=True, slots=True)
class StyleFlowDims:
    """Everything needed to build a `StyleFlow`; the defaults are the published ones.

    Attributes:
        psp: the style encoder.
        levels: which style levels StyleGRU looks at.
        hidden: units of StyleGRU; four times as many must be whole content tokens.
        gru_head: width of StyleGRU's stage-1 head.
        content: the content branch.
        heads: attention heads of the temporal transformer.
        head: length of one head.
        inner: width of its feed-forward part.
        psp_input: what the style encoder is fed. No tensor tells; a StyleGRU has to be fed as it
            was trained.
    """

    psp: PspDims = field(default_factory=PspDims)
    levels: StyleLevels = field(default_factory=StyleLevels)
    hidden: int = 4096
    gru_head: int = 4096
    content: ContentDims = field(default_factory=ContentDims)
    heads: int = 16
    head: int = 64
    inner: int = 2048
    psp_input: PspInput = PspInput.CLIP

    def __post_init__(self) -> None:
        """Refuse parts that do not fit each other."""
        if 4 * self.hidden % self.content.token:
            raise ValueError(
                f"a code of {4 * self.hidden} cannot be cut into tokens of {self.content.token}"
            )

    @property
    def crop_px(self) -> int:
        """Side of the crops that the whole detector is fed."""
        if self.psp_input is PspInput.FFHQ:
            return WideCrop(self.psp.size_px).size_px
        return self.psp.size_px

    @property
    def gru(self) -> StyleGruDims:
        """StyleGRU's own dimensions."""
        return StyleGruDims(
            features=len(self.levels.styles) * self.psp.latent,
            hidden=self.hidden,
            head=self.gru_head,
            flow=self.content.frames - 1,
        )

    @property
    def transformer(self) -> TransformerDims:
        """The temporal transformer's own dimensions."""
        return TransformerDims(
            tokens=self.content.tokens,
            width=self.content.token,
            heads=self.heads,
            head=self.head,
            inner=self.inner,
        )


class StyleHead(nn.Module):
    """Head after the content branch: style attention, temporal transformer, logit."""

    def __init__(self, dims: TransformerDims) -> None:
        super().__init__()
        self.time_T = TemporalTransformer(dims)
        self.STA = StyleAttention(dims.width)

    def forward(self, tokens: Tensor, code: Tensor) -> Tensor:
        """Return the logits, `(B,)`, of content tokens, `(B, T, D)`, and codes, `(B, K * D)`."""
        logits: Tensor = self.time_T(self.STA(tokens, code))
        return logits


class ContentHead(nn.Module):
    """FTCN's own head, which knows nothing of style."""

    def __init__(self, dims: TransformerDims) -> None:
        super().__init__()
        self.time_T = TemporalTransformer(dims)

    def forward(self, tokens: Tensor) -> Tensor:
        """Return the logits, `(B,)`, of content tokens, `(B, T, D)`."""
        logits: Tensor = self.time_T(tokens)
        return logits


class StyleFlowTrunk(TemporalResNet):
    """The content branch with its head inside, as the stage-2 file nests them."""

    def __init__(self, dims: StyleFlowDims) -> None:
        super().__init__(dims.content)
        self.head = StyleHead(dims.transformer)


class FtcnTrunk(TemporalResNet):
    """The content branch with FTCN's head inside."""

    def __init__(self, dims: ContentDims, head: TransformerDims) -> None:
        super().__init__(dims)
        self.head = ContentHead(head)


class Ftcn(nn.Module):
    """FTCN: the content branch alone, which StyleFlow starts from and is compared with.

    Source: FTCN (Zheng et al., ICCV 2021) and `ftcn_tt.pth`.
    """

    def __init__(self, dims: StyleFlowDims) -> None:
        super().__init__()
        self.resnet = FtcnTrunk(dims.content, dims.transformer)

    def forward(self, clips: Tensor) -> Tensor:
        """Return the logits, `(B,)`, of normalised clips, `(B, 3, T, S, S)`."""
        logits: Tensor = self.resnet.head(self.resnet.features(clips))
        return logits


class StyleFlow(nn.Module):
    """The whole detector.

    Source: StyleFlow (Choi et al., CVPR 2024); stage 2 as its first author published it later.
    """

    def __init__(self, dims: StyleFlowDims) -> None:
        super().__init__()
        self.dims = dims
        self.psp = PspEncoder(dims.psp)
        self.style_gru = StyleGRU(dims.gru)
        self.resnet = StyleFlowTrunk(dims)

    def forward(self, clips: Tensor) -> Tensor:
        """Return the logits of whole clips; above 0 leans fake.

        Args:
            clips: aligned crops, `(B, T, S, S, 3)` RGB uint8; S is `dims.crop_px`.

        Returns:
            Logits, `(B,)`.

        Raises:
            ShapeMismatch: another number of frames than the network's, or other crops.
        """
        frames, side = self.dims.content.frames, self.dims.crop_px
        if clips.ndim != 5 or clips.shape[1:] != (frames, side, side, 3):
            raise ShapeMismatch("clips", f"(B, {frames}, {side}, {side}, 3)", clips.shape)
        codes = self.latents(clips.flatten(0, 1))  # (B * T, levels, D)
        latents = codes.reshape(*clips.shape[:2], *codes.shape[1:])
        code = self.style_gru.code(style_flow(latents))  # (B, 4H)
        tokens = self.resnet.features(self.content_input(clips)).float()  # (B, T / 2, D)
        logits: Tensor = self.resnet.head(tokens, code)
        return logits

    def latents(self, images: Tensor, *, at_once: int = 4) -> Tensor:
        """Return the chosen styles of pictures, `(B, levels, D)`, before the average is added.

        Args:
            images: crops as the detector is fed them, `(B, S, S, 3)` RGB uint8.
            at_once: pictures that pSp sees together; bounds its activations (180 MB a picture).
        """
        dims = self.dims
        return style_latents(self.psp, images, dims.levels, dims.psp_input, at_once=at_once)

    def content_input(self, clips: Tensor) -> Tensor:
        """Return what the content branch sees, `(B, 3, T, S', S')`, of clips of aligned crops.

        Args:
            clips: aligned crops, `(B, T, S, S, 3)` RGB uint8.
        """
        crops = self.content_crops(clips.flatten(0, 1))
        return self.normalised(crops.reshape(*clips.shape[:2], *crops.shape[1:]))

    def content_crops(self, images: Tensor) -> Tensor:
        """Return aligned crops at the content branch's size.

        Args:
            images: aligned crops, `(B, S, S, 3)` RGB uint8.

        Returns:
            Crops, `(B, 3, S', S')` RGB uint8.

        Source: the stage-2 code resizes each crop with Pillow's bicubic filter to 224 pixels.
        Departs: the same filter, computed in floating point and rounded; it may differ from
        Pillow's fixed-point arithmetic by one grey level.
        """
        crops = images.permute(0, 3, 1, 2)
        if self.dims.psp_input is PspInput.FFHQ:
            wide = WideCrop(self.dims.psp.size_px)
            rows = slice(wide.top_px, wide.top_px + wide.inner_px)
            columns = slice(wide.left_px, wide.left_px + wide.inner_px)
            crops = crops[:, :, rows, columns]
        return resized(crops, self.dims.content.size_px)

    def statistics(self) -> tuple[Tensor, Tensor]:
        """Return ImageNet's mean and spread of bytes, `(3, 1, 1, 1)`, where the content branch is.

        A CUDA graph cannot record that they are brought there.
        """
        weight = self.resnet.s1.pathway0_stem.conv.weight
        mean = weight.new_tensor(IMAGENET_MEAN)[:, None, None, None] * 255
        std = weight.new_tensor(IMAGENET_STD)[:, None, None, None] * 255
        return mean, std

    def normalised(self, crops: Tensor, statistics: tuple[Tensor, Tensor] | None = None) -> Tensor:
        """Return clips as the content branch takes them.

        Args:
            crops: RGB uint8, `(B, T, 3, S', S')`.
            statistics: what `statistics` returns, if it has been asked.

        Returns:
            Clips, `(B, 3, T, S', S')`, normalised by ImageNet's statistics.
        """
        mean, std = statistics or self.statistics()
        return (crops.transpose(1, 2).to(mean.dtype) - mean) / std


def style_latents(
    psp: PspEncoder,
    images: Tensor,
    levels: StyleLevels,
    psp_input: PspInput = PspInput.CLIP,
    *,
    at_once: int = 4,
) -> Tensor:
    """Return the chosen styles of pictures, `(B, levels, D)`, before the average is added.

    Args:
        psp: the style encoder.
        images: crops framed for `psp_input`, `(B, S, S, 3)` RGB uint8.
        levels: which styles.
        psp_input: what the encoder is fed of them.
        at_once: pictures that pSp sees together; bounds its activations (180 MB a picture).
    """
    # A style delta is a small difference of two latents, so these are float32 whatever pSp
    # computes in.
    return torch.cat(
        [
            psp.codes(style_crops(part, psp.encoder.dims.size_px, psp_input), levels.styles).float()
            for part in torch.split(images, at_once)
        ]
    )


def style_crops(images: Tensor, size_px: int, psp_input: PspInput) -> Tensor:
    """Return what the style encoder sees of crops, `(B, S', S', 3)` RGB uint8.

    Args:
        images: crops framed for `psp_input`, `(B, S, S, 3)` RGB uint8.
        size_px: side of the encoder's pictures, `S'`.
        psp_input: what the encoder is fed.
    """
    if psp_input is PspInput.CLIP:
        return images
    return resized(images.permute(0, 3, 1, 2), size_px).permute(0, 2, 3, 1)


def resized(crops: Tensor, size_px: int) -> Tensor:
    """Return pictures of another size, bicubic, `(B, 3, S', S')` uint8, from `(B, 3, S, S)`."""
    size = (size_px, size_px)
    if crops.shape[2:] == size:
        return crops
    x = nn.functional.interpolate(crops.float(), size, mode="bicubic", antialias=True)
    return x.round_().clamp_(0, 255).to(torch.uint8)
