"""Batches over streams: the items that run together, and when. Pure: told the time, never waits.

Theory of operation. Each stream has a short queue in its own order. A batch is filled with the
queue heads that are due first, at most `per_stream` from one stream. A full queue lets its oldest
item go, and an item that has become too old is let go when a batch is taken; both are counted and
told to whoever gets the stream's next item.

A short burst waits and is worked off. But where more arrives than can be worked off, queues would
stand full for ever, and every item be late by their length for nothing: as many have to give way
anyhow. So once batch after batch has left behind items older than `budget_s`, for `patience_s`,
such items give way to their stream's newest one, until for `max_age_s` none had to.

Where large batches are cheap, a batch may be held back for `window_s`. `hold` says for how long
still. It closes when it is full or every stream is in it; when its oldest item is `window_s` old;
and at once when, at the rate at which items have been arriving, none is expected before that.
Nobody waits for a particular stream: one that has fallen silent costs the others at most the
window, and once the rate has shown its absence not even that.

A stream's place in the line is that of its first item since it was last served, even when that
item gave way to a newer one. And whatever deadlines say, an item is due `patience_s` after it
arrived. So no stream can be overtaken for ever.
"""

from __future__ import annotations

import heapq
import math
from collections import deque
from dataclasses import dataclass, field
from typing import Annotated, Generic, TypeVar

from pydantic import Field

from stream.errors import SettingInvalid

T = TypeVar("T")

_GAP_WEIGHT = 0.1  # of the newest gap in the running mean; cameras in step arrive in bursts


@dataclass(frozen=True, slots=True)
class BatcherSettings:
    """How streams share one device.

    Attributes:
        max_batch: items in one batch at most.
        per_stream: items of one stream in one batch at most.
        capacity: items of one stream that may wait; the oldest gives way.
        budget_s: seconds after its arrival at which an item is due, unless the offer says so.
        patience_s: seconds after its arrival at which any item is due, whatever its offer says; and
            for which items have been left behind that are due, before they give way to newer ones.
        max_age_s: seconds after its arrival beyond which an item is not worth running; and for
            which none must have had to give way so, before due items may wait again.
        window_s: seconds after its arrival that an item may be held back for others to join its
            batch; 0 never holds back. It pays on a GPU. On a CPU a batch costs what its items cost,
            and whatever arrives during one batch is the next.
    """

    max_batch: Annotated[int, Field(le=4096)] = 16
    per_stream: Annotated[int, Field(le=4096)] = 2
    capacity: Annotated[int, Field(le=4096)] = 4
    budget_s: Annotated[float, Field(le=3600, allow_inf_nan=False)] = 0.1
    patience_s: Annotated[float, Field(le=3600, allow_inf_nan=False)] = 0.5
    max_age_s: Annotated[float, Field(le=3600, allow_inf_nan=False)] = 1.5
    window_s: Annotated[float, Field(le=3600, allow_inf_nan=False)] = 0.0

    def __post_init__(self) -> None:
        for key in ("max_batch", "per_stream", "capacity"):
            if getattr(self, key) < 1:
                raise SettingInvalid(key, getattr(self, key), "must be at least 1")
        for key in ("budget_s", "patience_s", "max_age_s"):
            if not getattr(self, key) > 0:
                raise SettingInvalid(key, getattr(self, key), "must be more than 0 seconds")
        if not 0 <= self.window_s < self.max_age_s:
            rule = f"must be 0 or more, and less than max_age_s ({self.max_age_s})"
            raise SettingInvalid("window_s", self.window_s, rule)


@dataclass(frozen=True, slots=True)
class Item(Generic[T]):
    """One value whose turn has come.

    Attributes:
        stream: whose it is.
        value: what was offered.
        arrived: monotonic seconds at which it arrived.
        overrun: values of this stream let go since the previous one that was handed out.
        withheld: values that were not even offered since then, to save work.
    """

    stream: str
    value: T
    arrived: float
    overrun: int
    withheld: int = 0


