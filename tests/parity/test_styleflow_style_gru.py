"""StyleGRU against the reference, on weights derived from names."""

from __future__ import annotations

import pytest
import torch

from styleflow.detectors.layers.style_gru import StyleGRU, StyleGruDims, style_flow
from styleflow.detectors.styleflow.style_gru_stream import StyleGruStream
from tests.parity.fill import built, reference_case, reference_shapes, shapes, uniform_input

SMALL = StyleGruDims(features=96, hidden=32, head=48)
RELEASED = StyleGruDims()
COMPACT = StyleGruDims(hidden=1024, head=1024)


@pytest.mark.parametrize(
    ("dims", "key_file"),
    [
        (RELEASED, "stylegru_released_9216_4096"),
        (COMPACT, "stylegru_compact_9216_1024"),
    ],
)
def test_names_and_shapes_are_those_of_the_published_file(
    dims: StyleGruDims, key_file: str
) -> None:
    with torch.device("meta"):
        network = StyleGRU(dims)
    assert shapes(network) == reference_shapes("styleflow", key_file)


def test_every_step_equals_the_reference() -> None:
    """Tolerance 1e-5 at toy size, step by step."""
    case = reference_case("styleflow", "stylegru_small")
    network = built(lambda: StyleGRU(SMALL))
    flow = style_flow(uniform_input(3, 32, 96))
    normalised = network.bn(flow)
    start = network.hidden_state.expand(-1, 3, -1).contiguous()
    outputs, hidden = network.gru(normalised, start)
    code = network.code(flow)
    for got, name in (
        (flow, "flow"),
        (normalised[:, :, :8], "bn"),
        (outputs, "gru_out"),
        (hidden, "hidden"),
        (code, "feature"),
        (network.logit(code)[:, None], "logit"),
    ):
        torch.testing.assert_close(
            got, torch.from_numpy(case[name]), atol=1e-5, rtol=0, msg=lambda m, n=name: f"{n}: {m}"
        )


def test_overlapping_windows_equal_the_reference() -> None:
    """Windows of 32 frames at every start of a longer track, recomputed one by one."""
    case = reference_case("styleflow", "stylegru_stream")
    network = built(lambda: StyleGRU(SMALL))
    latents = uniform_input(1, 64, 96)[0]
    windows = torch.stack([latents[s : s + 32] for s in case["starts"].tolist()])
    code = network.code(style_flow(windows))
    torch.testing.assert_close(code, torch.from_numpy(case["feature"]), atol=1e-5, rtol=0)
    torch.testing.assert_close(
        network.logit(code), torch.from_numpy(case["logit"]), atol=1e-5, rtol=0
    )


def _check_at_full_width(dims: StyleGruDims, name: str) -> None:
    case = reference_case("styleflow", name)
    network = built(lambda: StyleGRU(dims))
    flow = style_flow(uniform_input(2, 32, 9216))
    if "flow_probe" in case:
        torch.testing.assert_close(flow[:, :2, :8], torch.from_numpy(case["flow_probe"]))
    code = network.code(flow)
    torch.testing.assert_close(code, torch.from_numpy(case["feature"]), atol=2e-5, rtol=0)
    logit = network.logit(code)[:, None]
    torch.testing.assert_close(logit, torch.from_numpy(case["logit"]), atol=2e-5, rtol=0)


def test_compact_width_equals_the_reference() -> None:
    """Hidden width 1024, tolerance 2e-5."""
    _check_at_full_width(COMPACT, "stylegru_h1024")


@pytest.mark.huge
def test_released_width_equals_the_reference() -> None:
    """Hidden width 4096, tolerance 2e-5; 3 GB of weights."""
    _check_at_full_width(RELEASED, "stylegru_full")


@pytest.mark.parametrize("staggered", [True, False])
@pytest.mark.parametrize("hop", [1, 2, 4, 8, 16, 32])
def test_streamed_windows_equal_the_reference(hop: int, staggered: bool) -> None:
    """The track of the fixture, fed delta by delta: every window on the hop's grid, 1e-5."""
    case = reference_case("styleflow", "stylegru_stream")
    network = built(lambda: StyleGRU(SMALL))
    stream = StyleGruStream(network, hop, staggered=staggered)
    state = stream.init_state(1)
    row = torch.tensor([0])
    rated = 0
    for number, delta in enumerate(style_flow(uniform_input(1, 64, 96))[0]):
        stream.push(state, row, delta[None], torch.tensor([number]))
        start = number - 30
        if start >= 0 and start % hop == 0:
            code = stream.code(state, row, torch.tensor([number + 1]))
            expected = torch.from_numpy(case["feature"])[start]
            torch.testing.assert_close(code[0], expected, atol=1e-5, rtol=0)
            rated += 1
    assert rated == 32 // hop + 1
