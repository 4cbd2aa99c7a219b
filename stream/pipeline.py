"""The pipeline from sampled frames to events: perceive, step, run, resolve.

The analyzer's device worker steps it in its thread, `replay` in a plain loop; so live scores and
replayed ones go through the very same lines. A Pipeline starts nothing and waits for nothing.

`process` is three steps, which whoever has a next batch already may take apart: `plan` finds the
faces of a batch, `begin` begins what the networks have to do, `conclude` waits for it and says what
it means. Planning the next batch in between costs no time where networks compute in threads of
their own. Batches are begun and concluded in the order of their planning, one is concluded before
the next is begun, and none is under way while a stream is closed or ended.

Several detectors may watch every stream side by side: each has a device and, per stream, an
engine of its own. A face is found and tracked once, so its beginning and end are told once, as the
fastest detector sees them; scores and verdicts say whose they are.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from stream.batch import Fault, Planned, PlannedFrame, Processed, Seen, StreamParts, Todo, Underway
from stream.clock import Clock
from stream.device.device import Begun, Device
from stream.engine.camera import Camera
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
from stream.second_look.second_looks import SecondLooks
from styleflow.calibration import Calibration
from styleflow.cards import ModelCard
from styleflow.clips import ClipSpec
from styleflow.detectors.protocol import points_at
from styleflow.ensemble import Ensemble
from styleflow.faces.crops.framing import crop_corners
from styleflow.overlay import PointsAt
from styleflow.pictures.hardware import Decoding

_log = logging.getLogger(__name__)

Observer = Callable[[str, float, str], None]
"""Told how many seconds a stage took and for which detector, from whatever thread it ran in.

