"""A second look with a device that costs what a test says, and faces to show it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from stream.clock import ManualClock
from stream.engine.plan import Plan, Ratings, TrackKey
from stream.engine.settings import EngineSettings
from stream.events import AbstainReason, CaptureConditions, Event, Frame, Perceived, Score
from stream.second_look.second_looks import SecondLooks
from stream.second_look.settings import SecondLookSettings
from styleflow.calibration import Calibration
from styleflow.cards import ModelCard, TrainingStatus
from styleflow.clips import ClipSpec, Framing
from styleflow.faces.face import AlignedFace
from tests.support.faces import face_at
from tests.support.published import card
from tests.support.wire import CARD, score

FIRST = ClipSpec(frames=8, cadence_hz=12.5, size_px=32)
HEAVY = ClipSpec(frames=4, cadence_hz=5.0, size_px=224, framing=Framing.CADDM)
IMAGE = np.random.default_rng(0).integers(0, 256, (96, 96, 3), dtype=np.uint8)


@dataclass
class HeavyDetector:
    """What a device's detector says of itself."""

    card: ModelCard = field(default_factory=lambda: card("caddm-resnet34", TrainingStatus.TRAINED))
    clip: ClipSpec = HEAVY
    calibration: Calibration = field(default_factory=lambda: Calibration(fitted=True))


class CostlyDevice:
    """Takes time by a manual clock for every push, and gives one logit to every rate."""

    def __init__(
        self,
        clock: ManualClock,
        cost: Callable[[], float] = lambda: 0.0,
        detector: HeavyDetector | None = None,
        logit: float = 3.0,
    ) -> None:
        self.detector = detector or HeavyDetector()
        self.logit = logit
        self.broken = False
        self.answers_from = 1  # frames of a face before there is a number
        self._frames: Counter[TrackKey] = Counter()
        self.plans: list[Plan] = []
        self.spent: list[tuple[float, float]] = []  # when, and how much
        self._clock = clock
        self._cost = cost

    def run(self, plans: Sequence[Plan]) -> tuple[Ratings, ...]:
        self.plans += plans
        if self.broken:
            raise RuntimeError("the device is gone")
        for plan in plans:
            for push in plan.pushes:
                self._frames[push.key] = 1 if push.fresh else self._frames[push.key] + 1
            if plan.pushes:
                seconds = self._cost()
                self._clock.advance(seconds)
                self.spent.append((self._clock.monotonic(), seconds))
        return tuple(
            Ratings(
                plan.number,
                {
                    rate.key: self.logit
                    for rate in plan.rates
                    if self._frames[rate.key] >= self.answers_from
                },
            )
            for plan in plans
        )

    @property
    def held(self) -> int:
        """Faces that were pushed and not forgotten."""
        held: set[object] = set()
        for plan in self.plans:
            held -= {forget.key for forget in plan.forgets}
            held |= {push.key for push in plan.pushes}
        return len(held)


class SecondLookRig:
    """Streams with one face each, stepped at the first detector's cadence."""

    def __init__(
        self,
        settings: SecondLookSettings | None = None,
        cost: Callable[[], float] = lambda: 0.0,
        detector: HeavyDetector | None = None,
        answers_from: int = 1,
    ) -> None:
        self.clock = ManualClock()
        self.device = CostlyDevice(self.clock, cost, detector)
        self.device.answers_from = answers_from
        self.looks = SecondLooks(
            self.device,  # type: ignore[arg-type]
            settings or SecondLookSettings(every_s=0, frames=2, share=0.5),
            FIRST,
            EngineSettings(),
            self.clock,
        )
        self.looks.warm_up()
        self.device.plans.clear()
        self.device.spent.clear()
        self.slot = 0
        self.relieved = False

    def step(
        self,
        values: dict[str, float],
        *,
        reasons: tuple[AbstainReason, ...] = (),
        events: Sequence[Event] = (),
        contaminated: bool = False,
    ) -> dict[str, Score]:
        """Show one frame of every stream whose face has this score, and return the scores."""
        began, at = self.clock.monotonic(), self.slot * 0.08
        capture = CaptureConditions(contaminated=contaminated)
        seen = []
        for stream in values:
            frame = Frame(stream, 1, self.slot, at, began, IMAGE, capture)
            face = AlignedFace(1, face_at(48, 48, 60), IMAGE, None, score().quality)
            seen.append((frame, Perceived(stream, 1, self.slot, at, began, capture, faces=(face,))))
        told = [score(s, value=v, end=at, reasons=reasons) for s, v in values.items()]
        told = self.looks.take(seen, [*told, *events], CARD.name, relieved=self.relieved)
        self.slot += 1
        left = began + 0.08 - self.clock.monotonic()
        self.clock.advance(max(left, 0.0))
        return {event.stream: event for event in told if isinstance(event, Score)}

    def run(self, values: dict[str, float], steps: int) -> dict[str, Score]:
        """Do so a number of times, and return the last scores."""
        last: dict[str, Score] = {}
        for _ in range(steps):
            last = self.step(values)
        return last


def untrained() -> HeavyDetector:
    """Return a heavier detector of random weights."""
    made = HeavyDetector()
    made.card = replace(made.card, status=TrainingStatus.UNTRAINED)
    return made