@dataclass(frozen=True, slots=True)
class BatcherStats:
    """What a batcher has done so far; counters only grow.

    Attributes:
        batches: batches handed out; empty ones do not count.
        items: items in them.
        fill: mean share of `max_batch` that was used, 0..1.
        crowded: items that gave way to newer ones of their stream.
        stale: items that became too old.
        withheld: items that were not offered, to save work.
        waiting: items that wait now.
    """

    batches: int
    items: int
    fill: float
    crowded: int
    stale: int
    withheld: int
    waiting: int


@dataclass(slots=True)
class _Waiting(Generic[T]):
    value: T
    arrived: float
    due: float


@dataclass(slots=True)
class _Queue(Generic[T]):
    """One stream's items, and since when the stream has been waiting to be served."""

    items: deque[_Waiting[T]] = field(default_factory=deque)
    due: float | None = None
    overrun: int = 0
    withheld: int = 0

    def let_go(self) -> None:
        self.items.popleft()
        self.overrun += 1


class _Pace:
    """How often items arrive, from all streams together."""

    def __init__(self) -> None:
        self._last: float | None = None
        self._gap: float | None = None

    def arrive(self, at: float) -> None:
        """Learn of an arrival; streams' clocks of arrival may overtake each other a little."""
        if self._last is None:
            self._last = at
            return
        gap = max(at - self._last, 0.0)
        self._gap = gap if self._gap is None else self._gap + _GAP_WEIGHT * (gap - self._gap)
        self._last = max(self._last, at)

    def next_in(self, now: float) -> float:
        """Return in how many seconds the next item is expected; infinity while nobody knows."""
        if self._last is None or self._gap is None:
            return math.inf
        silent = now - self._last
        # Whoever is overdue is expected after as long again as the silence has lasted.
        return self._gap - silent if silent < self._gap else silent


class _Standing:
    """Whether queues stand: late items have been left behind for a while, by batch after batch.

    Args:
        patience_s: for how long.
        calm_s: for how long none must have had to give way before they stand no more.
    """

    def __init__(self, patience_s: float, calm_s: float) -> None:
        self._patience_s = patience_s
        self._calm_s = calm_s
        self._left_since: float | None = None
        self._let_go_at: float | None = None  # None: queues do not stand

    @property
    def holding(self) -> bool:
        """Whether queues stand."""
        return self._let_go_at is not None

    def let_go(self, now: float) -> None:
        """Learn that a late item had to give way."""
        self._let_go_at = now

    def learn(self, now: float, *, left: bool) -> None:
        """Learn whether the batch of this moment has left late items behind."""
        if self._let_go_at is not None and now - self._let_go_at >= self._calm_s:
            self._let_go_at = None
        if not left:
            self._left_since = None
        elif self._left_since is None:
            self._left_since = now
        elif self._let_go_at is None and now - self._left_since >= self._patience_s:
            self._let_go_at = now


