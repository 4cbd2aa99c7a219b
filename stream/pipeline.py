"""The pipeline from sampled frames to events: perceive, step, run, resolve.

The analyzer's device worker steps it in its thread, `replay` in a plain loop; so live scores and
replayed ones go through the very same lines. A Pipeline starts nothing and waits for nothing.

Several detectors may watch every stream side by side: each has a device and, per stream, an
engine of its own. A face is found and tracked once, so its beginning and end are told once, as the
fastest detector sees them; scores and verdicts say whose they are.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType

from stream.clock import Clock
from stream.device.device import Device
from stream.engine.decider import Deciders
from stream.engine.engine import Engine, EngineSettings
from stream.engine.ensemble import EnsembleEngine
from stream.engine.plan import Plan
from stream.engine.trace import Trace
from stream.engine.verdict import Thresholds
from stream.errors import SettingInvalid
from stream.events import (
    AbstainReason,
    CapacityReached,
    Event,
    Frame,
    Perceived,
    Score,
    StreamReport,
    TrackEnd,
    TrackEnded,
    TrackStarted,
    VerdictChanged,
)
from stream.explain.overlay import Explanation
from stream.perception.batching import perceive_together
from stream.perception.perception import Grid, Perception, Views
from stream.scheduling.degradation import Relief
from styleflow.calibration import Calibration
from styleflow.cards import ModelCard
from styleflow.clips import ClipSpec
from styleflow.detectors.protocol import points_at
from styleflow.ensemble import Ensemble
from styleflow.faces.crops.framing import crop_corners
from styleflow.faces.face import Box, Face
from styleflow.overlay import PointsAt

_log = logging.getLogger(__name__)

Observer = Callable[[str, float, str], None]
"""Told how many seconds a stage took and for which detector, from whatever thread it ran in.

