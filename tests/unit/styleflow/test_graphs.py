"""Recorded calls answer like the network, whatever was played back before."""

from __future__ import annotations

import copy
import logging

import pytest
import torch
from torch import Tensor, nn

from styleflow.detectors.layers.seeding import seed_weights
from styleflow.errors import ShapeMismatch
from styleflow.graph_pool import FallBack, GraphPool
from styleflow.graphs import GRAPH_SIZES, Bucketed, Captured, Play, bucket, rehearsed
from styleflow.lanes import lanes_of
from styleflow.runtime import accelerated
from styleflow.runtime_settings import RuntimeSettings
from tests.support.models import crops


class Toy(nn.Module):
    """Two pictures in, a tensor and a vector out."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(6, 4, 3, 2, 1)
        seed_weights(self, 1)
        self.eval()

    def forward(self, now: Tensor, before: Tensor) -> tuple[Tensor, Tensor]:
        x = torch.cat([now, before], dim=-1).permute(0, 3, 1, 2).float() / 127.5 - 1.0
        y = self.conv(x).relu()
        return y, y.mean(dim=(2, 3))


class Watched:
    """A capture that remembers the sizes it was asked for and what its calls read when played."""

    def __init__(self) -> None:
        self.sizes: list[int] = []
        self.read: list[Tensor] = []

    def __call__(self, net: nn.Module, inputs: tuple[Tensor, ...]) -> Play:
        self.sizes.append(len(inputs[0]))
        play = rehearsed(net, inputs)

        def watched() -> Tensor | tuple[Tensor, ...]:
            self.read.append(inputs[0].clone())
            return play()

        return watched


def pair(batch: int, seed: int = 0) -> tuple[Tensor, Tensor]:
    return crops(seed, batch), crops(seed + 500, batch)


def agree(ours: tuple[Tensor, ...], theirs: tuple[Tensor, ...]) -> None:
    for mine, wanted in zip(ours, theirs, strict=True):
        torch.testing.assert_close(mine, wanted, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(
    ("batch", "size"), [(0, 1), (1, 1), (2, 2), (3, 4), (5, 8), (33, 64), (64, 64)]
)
def test_a_batch_takes_the_smallest_bucket_that_holds_it(batch: int, size: int) -> None:
    assert bucket(batch, GRAPH_SIZES) == size


def test_no_bucket_holds_more_than_the_largest() -> None:
    with pytest.raises(ValueError, match="65"):
        bucket(65, GRAPH_SIZES)


@torch.inference_mode()
def test_batches_are_padded_to_few_sizes_cut_into_pieces_and_answered_like_the_network() -> None:
    net, capture, pool = Toy(), Watched(), GraphPool()
    fast = Bucketed(net, capture, (1, 2, 4), pool)
    for seed, batch in enumerate((3, 1, 2, 4, 9, 0)):
        agree(fast(*pair(batch, seed)), net(*pair(batch, seed)))
    assert sorted(capture.sizes) == [1, 2, 4]
    counts = pool.counts
    # Nine go as four, four and one; nothing is played back for none.
    assert (counts.held, counts.captured, counts.replayed) == (3, 3, 7)
    assert set(counts.fallen_back.values()) == {0}


@torch.inference_mode()
def test_no_row_of_an_earlier_batch_or_of_the_probe_is_left_beside_a_smaller_one() -> None:
    """Symptom: faces of a stream that has gone stayed in the inputs, and were computed again."""
    capture = Watched()
    fast = Bucketed(Toy(), capture, (4,), GraphPool())
    for batch in (3, 4, 2, 1):
        fast(*pair(batch, batch))
        assert not capture.read[-1][batch:].any()


class Mixing(nn.Module):
    """A network whose items know of one another."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(1))

    def forward(self, x: Tensor) -> Tensor:
        return x.float() * self.weight - x.float().mean(0)


@torch.inference_mode()
def test_a_network_whose_items_know_of_one_another_is_not_padded(
    caplog: pytest.LogCaptureFixture,
) -> None:
    net, pool = Mixing(), GraphPool()
    fast = Bucketed(net, rehearsed, (4,), pool)
    x = torch.rand(3, 2)
    with caplog.at_level(logging.WARNING):
        for _ in range(2):
            torch.testing.assert_close(fast(x), net(x))
    assert pool.counts.fallen_back[FallBack.DIFFERS] == 2
    assert (pool.counts.held, pool.counts.replayed) == (0, 0)
    assert len([r for r in caplog.records if "differs" in r.message]) == 1, "said once"


