"""Networks whose calls are recorded once for each of a few batch sizes, and then played back.

Launching hundreds of small kernels is what costs on an accelerator; a CUDA graph launches them all
at once. What a recorded call reads and writes stays where it is, so a batch is copied into the
inputs of the next larger size, `bucket`, and its answers are copied out. Rows beyond the batch are
zero, never somebody's earlier faces.

Nothing here knows CUDA but `cuda_graph`. `rehearsed` plays back on any device as a graph would: out
of the same tensors, into the same tensors, with the weights' memory that it was recorded with.

A recorded call is believed only after it has answered like the network, without its last row, on a
probe. Whatever cannot be recorded, or answers differently, is called as it is from then on.
"""

from __future__ import annotations

import copy
import weakref
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.func import functional_call

from styleflow.errors import ShapeMismatch
from styleflow.graph_pool import FallBack, GraphPool, process_pool
from styleflow.lanes import Mark, follow, here

GRAPH_SIZES = (1, 2, 4, 8, 16, 32, 64)
"""Batch sizes that are recorded; larger batches go in several pieces."""

PROBE_TOLERANCES = {torch.float16: 5e-2, torch.bfloat16: 5e-2}
PROBE_TOLERANCE = 5e-3
"""Largest difference from the network on the probe, relative to its largest answer or 1; for types
not named above. A GPU multiplies with ten bits of mantissa unless told otherwise, and adds up in
another order for another batch size."""

Answer = Tensor | tuple[Tensor, ...]
"""What a network without memory returns: one tensor or several."""

Play = Callable[[], Answer]
"""Does a recorded call again, on whatever its inputs hold now; its answers are overwritten by the
next time."""

Capture = Callable[[nn.Module, tuple[Tensor, ...]], Play]
"""Records a network's call on some inputs that stay where they are."""

Signature = tuple[tuple[tuple[int, ...], torch.dtype], ...]
"""Shape without the batch, and type, of every input."""


def bucket(batch: int, sizes: Sequence[int]) -> int:
    """Return the smallest of some ascending sizes that holds a batch.

    Raises:
        ValueError: none does.
    """
    for size in sizes:
        if size >= batch:
            return size
    raise ValueError(f"a batch of {batch} does not fit into {sizes[-1]}")


def signature_of(inputs: Sequence[Tensor]) -> Signature:
    """Return what items of a batch look like."""
    return tuple((tuple(x.shape[1:]), x.dtype) for x in inputs)


def changed(signature: Signature, inputs: Sequence[Tensor]) -> ShapeMismatch:
    """Return the error of inputs that are not like those before."""
    expected = ", ".join(f"(B, {', '.join(map(str, s))}) {t}" for s, t in signature)
    return ShapeMismatch("inputs of a compiled network", expected, inputs[0].shape)


@dataclass(slots=True, eq=False)
class _Recording:
    """One recorded call.

    Attributes:
        inputs: which it reads.
        play: does it again.
        filled: rows of the inputs that may be other than zero.
        left: where whoever played it last was done with its inputs and answers.
    """

    inputs: tuple[Tensor, ...]
    play: Play
    filled: int = 0
    left: Mark | None = None

    def __call__(self, inputs: Sequence[Tensor]) -> Answer:
        """Return the answers of a batch that fits, as new tensors."""
        batch = len(inputs[0])
        if self.left is not None:
            follow(self.left)  # it may have been played on another lane
        for held, given in zip(self.inputs, inputs, strict=True):
            held[:batch].copy_(given, non_blocking=True)
            if batch < self.filled:
                held[batch : self.filled].zero_()
        self.filled = batch
        answer = _cut(self.play(), batch)
        self.left = here(inputs[0].device)
        return answer


@dataclass(slots=True, eq=False)
class _Held:
    """Recorded calls by their sizes, and room in a pool, which is given back with them."""

    pool: GraphPool
    calls: dict[int, _Recording] = field(default_factory=dict)

    def forget(self) -> None:
        """Give everything up."""
        self.pool.release(len(self.calls))
        self.calls.clear()


