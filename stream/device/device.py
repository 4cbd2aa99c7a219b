"""The accelerator, seen from the rest of `stream`: plans in, ratings out.

One thread owns a `Device` and calls `run`; only `stats` may be read from elsewhere. All crops of a
run travel to the device in one copy, and all logits travel back in one, which is the only thing
that is ever waited for.

`run` is `begin` and `finish`. What a detector sees in a frame depends on that frame alone, so
`begin` begins the looks of a run, and whoever owns the device may do something else while they are
computed. Where there are lanes (`styleflow.lanes`), the rest is put behind the looks at once, and
`finish` only waits for the logits; on a CPU `finish` does whatever must keep its order.
"""

from __future__ import annotations

import math
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor

from stream.device.download import Downloader
from stream.device.schedule import PushRow, RateRow, Schedule, schedule
from stream.device.slots import Slots
from stream.device.state import State
from stream.device.upload import Uploader
from stream.engine.plan import Plan, Ratings, TrackKey
from styleflow.detectors.protocol import Detector
from styleflow.errors import ShapeMismatch
from styleflow.faces.device_picture import Pixels
from styleflow.graphs import GRAPH_SIZES, bucket
from styleflow.lanes import Lanes, Mark, lanes_of
from styleflow.overlay import Patch

MAX_BATCH = 64
"""Crops per call of the network; more are fed in several calls, so that memory stays bounded."""

_WARM_UP_BATCHES = (1, 2, 4, 8)

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class DeviceStats:
    """What a device has done so far; a snapshot.

    Attributes:
        slots: tracks that can be held at the same time.
        used: tracks that are held.
        runs: calls of `run`.
        pushes: frames fed.
        reanchors: frames replaced by the same frame under a new anchor.
        rates: logits returned.
        undefined: logits that were asked for and were not a number, as before a full window.
        refusals: frames not fed because all slots were taken.
        batches: how often each number of crops was fed in one call.
        transfers: copies of logits from the device.
    """

    slots: int
    used: int = 0
    runs: int = 0
    pushes: int = 0
    reanchors: int = 0
    rates: int = 0
    undefined: int = 0
    refusals: int = 0
    batches: Mapping[int, int] = field(default_factory=lambda: MappingProxyType({}))
    transfers: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class Looks:
    """Looks of a run that were begun.

    Attributes:
        finish: waits for what is seen, if the thread has to.
        seen: place behind them in their lane.
    """

    finish: Callable[[], tuple[Tensor, ...]]
    seen: Mark


@dataclass(frozen=True, slots=True, eq=False)
class Asked:
    """Logits of a run on their way back.

    Attributes:
        rows: whose.
        arrived: waits for them.
    """

    rows: tuple[RateRow, ...]
    arrived: Callable[[], list[float]]


@dataclass(frozen=True, slots=True, eq=False)
class Begun:
    """A run whose looks were begun.

    Attributes:
        plans: what was asked for.
        todo: in which order.
        crops: on the device, batch by batch in the order of their use.
        there: place behind the crops in their lane.
        looks: at those that are looked at; None when none was begun.
        asked: logits; None when they are asked for at the end.
    """

    plans: tuple[Plan, ...]
    todo: Schedule
    crops: tuple[Tensor, ...]
    there: Mark
    looks: Looks | None
    asked: Asked | None = None