class Batcher(Generic[T]):
    """Chooses what runs next, earliest due first.

    It takes no lock: whoever shares one between threads brings their own.

    Args:
        settings: sizes and times.
    """

    def __init__(self, settings: BatcherSettings) -> None:
        self.settings = settings
        self._queues: dict[str, _Queue[T]] = {}
        self._pace = _Pace()
        self._standing = _Standing(settings.patience_s, settings.max_age_s)
        self._batches = 0
        self._items = 0
        self._crowded = 0
        self._stale = 0
        self._withheld = 0

    def offer(self, stream: str, value: T, arrived: float, deadline: float | None = None) -> bool:
        """Put a value at the end of its stream's queue.

        Args:
            stream: whose it is.
            value: handed back by `take`.
            arrived: monotonic seconds at which it arrived.
            deadline: monotonic seconds by which it should run; None means `budget_s` after
                arrival. It only orders items: a late item still runs until it is too old.

        Returns:
            False when the stream's oldest item had to give way.
        """
        limits = self.settings
        self._pace.arrive(arrived)
        wanted = arrived + limits.budget_s if deadline is None else max(deadline, arrived)
        item = _Waiting(value, arrived, min(wanted, arrived + limits.patience_s))
        queue = self._queues.setdefault(stream, _Queue())
        if queue.due is None:
            queue.due = item.due
        crowded = len(queue.items) >= limits.capacity
        if crowded:
            queue.let_go()
            self._crowded += 1
        queue.items.append(item)
        return not crowded

    def withhold(self, stream: str) -> None:
        """Take note of a value that is not offered, to save work; the next one tells of it."""
        self._queues.setdefault(stream, _Queue()).withheld += 1
        self._withheld += 1

    def hold(self, now: float) -> float | None:
        """Return for how many seconds the next batch is still worth holding back.

        Args:
            now: monotonic seconds.

        Returns:
            0 when it should be taken at once, None when nothing waits.
        """
        waiting = [queue.items for queue in self._queues.values() if queue.items]
        if not waiting:
            return None
        left = min(items[0].arrived for items in waiting) + self.settings.window_s - now
        ready = sum(min(len(items), self.settings.per_stream) for items in waiting)
        full = ready >= self.settings.max_batch or len(waiting) == len(self._queues)
        return 0.0 if full or left <= 0 or self._pace.next_in(now) > left else left

    def take(self, now: float) -> list[Item[T]]:
        """Return the next batch, which is empty only if nothing worth running waits.

        Args:
            now: monotonic seconds.
        """
        line: list[tuple[float, int, str]] = []
        for place, (stream, queue) in enumerate(self._queues.items()):
            self._drop_stale(queue, now)
            if self._standing.holding:
                self._drop_late(queue, now)
            if queue.items and queue.due is not None:
                line.append((queue.due, place, stream))
        heapq.heapify(line)
        served: dict[str, int] = {}
        batch: list[Item[T]] = []
        while line and len(batch) < self.settings.max_batch:
            _, place, stream = heapq.heappop(line)
            queue = self._queues[stream]
            batch.append(self._serve(stream, queue))
            served[stream] = served.get(stream, 0) + 1
            if queue.due is not None and served[stream] < self.settings.per_stream:
                heapq.heappush(line, (queue.due, place, stream))
        self._rotate(served)
        self._standing.learn(now, left=any(self._is_late(q, now) for q in self._queues.values()))
        if batch:
            self._batches += 1
            self._items += len(batch)
        return batch

    def forget(self, stream: str) -> int:
        """Drop a stream and return how many of its items were waiting."""
        queue = self._queues.pop(stream, None)
        return 0 if queue is None else len(queue.items)

    @property
    def stats(self) -> BatcherStats:
        """What was done so far."""
        room = self._batches * self.settings.max_batch
        return BatcherStats(
            batches=self._batches,
            items=self._items,
            fill=self._items / room if room else 0.0,
            crowded=self._crowded,
            stale=self._stale,
            withheld=self._withheld,
            waiting=sum(len(queue.items) for queue in self._queues.values()),
        )

    def _drop_stale(self, queue: _Queue[T], now: float) -> None:
        while queue.items and now - queue.items[0].arrived > self.settings.max_age_s:
            queue.let_go()
            self._stale += 1

    def _is_late(self, queue: _Queue[T], now: float) -> bool:
        return bool(queue.items) and now - queue.items[0].arrived > self.settings.budget_s

    def _drop_late(self, queue: _Queue[T], now: float) -> None:
        """Let late items of a stream go, but for its newest."""
        while len(queue.items) > 1 and self._is_late(queue, now):
            queue.let_go()
            self._crowded += 1
            self._standing.let_go(now)

    @staticmethod
    def _serve(stream: str, queue: _Queue[T]) -> Item[T]:
        item = queue.items.popleft()
        overrun, queue.overrun = queue.overrun, 0
        withheld, queue.withheld = queue.withheld, 0
        queue.due = queue.items[0].due if queue.items else None
        return Item(stream, item.value, item.arrived, overrun, withheld)

    def _rotate(self, served: dict[str, int]) -> None:
        """Let streams that were just served lose the next tie."""
        for stream in served:
            self._queues[stream] = self._queues.pop(stream)
