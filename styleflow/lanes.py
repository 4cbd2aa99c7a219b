"""Lanes of an accelerator: queues of work that run beside each other, and marks that order them.

On CUDA a lane is a stream and a mark an event. Elsewhere whatever is asked for is done at once, so
a lane does nothing and a mark says nothing: whoever uses lanes is written once.

Three lanes there are for each device, the same for everybody in the process: pictures arrive on
`decode`, networks without memory run on `encode`, and what remembers runs on `head`. Work of one
lane keeps its order. Work of another comes after a mark only if it says so. A tensor that was made
on one lane and is read on another is `keep`t there, or its memory would be given away too soon.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from functools import cache
from typing import Protocol

import torch
from torch import Tensor

HEAD_PRIORITY = -1
"""Of the lane whose answers are waited for; the others' is 0, and lower goes first."""


class Mark(Protocol):
    """A place in a lane's work."""

    def wait(self) -> None:
        """Block the calling thread until the lane has come here."""
        ...


class Lane(Protocol):
    """A queue of work."""

    def __call__(self) -> AbstractContextManager[None]:
        """Put what the calling thread asks for until this is left into this lane."""
        ...

    def mark(self) -> Mark:
        """Return the place behind everything that was put in so far."""
        ...

    def after(self, *marks: Mark) -> None:
        """Have what is put in from now on begin behind these places; nobody is blocked."""
        ...

    def keep(self, *tensors: Tensor) -> None:
        """Have tensors of other lanes live until what was put in so far is done."""
        ...


@dataclass(frozen=True, slots=True)
class Lanes:
    """Lanes of one device.

    Attributes:
        decode: on which pictures arrive: decoded there, or uploaded.
        encode: of networks without memory.
        head: of whatever remembers, and of the answers.
        beside: whether work that was put in is done while the thread goes on.
    """

    decode: Lane
    encode: Lane
    head: Lane
    beside: bool

    def settle(self) -> None:
        """Have every lane begin behind what was done without lanes, such as filling tensors."""
        if self.beside:
            torch.cuda.synchronize()


class _Reached:
    """A place that was reached when it was made."""

    def wait(self) -> None:
        """Return at once."""


class _NoLane:
    """Work that is done when it is asked for."""

    def __call__(self) -> AbstractContextManager[None]:
        return nullcontext()

    def mark(self) -> Mark:
        return _Reached()

    def after(self, *marks: Mark) -> None:
        """Everything was done before."""

    def keep(self, *tensors: Tensor) -> None:
        """Nobody gives memory away that is still read."""


class _Event:
    """A place in a CUDA stream."""

    def __init__(self, stream: torch.cuda.Stream) -> None:
        self.device = stream.device
        self.event = torch.cuda.Event()  # type: ignore[no-untyped-call]
        self.event.record(stream)

    def wait(self) -> None:
        """Block the calling thread until the stream has come here."""
        self.event.synchronize()


class _Stream:
    """A CUDA stream as a lane."""

    def __init__(self, device: torch.device, priority: int = 0) -> None:
        self._stream = torch.cuda.Stream(device, priority)  # type: ignore[no-untyped-call]

    @contextmanager
    def __call__(self) -> Iterator[None]:
        with torch.cuda.stream(self._stream):
            yield

    def mark(self) -> Mark:
        return _Event(self._stream)

    def after(self, *marks: Mark) -> None:
        for mark in marks:
            if isinstance(mark, _Event):
                self._stream.wait_event(mark.event)

    def keep(self, *tensors: Tensor) -> None:
        for tensor in tensors:
            tensor.record_stream(self._stream)


def lanes_of(device: torch.device | str) -> Lanes:
    """Return the lanes of a device, the same ones each time."""
    wanted = torch.device(device)
    if wanted.type == "cuda" and wanted.index is None:
        wanted = torch.device("cuda", torch.cuda.current_device())
    return _lanes(wanted)


@cache
def _lanes(device: torch.device) -> Lanes:
    if device.type != "cuda":
        return Lanes(_NoLane(), _NoLane(), _NoLane(), beside=False)
    head = _Stream(device, HEAD_PRIORITY)
    return Lanes(_Stream(device), _Stream(device), head, beside=True)


def here(device: torch.device) -> Mark:
    """Return the place behind everything that the calling thread has asked of a device so far."""
    return _Event(torch.cuda.current_stream(device)) if device.type == "cuda" else _Reached()


def follow(mark: Mark) -> None:
    """Have what the calling thread asks for from now on begin behind a place."""
    if isinstance(mark, _Event):
        torch.cuda.current_stream(mark.device).wait_event(mark.event)


def sent(
    values: Sequence[int] | Sequence[bool],
    device: torch.device,
    dtype: torch.dtype = torch.int64,
) -> Tensor:
    """Return numbers, `(N,)`, on a device, without waiting until they are there."""
    pinned = device.type == "cuda"
    # Page-locked memory of torch's own pool, which gives it away only once the copy has left it.
    return torch.tensor(values, dtype=dtype, pin_memory=pinned).to(device, non_blocking=True)