class Device:
    """Runs plans on one detector whose per-track state never leaves the accelerator.

    Args:
        detector: built for `torch_device`.
        slots: how many tracks can be held at the same time; memory for all is taken at once.
        torch_device: where the detector's weights live, such as `cpu` or `cuda:0`.
        threads: CPU threads of torch in this process; torch's own choice when None.
        lanes: order the work; those of `torch_device` when None.
    """

    def __init__(
        self,
        detector: Detector,
        slots: int,
        torch_device: str = "cpu",
        threads: int | None = None,
        lanes: Lanes | None = None,
    ) -> None:
        if threads is not None:
            torch.set_num_threads(threads)
        self.detector = detector
        self._device = torch.device(torch_device)
        self._lanes = lanes or lanes_of(self._device)
        self._send = Uploader(self._device)
        self._fetch = Downloader(self._device)
        self._slots = Slots(slots)
        with torch.inference_mode():
            self._state = State(detector, slots, self._device)
        self._lanes.settle()
        self._stats = DeviceStats(slots)
        self._batches: Counter[int] = Counter()

    @property
    def stats(self) -> DeviceStats:
        """What this device has done until the end of the latest run; safe from any thread."""
        return self._stats

    def run(self, plans: Sequence[Plan]) -> tuple[Ratings, ...]:
        """Do what plans ask for and return one answer per plan, in their order.

        Tracks of all plans share batches. Several plans of one stream take effect one after the
        other. A track without a slot is refused; a rate of a track that nobody pushed is left out
        of the answer, and so is a logit that is not a number.

        Raises:
            ShapeMismatch: a crop is not what the detector takes; nothing has been done.
            RuntimeError: the accelerator failed; every track of these plans has lost its history.
        """
        return self.finish(self.begin(plans))

    def begin(self, plans: Sequence[Plan]) -> Begun:
        """Begin a run: give tracks their slots, copy crops to the device, begin the looks.

        Its `finish` comes before the next `begin`. Raises as `run`.
        """
        for plan in plans:
            for push in plan.pushes:
                self._check(push.image)
                if push.reanchored is not None:
                    self._check(push.reanchored)
        with _computing():
            todo = schedule(plans, self._slots)
            try:
                with self._lanes.decode():
                    crops = tuple(self._upload(todo))
                    there = self._lanes.decode.mark()
                looks = self._begin_looks(todo, crops, there)
                begun = Begun(tuple(plans), todo, crops, there, looks)
                return replace(begun, asked=self._ask(begun)) if self._lanes.beside else begun
            except BaseException:
                self.abandon(plans)
                raise

    def finish(self, begun: Begun) -> tuple[Ratings, ...]:
        """Do the rest of a run and return its answers; see `run`.

        Raises:
            RuntimeError: the accelerator failed; every track of these plans has lost its history.
        """
        todo = begun.todo
        with _computing():
            try:
                asked = begun.asked or self._ask(begun)
                logits = list(zip(asked.rows, asked.arrived(), strict=True))
            except BaseException:
                self.abandon(begun.plans)
                raise
        answers = tuple(
            Ratings(plan.number, rated, refused, self._slots.capacity)
            for plan, rated, refused in zip(
                begun.plans, _by_plan(logits, len(begun.plans)), todo.refused, strict=True
            )
        )
        self._count(todo, len(logits), sum(len(answer.logits) for answer in answers))
        return answers

    def abandon(self, plans: Sequence[Plan]) -> None:
        """Have tracks begin anew at their next push: nobody knows how far these plans came."""
        for plan in plans:
            for push in plan.pushes:
                self._slots.release(push.key)

    @staticmethod
    def prepare_thread() -> None:
        """Make the calling thread flush denormals in whatever it computes.

        `run` does so for its own duration; a thread that also detects faces wants it throughout.
        """
        torch.set_flush_denormal(True)

    def warm_up(self) -> None:
        """Run the network once per usual batch size, so that the first frames are not late.

        On a GPU that is each size that is recorded and that as many tracks as there are can fill.
        """
        size = self.detector.clip.size_px
        batches: Sequence[int] = _WARM_UP_BATCHES
        if self._lanes.beside:
            most = bucket(min(self._slots.capacity, MAX_BATCH), GRAPH_SIZES)
            batches = [batch for batch in GRAPH_SIZES if batch <= most]
        with _computing(), self._lanes.head():
            state = self.detector.init_state(max(batches))
            for batch in batches:
                rows = torch.arange(batch, device=self._device)
                crops = torch.zeros(batch, size, size, 3, dtype=torch.uint8, device=self._device)
                self.detector.clear(state, rows)
                self.detector.push(state, rows, crops, torch.zeros_like(rows))
                rated = self.detector.rate(state, rows).cpu()
            if self._lanes.beside and not bool(rated.isfinite().all()):
                self._warm_windows(state, batches)

    def _warm_windows(self, state: Any, batches: Sequence[int]) -> None:
        """Rate full windows of each size, of a detector that rates no others."""
        size, most = self.detector.clip.size_px, max(batches)
        rows = torch.arange(most, device=self._device)
        crops = torch.zeros(most, size, size, 3, dtype=torch.uint8, device=self._device)
        for _ in range(self.detector.clip.frames):
            self.detector.push(state, rows, crops, torch.zeros_like(rows))
        for batch in batches:
            self.detector.rate(state, rows[:batch]).cpu()

    def explain(self, keys: Sequence[TrackKey]) -> Mapping[TrackKey, tuple[Patch, ...]]:
        """Return what the detector points at in the newest crop of tracks that have a slot.

        A detector that cannot say points at nothing. It costs about as much as another rating.
        """
        slots = {key: slot for key in keys if (slot := self._slots.lookup(key)) is not None}
        with _computing(), self._lanes.head():
            found = self._state.patches(list(slots.values()))
        return dict(zip(slots, found, strict=True))

    def healthy(self) -> bool:
        """Return whether the device still computes; a broken CUDA context never recovers."""
        try:
            return float(torch.ones(2, device=self._device).sum()) == 2.0
        except RuntimeError:
            return False

    def _check(self, image: Pixels) -> None:
        size = self.detector.clip.size_px
        if image.shape != (size, size, 3) or image.dtype != np.uint8:
            raise ShapeMismatch("aligned crop", f"({size}, {size}, 3) uint8", image.shape)

    def _begin_looks(self, todo: Schedule, crops: Sequence[Tensor], there: Mark) -> Looks | None:
        """Begin every look of a run, unless there are more than memory is meant for."""
        looked: list[Tensor] = []
        batches = iter(crops)
        for turn in todo.rounds:
            for pushes in _chunks(turn.pushes):
                batch = next(batches)
                if any(row.push.reanchored is not None for row in pushes):
                    next(batches)
                looked += [crop for crop, row in zip(batch, pushes, strict=True) if _looks(row)]
        if not 0 < len(looked) <= MAX_BATCH:
            return None
        encode = self._lanes.encode
        with encode():
            encode.after(there)
            finish = self._state.begin_looks(torch.stack(looked))
            encode.keep(*crops)
            return None if finish is None else Looks(finish, encode.mark())

    def _ask(self, begun: Begun) -> Asked:
        """Do whatever must keep its order, and begin to fetch the logits."""
        head = self._lanes.head
        with head():
            head.after(begun.there)
            seen = None
            if begun.looks is not None:
                seen = begun.looks.finish()
                head.after(begun.looks.seen)
            rows, logits = self._execute(begun, seen)
            head.keep(*begun.crops, *(seen or ()))
            return Asked(tuple(rows), self._fetch.begin(logits))

    def _execute(
        self, begun: Begun, seen: tuple[Tensor, ...] | None
    ) -> tuple[list[RateRow], list[Tensor]]:
        """Return what was asked for and the logits, `(B,)` each, on the device."""
        crops = iter(begun.crops)
        rated: list[RateRow] = []
        logits: list[Tensor] = []
        for turn in begun.todo.rounds:
            for pushes in _chunks(turn.pushes):
                if seen is None:
                    self._push(pushes, crops, None)
                    continue
                count = sum(map(_looks, pushes))
                self._push(pushes, crops, tuple(part[:count] for part in seen))
                seen = tuple(part[count:] for part in seen)
            for rates in _chunks(turn.rates):
                rated += rates
                logits.append(self._state.rate([rate.slot for rate in rates]))
        return rated, logits

    def _push(
        self,
        pushes: Sequence[PushRow],
        crops: Iterator[Tensor],
        seen: tuple[Tensor, ...] | None,
    ) -> None:
        fresh = [row.slot for row in pushes if row.clear]
        if fresh:
            self._state.clear(fresh)
        missing = [row.push.missing for row in pushes]
        looks = [_looks(row) for row in pushes]
        self._state.push([row.slot for row in pushes], next(crops), missing, looks, seen)
        moved = [row.slot for row in pushes if row.push.reanchored is not None]
        if moved:
            self._state.reanchor(moved, next(crops))
        self._batches[len(pushes)] += 1

    def _upload(self, todo: Schedule) -> Iterator[Tensor]:
        """Copy every crop of a run at once; yield the batches in the order of their use."""
        batches: list[list[Pixels]] = []
        for turn in todo.rounds:
            for pushes in _chunks(turn.pushes):
                batches.append([row.push.image for row in pushes])
                moved = [r.push.reanchored for r in pushes if r.push.reanchored is not None]
                if moved:
                    batches.append(moved)
        if not batches:
            return iter(())
        uploaded = self._send([image for batch in batches for image in batch])
        return iter(torch.split(uploaded, [len(batch) for batch in batches]))

    def _count(self, todo: Schedule, asked: int, answered: int) -> None:
        rows = [row for turn in todo.rounds for row in turn.pushes]
        before = self._stats
        self._stats = DeviceStats(
            slots=self._slots.capacity,
            used=self._slots.used,
            runs=before.runs + 1,
            pushes=before.pushes + len(rows),
            reanchors=before.reanchors + sum(r.push.reanchored is not None for r in rows),
            rates=before.rates + answered,
            undefined=before.undefined + asked - answered,
            refusals=self._slots.refused,
            batches=MappingProxyType(dict(self._batches)),
            transfers=self._fetch.transfers,
        )


@contextmanager
def _computing() -> Iterator[None]:
    """Compute without gradients and without denormals, which make a frame several times slower.

    Flushing them is a setting of the calling thread, whose other arithmetic keeps IEEE's rules.
    """
    flushed_before = sys.float_info.min / 2 == 0.0
    torch.set_flush_denormal(True)
    try:
        with torch.inference_mode():
            yield
    finally:
        torch.set_flush_denormal(flushed_before)


def _by_plan(
    logits: Sequence[tuple[RateRow, float]], plans: int
) -> tuple[dict[TrackKey, float], ...]:
    rated: tuple[dict[TrackKey, float], ...] = tuple({} for _ in range(plans))
    for row, logit in logits:
        if math.isfinite(logit):
            rated[row.plan][row.key] = logit
    return rated


def _looks(row: PushRow) -> bool:
    """Return whether a frame is looked at: a history's first one is, whatever the plan says."""
    return row.push.look or row.clear


def _chunks(values: Sequence[T]) -> Iterator[Sequence[T]]:
    for start in range(0, len(values), MAX_BATCH):
        yield values[start : start + MAX_BATCH]