class Bucketed:
    """A network that is played back for batches of any size; called like the network.

    One thread calls it. Items of a batch must not know of one another.

    Args:
        net: in evaluation mode, on its device; see `styleflow.runtime.accelerated`.
        capture: records a call; a CUDA graph unless given.
        sizes: batch sizes to record, ascending.
        pool: bounds and counts; the process's unless given.
        name: what the log calls it; the class's name unless given.

    Attributes:
        pool: where its calls are counted.
    """

    def __init__(
        self,
        net: nn.Module,
        capture: Capture | None = None,
        sizes: Sequence[int] = GRAPH_SIZES,
        pool: GraphPool | None = None,
        name: str = "",
    ) -> None:
        self.net = net
        self.name = name or type(net).__name__
        self._capture = capture or cuda_graph
        self._sizes = tuple(sizes)
        self.pool = pool or process_pool()
        self._held = _Held(self.pool)
        weakref.finalize(self, self._held.forget)
        self._signature: Signature | None = None
        self._refused: FallBack | None = None
        self._owners: tuple[tuple[nn.Module, str], ...] = ()
        self._arithmetic: tuple[Any, ...] = ()

    def __deepcopy__(self, memo: dict[int, Any]) -> Bucketed:
        """Return a copy that records anew: what is recorded belongs to this network's tensors."""
        net = copy.deepcopy(self.net, memo)
        return Bucketed(net, self._capture, self._sizes, self.pool, self.name)

    def __call__(self, *inputs: Tensor) -> Answer:
        """Return what the network returns, as new tensors.

        Raises:
            ShapeMismatch: items of another shape or type than at the first call.
        """
        signature = signature_of(inputs)
        if self._signature is None:
            self._signature = signature
        if signature != self._signature:
            raise changed(self._signature, inputs)
        if len(inputs[0]) == 0:
            return cast(Answer, self.net(*inputs))
        self._follow_weights()
        pieces = zip(*(torch.split(x, self._sizes[-1]) for x in inputs), strict=True)
        answers = [self._answer(piece) for piece in pieces]
        if len(answers) == 1:
            return answers[0]
        if isinstance(answers[0], Tensor):
            return torch.cat(cast(list[Tensor], answers))
        return tuple(torch.cat(parts) for parts in zip(*answers, strict=True))

    def _answer(self, inputs: Sequence[Tensor]) -> Answer:
        recording = self._recording(inputs)
        if recording is None:
            return cast(Answer, self.net(*inputs))
        self.pool.replayed()
        return recording(inputs)

    def _recording(self, inputs: Sequence[Tensor]) -> _Recording | None:
        """Return what plays a batch back; None, counted, when nothing does."""
        if self._refused is not None:
            self.pool.fell_back(self.name, self._refused)
            return None
        size = bucket(len(inputs[0]), self._sizes)
        known = self._held.calls.get(size)
        if known is not None:
            return known
        if self.pool.reserve():
            return self._record(size, inputs)
        larger = [other for other in sorted(self._held.calls) if other > size]
        if larger:
            return self._held.calls[larger[0]]
        self.pool.fell_back(self.name, FallBack.FULL, f"{self.pool.most} calls are recorded")
        return None

    def _record(self, size: int, like: Sequence[Tensor]) -> _Recording | None:
        """Record a call in the room that was reserved, and try it on a probe."""
        with torch.inference_mode(mode=False):  # they are written in any mode later
            held = tuple(x.new_zeros(size, *x.shape[1:]) for x in like)
        try:
            recording = _Recording(held, self._capture(self.net, held))
            apart = self._apart(recording)
        except RuntimeError as error:
            self._refuse(FallBack.REFUSED, str(error))
            return None
        if apart > 1.0:
            self._refuse(FallBack.DIFFERS, f"{apart:.3g} times what is allowed")
            return None
        self.pool.captured()
        self._held.calls[size] = recording
        return recording

    def _refuse(self, why: FallBack, said: str) -> None:
        """Never record this network again; what it holds is given up."""
        self.pool.release()
        self._held.forget()
        self._refused = why
        self.pool.fell_back(self.name, why, said.partition("\n")[0])

    def _apart(self, recording: _Recording) -> float:
        """Return how far a recorded call is from the network, in multiples of what is allowed.

        The network is not shown the last row, so that one whose items know of one another differs.
        """
        probe = tuple(_noise(x) for x in recording.inputs)
        shown = max(len(probe[0]) - 1, 1)
        played = _parts(_cut(recording(probe), shown))
        wanted = _parts(cast(Answer, self.net(*(x[:shown] for x in probe))))
        recording([x[:0] for x in probe])  # nothing of the probe stays
        return max(_distance(a, b) for a, b in zip(played, wanted, strict=True))

    def _follow_weights(self) -> None:
        """Give up what was recorded with weights that have moved, or for another arithmetic."""
        if not self._owners:
            self._owners = _owners(self.net)
        arithmetic = (
            tuple(cast(Tensor, getattr(owner, name)).data_ptr() for owner, name in self._owners),
            torch.get_float32_matmul_precision(),
            torch.is_autocast_enabled("cuda"),
        )
        if arithmetic != self._arithmetic:
            self._held.forget()
            self._arithmetic = arithmetic


class Captured(nn.Module):
    """A network in whose place its recorded calls are played back; see `Bucketed` and its args."""

    def __init__(
        self,
        net: nn.Module,
        capture: Capture | None = None,
        sizes: Sequence[int] = GRAPH_SIZES,
        pool: GraphPool | None = None,
        name: str = "",
    ) -> None:
        super().__init__()
        self.net = net
        self.bucketed = Bucketed(net, capture, sizes, pool, name)

    def forward(self, *inputs: Tensor) -> Answer:
        """Return what the network returns, as new tensors.

        Raises:
            ShapeMismatch: items of another shape or type than at the first call.
        """
        return self.bucketed(*inputs)


