"""The content branch on overlapping windows of a track, exactly, keeping what windows share.

A window's features differ from those of a longer clip only near the window's two ends, where the
authors' network saw zeros. Each convolution along time widens that border by its reach; what lies
between the borders is the same in every window that contains it, and is kept. A new window
computes its two borders, and of its middle only what the window before did not have:

    unit                  of    border   middle kept
    stem                  32    2        28
    s2 res0               32    3        26
    s2 res1               32    4        24
    s2 res2 and pool      16    3        10      (6 frames of border, so that pairs stay whole)
    s3 res0, res1         16    4        8
    s3 res2, res3         16    5        6
    s4 res0, res1         16    6        4
    s4 res2, res3         16    7        2
    s4 res4, res5         16    8        none

The pool joins frames in pairs counted from the window's start. Windows that start an odd number of
frames apart pair differently and share nothing after it; for odd hops there are therefore two sets
of kept features after the pool, one for either parity, and each helps every second window.

At published dimensions the kept features take 242 MB a slot (302 MB for odd hops). Counting
operations, they divide the content branch's cost by 1.62 at hop 1, 1.61 at hop 2, 1.47 at hop 4,
1.27 at hop 8 and 1.08 at hop 16: the padding reaches every token, so there is no more to gain.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn

from styleflow.detectors.styleflow.cnn3d import (
    NO_CONTEXT,
    Context,
    Stem,
    TemporalBlock,
    TemporalResNet,
    spatial_mean,
)

Layers = tuple[Stem | TemporalBlock, ...]

NEVER = -(1 << 40)  # the start of a window that no other can overlap


class Parts(NamedTuple):
    """One window's features, cut where they stop being its own; each `(B, C, t, H, W)`."""

    left: Tensor  # seen through the zeros before the window
    middle: Tensor  # the same in every window that contains them
    right: Tensor  # seen through the zeros after the window

    def whole(self) -> Tensor:
        """Return the window's features in one piece, `(B, C, T, H, W)`."""
        return torch.cat(self, dim=2)


@dataclass(frozen=True, slots=True)
class Unit:
    """A stretch of the network that starts with its only look along time.

    Attributes:
        layers: the blocks; the first has this reach, the others see single frames.
        reach: neighbours seen in either direction.
        grow: how much wider the border becomes, at least the reach.
        pool: joins pairs of frames at the end, if there is one.
        after_pool: whether the unit's results count in pairs.
        kept: length of the middle that its results keep.
        feature_shape: `(C, H, W)` of its results.
    """

    layers: Layers
    reach: int
    grow: int
    pool: nn.MaxPool3d | None
    after_pool: bool
    kept: int
    feature_shape: tuple[int, int, int]

    def run(self, x: Tensor, context: Context) -> Tensor:
        """Return the unit's features of a piece of a clip."""
        x = self.layers[0](x, context)
        for layer in self.layers[1:]:
            x = layer(x, NO_CONTEXT)
        return x if self.pool is None else self.pool(x)

    def advance(self, parts: Parts, kept: Tensor | None, fresh: int) -> Parts:
        """Return the window's features after this unit.

        Args:
            parts: its features before.
            kept: the middle of an earlier window after this unit, without what this window no
                longer has, or None.
            fresh: how many positions at the end of the middle are not in `kept`.
        """
        grow, reach, step = self.grow, self.reach, 1 if self.pool is None else 2
        length = parts.middle.shape[2]
        left = torch.cat((parts.left, parts.middle[:, :, : grow + reach]), dim=2)
        right = torch.cat((parts.middle[:, :, length - grow - reach :], parts.right), dim=2)
        pieces = [] if kept is None else [kept]
        if fresh:
            end = length - grow
            piece = parts.middle[:, :, end - step * fresh - reach : end + reach]
            pieces.append(self.run(piece, Context(reach, reach)))
        return Parts(
            self.run(left, Context(0, reach)),
            torch.cat(pieces, dim=2),
            self.run(right, Context(reach, 0)),
        )


@dataclass(slots=True, eq=False)
class ContentState:
    """State of N slots.

    Attributes:
        starts: frame with which the window of the kept features started, `(N, 1 + copies)` int64;
            the first column is for features before the pool.
        middles: for each unit, its kept features, `(N, copies, C, t, H, W)`.
    """

    starts: Tensor
    middles: list[Tensor]


