"""One frame's story, told once: perceive, step, run, resolve.

`supervisor` steps a Pipeline from its device thread, `replay` from a plain loop; so live scores and
replayed ones go through the very same lines. A Pipeline starts nothing and waits for nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from stream.clock import Clock
from stream.device.device import Device
from stream.engine.engine import Engine, EngineSettings
from stream.engine.plan import Plan
from stream.events import Event, Frame, TrackEnd
from stream.perception import Perception

Observer = Callable[[str, float], None]
"""Told how many seconds a stage took, from whatever thread it ran in.

A Pipeline tells `perceive` and `step` per frame, `device` and `resolve` per batch. The supervisor
tells what lies around it: `decode` (from a packet's arrival until its frame is offered) and `wait`
(until its batch is taken) per sampled frame, `hand_over` (until the event loop has it) per event.
"""


@dataclass(frozen=True, slots=True)
class Fault:
    """A stream whose frame could not be processed; its tracks were closed, the others went on."""

    stream: str
    error: Exception


@dataclass(frozen=True, slots=True)
class Processed:
    """What came of one batch of frames."""

    events: tuple[Event, ...]
    faults: tuple[Fault, ...] = ()


@dataclass(slots=True)
class _Lane:
    """What belongs to one stream and to nobody else."""

    perception: Perception
    engine: Engine


class Pipeline:
    """Turns sampled frames of many streams into events.

    Args:
        device: runs plans; shared by all streams.
        perception: makes the perception of one new stream.
        settings: thresholds and times of the engine.
        clock: only to measure how long stages take.
        observe: told the duration of every stage.

    Attributes:
        observe: the same, for whoever runs the stages around this pipeline.
    """

    def __init__(
        self,
        device: Device,
        perception: Callable[[], Perception],
        settings: EngineSettings,
        clock: Clock,
        observe: Observer | None = None,
    ) -> None:
        self.device = device
        self._perception = perception
        self._settings = settings
        self._clock = clock
        self.observe = observe or _ignore
        self._lanes: dict[str, _Lane] = {}

    def open(self, stream: str) -> None:
        """Prepare for the frames of a stream."""
        detector = self.device.detector
        self._lanes[stream] = _Lane(
            self._perception(),
            Engine(
                stream, detector.clip, detector.calibration, detector.card.status, self._settings
            ),
        )

    def close(self, stream: str, reason: TrackEnd = TrackEnd.EPOCH_ENDED) -> tuple[Event, ...]:
        """End every track of a stream, release its slots and forget it."""
        lane = self._lanes.pop(stream, None)
        if lane is None:
            return ()
        plan, events = lane.engine.end(reason)
        self.device.run((plan,))
        return events

    def process(self, batch: Sequence[tuple[Frame, int]]) -> Processed:
        """Turn frames into events; each frame comes with the number of frames dropped before it.

        A frame of a stream that is not open is ignored: the stream has been removed meanwhile.
        """
        events: list[Event] = []
        faults: list[Fault] = []
        pending: list[tuple[Engine, Plan]] = []
        for frame, overrun in batch:
            lane = self._lanes.get(frame.stream)
            if lane is None:
                continue
            try:
                plan, started = self._look(lane, frame, overrun)
            except Exception as error:
                faults.append(Fault(frame.stream, error))
                events += self._recover(lane)
                continue
            events += started
            pending.append((lane.engine, plan))
        if pending:
            begin = self._clock.monotonic()
            answers = self.device.run([plan for _, plan in pending])
            middle = self._clock.monotonic()
            for (engine, plan), ratings in zip(pending, answers, strict=True):
                events += engine.resolve(plan, ratings)
            self.observe("device", middle - begin)
            self.observe("resolve", self._clock.monotonic() - middle)
        return Processed(tuple(events), tuple(faults))

    def reports(self, now: float) -> tuple[Event, ...]:
        """Return how every stream is doing at monotonic time `now`."""
        return tuple(lane.engine.report(now) for lane in self._lanes.values())

    def retune(self, settings: EngineSettings) -> None:
        """Change thresholds and times without losing any track's history."""
        self._settings = settings
        for lane in self._lanes.values():
            lane.engine.retune(settings)

    def _recover(self, lane: _Lane) -> tuple[Event, ...]:
        """End every track of a stream after a fault; its next track gets a number of its own."""
        lane.perception.close()
        plan, events = lane.engine.end(TrackEnd.EPOCH_ENDED)
        self.device.run((plan,))
        return events

    def _look(self, lane: _Lane, frame: Frame, overrun: int) -> tuple[Plan, tuple[Event, ...]]:
        begin = self._clock.monotonic()
        seen = lane.perception.perceive(frame, overrun)
        middle = self._clock.monotonic()
        plan, events = lane.engine.step(seen)
        self.observe("perceive", middle - begin)
        self.observe("step", self._clock.monotonic() - middle)
        return plan, events


def _ignore(stage: str, seconds: float) -> None:
    """Observe nothing."""