A Pipeline tells `perceive` per turn (one frame of each stream in a batch), `step` per frame,
`device` and `resolve` per batch and detector, `second_look` per batch where one is configured, and
`explain` per picture that somebody asks for;
what serves all detectors is told for "". The analyzer tells what lies around it, per sampled frame
`decode` (from a packet's arrival until its frame is offered) and `wait` (until its batch is taken),
per event `hand_over` (until the event loop has it).
"""


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
        cameras: knows a stream's own known-real video, by its id and for a detector; none is known
            when None.
        second: a heavier detector that is shown the first detector's faces now and then.
        decoding: where the pictures that it is given should lie, and be decoded; in memory when
            None.

    Attributes:
        observe: the same, for whoever runs the stages around this pipeline.
        cadence_hz: frames that it wants of a stream, per media second.
        scorers: every scorer on a stream: the detectors', then the ensemble's if there is one.
        second: see above.
        decoding: see above; for whoever reads its streams.

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
        cameras: Callable[[str, ModelCard], Camera | None] | None = None,
        second: SecondLooks | None = None,
        decoding: Decoding | None = None,
    ) -> None:
        self.decoding = decoding or Decoding()
        self.devices = tuple(devices)
        self.second = second
        self._deciders = deciders or _by_thresholds
        self._cameras = cameras or _unknown
        self.observe = observe or _ignore
        self._perception = perception
        self._settings = settings
        self._clock = clock
        self._ensemble = ensemble
        self._viewer = viewer
        self._streams: dict[str, StreamParts] = {}
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
                self._cameras(stream, d.card),
            )
            for d in (device.detector for device in self.devices)
        )
        ensemble = None
        if self._ensemble is not None:
            scorer = self.scorers[-1]
            ensemble = EnsembleEngine(self._ensemble, scorer.clip, scorer.card.status, settings)
        parts = self._streams[stream] = StreamParts(self._perception(), engines, ensemble)
        parts.relieve(self._relief)

    def close(self, stream: str, reason: TrackEnd = TrackEnd.EPOCH_ENDED) -> tuple[Event, ...]:
        """End every track of a stream, release its slots and forget it."""
        parts = self._streams.pop(stream, None)
        if self.second is not None:
            self.second.close(stream)
        return () if parts is None else self._end(parts, reason)

    def end(self, stream: str, epoch: int) -> tuple[Event, ...]:
        """End every track of a stream whose caller has gone; a later epoch's are left alone."""
        parts = self._streams.get(stream)
        if parts is None or (parts.perception.epoch or 0) > epoch:
            return ()
        events = self._end(parts, TrackEnd.EPOCH_ENDED)
        parts.perception.close()
        if self.second is not None:
            self.second.close(stream)
        return events

    def process(self, batch: Sequence[tuple[Frame, int]], asked: Asked | None = None) -> Processed:
        """Turn frames into events; each frame comes with the number of frames dropped before it.

        A frame of a stream that is not open is ignored: the stream has been removed meanwhile.

        Args:
            batch: frames of any streams, each stream's in their order.
            asked: which detectors are asked what they point at; none when left out.
        """
        return self.conclude(self.begin(self.plan(batch)), asked)

    def plan(self, batch: Sequence[tuple[Frame, int]]) -> Planned:
        """Find the faces in frames, and say what the devices have to do for them.

        Args:
            batch: as for `process`.
        """
        events: list[Event] = []
        faults: list[Fault] = []
        frames: list[PlannedFrame] = []
        todo: list[list[Todo]] = [[] for _ in self.devices]
        for parts, frame, views in self._perceive(batch):
            try:
                plans, started = self._step(parts, views)
            except Exception as error:
                _log.debug("%s: a frame failed: %r", frame.stream, error)
                faults.append(Fault(frame.stream, error))
                for number, plan, ended in self._ending(parts, TrackEnd.EPOCH_ENDED):
                    todo[number].append(Todo(parts, plan, last=True))
                    events += ended
                parts.perception.close()
                continue
            events += started
            if plans:
                frames.append(PlannedFrame(frame, plans))
            for number, plan, _ in plans:
                todo[number].append(Todo(parts, plan))
        return Planned(tuple(events), tuple(faults), tuple(frames), tuple(map(tuple, todo)))

    def begin(self, planned: Planned) -> Underway:
        """Have the devices begin what a batch asks for.

        Raises:
            RuntimeError: an accelerator failed; the tracks of this batch begin anew.
        """
        begun: list[tuple[Begun, float] | None] = []
        for device, todo in zip(self.devices, planned.todo, strict=True):
            if not todo:
                begun.append(None)
                continue
            begin = self._clock.monotonic()
            try:
                run = device.begin([one.plan for one in todo])
            except BaseException:
                self._abandon(planned)
                raise
            begun.append((run, self._clock.monotonic() - begin))
        return Underway(planned, tuple(begun))

    def conclude(self, underway: Underway, asked: Asked | None = None) -> Processed:
        """Wait for what a batch has the devices do, and say what their answers mean.

        Args:
            underway: the batch.
            asked: as for `process`.

        Raises:
            RuntimeError: an accelerator failed; the tracks of this batch begin anew.
        """
        planned = underway.planned
        events = list(planned.events)
        for number, begun in enumerate(underway.begun):
            if begun is not None:
                events += self._finish(number, planned, *begun)
        if self.second is not None:
            events = self._second_look(self.second, planned.frames, events)
        seen = self._seen(planned.frames, asked or _nobody)
        return Processed(tuple(events), planned.faults, seen)

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
    ) -> Iterator[tuple[StreamParts, Frame, Views | Exception]]:
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
        self, parts: StreamParts, views: Views | Exception
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

    def _second_look(
        self, second: SecondLooks, planned: Sequence[PlannedFrame], events: list[Event]
    ) -> list[Event]:
        """Show the heavier detector what is due, and return the events with what it has said."""
        begin, first = self._clock.monotonic(), self.device.detector.card.name
        seen = [(p.frame, view) for p in planned for number, _, view in p.plans if number == 0]
        told = second.take(seen, events, first, relieved=self._relief != Relief())
        took = self._clock.monotonic() - begin
        self.observe("second_look", took, second.scoring.model.name)
        return told

    def _seen(self, planned: Sequence[PlannedFrame], asked: Asked) -> tuple[Seen, ...]:
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

    def _told(self, parts: StreamParts, number: int, events: Iterable[Event]) -> list[Event]:
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

    def _end(self, parts: StreamParts, reason: TrackEnd) -> tuple[Event, ...]:
        """End every track of a stream; its next track gets a number of its own."""
        events: list[Event] = []
        for number, plan, ended in self._ending(parts, reason):
            self.devices[number].run((plan,))
            events += ended
        return tuple(events)

    def _abandon(self, planned: Planned) -> None:
        """Have every track of a batch that failed begin anew, on all devices."""
        for device, todo in zip(self.devices, planned.todo, strict=True):
            device.abandon([one.plan for one in todo])

    def _finish(self, number: int, planned: Planned, begun: Begun, took_s: float) -> list[Event]:
        """Wait for what one device has begun, and return what its answers mean."""
        device, todo = self.devices[number], planned.todo[number]
        begin = self._clock.monotonic()
        try:
            answers = device.finish(begun)
        except BaseException:
            self._abandon(planned)
            raise
        middle = self._clock.monotonic()
        events: list[Event] = []
        for one, ratings in zip(todo, answers, strict=True):
            if not one.last:
                meant = one.parts.engines[number].resolve(one.plan, ratings)
                events += self._told(one.parts, number, meant)
        name = device.detector.card.name
        self.observe("device", took_s + middle - begin, name)
        self.observe("resolve", self._clock.monotonic() - middle, name)
        return events

    def _ending(
        self, parts: StreamParts, reason: TrackEnd
    ) -> Iterator[tuple[int, Plan, list[Event]]]:
        """Yield what every device has to do for a stream's tracks to end, and what is told."""
        for number, engine in enumerate(parts.engines):
            plan, ended = engine.end(reason)
            yield number, plan, self._told(parts, number, ended)

    def _report(self, parts: StreamParts, now: float) -> StreamReport:
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
        baseline = next((r.baseline for r in reports if r.baseline is not None), None)
        return replace(lead, reasons=reasons, faces_waiting=waiting, baseline=baseline)


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


def _unknown(stream: str, card: ModelCard) -> None:
    """Know nothing of any stream's own video."""
    del stream, card


def _ignore(stage: str, seconds: float, detector: str) -> None:
    """Observe nothing."""
