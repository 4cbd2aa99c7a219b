"""A device without a model, and short ways to say what an engine saw.

`FakeDevice` keeps the promises of the real one: numbered answers, forget before push before rate,
a fixed number of slots. Its logit is a function of what was pushed, so a frame that must not be
pushed shows in the score if it was.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np

from stream.engine.camera import Camera
from stream.engine.decider import Deciders
from stream.engine.engine import Engine, EngineSettings
from stream.engine.plan import Plan, Ratings, TrackKey
from stream.events import CaptureConditions, EndedTrack, Event, Perceived
from styleflow.calibration import Calibration
from styleflow.cards import TrainingStatus
from styleflow.clips import ClipSpec
from styleflow.faces.face import AlignedFace, Box, Face, FaceQuality

DETECTOR = "styleflow-live"
CLIP = ClipSpec(frames=32, cadence_hz=12.5, size_px=4)
"""A common cadence and length; the crops are as small as they may be."""

GOOD = FaceQuality(face_px=160.0, sharpness=200.0, brightness=120.0, yaw_deg=0.0)
"""A face that nothing speaks against."""

_BOX = Box(10.0, 20.0, 170.0, 180.0)
_POINTS = np.zeros((5, 2))


def crop(logit: float) -> np.ndarray:
    """Return a crop that makes a FakeDevice lean towards `logit`, -8..7.9375 in sixteenths."""
    level = round(logit * 16) + 128
    return np.full((CLIP.size_px, CLIP.size_px, 3), level, dtype=np.uint8)


def face(track: int = 1, logit: float = 0.0, quality: FaceQuality = GOOD) -> AlignedFace:
    """Return an aligned face whose crop carries a logit."""
    return AlignedFace(track, Face(_BOX, _POINTS, 0.9), crop(logit), None, quality)


def seen(
    slot: int,
    *faces: AlignedFace,
    stream: str = "lobby",
    epoch: int = 0,
    contaminated: bool = False,
    source_fps: float = 25.0,
    started: Iterable[int] = (),
    ended: Iterable[EndedTrack] = (),
    overrun: int = 0,
    arrived: float | None = None,
) -> Perceived:
    """Return what was seen in one frame on the grid of `CLIP`."""
    at = slot * CLIP.step_s
    return Perceived(
        stream=stream,
        epoch=epoch,
        slot=slot,
        at=at,
        arrived=at + 100.0 if arrived is None else arrived,
        capture=CaptureConditions(contaminated, source_fps),
        faces=faces,
        started=tuple(started),
        ended=tuple(ended),
        overrun=overrun,
    )


@dataclass
class _FakeState:
    mean: float = 0.0
    frames: int = 0


@dataclass
class FakeDevice:
    """Answers plans from running means of the crops; deterministic, and recorded in `pushed`.

    Attributes:
        slots: how many tracks it can hold.
        pushed: every crop level that was pushed, by track.
    """

    slots: int = 64
    pushed: dict[TrackKey, list[float]] = field(default_factory=dict)
    states: dict[TrackKey, _FakeState] = field(default_factory=dict)

    def run(self, plans: Sequence[Plan]) -> tuple[Ratings, ...]:
        """Carry out plans in their order and answer each."""
        return tuple(self._run(plan) for plan in plans)

    def _run(self, plan: Plan) -> Ratings:
        refused: set[TrackKey] = set()
        for forget in plan.forgets:
            self.states.pop(forget.key, None)
        for push in plan.pushes:
            if push.key not in self.states and len(self.states) >= self.slots:
                refused.add(push.key)
                continue
            if push.fresh or push.key not in self.states:
                self.states[push.key] = _FakeState()
            state, logit = self.states[push.key], (float(push.image[0, 0, 0]) - 128) / 16
            state.frames += 1
            state.mean += (logit - state.mean) / min(state.frames, 8)
            self.pushed.setdefault(push.key, []).append(logit)
        rated = [rate.key for rate in plan.rates if rate.key in self.states]
        return Ratings(
            plan.number,
            {key: self.states[key].mean for key in rated},
            frozenset(refused),
            self.slots,
        )


def engine(
    stream: str = "lobby",
    settings: EngineSettings | None = None,
    status: TrainingStatus = TrainingStatus.TRAINED,
    undecided: float = 0.0,
    deciders: Deciders | None = None,
    camera: Camera | None = None,
) -> Engine:
    """Return an engine with the common clip and a calibration that changes nothing."""
    calibration = Calibration(fitted=True, undecided=undecided)
    settings = settings or EngineSettings()
    return Engine(
        stream, DETECTOR, CLIP, calibration, status, settings, deciders=deciders, camera=camera
    )


def play(core: Engine, device: FakeDevice, trace: Iterable[Perceived]) -> list[Event]:
    """Step an engine through a trace, answering every plan at once."""
    events: list[Event] = []
    for each in trace:
        plan, sure = core.step(each)
        (ratings,) = device.run([plan])
        events += [*sure, *core.resolve(plan, ratings)]
    return events


def play_late(
    core: Engine, device: FakeDevice, trace: Sequence[Perceived], lag: Iterable[int]
) -> list[Event]:
    """Step an engine through a trace in groups, answering each group's plans together."""
    events: list[Event] = []
    rest = list(trace)
    sizes = iter(lag)
    while rest:
        size = max(next(sizes, 1), 1)
        group, rest = rest[:size], rest[size:]
        plans = []
        for each in group:
            plan, sure = core.step(each)
            plans.append(plan)
            events += sure
        for plan, ratings in zip(plans, device.run(plans), strict=True):
            events += core.resolve(plan, ratings)
    return events
