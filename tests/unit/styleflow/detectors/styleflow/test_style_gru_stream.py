"""StyleGRU fed delta by delta equals StyleGRU on every window."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from styleflow.detectors.layers.style_gru import StyleGRU, StyleGruDims
from styleflow.detectors.styleflow.style_gru_stream import StyleGruStream

FEATURES = 12


@pytest.fixture(scope="module")
def network() -> StyleGRU:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        net = StyleGRU(StyleGruDims(features=FEATURES, hidden=8, head=4)).eval()
        # Every position gets statistics of its own, so that a wrong age shows.
        net.bn.weight.data.uniform_(0.5, 1.5)
        net.bn.bias.data.normal_()
        net.bn.running_mean.normal_()
        net.bn.running_var.uniform_(0.5, 1.5)
    return net.requires_grad_(requires_grad=False)


def flow(deltas: int, seed: int) -> Tensor:
    return torch.randn(deltas, FEATURES, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize(
    ("hop", "staggered"), [(h, True) for h in range(1, 33)] + [(h, False) for h in (1, 2, 8, 32)]
)
def test_every_hop_equals_whole_windows(network: StyleGRU, hop: int, staggered: bool) -> None:
    """Rows at different phases in one batch, each rated on its own grid and off it."""
    stream = StyleGruStream(network, hop, staggered=staggered)
    state = stream.init_state(5)
    begins = {4: 0, 1: 3, 2: 17}
    flows = {row: flow(140, row) for row in begins}
    for tick in range(100):
        rows = [row for row, begin in begins.items() if tick >= begin]
        numbers = torch.tensor([tick - begins[row] for row in rows])
        deltas = torch.stack([flows[row][tick - begins[row]] for row in rows])
        stream.push(state, torch.tensor(rows), deltas, numbers)
        seen = {row: tick - begins[row] + 1 for row in rows}
        due = [r for r in rows if seen[r] >= 31 and (seen[r] % hop == 0 or tick % 13 == 0)]
        if due:
            windows = torch.stack([flows[r][seen[r] - 31 : seen[r]] for r in due])
            counts = torch.tensor([seen[r] for r in due])
            got = stream.code(state, torch.tensor(due), counts)
            torch.testing.assert_close(got, network.code(windows), atol=1e-5, rtol=0)


@pytest.mark.parametrize(
    ("hop", "windows"), [(1, 31), (2, 16), (4, 8), (8, 4), (16, 2), (31, 1), (32, 1)]
)
def test_as_many_windows_stay_open_as_overlap(network: StyleGRU, hop: int, windows: int) -> None:
    stream = StyleGruStream(network, hop, staggered=True)
    assert stream.open_windows == windows
    assert stream.init_state(2).outputs.shape == (2, windows, 31, 8)


def test_on_its_grid_nothing_is_recomputed(network: StyleGRU) -> None:
    """A window that was kept open needs only the products of the reverse direction to close.

    The grid is the engine's: after the first frame, then every hop.
    """
    for hop in range(1, 33):
        stream = StyleGruStream(network, hop, staggered=True)
        state = stream.init_state(1)
        length = -(-31 // hop) * hop + hop
        row, deltas = torch.tensor([0]), flow(length, 1)
        for number, delta in enumerate(deltas):
            stream.push(state, row, delta[None], torch.tensor([number]))
        state.products[:, :, 0] = torch.nan
        got = stream.code(state, row, torch.tensor([length]))
        torch.testing.assert_close(got, network.code(deltas[None, -31:]), atol=1e-5, rtol=0)


def test_deferred_products_are_computed_once(network: StyleGRU) -> None:
    """What one rating has projected, the next one takes as it is."""
    stream = StyleGruStream(network, 8, staggered=False)
    state = stream.init_state(1)
    row, deltas = torch.tensor([0]), flow(39, 1)
    for number, delta in enumerate(deltas):
        stream.push(state, row, delta[None], torch.tensor([number]))
        if number == 30:
            stream.code(state, row, torch.tensor([31]))
            state.deltas.fill_(torch.nan)
    got = stream.code(state, row, torch.tensor([39]))
    torch.testing.assert_close(got, network.code(deltas[None, 8:]), atol=1e-5, rtol=0)


@pytest.mark.parametrize(("hidden", "last"), [(4096, 6), (1024, 2)])
def test_the_way_that_reads_fewer_weights_is_taken(hidden: int, last: int) -> None:
    with torch.device("meta"):
        net = StyleGRU(StyleGruDims(hidden=hidden))
    chosen = [StyleGruStream(net, hop).staggered for hop in range(1, 33)]
    assert chosen == [hop <= last for hop in range(1, 33)]


@pytest.mark.parametrize("staggered", [True, False])
def test_a_row_may_begin_again(network: StyleGRU, staggered: bool) -> None:
    """Delta number 0 starts a row anew, without clearing, and -1 says there is no delta yet."""
    stream = StyleGruStream(network, 4, staggered=staggered)
    state = stream.init_state(1)
    row, noise, deltas = torch.tensor([0]), flow(40, 2), flow(35, 3)
    for number, delta in enumerate(noise):
        stream.push(state, row, delta[None], torch.tensor([number]))
    stream.push(state, row, noise[:1], torch.tensor([-1]))
    for number, delta in enumerate(deltas):
        stream.push(state, row, delta[None], torch.tensor([number]))
    got = stream.code(state, row, torch.tensor([35]))
    torch.testing.assert_close(got, network.code(deltas[None, 4:]), atol=1e-5, rtol=0)


@pytest.mark.parametrize("hop", [0, 33])
def test_a_hop_that_skips_windows_is_refused(network: StyleGRU, hop: int) -> None:
    with pytest.raises(ValueError, match=r"1\.\.32"):
        StyleGruStream(network, hop)
