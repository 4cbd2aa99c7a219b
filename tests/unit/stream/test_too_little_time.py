"""Batcher and engines together, on a device that another program has taken half the time of."""

from __future__ import annotations

from stream.engine.engine import Engine
from stream.scheduling.batcher import Batcher, BatcherSettings
from tests.support.engine import CLIP, FakeDevice, engine, face, seen

STREAMS = 8
SECONDS = 30
BATCH_S, FRAME_S, LOOK_S = 0.002, 0.0042, 0.021
"""What a batch, a frame in it and a look cost the device. It can do eight streams, once their faces
are no longer new."""


class _Cameras:
    """Eight streams of one face, in step with the grid, and the engine of each."""

    def __init__(self) -> None:
        self.batcher: Batcher[tuple[int, int]] = Batcher(BatcherSettings())
        self.coming = sorted(
            ((slot + place / STREAMS) * CLIP.step_s, place, slot)
            for slot in range(round(SECONDS / CLIP.step_s))
            for place in range(STREAMS)
        )
        self._engines: list[Engine] = [engine(f"camera-{n}") for n in range(STREAMS)]
        self._begun: set[int] = set()
        self._device = FakeDevice()
        self._at = 0

    def offer(self, now: float) -> bool:
        """Offer what has come; return whether anything is still to come."""
        while self._at < len(self.coming) and self.coming[self._at][0] <= now:
            at, place, slot = self.coming[self._at]
            self.batcher.offer(str(place), (place, slot), at)
            self._at += 1
        return self._at < len(self.coming)

    def next_at(self) -> float:
        """Return when the next frame comes."""
        return self.coming[self._at][0]

    def looks(self, place: int, slot: int, overrun: int) -> int:
        """Step a stream's engine; return how many faces of the frame are looked at."""
        core, started = self._engines[place], () if place in self._begun else (1,)
        self._begun.add(place)
        shown = seen(slot, face(1, 3.0), stream=f"camera-{place}", started=started, overrun=overrun)
        plan, _ = core.step(shown)
        (ratings,) = self._device.run([plan])
        core.resolve(plan, ratings)
        return sum(push.look for push in plan.pushes)


def _worked_off(slowness: float) -> tuple[float, float, float]:
    """Return the share of frames that gave way, the ages' 95th percentile, looks per frame."""
    cameras, now, ages, looks = _Cameras(), 0.0, list[float](), 0
    while cameras.offer(now):
        batch = cameras.batcher.take(now)
        if not batch:
            now = cameras.next_at()
            continue
        looked = sum(cameras.looks(*item.value, item.overrun) for item in batch)
        now += slowness * (BATCH_S + FRAME_S * len(batch) + LOOK_S * looked)
        ages += [now - item.arrived for item in batch]
        looks += looked
    stats = cameras.batcher.stats
    lost = (stats.crowded + stats.stale) / len(cameras.coming)
    return lost, sorted(ages)[int(0.95 * len(ages))], looks / len(ages)


def test_a_device_with_time_enough_loses_next_to_nothing() -> None:
    lost, p95, _ = _worked_off(1.0)
    assert lost < 0.01
    assert p95 < 0.3


def test_a_device_at_half_its_speed_does_not_make_more_work_of_less_time() -> None:
    """It doubled the looks, which cost more frames, and let every frame wait in a full queue."""
    _, _, with_time = _worked_off(1.0)
    lost, p95, looks = _worked_off(2.0)
    assert looks < 1.1 * with_time
    assert lost < 0.25
    assert p95 < 0.4
