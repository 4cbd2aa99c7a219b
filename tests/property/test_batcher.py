"""Laws of sharing one device, on invented cameras and invented stage times."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream.scheduling.batcher import Batcher, BatcherSettings


@dataclass
class Camera:
    """Offers an item every `period_s` from `first_s` on, until it falls silent."""

    name: str
    period_s: float
    first_s: float
    silent_at_s: float = 1e9

    def times(self, until: float) -> list[float]:
        count = int(max(until - self.first_s, 0.0) / self.period_s) + 1
        times = (self.first_s + n * self.period_s for n in range(count))
        return [at for at in times if at < min(until, self.silent_at_s)]


@dataclass
class Served:
    """What a run came to: per item the time at which it was taken, and how old it was then."""

    batcher: Batcher[float]
    offered: dict[str, int]
    taken: dict[str, list[float]] = field(default_factory=dict)
    ages: list[float] = field(default_factory=list)
    sizes: list[int] = field(default_factory=list)
    slowest_s: float = 0.0


def run(
    cameras: list[Camera],
    settings: BatcherSettings,
    batch_s: float,
    item_s: float,
    until: float = 4.0,
) -> Served:
    """Let a device that needs `batch_s` per batch and `item_s` per item serve some cameras."""
    batcher: Batcher[float] = Batcher(settings)
    arrivals = sorted((at, camera.name) for camera in cameras for at in camera.times(until))
    served = Served(batcher, {camera.name: len(camera.times(until)) for camera in cameras})
    now = free_at = 0.0
    while True:
        while arrivals and arrivals[0][0] <= now:
            at, name = arrivals.pop(0)
            batcher.offer(name, at, at)
        hold = batcher.hold(now)
        if hold is not None and hold <= 1e-9 and now >= free_at:
            batch = batcher.take(now)
            for item in batch:
                served.taken.setdefault(item.stream, []).append(now)
                served.ages.append(now - item.value)
            if batch:
                served.sizes.append(len(batch))
                took = batch_s + item_s * len(batch)
                served.slowest_s = max(served.slowest_s, took)
                free_at = now + took
                continue
        events = [free_at] if free_at > now else []
        events += [arrivals[0][0]] if arrivals else []
        events += [now + hold] if hold else []
        if not events:
            return served
        now = max(min(events), now + 1e-9)


cameras = st.lists(
    st.tuples(st.floats(0.02, 0.2), st.floats(0.0, 0.3), st.sampled_from([1e9, 1e9, 1.0])),
    min_size=1,
    max_size=12,
).map(lambda some: [Camera(f"c{n}", *one) for n, one in enumerate(some)])
windows = st.sampled_from([0.0, 0.01, 0.05])
costs = st.tuples(st.floats(0.001, 0.05), st.floats(0.0, 0.05))


@given(cameras, windows, costs, st.integers(1, 16))
def test_every_item_is_served_or_counted(
    some: list[Camera], window: float, cost: tuple[float, float], most: int
) -> None:
    """Nothing is lost silently, at any load."""
    served = run(some, BatcherSettings(max_batch=most, window_s=window), *cost)
    stats = served.batcher.stats
    taken = sum(len(times) for times in served.taken.values())
    assert taken == stats.items == sum(served.sizes)
    assert sum(served.offered.values()) == taken + stats.crowded + stats.stale + stats.waiting
    assert max(served.sizes, default=0) <= most
    if stats.batches:
        assert stats.fill == pytest.approx(taken / (stats.batches * most))


@given(cameras, windows, costs, st.integers(1, 16))
def test_age_is_bounded_at_any_load(
    some: list[Camera], window: float, cost: tuple[float, float], most: int
) -> None:
    """However slow the device: what has become too old is never run."""
    limits = BatcherSettings(max_batch=most, window_s=window)
    served = run(some, limits, *cost)
    assert max(served.ages, default=0.0) <= limits.max_age_s + 1e-6


@given(cameras, windows, st.integers(1, 8))
def test_nobody_starves(some: list[Camera], window: float, most: int) -> None:
    """At three times what the device can do, every stream is served again and again."""
    rate = sum(1 / camera.period_s for camera in some)
    limits = BatcherSettings(max_batch=most, window_s=window)
    served = run(some, limits, 0.0, 3 / rate)
    turns = -(-len(some) // most)
    longest = window + (turns + 1) * limits.per_stream * served.slowest_s
    longest += max(camera.period_s for camera in some) + limits.patience_s + limits.budget_s
    for camera in some:
        if camera.silent_at_s < 1e9:
            continue
        times = [camera.first_s, *served.taken.get(camera.name, [])]
        gaps = [b - a for a, b in zip(times, [*times[1:], 4.0], strict=True)]
        assert max(gaps) <= longest + 1e-6


@given(cameras, st.sampled_from([0.01, 0.05]))
def test_an_idle_device_never_waits_longer_than_the_window(
    some: list[Camera], window: float
) -> None:
    """Not even for cameras that have fallen silent."""
    served = run(some, BatcherSettings(window_s=window), 0.0, 0.0)
    assert max(served.ages, default=0.0) <= window + 1e-6


def test_a_window_fills_batches_where_many_arrive() -> None:
    """And a lonely stream does not pay for it."""
    many = [Camera(f"c{n}", 0.08, n * 0.005) for n in range(16)]
    held = run(many, BatcherSettings(window_s=0.03), 0.001, 0.0)
    at_once = run(many, BatcherSettings(), 0.001, 0.0)
    assert held.batcher.stats.fill > 3 * at_once.batcher.stats.fill
    alone = run([Camera("a", 0.08, 0.0)], BatcherSettings(window_s=0.03), 0.001, 0.0)
    assert max(alone.ages) == 0.0


def test_a_batch_closes_when_no_more_is_expected_in_time() -> None:
    """The rate says that waiting would be in vain, also for a camera that has stopped."""
    batcher: Batcher[int] = Batcher(BatcherSettings(window_s=0.02))
    for n in range(20):
        batcher.offer("ab"[n % 2], n, n * 0.5)
        batcher.take(n * 0.5)
    batcher.offer("a", 20, 10.0)
    assert batcher.hold(10.0) == 0.0


def test_a_full_batch_is_not_held() -> None:
    batcher: Batcher[int] = Batcher(BatcherSettings(max_batch=2, window_s=0.05))
    assert batcher.hold(0.0) is None
    for n, stream in enumerate("abc"):
        batcher.offer(stream, n, 0.001 * n)
    batcher.take(0.01)
    batcher.offer("a", 3, 0.011)
    assert batcher.hold(0.011) == 0.0  # with the one that was left it is full