@torch.inference_mode()
def test_what_cannot_be_recorded_runs_as_it_is_and_that_is_said_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def refuse(net: nn.Module, inputs: tuple[Tensor, ...]) -> Play:
        raise RuntimeError("operation not permitted when stream is capturing\nand a trace")

    net, pool = Toy(), GraphPool()
    fast = Bucketed(net, refuse, pool=pool)
    with caplog.at_level(logging.WARNING):
        for batch in (1, 3, 1):
            agree(fast(*pair(batch)), net(*pair(batch)))
    assert pool.counts.fallen_back[FallBack.REFUSED] == 3
    assert pool.counts.held == 0
    (said,) = [r.getMessage() for r in caplog.records if "refused" in r.getMessage()]
    assert "Toy" in said
    assert "not permitted" in said
    assert "trace" not in said


@torch.inference_mode()
def test_a_full_pool_keeps_what_came_first_and_takes_larger_sizes() -> None:
    net, pool = Toy(), GraphPool(most=1)
    fast, other = Bucketed(net, rehearsed, (1, 2, 4), pool), Bucketed(Toy(), rehearsed, pool=pool)
    agree(fast(*pair(2)), net(*pair(2)))
    agree(fast(*pair(1)), net(*pair(1)))  # in the two's place
    agree(fast(*pair(4)), net(*pair(4)))  # nothing holds four
    agree(other(*pair(1)), net(*pair(1)))
    counts = pool.counts
    assert (counts.held, counts.captured, counts.replayed) == (1, 1, 2)
    assert counts.fallen_back[FallBack.FULL] == 2


@torch.inference_mode()
def test_a_network_that_has_gone_leaves_its_room_to_others() -> None:
    pool = GraphPool(most=1)
    fast = Bucketed(Toy(), rehearsed, pool=pool)
    fast(*pair(1))
    del fast
    other = Bucketed(Toy(), rehearsed, pool=pool)
    other(*pair(1))
    assert (pool.counts.held, pool.counts.captured) == (1, 2)


@torch.inference_mode()
def test_weights_that_are_written_in_place_are_those_of_the_next_answer() -> None:
    net, pool = Toy(), GraphPool()
    fast = Bucketed(net, rehearsed, pool=pool)
    fast(*pair(2))
    net.load_state_dict({name: 2 * t for name, t in net.state_dict().items()})
    agree(fast(*pair(2)), net(*pair(2)))
    assert pool.counts.captured == 1, "the same memory needs no new recording"


@pytest.mark.parametrize("how", ["assigned", "data", "another module's"])
@torch.inference_mode()
def test_weights_that_have_moved_are_recorded_anew(how: str) -> None:
    """Symptom: a recorded call went on with the memory of weights that had been replaced."""
    net, pool = Toy(), GraphPool()
    fast = Bucketed(net, rehearsed, pool=pool)
    before = fast(*pair(2))[1]
    if how == "assigned":
        moved = {name: 2 * t for name, t in net.state_dict().items()}
        net.load_state_dict(moved, assign=True)
    elif how == "data":
        net.conv.weight.data = net.conv.weight.data * 2
    else:
        net.conv.weight = nn.Parameter(net.conv.weight * 2)
    answer = fast(*pair(2))
    agree(answer, net(*pair(2)))
    assert not torch.allclose(answer[1], before)
    assert (pool.counts.captured, pool.counts.held) == (2, 1)