class Method(nn.Module):
    """A method as a network of its own.

    Args:
        call: the bound method.
        network: whose weights it computes with.
    """

    def __init__(self, call: Callable[..., Answer], network: nn.Module) -> None:
        super().__init__()
        self.network = network
        self.owner: Any = call.__self__  # type: ignore[attr-defined]
        self._method = call.__name__

    def forward(self, *inputs: Tensor) -> Answer:
        """Return what the method returns."""
        method = getattr(type(self.owner), self._method)
        return cast(Answer, method(self.owner, *inputs))


def capture_steps(
    detector: object, capture: Capture | None = None, pool: GraphPool | None = None
) -> None:
    """Have the methods that a detector names in `steps` played back; in place, for good.

    They are without side effects, and items of a batch do not know of one another. The weights are
    the detector's, or those of its `network`; batches are at most `at_once`, where that is said.
    What it names in `stepping` has steps of its own.
    """
    network = network_of(detector)
    most = getattr(detector, "at_once", GRAPH_SIZES[-1])
    for name in getattr(detector, "steps", ()):
        assert network is not None, "steps have weights"
        step = Bucketed(
            Method(getattr(detector, name), network),
            capture,
            [size for size in GRAPH_SIZES if size <= most],
            pool,
            name=f"{type(detector).__name__}.{name}",
        )
        setattr(detector, name, step)
    for name in getattr(detector, "stepping", ()):
        capture_steps(getattr(detector, name), capture, pool)


def network_of(detector: object) -> nn.Module | None:
    """Return the network with a detector's weights: itself, or what it calls its network."""
    network = detector if isinstance(detector, nn.Module) else getattr(detector, "network", None)
    return network if isinstance(network, nn.Module) else None


def cuda_graph(net: nn.Module, inputs: tuple[Tensor, ...]) -> Play:
    """Record a call as a CUDA graph, after the runs on a side stream that CUDA asks for."""
    with torch.cuda.device(inputs[0].device):
        return _cuda_graph(net, inputs)


def _cuda_graph(net: nn.Module, inputs: tuple[Tensor, ...]) -> Play:
    side = torch.cuda.Stream()  # type: ignore[no-untyped-call]
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        for _ in range(3):
            net(*inputs)
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    # Other threads go on decoding; what they ask of the device is none of this.
    with torch.cuda.graph(graph, capture_error_mode="thread_local"):
        answer = net(*inputs)

    def play() -> Answer:
        graph.replay()
        return cast(Answer, answer)

    return play


def rehearsed(net: nn.Module, inputs: tuple[Tensor, ...]) -> Play:
    """Record a call on any device: played back like a CUDA graph, but not any faster."""
    weights = {
        name: tensor.detach() for name, tensor in (*net.named_parameters(), *net.named_buffers())
    }
    said = cast(Answer, functional_call(net, weights, inputs))
    with torch.inference_mode(mode=False):  # they are written in any mode later
        held = tuple(torch.empty_like(part) for part in _parts(said))

    def play() -> Answer:
        for place, now in zip(held, _parts(functional_call(net, weights, inputs)), strict=True):
            place.copy_(now)
        return held[0] if isinstance(said, Tensor) else held

    return play


def _owners(net: nn.Module) -> tuple[tuple[nn.Module, str], ...]:
    """Return where every weight of a network is found, so that a replaced one is seen."""
    return tuple(
        (module, name)
        for module in net.modules()
        for name, _ in (
            *module.named_parameters(recurse=False),
            *module.named_buffers(recurse=False),
        )
    )


def _parts(answer: Answer) -> tuple[Tensor, ...]:
    return (answer,) if isinstance(answer, Tensor) else answer


def _cut(answer: Answer, rows: int) -> Answer:
    """Return the first rows of an answer, as new tensors."""
    if isinstance(answer, Tensor):
        return answer[:rows].clone()
    return tuple(part[:rows].clone() for part in answer)


def _noise(like: Tensor) -> Tensor:
    """Return noise over a type's usual range, the same each time."""
    rng = np.random.default_rng(0)
    if like.dtype.is_floating_point:
        values = rng.random(tuple(like.shape), np.float32)
        return torch.from_numpy(values).to(like.device, like.dtype)
    whole = rng.integers(0, 256, tuple(like.shape), dtype=np.uint8)
    return torch.from_numpy(whole).to(like.device, like.dtype)


def _distance(found: Tensor, wanted: Tensor) -> float:
    """Return the largest difference relative to the largest wanted value or 1, over the allowed."""
    ours, theirs = found.double().cpu(), wanted.double().cpu()
    if ours.shape != theirs.shape:
        return float("inf")
    scale = max(1.0, float(theirs.abs().max())) if theirs.numel() else 1.0
    difference = float((ours - theirs).abs().max()) / scale if theirs.numel() else 0.0
    if difference != difference:  # not a number
        return float("inf")
    return difference / PROBE_TOLERANCES.get(wanted.dtype, PROBE_TOLERANCE)
