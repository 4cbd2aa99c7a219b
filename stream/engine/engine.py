"""The engine of one stream and one detector: told what was seen, it says what to compute.

What the answer means, it says too.

Theory of operation. `step` looks at one sampled frame and returns a numbered `Plan` for the device
with the events that are certain already (tracks that start and end). For every plan it keeps a
small record of what the answer will need: which tracks were pushed, and how things stood for those
that are rated. `resolve` takes the device's answer, finds the record, and only then touches scores
and verdicts. So evidence depends on plans in their order and not on how late their answers come.

Answers are expected in the order of their plans, one for every plan, an empty plan included. A plan
that is overtaken or never answered leaves its tracks in doubt: they start anew. An answer without
a record, or for a track that has ended, is dropped and counted.

`step` and `resolve` are told the time and never ask for it. Memory is bounded for any input:
`max_tracks` tracks, `max_pending` records, and a ring of slots.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace

from stream.engine.evidence_weight import evidence_weight
from stream.engine.plan import Forget, Plan, Push, Rate, Ratings, TrackKey
from stream.engine.settings import EngineSettings
from stream.engine.verdict import Evidence
from stream.engine.window import Coverage, TrackWindow
from stream.events import (
    AbstainReason,
    CapacityReached,
    CaptureConditions,
    Event,
    Perceived,
    Score,
    StreamReport,
    TrackEnd,
    TrackEnded,
    TrackStarted,
    Verdict,
    VerdictChanged,
)
from styleflow.calibration import Calibration
from styleflow.cards import TrainingStatus
from styleflow.clips import ClipSpec
from styleflow.faces.face import AlignedFace, Box, FaceQuality

__all__ = ["Engine", "EngineCounters", "EngineSettings"]


@dataclass(frozen=True, slots=True)
class EngineCounters:
    """What happened so far, and what could not be used; all of them only grow.

    Attributes:
        pushes: frames handed to the device, one per track.
        ratings: logits asked for.
        scores: scores published.
        contaminated: sampled frames that were no evidence.
        late_frames: frames that were not newer than the one before; not used.
        foreign_faces: faces of tracks that never started or have ended; not used.
        late_answers: answers that came twice, out of order, for another stream, or too late.
        unanswered: plans whose answer never came or was overtaken.
        unrated: ratings without a usable logit, for example before an exact window is full.
        refusals: pushes that found no slot on the device.
        evictions: tracks ended to make room for others.
        turned_away: tracks that were not followed because `max_tracks` were in sight.
    """

    pushes: int = 0
    ratings: int = 0
    scores: int = 0
    contaminated: int = 0
    late_frames: int = 0
    foreign_faces: int = 0
    late_answers: int = 0
    unanswered: int = 0
    unrated: int = 0
    refusals: int = 0
    evictions: int = 0
    turned_away: int = 0


@dataclass(slots=True, eq=False)
class _Track:
    """One followed face. `window` belongs to `step`; `evidence` belongs to `resolve`."""

    number: int
    epoch: int
    seen_slot: int
    seen_at: float
    window: TrackWindow
    evidence: Evidence
    reasons: tuple[AbstainReason, ...] = (AbstainReason.WARMING,)
    refused: bool = False
    in_doubt: bool = True


@dataclass(frozen=True, slots=True)
class _Reading:
    """How things stood for a track when its rating was asked for."""

    slot: int
    start: float
    frames: int
    hop_frames: int
    missing: int
    reasons: tuple[AbstainReason, ...]
    quality: FaceQuality
    box: Box
    capture: CaptureConditions


@dataclass(frozen=True, slots=True)
class _Mark:
    """What one plan means for one track."""

    track: int
    pushed: bool
    fresh: bool = False
    reading: _Reading | None = None


@dataclass(frozen=True, slots=True)
class _Record:
    """What the answer to one plan will need."""

    at: float
    arrived: float
    contaminated: bool
    marks: tuple[_Mark, ...]


class Engine:
    """One detector's view of one stream, from sampled frames to verdicts; a pure object.

    Track numbers must rise within a stream; one that does not is taken for an ended track.

    Args:
        stream: id of the stream.
        detector: name of the model behind its scores.
        clip: cadence and length that the detector was trained on.
        calibration: the detector's.
        status: how far the detector's scores may be trusted.
        settings: thresholds, times and limits.
    """

    def __init__(
        self,
        stream: str,
        detector: str,
        clip: ClipSpec,
        calibration: Calibration,
        status: TrainingStatus,
        settings: EngineSettings,
    ) -> None:
        self.stream = stream
        self.detector = detector
        self.settings = settings
        self.counters = EngineCounters()
        self._clip = clip
        self._calibration = calibration
        self._status = status
        self._coverage = Coverage(settings.coverage_slots(clip))
        self._tracks: dict[int, _Track] = {}
        self._records: dict[int, _Record] = {}
        self.hop_factor = 1  # how many times as long hops are while there is too much to do
        self._plans = 0
        self._highest_track = -1
        self._epoch = -1
        self._capture = CaptureConditions()
        self._arrived: float | None = None

    def step(self, seen: Perceived) -> tuple[Plan, tuple[Event, ...]]:
        """Look at one sampled frame.

        Args:
            seen: what perception saw; frames come in the order of their epochs and slots, and one
                that does not is used only for the tracks that it starts and ends.

        Returns:
            What to compute, and the events that are certain already.

        Raises:
            ValueError: the frame belongs to another stream.
        """
        if seen.stream != self.stream:
            raise ValueError(f"the engine of {self.stream!r} cannot use a frame of {seen.stream!r}")
        if seen.epoch < self._epoch:
            return self._pass_over(seen, ()), ()
        closed, events = self._close_tracks(seen)
        if seen.epoch > self._epoch:
            self._epoch = seen.epoch
            self._coverage.restart()
        if self._coverage.newest is not None and seen.slot <= self._coverage.newest:
            return self._pass_over(seen, closed), events
        self._coverage.advance(seen.slot, seen.overrun, contaminated=seen.capture.contaminated)
        self._capture, self._arrived = seen.capture, seen.arrived
        evicted, more = self._open_tracks(seen)
        return self._look(seen, closed + evicted), events + more

    def resolve(self, plan: Plan, ratings: Ratings) -> tuple[Event, ...]:
        """Take the device's answer to a plan and say what it means.

        Args:
            plan: a plan of this engine.
            ratings: its answer; one that is late, double or foreign is dropped and counted.
        """
        known = plan.number in self._records and plan.number == ratings.number
        if plan.stream != self.stream or not known:
            self._count(late_answers=1)
            return ()
        events: list[Event] = []
        for number in [n for n in self._records if n <= plan.number]:
            record = self._records.pop(number)
            if number == plan.number:
                events += self._apply(record, ratings)
            else:
                events += self._give_up(record)
        return tuple(events)

    def report(self, now: float) -> StreamReport:
        """Return how the stream is doing at monotonic time `now`."""
        return StreamReport(
            stream=self.stream,
            epoch=max(self._epoch, 0),
            fps=self._capture.source_fps,
            loss=self._coverage.loss,
            tracks=len(self._tracks),
            reasons=self._common_reasons(),
            age_s=None if self._arrived is None else max(now - self._arrived, 0.0),
        )

    def end(self, reason: TrackEnd) -> tuple[Plan, tuple[Event, ...]]:
        """End every track; answers that are still to come will be dropped."""
        tracks = list(self._tracks.values())
        self._records.clear()
        plan = self._plan(forgets=tuple(self._forget(track) for track in tracks))
        return plan, tuple(self._ended(track, track.seen_at, reason) for track in tracks)

    def retune(self, settings: EngineSettings) -> None:
        """Change thresholds, times and limits from the next frame on; nothing is forgotten."""
        self.settings = settings
        self._coverage.resize(settings.coverage_slots(self._clip))

    # -- step: tracks ---------------------------------------------------------------------------

    def _close_tracks(self, seen: Perceived) -> tuple[tuple[Forget, ...], tuple[Event, ...]]:
        """End the tracks that perception has closed, and all others when the epoch is new."""
        forgets: list[Forget] = []
        events: list[Event] = []
        for ended in seen.ended:
            track = self._tracks.get(ended.track)
            if track is not None:
                at = seen.at if track.epoch == seen.epoch else track.seen_at
                forgets.append(self._forget(track))
                events.append(self._ended(track, at, ended.reason))
        for track in [t for t in self._tracks.values() if t.epoch != seen.epoch]:
            forgets.append(self._forget(track))
            events.append(self._ended(track, track.seen_at, TrackEnd.EPOCH_ENDED))
        return tuple(forgets), tuple(events)

    def _open_tracks(self, seen: Perceived) -> tuple[tuple[Forget, ...], tuple[Event, ...]]:
        """Start the tracks that are new, evicting those out of sight where room is needed."""
        forgets: list[Forget] = []
        events: list[Event] = []
        in_sight = {face.track for face in seen.faces}
        ended = {each.track for each in seen.ended}
        for number in sorted(set(seen.started) - ended):
            if number <= self._highest_track:
                continue
            self._highest_track = number
            if len(self._tracks) >= self.settings.max_tracks:
                stale = self._stalest(in_sight)
                if stale is None:
                    self._count(turned_away=1)
                    limit = self.settings.max_tracks
                    events.append(
                        CapacityReached(self.stream, seen.epoch, number, limit, self.detector)
                    )
                    continue
                self._count(evictions=1)
                forgets.append(self._forget(stale))
                events.append(self._ended(stale, seen.at, TrackEnd.EVICTED))
            evidence = Evidence(self._calibration, self._clip.frames, self._clip.step_s)
            self._tracks[number] = _Track(
                number, seen.epoch, seen.slot, seen.at, TrackWindow(), evidence
            )
            events.append(TrackStarted(self.stream, seen.epoch, number, seen.at))
        return tuple(forgets), tuple(events)

    def _stalest(self, in_sight: set[int]) -> _Track | None:
        """Return the track that was seen longest ago, or None when all are in sight."""
        hidden = [track for track in self._tracks.values() if track.number not in in_sight]
        return min(hidden, key=lambda track: (track.seen_slot, track.number), default=None)

    def _forget(self, track: _Track) -> Forget:
        del self._tracks[track.number]
        return Forget(self._key(track.number))

    def _ended(self, track: _Track, at: float, reason: TrackEnd) -> TrackEnded:
        return TrackEnded(self.stream, track.epoch, track.number, at, reason)

    # -- step: frames ---------------------------------------------------------------------------

    def _pass_over(self, seen: Perceived, forgets: tuple[Forget, ...]) -> Plan:
        """Use nothing of a frame that comes too late."""
        self._count(late_frames=1)
        plan = self._plan(forgets)
        self._keep(plan, _Record(seen.at, seen.arrived, contaminated=False, marks=()))
        return plan

    def _look(self, seen: Perceived, forgets: tuple[Forget, ...]) -> Plan:
        """Push the usable faces of a new frame, and ask for the ratings that are due."""
        faces = self._known_faces(seen.faces)
        for number in faces:
            self._tracks[number].seen_slot, self._tracks[number].seen_at = seen.slot, seen.at
        pushes: list[Push] = []
        marks: list[_Mark] = []
        if seen.capture.contaminated:
            self._count(contaminated=1)
            for track in self._tracks.values():
                track.window.taint()
                marks.append(_Mark(track.number, pushed=False))
        else:
            stream_reasons = self._stream_reasons()
            for number, face in faces.items():
                push, mark = self._push(self._tracks[number], face, seen, stream_reasons)
                pushes.append(push)
                marks.append(mark)
        rates = tuple(Rate(self._key(mark.track)) for mark in marks if mark.reading is not None)
        self._count(pushes=len(pushes), ratings=len(rates))
        plan = self._plan(forgets, tuple(pushes), rates)
        self._keep(plan, _Record(seen.at, seen.arrived, seen.capture.contaminated, tuple(marks)))
        return plan

    def _known_faces(self, faces: Iterable[AlignedFace]) -> dict[int, AlignedFace]:
        """Return one face per followed track."""
        known: dict[int, AlignedFace] = {}
        for face in faces:
            if face.track in self._tracks and face.track not in known:
                known[face.track] = face
            else:
                self._count(foreign_faces=1)
        return known

    def _push(
        self,
        track: _Track,
        face: AlignedFace,
        seen: Perceived,
        stream_reasons: frozenset[AbstainReason],
    ) -> tuple[Push, _Mark]:
        window, gap = track.window, self.settings.gap_slots(self._clip)
        admission = window.admit(seen.slot, seen.at, face.quality, gap)
        push = Push(
            self._key(track.number),
            face.image,
            face.reanchored,
            admission.missing,
            admission.fresh,
        )
        reading = None
        if window.due(self.settings.hop_slots(self._clip) * self.hop_factor):
            hop = window.close_hop()
            reasons = stream_reasons | self._face_reasons(hop.quality)
            if hop.contaminated:
                reasons |= {AbstainReason.CONTAMINATED}
            if window.frames < self.settings.warmup_frames(self._clip):
                reasons |= {AbstainReason.WARMING}
            reading = _Reading(
                slot=seen.slot,
                start=window.start,
                frames=window.frames,
                hop_frames=hop.frames,
                missing=window.missing,
                reasons=_ordered(reasons),
                quality=hop.quality,
                box=face.face.box,
                capture=self._capture,
            )
        return push, _Mark(track.number, pushed=True, fresh=admission.fresh, reading=reading)

    def _keep(self, plan: Plan, record: _Record) -> None:
        self._records[plan.number] = record
        while len(self._records) > self.settings.max_pending:
            self._doubt(self._records.pop(next(iter(self._records))))

    def _plan(
        self,
        forgets: tuple[Forget, ...] = (),
        pushes: tuple[Push, ...] = (),
        rates: tuple[Rate, ...] = (),
    ) -> Plan:
        self._plans += 1
        return Plan(self._plans, self.stream, forgets, pushes, rates)

    def _key(self, track: int) -> TrackKey:
        return TrackKey(self.stream, track)

    # -- step: reasons --------------------------------------------------------------------------

    def _stream_reasons(self) -> frozenset[AbstainReason]:
        """Return what speaks against every track of this frame."""
        limits = self.settings
        holds = {
            AbstainReason.UNTRAINED: self._status is TrainingStatus.UNTRAINED,
            AbstainReason.LOW_FPS: self._is_slow(),
            AbstainReason.PACKET_LOSS: self._coverage.loss > limits.max_loss
            or not self._capture.link_loss <= limits.max_link_loss,
            AbstainReason.OVERLOADED: self._coverage.overrun > limits.max_overrun,
        }
        return frozenset(reason for reason, holding in holds.items() if holding)

    def _is_slow(self) -> bool:
        """Return whether the source is too slow; 0 means that its rate is not known yet."""
        wanted = self.settings.min_fps_share * self._clip.cadence_hz
        return self._capture.source_fps != 0 and not self._capture.source_fps >= wanted

    def _face_reasons(self, quality: FaceQuality) -> frozenset[AbstainReason]:
        """Return what speaks against a face; a figure that is not a number speaks against it."""
        limits = self.settings
        enough = {
            AbstainReason.FACE_SMALL: quality.face_px >= limits.min_face_px,
            AbstainReason.BLURRED: quality.sharpness >= limits.min_sharpness,
            AbstainReason.DARK: quality.brightness >= limits.min_brightness,
            AbstainReason.PROFILE: abs(quality.yaw_deg) <= limits.max_yaw_deg,
        }
        return frozenset(reason for reason, fine in enough.items() if not fine)

    def _common_reasons(self) -> tuple[AbstainReason, ...]:
        """Return what keeps the stream as a whole from yielding verdicts."""
        reasons = set(self._stream_reasons())
        if self._coverage.contaminated:
            reasons.add(AbstainReason.CONTAMINATED)
        if self._tracks:
            shared = [set(track.reasons) for track in self._tracks.values()]
            reasons |= set.intersection(*shared)
        elif self._arrived is not None:
            reasons.add(AbstainReason.NO_FACE)
        return _ordered(reasons)

    # -- resolve --------------------------------------------------------------------------------

    def _apply(self, record: _Record, ratings: Ratings) -> list[Event]:
        """Carry out what an answered plan means for its tracks."""
        events: list[Event] = []
        for mark in record.marks:
            track = self._tracks.get(mark.track)
            if track is None:
                self._count(late_answers=int(mark.reading is not None))
            elif record.contaminated:
                events += self._abstain(track, record, AbstainReason.CONTAMINATED)
            elif self._key(mark.track) in ratings.refused:
                events += self._refuse(track, record, ratings.slots)
            else:
                events += self._accept(track, mark, record, ratings)
        return events

    def _accept(
        self, track: _Track, mark: _Mark, record: _Record, ratings: Ratings
    ) -> Iterable[Event]:
        """Take note of a push that the device carried out, and of its rating if there is one."""
        if mark.fresh:
            yield from self._abstain(track, record, AbstainReason.WARMING)
            track.evidence.restart()
            track.in_doubt = track.refused = False
        if mark.reading is None:
            return
        logit = ratings.logits.get(self._key(mark.track))
        if logit is None or not math.isfinite(logit) or track.in_doubt:
            self._count(unrated=1)
            return
        yield from self._rate(track, mark.reading, logit, record)

    def _rate(
        self, track: _Track, reading: _Reading, logit: float, record: _Record
    ) -> Iterable[Event]:
        evidence, before = track.evidence, track.evidence.shown
        value = evidence_weight(
            reading.quality,
            reading.capture,
            self._clip.cadence_hz,
            self._calibration.strangeness(logit),
            self.settings,
        )
        frames, settings = reading.hop_frames, self.settings
        evidence.rate(logit, reading.slot, frames, reading.reasons, settings, value)
        estimate = evidence.estimate(logit, reading.frames, value)
        track.reasons = reading.reasons
        self._count(scores=1)
        yield Score(
            stream=self.stream,
            epoch=track.epoch,
            track=track.number,
            start=reading.start,
            end=record.at,
            frames=reading.frames,
            missing=reading.missing,
            logit=logit,
            probability=self._calibration.probability(logit),
            score=estimate.score,
            low=estimate.low,
            high=estimate.high,
            verdict=evidence.shown,
            reasons=reading.reasons,
            quality=reading.quality,
            box=reading.box,
            arrived=record.arrived,
            detector=self.detector,
            evidence_weight=value,
        )
        yield from self._changed(track, before, estimate.score, record.at)

    def _refuse(self, track: _Track, record: _Record, slots: int) -> Iterable[Event]:
        """Take note that the device had no slot: nothing is known of the track from here on."""
        self._count(refusals=1)
        yield from self._abstain(track, record, AbstainReason.OVERLOADED)
        track.window.restart()
        track.in_doubt = True
        if not track.refused:
            track.refused = True
            yield CapacityReached(self.stream, track.epoch, track.number, slots, self.detector)

    def _abstain(
        self, track: _Track, record: _Record, reason: AbstainReason
    ) -> tuple[VerdictChanged, ...]:
        before = track.evidence.shown
        track.evidence.abstain()
        track.reasons = _ordered({reason, *self._untrained()})
        return self._changed(track, before, track.evidence.score, record.at)

    def _changed(
        self, track: _Track, before: Verdict, score: float, at: float
    ) -> tuple[VerdictChanged, ...]:
        now = track.evidence.shown
        if now is before:
            return ()
        return (
            VerdictChanged(
                self.stream, track.epoch, track.number, at, before, now, score, self.detector
            ),
        )

    def _give_up(self, record: _Record) -> list[Event]:
        """Treat a plan as never carried out, because a later one was answered before it."""
        self._doubt(record)
        events: list[Event] = []
        for mark in record.marks:
            track = self._tracks.get(mark.track)
            if track is not None:
                reason = (
                    AbstainReason.CONTAMINATED if record.contaminated else AbstainReason.WARMING
                )
                events += self._abstain(track, record, reason)
        return events

    def _doubt(self, record: _Record) -> None:
        """Let the tracks of an unanswered plan start anew."""
        self._count(unanswered=1)
        for mark in record.marks:
            track = self._tracks.get(mark.track)
            if track is not None and mark.pushed:
                track.window.restart()
                track.in_doubt = True

    def _untrained(self) -> tuple[AbstainReason, ...]:
        untrained = self._status is TrainingStatus.UNTRAINED
        return (AbstainReason.UNTRAINED,) if untrained else ()

    def _count(self, **increments: int) -> None:
        self.counters = replace(
            self.counters,
            **{key: getattr(self.counters, key) + n for key, n in increments.items()},
        )


_ORDER = {reason: place for place, reason in enumerate(AbstainReason)}


def _ordered(reasons: Iterable[AbstainReason]) -> tuple[AbstainReason, ...]:
    """Return each reason once, most fundamental first."""
    return tuple(sorted(set(reasons), key=_ORDER.__getitem__))
