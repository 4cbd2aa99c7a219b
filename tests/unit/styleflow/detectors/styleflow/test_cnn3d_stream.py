"""Content features kept from earlier windows change nothing."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from styleflow.detectors.styleflow.cnn3d import ContentDims, TemporalResNet
from styleflow.detectors.styleflow.cnn3d_stream import ContentStream

PUBLISHED = ContentDims(size_px=16, width=2)


def content(dims: ContentDims = PUBLISHED) -> TemporalResNet:
    """Return a toy content branch whose statistics are not the initial ones."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        net = TemporalResNet(dims).eval()
        for module in net.modules():
            if isinstance(module, nn.BatchNorm3d):
                module.running_mean.normal_(0, 0.1)
                module.bias.data.normal_(0, 0.1)
    return net.requires_grad_(requires_grad=False)


def frames(count: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(1, 3, count, 16, 16, generator=generator)


def check(net: TemporalResNet, hop: int, starts: list[int]) -> None:
    length = net.dims.frames
    track = frames(max(starts) + length)
    stream = ContentStream(net, hop)
    state = stream.init_state(1)
    for start in starts:
        window = track[:, :, start : start + length]
        tokens = stream.tokens(state, torch.tensor([0]), torch.tensor([start]), window)
        torch.testing.assert_close(
            tokens, net.features(window), atol=1e-4, rtol=0, msg=lambda m, s=start: f"{s}: {m}"
        )


@pytest.mark.parametrize("hop", range(1, 33))
def test_every_hop_equals_whole_clips(hop: int) -> None:
    check(content(), hop, list(range(0, 5 * hop + 1, hop)))


def test_starts_off_the_grid_are_exact() -> None:
    """Odd after even, the same window twice, backwards, and after a long pause."""
    for hop in (2, 3):
        check(content(), hop, [0, 2, 3, 3, 5, 4, 8, 9, 11, 60, 62, 0])


def test_rows_at_different_phases_share_a_batch() -> None:
    net = content()
    stream = ContentStream(net, 2)
    state = stream.init_state(3)
    track = frames(60)
    for step in range(4):
        starts = torch.tensor([2 * step, 2 * step + 7, 5 * step])
        windows = torch.cat([track[:, :, s : s + 32] for s in starts.tolist()])
        tokens = stream.tokens(state, torch.tensor([2, 0, 1]), starts, windows)
        torch.testing.assert_close(tokens, net.features(windows), atol=1e-4, rtol=0)


@pytest.mark.parametrize(("hop", "reused"), [(2, True), (1, True), (8, True), (32, False)])
def test_the_middle_is_reused_where_windows_overlap(hop: int, reused: bool) -> None:
    """Features that were kept are believed: spoiling them shows."""
    net = content()
    stream = ContentStream(net, hop)
    state = stream.init_state(1)
    track, row = frames(40 + 3 * hop), torch.tensor([0])
    for number in range(3):
        window = track[:, :, number * hop : number * hop + 32]
        stream.tokens(state, row, torch.tensor([number * hop]), window)
    for middle in state.middles:
        middle.fill_(torch.nan)
    window = track[:, :, 3 * hop : 3 * hop + 32]
    tokens = stream.tokens(state, row, torch.tensor([3 * hop]), window)
    assert bool(tokens.isnan().any()) == reused


def test_what_is_kept_follows_from_the_reach() -> None:
    """The table in the module's own words, for the published clip."""
    shapes = [tuple(m.shape[1:4]) for m in ContentStream(content(), 2).init_state(1).middles]
    assert [(copies, kept) for copies, _, kept in shapes] == [
        (1, 28), (1, 26), (1, 24), (1, 10), (1, 8), (1, 6), (1, 4), (1, 2),
    ]  # fmt: skip
    odd = ContentStream(content(), 1).init_state(1).middles
    assert [m.shape[1] for m in odd] == [1, 1, 1, 2, 2, 2, 2, 2]


@pytest.mark.parametrize(
    "dims",
    [
        ContentDims(frames=16, size_px=16, width=2),
        ContentDims(frames=6, size_px=16, width=2),
        ContentDims(frames=2, size_px=16, width=2),
        ContentDims(frames=48, size_px=16, width=2, blocks=(2, 1, 3)),
    ],
)
@pytest.mark.parametrize("hop", [1, 2, 6])
def test_other_shapes_are_exact_too(dims: ContentDims, hop: int) -> None:
    """The cut between shared and own positions follows from the network, not from a table."""
    check(content(dims), hop, list(range(0, 4 * hop + 1, hop)))