class ContentStream:
    """A content branch, evaluated on windows that may overlap earlier ones."""

    def __init__(self, network: TemporalResNet, hop: int) -> None:
        self._network = network
        self._copies = 1 + hop % 2
        self._units, self._rest = _cut(network)

    def init_state(self, slots: int) -> ContentState:
        """Return the state of slots that keep nothing yet, on the weights' device."""
        weight = self._network.s1.pathway0_stem.conv.weight
        middles = []
        for unit in self._units:
            c, h, w = unit.feature_shape
            copies = self._copies if unit.after_pool else 1
            middles.append(weight.new_zeros(slots, copies, c, unit.kept, h, w))
        starts = torch.full((slots, 1 + self._copies), NEVER, device=weight.device)
        return ContentState(starts, middles)

    def clear(self, state: ContentState, rows: Tensor) -> None:
        """Make rows keep nothing."""
        state.starts[rows] = NEVER
        for middle in state.middles:
            middle[rows] = 0

    def begin(self, state: ContentState, rows: Tensor, anew: Tensor) -> None:
        """Make those rows keep nothing for which `anew`, `(B,)` bool, is true."""
        state.starts[rows] = torch.where(anew[:, None], NEVER, state.starts[rows])

    def tokens(self, state: ContentState, rows: Tensor, starts: Tensor, clips: Tensor) -> Tensor:
        """Return the content tokens of one window per row, and keep what later ones will share.

        Args:
            state: changed in place.
            rows: slots, `(B,)` int64.
            starts: number of each window's first frame since its row began, `(B,)` int64.
            clips: the windows, normalised, `(B, 3, T, S, S)`.

        Returns:
            Tokens, `(B, T / 2, D)`.
        """
        copies = starts.remainder(self._copies)
        before = torch.stack((state.starts[rows, 0], state.starts[rows, 1 + copies]), dim=1)
        advances = (starts[:, None] - before).tolist()
        tokens = clips.new_empty(len(rows), clips.shape[2] // 2, self._network.dims.token)
        for advance in sorted({(a, b) for a, b in advances}):
            chosen = [i for i, (a, b) in enumerate(advances) if (a, b) == advance]
            at = torch.tensor(chosen, device=rows.device)
            tokens[at] = self._advance(state, rows[at], copies[at], advance, clips[at])
        state.starts[rows, 0] = starts
        state.starts[rows, 1 + copies] = starts
        return tokens

    def _advance(
        self,
        state: ContentState,
        rows: Tensor,
        copies: Tensor,
        advance: tuple[int, int],
        clips: Tensor,
    ) -> Tensor:
        """Return the tokens of windows that all lie equally far from what their rows keep."""
        nothing = clips[:, :, :0]
        parts = Parts(nothing, clips, nothing)
        for unit, middle in zip(self._units, state.middles, strict=True):
            copy = copies if unit.after_pool else torch.zeros_like(copies)
            fresh = _fresh(unit, advance)
            kept = None if fresh == unit.kept else middle[rows, copy][:, :, fresh:]
            parts = unit.advance(parts, kept, fresh)
            middle[rows, copy] = parts.middle
        x = parts.whole()
        for unit in self._rest:
            x = unit.run(x, NO_CONTEXT)
        return spatial_mean(x)


def _fresh(unit: Unit, advance: tuple[int, int]) -> int:
    """Return how many of the middle's positions an earlier window did not have."""
    frames = advance[1] if unit.after_pool else advance[0]
    if frames < 0 or (unit.after_pool and frames % 2):
        return unit.kept
    return min(frames // 2 if unit.after_pool else frames, unit.kept)


def _cut(network: TemporalResNet) -> tuple[tuple[Unit, ...], tuple[Unit, ...]]:
    """Return the units whose results have a middle worth keeping, and the units after them."""
    dims = network.dims
    length, border = dims.frames, 0
    units: list[Unit] = []
    for layers, pool, feature_shape in _stretches(network):
        reach = layers[0].reach
        grow = reach
        if pool is not None:
            grow += (border + reach) % 2  # pairs stay whole
        border += grow
        if pool is not None:
            border, length = border // 2, length // 2
        kept = max(length - 2 * border, 0)
        units.append(Unit(layers, reach, grow, pool, length < dims.frames, kept, feature_shape))
    shared = next((i for i, unit in enumerate(units) if unit.kept == 0), len(units))
    return tuple(units[:shared]), tuple(units[shared:])


def _stretches(
    network: TemporalResNet,
) -> Iterator[tuple[Layers, nn.MaxPool3d | None, tuple[int, int, int]]]:
    """Yield the network cut before each look along time, with the shape of each result."""
    dims = network.dims
    side = dims.size_px // 4
    yield (network.s1.pathway0_stem,), None, (dims.width, side, side)
    for number, stage in enumerate((network.s2, network.s3, network.s4)):
        side = dims.size_px // (4, 8, 16)[number]
        groups = _groups(stage.blocks())
        for group in groups:
            pooled = number == 0 and group is groups[-1]
            pool = network.pathway0_pool if pooled else None
            yield tuple(group), pool, (dims.width * (4, 8, 16)[number], side, side)


def _groups(blocks: Sequence[TemporalBlock]) -> list[list[TemporalBlock]]:
    """Return the blocks, cut before each that looks along time."""
    groups: list[list[TemporalBlock]] = []
    for block in blocks:
        if block.reach or not groups:
            groups.append([])
        groups[-1].append(block)
    return groups