A Pipeline tells `perceive` per turn (one frame of each stream in a batch), `step` per frame,
`device` and `resolve` per batch and detector, and `explain` per picture that somebody asks for;
what serves all detectors is told for "". The analyzer tells what lies around it, per sampled frame
`decode` (from a packet's arrival until its frame is offered) and `wait` (until its batch is taken),
per event `hand_over` (until the event loop has it).
"""


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


Asked = Callable[[str], Collection[str]]
"""Says which detectors somebody wants to see point at something in a stream, by their names.

Asking costs up to another rating, so it is asked for every frame.
"""

Viewer = Callable[[Explanation], None]
"""Shown what all detectors point at, for every face that is rated."""


@dataclass(frozen=True, slots=True)
class Scorer:
    """One model whose scores a stream gets: a detector, or the ensemble of them.

    Attributes:
        card: what is known of the model.
        calibration: from logit to probability.
        clip: one full window of its evidence.
        points_at: what it can point at in a picture; None when it cannot.
    """

    card: ModelCard
    calibration: Calibration
    clip: ClipSpec
    points_at: PointsAt | None = None


@dataclass(frozen=True, slots=True)
class _Planned:
    """A frame, and what it means to each device that it is for: its number, the plan, the view."""

    frame: Frame
    plans: Sequence[tuple[int, Plan, Perceived]]


@dataclass(slots=True)
class _StreamParts:
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


class Pipeline:
    """Turns sampled frames of many streams into events.

    Args:
        devices: run plans, one detector each; shared by all streams. The first is the one that
            stands for a stream where only one can.
        perception: makes the perception of one new stream, for the devices' clips in their order.
        settings: thresholds and times of the engines.
        clock: only to measure how long stages take.
        observe: told the duration of every stage.
        ensemble: what the detectors' scores amount to together, if anything.
        viewer: shown what the detectors point at; they are not asked when None.
        deciders: makes what decides about one new stream, for the detector of a name; thresholds
            decide when None.

    Attributes:
        observe: the same, for whoever runs the stages around this pipeline.
        cadence_hz: frames that it wants of a stream, per media second.
        scorers: every scorer on a stream: the detectors', then the ensemble's if there is one.

    Raises:
        SettingInvalid: two detectors of one name, cadences without a common grid, or an ensemble
            of detectors that are not here.
    """

    def __init__(
        self,
        devices: Sequence[Device],
        perception: Callable[[], Perception],
        settings: EngineSettings,
        clock: Clock,
        observe: Observer | None = None,
        ensemble: Ensemble | None = None,
        viewer: Viewer | None = None,
        deciders: Callable[[str], Deciders] | None = None,
    ) -> None:
        self.devices = tuple(devices)
        self._deciders = deciders or _by_thresholds
        self.observe = observe or _ignore
        self._perception = perception
        self._settings = settings
        self._clock = clock
        self._ensemble = ensemble
        self._viewer = viewer
        self._streams: dict[str, _StreamParts] = {}
        self._relief = Relief()
        cards = [device.detector.card for device in self.devices]
        for name in {card.name for card in cards}:
            if sum(card.name == name for card in cards) > 1:
                raise SettingInvalid("detectors", name, "must name each detector once")
        grid = Grid.common([device.detector.clip for device in self.devices])
        self.cadence_hz = grid.cadence_hz
        self._lead = grid.strides.index(min(grid.strides))
        self.scorers = tuple(
            Scorer(d.card, d.calibration, d.clip, points_at(d))
            for d in (device.detector for device in self.devices)
        )
        if ensemble is not None:
            ensemble.check(cards)
            card, longest = ensemble.card(cards), max(o.clip.duration_s for o in self.scorers)
            clip = EnsembleEngine.clip(longest)
            self.scorers += (Scorer(card, ensemble.calibration, clip),)

    @property
    def device(self) -> Device:
        """The first detector's device."""
        return self.devices[0]

    def scorer(self, detector: str | None) -> Scorer:
        """Return the scorer of a name; the first one when None. Raises KeyError."""
        if detector is None:
            return self.scorers[0]
        return {scorer.card.name: scorer for scorer in self.scorers}[detector]

    @property
    def settings(self) -> EngineSettings:
        """What holds for every stream without settings of its own."""
        return self._settings

    def open(self, stream: str, settings: EngineSettings | None = None) -> None:
        """Prepare for the frames of a stream, with thresholds of its own if it has any."""
        settings = settings or self._settings
        engines = tuple(
            Engine(
                stream,
                d.card.name,
                d.clip,
                d.calibration,
                d.card.status,
                settings,
                _tracing(stream, d.card.name),
                self._deciders(d.card.name),
            )
            for d in (device.detector for device in self.devices)
        )
        ensemble = None
        if self._ensemble is not None:
            scorer = self.scorers[-1]
            ensemble = EnsembleEngine(self._ensemble, scorer.clip, scorer.card.status, settings)
        parts = self._streams[stream] = _StreamParts(self._perception(), engines, ensemble)
        parts.relieve(self._relief)

    def close(self, stream: str, reason: TrackEnd = TrackEnd.EPOCH_ENDED) -> tuple[Event, ...]:
        """End every track of a stream, release its slots and forget it."""
        parts = self._streams.pop(stream, None)
        return () if parts is None else self._end(parts, reason)

    def end(self, stream: str, epoch: int) -> tuple[Event, ...]:
        """End every track of a stream whose caller has gone; a later epoch's are left alone."""
        parts = self._streams.get(stream)
        if parts is None or (parts.perception.epoch or 0) > epoch:
            return ()
        events = self._end(parts, TrackEnd.EPOCH_ENDED)
        parts.perception.close()
        return events

    def process(self, batch: Sequence[tuple[Frame, int]], asked: Asked | None = None) -> Processed:
        """Turn frames into events; each frame comes with the number of frames dropped before it.

        A frame of a stream that is not open is ignored: the stream has been removed meanwhile.

        Args:
            batch: frames of any streams, each stream's in their order.
            asked: which detectors are asked what they point at; none when left out.
        """
        events: list[Event] = []
        faults: list[Fault] = []
        pending: list[list[tuple[_StreamParts, Plan]]] = [[] for _ in self.devices]
        planned: list[_Planned] = []
        for parts, frame, views in self._perceive(batch):
            try:
                plans, started = self._step(parts, views)
            except Exception as error:
                _log.debug("%s: a frame failed: %r", frame.stream, error)
                faults.append(Fault(frame.stream, error))
                events += self._end(parts, TrackEnd.EPOCH_ENDED)
                parts.perception.close()
                continue
            events += started
            if plans:
                planned.append(_Planned(frame, plans))
            for number, plan, _ in plans:
                pending[number].append((parts, plan))
        for number, todo in enumerate(pending):
            if todo:
                events += self._run(number, todo)
        return Processed(tuple(events), tuple(faults), self._seen(planned, asked or _nobody))

    def reports(self, now: float) -> tuple[Event, ...]:
        """Return how every stream is doing at monotonic time `now`."""
        return tuple(self._report(parts, now) for parts in self._streams.values())

    def retune(self, settings: EngineSettings, stream: str | None = None) -> None:
        """Change thresholds and times without losing any track's history.

        Args:
            settings: what holds from the next frame on.
            stream: whose; None means all streams, and those to come.
        """
        if stream is None:
            self._settings = settings
        for name, parts in self._streams.items():
            if stream in (None, name):
                parts.retune(settings)

    @property
    def relief(self) -> Relief:
        """The work that is left out now."""
        return self._relief

    def relieve(self, relief: Relief) -> None:
        """Leave out as much work as this says, for all streams and those to come."""
        _log.debug("relief: %s", relief)
        self._relief = relief
        for parts in self._streams.values():
            parts.relieve(relief)

    def _perceive(
        self, batch: Sequence[tuple[Frame, int]]
    ) -> Iterator[tuple[_StreamParts, Frame, Views | Exception]]:
        """Yield what is in every frame of an open stream, each stream's frames in their order."""
        for turn in _turns(batch):
            ours = [(self._streams[f.stream], f, n) for f, n in turn if f.stream in self._streams]
            if not ours:
                continue
            begin = self._clock.monotonic()
            found = perceive_together([(parts.perception, frame, n) for parts, frame, n in ours])
            self.observe("perceive", self._clock.monotonic() - begin, "")
            for (parts, frame, _), views in zip(ours, found, strict=True):
                yield parts, frame, views

    def _step(
        self, parts: _StreamParts, views: Views | Exception
    ) -> tuple[list[tuple[int, Plan, Perceived]], list[Event]]:
        """Return what the devices have to do for a frame, and what is certain already."""
        if isinstance(views, Exception):
            raise views
        begin = self._clock.monotonic()
        plans: list[tuple[int, Plan, Perceived]] = []
        events: list[Event] = []
        for number, seen in enumerate(views):
            if seen is not None:
                plan, certain = parts.engines[number].step(seen)
                plans.append((number, plan, seen))
                events += self._told(parts, number, certain)
        self.observe("step", self._clock.monotonic() - begin, "")
        return plans, events

    def _run(self, number: int, todo: Sequence[tuple[_StreamParts, Plan]]) -> list[Event]:
        """Have one device do what its engines want, and return what that means."""
        begin = self._clock.monotonic()
        answers = self.devices[number].run([plan for _, plan in todo])
        middle = self._clock.monotonic()
        events: list[Event] = []
        for (parts, plan), ratings in zip(todo, answers, strict=True):
            events += self._told(parts, number, parts.engines[number].resolve(plan, ratings))
        name = self.devices[number].detector.card.name
        self.observe("device", middle - begin, name)
        self.observe("resolve", self._clock.monotonic() - middle, name)
        return events

    def _seen(self, planned: Sequence[_Planned], asked: Asked) -> tuple[Seen, ...]:
        """Return the frames of a batch, with what the detectors that are asked point at in them.

        A device knows the newest crop of a track only, so of several frames of one stream in a
        batch the last one that the device was given is explained: patches never belong to another
        picture than theirs.
        """
        newest = {
            (one.frame.stream, number): plan for one in planned for number, plan, _ in one.plans
        }
        seen = []
        for one in planned:
            frame, explained = one.frame, {}
            wanted = asked(frame.stream)
            for number, plan, view in one.plans:
                name = self.devices[number].detector.card.name
                exact = newest[frame.stream, number] is plan and plan.rates
                if exact and (name in wanted or self._viewer is not None):
                    explained[name] = self._explain(number, plan, frame, view)
            found = tuple((face.track, face.face) for face in one.plans[0][2].faces)
            faces = tuple((track, face.box) for track, face in found)
            seen.append(Seen(frame, faces, explained, found))
        if self._viewer is not None:
            for explanation in (e for each in seen for es in each.explained.values() for e in es):
                self._viewer(explanation)
        return tuple(seen)

    def _explain(
        self, number: int, plan: Plan, frame: Frame, view: Perceived
    ) -> tuple[Explanation, ...]:
        """Ask a detector what it points at in the faces that it has just been pushed and rated."""
        begin = self._clock.monotonic()
        device = self.devices[number]
        detector, faces = device.detector, {face.track: face for face in view.faces}
        pushed = {push.key for push in plan.pushes}
        found = device.explain([rate.key for rate in plan.rates if rate.key in pushed])
        height, width = frame.image.shape[:2]
        explanations = tuple(
            Explanation(
                frame=frame,
                face=faces[key.track].face,
                track=key.track,
                detector=detector.card.name,
                corners=crop_corners(faces[key.track], detector.clip, width, height),
                regions=regions,
            )
            for key, regions in found.items()
        )
        self.observe("explain", self._clock.monotonic() - begin, detector.card.name)
        return explanations

    def _told(self, parts: _StreamParts, number: int, events: Iterable[Event]) -> list[Event]:
        """Return which events of one engine are published, with what the ensemble makes of them.

        The slower detectors learn of a face's beginning and end later; what they say of a face
        whose end has been told is dropped.
        """
        told: list[Event] = []
        for event in events:
            match event:
                case TrackStarted() | TrackEnded() if number != self._lead:
                    continue
                case TrackStarted():
                    parts.live.add(event.track)
                case TrackEnded():
                    parts.live.discard(event.track)
                case Score() | VerdictChanged() if event.track not in parts.live:
                    continue
                case CapacityReached() if number != self._lead and event.track not in parts.live:
                    continue
                case _:
                    pass
            told.append(event)
            if parts.ensemble is not None:
                told += parts.ensemble.take(event)
        return told

    def _end(self, parts: _StreamParts, reason: TrackEnd) -> tuple[Event, ...]:
        """End every track of a stream; its next track gets a number of its own."""
        events: list[Event] = []
        for number, engine in enumerate(parts.engines):
            plan, ended = engine.end(reason)
            self.devices[number].run((plan,))
            events += self._told(parts, number, ended)
        return tuple(events)

    def _report(self, parts: _StreamParts, now: float) -> StreamReport:
        """Return how a stream is doing, as the fastest detector sees it.

        A reason holds for the stream as a whole when it holds for every detector. A face that one
        of them does not look at has not been looked at.
        """
        reports = [engine.report(now) for engine in parts.engines]
        lead = reports[self._lead]
        shared = set.intersection(*(set(report.reasons) for report in reports))
        waiting = max(report.faces_waiting for report in reports)
        if waiting:
            shared.add(AbstainReason.FACES_WAITING)
        reasons = tuple(reason for reason in AbstainReason if reason in shared)
        return replace(lead, reasons=reasons, faces_waiting=waiting)


def _nobody(stream: str) -> Collection[str]:
    """Ask nothing."""
    return ()


def _turns(batch: Sequence[tuple[Frame, int]]) -> list[list[tuple[Frame, int]]]:
    """Deal frames into turns with at most one frame of each stream, keeping streams' order."""
    turns: list[list[tuple[Frame, int]]] = []
    met: Counter[str] = Counter()
    for item in batch:
        place = met[item[0].stream]
        met[item[0].stream] += 1
        if place == len(turns):
            turns.append([])
        turns[place].append(item)
    return turns


def _tracing(stream: str, detector: str) -> Trace:
    """Return what writes an engine's transitions to the log, at debug level."""

    def trace(transition: str, /, **facts: object) -> None:
        _log.debug("%s %s: %s %s", stream, detector, transition, facts)

    return trace


def _by_thresholds(detector: str) -> Deciders:
    """Return what decides about the faces of a new stream where nothing else is configured."""
    del detector
    return Thresholds()


def _ignore(stage: str, seconds: float, detector: str) -> None:
    """Observe nothing."""
