"""Vision transformer of FakeSTormer: attention divided into time and space, with a token for each.

`network` tells its story; the token names P, s and t are explained there.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn

from styleflow.clips import ClipSpec, Framing
from styleflow.detectors.layers.backbones import Attention, Mlp, PatchEmbed, layer_norm


@dataclass(frozen=True, slots=True)
class FakeStormerDims:
    """Everything needed to build a FakeSTormer; the default is base c0, c23 and c40.

    Attributes:
        image_px: side of the crop.
        patch_px: side of a patch.
        width: numbers per token, D.
        depth: blocks.
        heads: attention heads of each block.
        frames: frames per clip, T; baked into the weights.
        register_token: the weights carry one more token, which nothing uses (DINO's small ones).
        cadence_hz: sampled frames per second of media time when live.
        repaired: the temporal token is the learnt one and the temporal head sees patches in their
            order, as the paper has it; published weights need both of the release's slips.
    """

    image_px: int = 224
    patch_px: int = 16
    width: int = 768
    depth: int = 12
    heads: int = 12
    frames: int = 4
    register_token: bool = False
    cadence_hz: float = 2.5
    repaired: bool = False

    def __post_init__(self) -> None:
        """Refuse dimensions that no network can have."""
        for name, most in (
            ("image_px", 1024),
            ("patch_px", 64),
            ("width", 4096),
            ("depth", 64),
            ("frames", 64),
        ):
            value = getattr(self, name)
            if not 1 <= value <= most:
                raise ValueError(f"{name} lies in 1..{most}, not {value}")
        if self.image_px % self.patch_px:
            raise ValueError(f"patch_px {self.patch_px} does not divide image_px {self.image_px}")
        for name in ("heads", "frames"):
            if getattr(self, name) < 1 or self.width % getattr(self, name):
                raise ValueError(f"{name} {getattr(self, name)} does not divide width {self.width}")
        if not 0 < self.cadence_hz <= 1000:
            raise ValueError(f"cadence_hz lies in 0..1000, not {self.cadence_hz}")

    @property
    def grid(self) -> int:
        """Patches along one side."""
        return self.image_px // self.patch_px

    @property
    def clip(self) -> ClipSpec:
        """The format of its input."""
        return ClipSpec(self.frames, self.cadence_hz, self.image_px, Framing.FAKESTORMER)


@dataclass(frozen=True, slots=True, eq=False)
class Tokens:
    """Tokens that flow from block to block.

    Attributes:
        patches: `(B, T, N, D)`.
        spatial: one token per clip that attends within frames, `(B, D)`.
        temporal: one token per clip that attends across frames, `(B, D)`.
    """

    patches: Tensor
    spatial: Tensor
    temporal: Tensor


class DividedBlock(nn.Module):
    """Attend over time, attend over space, transform: all on normalised tokens, all added."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.norm1 = layer_norm(width)
        self.attn = Attention(width, heads)
        self.temporal_norm1 = layer_norm(width)
        self.temporal_attn = Attention(width, heads)
        self.temporal_fc = nn.Linear(width, width)
        self.norm2 = layer_norm(width)
        self.mlp = Mlp(width)

    def forward(self, tokens: Tokens) -> tuple[Tokens, Tensor]:
        """Return the next tokens, and what the spatial token gathered in each frame.

        Returns:
            Tokens for the next block, and the bare attention output `(B, T, D)`.
        """
        T = tokens.patches.shape[1]
        gathered = self._over_time(tokens, slice(None))  # (B, N, T + 1, D)
        by_frame = gathered[:, :, :T].transpose(1, 2).contiguous()  # (B, T, N, D)
        patches = tokens.patches + self._time_update(by_frame)
        temporal = tokens.temporal + self._time_update(gathered[:, :, T].mean(1))
        per_frame, patch_update = self._over_space(tokens.spatial, patches)
        following = Tokens(
            self._transformed(patches + patch_update),
            self._transformed(tokens.spatial + per_frame.mean(1)),
            self._transformed(temporal),
        )
        return following, per_frame

    def last_temporal(self, tokens: Tokens) -> Tensor:
        """Return only the next temporal token, `(B, D)`: all the class head reads of a last block.

        Departs: spatial attention and the patches' own updates are skipped, because nothing that
        follows reads them; the token is the same.
        """
        T = tokens.patches.shape[1]
        gathered = self._over_time(tokens, slice(T, T + 1))  # (B, N, 1, D)
        return self._transformed(tokens.temporal + self._time_update(gathered[:, :, 0].mean(1)))

    def looked_at(self, tokens: Tokens) -> Tensor:
        """Return how each frame's spatial token divides its attention over patches, `(B, T, N)`.

        This is where the frame's answer of the spatial head comes from when the block is the last.
        """
        T = tokens.patches.shape[1]
        gathered = self._over_time(tokens, slice(0, T)).transpose(1, 2).contiguous()
        frames = self._frames(tokens.spatial, tokens.patches + self._time_update(gathered))
        shares = self.attn.first_looks_at(self.norm1(frames).flatten(0, 1))
        return shares.view(*frames.shape[:2], -1)[:, :, 1:]

    def _over_time(self, tokens: Tokens, queries: slice) -> Tensor:
        """Attend at each place over its T patches and the temporal token, `(B, N, queries, D)`.

        The temporal token is the same at every place, so it is projected once and its results are
        averaged before the output projection, which is linear: less work, the same token.
        """
        B, _, N, D = tokens.patches.shape
        attention = self.temporal_attn
        places = attention.qkv(self.temporal_norm1(tokens.patches)).transpose(1, 2)
        token = attention.qkv(self.temporal_norm1(tokens.temporal))  # (B, 3 D)
        sequence = torch.cat((places, token[:, None, None].expand(B, N, 1, 3 * D)), 2)
        return attention.mix(sequence.flatten(0, 1), queries).view(B, N, -1, D)

    def _time_update(self, gathered: Tensor) -> Tensor:
        return self.temporal_fc(self.temporal_attn.proj(gathered))  # type: ignore[no-any-return]

    def _over_space(self, spatial: Tensor, patches: Tensor) -> tuple[Tensor, Tensor]:
        """Attend in each frame over the spatial token and its patches: `(B,T,D)`, `(B,T,N,D)`."""
        frames = self._frames(spatial, patches)
        out = self.attn(self.norm1(frames).flatten(0, 1)).unflatten(0, frames.shape[:2])
        return out[:, :, 0], out[:, :, 1:]

    def _frames(self, spatial: Tensor, patches: Tensor) -> Tensor:
        """Put the spatial token before the patches of every frame, `(B, T, 1 + N, D)`."""
        B, T, _, D = patches.shape
        return torch.cat((spatial[:, None, None].expand(B, T, 1, D), patches), 2)

    def _transformed(self, x: Tensor) -> Tensor:
        return x + self.mlp(self.norm2(x))  # type: ignore[no-any-return]


@dataclass(frozen=True, slots=True, eq=False)
class Features:
    """Input of the heads.

    Attributes:
        temporal: normalised temporal token, `(B, D)`.
        per_frame: normalised spatial token of each frame, `(B, T, D)`.
        patches: normalised patches, `(B, T, N, D)`.
    """

    temporal: Tensor
    per_frame: Tensor
    patches: Tensor


class TimeViT(nn.Module):
    """TimeSformer with a temporal token beside the spatial one."""

    def __init__(self, dims: FakeStormerDims) -> None:
        super().__init__()
        D, places = dims.width, dims.grid**2
        self._learnt_seed = dims.repaired
        self.cls_token = nn.Parameter(torch.zeros(1, 1, D))
        self.pos_embed = nn.Parameter(torch.zeros(1, places + 1, D))
        if dims.register_token:
            self.register_token = nn.Parameter(torch.zeros(1, 1, D))  # never used
        self.temp_token = nn.Parameter(torch.zeros(1, 1, D))  # used when repaired, see `seed`
        self.time_embed = nn.Parameter(torch.zeros(1, dims.frames + 1, D))  # the last likewise
        self.patch_embed = PatchEmbed(dims.patch_px, D)
        self.blocks = nn.ModuleList(DividedBlock(D, dims.heads) for _ in range(dims.depth))
        self.norm = layer_norm(D)
        self.norm_s_cls = layer_norm(D)
        self.norm_t_cls = layer_norm(D)  # never used

    def embed(self, clips: Tensor) -> Tensor:
        """Return the patch tokens of clips with their places in space and time.

        Args:
            clips: normalised crops, `(B, 3, T, S, S)`.

        Returns:
            Patches, `(B, T, N, D)`.
        """
        B, _, T = clips.shape[:3]
        patches = self.patch_embed(clips.transpose(1, 2).flatten(0, 1)).unflatten(0, (B, T))
        patches = patches + self.pos_embed[:, None, 1:]
        return patches + self.time_embed[:, :T, None]  # type: ignore[no-any-return]

    def seed(self, patches: Tensor) -> Tensor:
        """Return the temporal token that each clip starts with, `(B, D)`.

        The release appends a learnt token and then, by a slip of the index, reads the first patch
        of the first frame instead. The weights grew up with that; repaired ones do as was meant.
        """
        if self._learnt_seed:
            token = self.temp_token + self.time_embed[:, -1:]
            return token[:, 0].expand(len(patches), -1)
        return patches[:, 0, 0]

    def start(self, patches: Tensor, temporal: Tensor) -> Tokens:
        """Return the tokens that enter the first block."""
        spatial = (self.cls_token + self.pos_embed[:, :1])[:, 0].expand(len(patches), -1)
        return Tokens(patches, spatial, temporal)

    def forward(self, tokens: Tokens) -> Features:
        """Run every block and return all that the three heads read."""
        return self.finish(self.until_last(tokens))

    def until_last(self, tokens: Tokens) -> Tokens:
        """Run every block but the last."""
        for block in self.blocks[:-1]:
            tokens, _ = block(tokens)
        return tokens

    def finish(self, tokens: Tokens) -> Features:
        """Run the last block and return all that the three heads read."""
        tokens, per_frame = self.blocks[-1](tokens)
        return Features(
            temporal=self.norm(tokens.temporal),
            per_frame=self.norm_s_cls(per_frame),
            patches=self.norm(tokens.patches),
        )

    def temporal_only(self, tokens: Tokens) -> Tensor:
        """Return the normalised temporal token alone, `(B, D)`, at less cost than `forward`."""
        return self.norm(self.last.last_temporal(self.until_last(tokens)))  # type: ignore[no-any-return]

    @property
    def last(self) -> DividedBlock:
        """The block that the heads read."""
        return cast(DividedBlock, self.blocks[-1])