@torch.inference_mode()
def test_another_precision_is_recorded_anew() -> None:
    class Half(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.line = nn.Linear(8, 4)

        def forward(self, x: Tensor) -> Tensor:
            weight: Tensor = self.line.weight
            return (x.to(weight.dtype) @ weight.T).float()

    net, pool, x = Half(), GraphPool(), torch.rand(3, 8)
    fast = Bucketed(net, rehearsed, pool=pool)
    exact = fast(x)
    net.to(torch.bfloat16)
    rough = fast(x)
    assert torch.equal(rough, net(x))
    assert not torch.equal(rough, exact)
    before = torch.get_float32_matmul_precision()
    try:
        torch.set_float32_matmul_precision("medium")
        fast(x)
    finally:
        torch.set_float32_matmul_precision(before)
    assert pool.counts.captured == 3


@torch.inference_mode()
def test_answers_outlive_the_next_call() -> None:
    fast = Captured(Toy(), rehearsed)
    first = fast(*pair(2))
    kept = [answer.clone() for answer in first]
    fast(*pair(2, 7))
    assert all(torch.equal(a, b) for a, b in zip(first, kept, strict=True))


def test_what_was_recorded_in_inference_mode_is_played_back_outside_of_it() -> None:
    net, fast = Toy(), None
    with torch.inference_mode():
        fast = Captured(net, rehearsed)
        fast(*pair(2))
    with torch.no_grad():
        agree(fast(*pair(2, 3)), net(*pair(2, 3)))


@torch.inference_mode()
def test_items_of_another_shape_or_type_are_refused() -> None:
    fast = Captured(Toy(), rehearsed)
    fast(*pair(1))
    with pytest.raises(ShapeMismatch):
        fast(torch.zeros(1, 16, 16, 3, dtype=torch.uint8), crops(1, 1))
    with pytest.raises(ShapeMismatch):
        fast(*(x.float() for x in pair(1)))


@torch.inference_mode()
def test_a_copy_records_anew_with_its_own_weights() -> None:
    pool = GraphPool()
    fast = Captured(Toy(), rehearsed, pool=pool)
    fast(*pair(2))
    twin = copy.deepcopy(fast)
    twin.net.conv.weight.zero_()
    assert not torch.allclose(twin(*pair(2))[1], fast(*pair(2))[1])
    agree(twin(*pair(2)), twin.net(*pair(2)))
    assert pool.counts.captured == 2


# --- with a GPU -----------------------------------------------------------------------------------


def on_gpu(batch: int, seed: int = 0) -> tuple[Tensor, ...]:
    return tuple(x.cuda() for x in pair(batch, seed))


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")
@torch.inference_mode()
def test_cuda_graphs_answer_like_the_network() -> None:
    net = Toy().cuda()
    fast = accelerated(net, RuntimeSettings())
    assert isinstance(fast, Captured)
    for batch in (3, 1, 5, 70):
        for ours, theirs in zip(fast(*on_gpu(batch)), net(*on_gpu(batch)), strict=True):
            torch.testing.assert_close(ours, theirs, atol=1e-3, rtol=1e-3)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")
@torch.inference_mode()
def test_cuda_graphs_are_recorded_once_and_played_back_without_waiting() -> None:
    pool = GraphPool()
    fast = Bucketed(Toy().cuda(), pool=pool)
    inputs = {batch: on_gpu(batch) for batch in (1, 2, 3)}
    for given in inputs.values():
        fast(*given)
    recorded = pool.counts.captured
    torch.cuda.synchronize()
    torch.cuda.set_sync_debug_mode("error")
    try:
        for given in inputs.values():
            fast(*given)
    finally:
        torch.cuda.set_sync_debug_mode("default")
    counts = pool.counts
    assert (recorded, counts.captured, counts.replayed) == (3, 3, 6)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")
@torch.inference_mode()
def test_a_network_that_waits_for_the_gpu_cannot_be_recorded_and_still_answers() -> None:
    class Waiting(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.scale = nn.Parameter(torch.ones(1))

        def forward(self, x: Tensor) -> Tensor:
            return x * self.scale * (1.0 if float(x.sum()) > 0 else -1.0)

    net, pool = Waiting().cuda(), GraphPool()
    fast = Bucketed(net, pool=pool)
    x = torch.rand(3, 2, device="cuda")
    for _ in range(2):
        torch.testing.assert_close(fast(x), net(x))
    assert pool.counts.fallen_back[FallBack.REFUSED] == 2
    other = Bucketed(Toy().cuda(), pool=pool)
    other(*on_gpu(2))
    assert pool.counts.captured == 1, "others can still be recorded"


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")
@torch.inference_mode()
def test_a_graph_that_two_lanes_play_back_in_turns_answers_each_its_own() -> None:
    net, lanes = Toy().cuda(), lanes_of("cuda")
    fast = Bucketed(net, pool=GraphPool())
    fast(*on_gpu(2))
    torch.cuda.synchronize()
    answers = []
    for turn in range(20):
        lane = (lanes.encode, lanes.head)[turn % 2]
        with lane():
            answers.append(fast(*on_gpu(2, turn))[1])
    torch.cuda.synchronize()
    for turn, answer in enumerate(answers):
        torch.testing.assert_close(answer, net(*on_gpu(2, turn))[1], atol=1e-3, rtol=1e-3)
