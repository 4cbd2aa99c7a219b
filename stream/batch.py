"""One batch of frames on its way through the pipeline, and the parts of the streams in it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType

from stream.device.device import Begun
from stream.engine.engine import Engine, EngineSettings
from stream.engine.ensemble import EnsembleEngine
from stream.engine.plan import Plan
from stream.events import Event, Frame, Perceived
from stream.explain.overlay import Explanation
from stream.perception.perception import Perception
from stream.scheduling.degradation import Relief
from styleflow.faces.face import Box, Face


@dataclass(slots=True)
class StreamParts:
    """What belongs to one stream and to nobody else."""

    perception: Perception
    engines: tuple[Engine, ...]  # one per device
    ensemble: EnsembleEngine | None
    live: set[int] = field(default_factory=set)  # faces whose beginning was told and whose end not

    def retune(self, settings: EngineSettings) -> None:
        """Change thresholds and times of every engine."""
        for engine in self.engines:
            engine.retune(settings)
        if self.ensemble is not None:
            self.ensemble.settings = settings

    def relieve(self, relief: Relief) -> None:
        """Leave out as much work as this says."""
        self.perception.detect_factor = relief.detect_factor
        for engine in self.engines:
            engine.hop_factor = relief.hop_factor


@dataclass(frozen=True, slots=True)
class PlannedFrame:
    """A frame, and what it means to each device that it is for: its number, the plan, the view."""

    frame: Frame
    plans: Sequence[tuple[int, Plan, Perceived]]


@dataclass(frozen=True, slots=True)
class Todo:
    """A plan that a device has to run; nobody waits for the answer to an engine's last one."""

    parts: StreamParts
    plan: Plan
    last: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Planned:
    """A batch whose faces were found: what is certain already, and what each device has to do."""

    events: tuple[Event, ...]
    faults: tuple[Fault, ...]
    frames: tuple[PlannedFrame, ...]
    todo: tuple[tuple[Todo, ...], ...]  # per device


@dataclass(frozen=True, slots=True, eq=False)
class Underway:
    """A batch that was begun.

    Attributes:
        planned: what was planned.
        begun: what each device has begun, and how many seconds beginning took; None where there is
            nothing to do.
    """

    planned: Planned
    begun: tuple[tuple[Begun, float] | None, ...]


@dataclass(frozen=True, slots=True)
class Fault:
    """A stream whose frame could not be processed; its tracks were closed, the others went on."""

    stream: str
    error: Exception


@dataclass(frozen=True, slots=True, eq=False)
class Seen:
    """A frame that was perceived, and where its tracks are; for pictures.

    Attributes:
        frame: the picture.
        faces: its tracks, and where each is.
        explained: what detectors that were asked point at in this very frame, by their names; a
            detector that has not rated this frame is missing.
        found: the same tracks, each with its face and landmarks.
    """

    frame: Frame
    faces: tuple[tuple[int, Box], ...]
    explained: Mapping[str, tuple[Explanation, ...]] = field(
        default_factory=lambda: MappingProxyType({})
    )
    found: tuple[tuple[int, Face], ...] = ()


@dataclass(frozen=True, slots=True)
class Processed:
    """What came of one batch of frames."""

    events: tuple[Event, ...]
    faults: tuple[Fault, ...] = ()
    seen: tuple[Seen, ...] = ()
