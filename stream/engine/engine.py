"""Engine of one stream and one detector: from sampled frames to plans, from answers to verdicts.

Theory of operation. `step` takes in one sampled frame and returns a numbered `Plan` for the device
with the events that are certain already (tracks that start and end). For every plan it keeps a
small record of what the answer will need: which tracks were pushed, and how things stood for those
that are rated. `resolve` takes the device's answer, finds the record, and only then touches scores
and verdicts (`resolution.py`). So evidence depends on plans in their order and not on how late
their answers come.

Answers are expected in the order of their plans, one for every plan, an empty plan included. A plan
that is overtaken or never answered leaves its tracks unsettled: they start anew. An answer without
a record, or for a track that has ended, is dropped and counted.

`step` and `resolve` are told the time and never ask for it. Memory is bounded for any input:
`max_tracks` tracks, `max_pending` records, and a ring of slots.
"""

from __future__ import annotations

from collections.abc import Iterable

from stream.engine import reasons
from stream.engine.camera import Camera, UnknownCamera
from stream.engine.counters import EngineCounters, Tally
from stream.engine.decider import Deciders
from stream.engine.looks import LookPace
from stream.engine.plan import Forget, Plan, Push, Rate, Ratings, TrackKey
from stream.engine.records import FollowedTrack, Mark, PlanRecord, Reading, Subject
from stream.engine.resolution import Resolver
from stream.engine.settings import EngineSettings
from stream.engine.trace import Trace, ignore
from stream.engine.verdict import Evidence, Thresholds
from stream.engine.window import Coverage, TrackWindow
from stream.events import (
    AbstainReason,
    CapacityReached,
    CaptureConditions,
    Event,
    Notice,
    Perceived,
    StreamReport,
    TrackEnd,
    TrackEnded,
    TrackStarted,
)
from styleflow.calibration import Calibration
from styleflow.cards import TrainingStatus
from styleflow.clips import ClipSpec
from styleflow.faces.face import AlignedFace

__all__ = ["Engine", "EngineCounters", "EngineSettings"]


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
        trace: told every transition as it happens.
        deciders: make the faces' verdicts; by thresholds when None.
        camera: knows the stream's own known-real video; none is known when None.

    Attributes:
        settings: what holds now; see `retune`.
        hop_factor: how many times as long hops are under overload; 1 without.
    """

    def __init__(
        self,
        stream: str,
        detector: str,
        clip: ClipSpec,
        calibration: Calibration,
        status: TrainingStatus,
        settings: EngineSettings,
        trace: Trace = ignore,
        deciders: Deciders | None = None,
        camera: Camera | None = None,
    ) -> None:
        self.settings = settings
        self.hop_factor = 1
        self._deciders: Deciders = deciders or Thresholds()
        self._camera: Camera = camera or UnknownCamera()
        self._deciders.compare_with(self._camera.table)
        self._subject = Subject(stream, detector, clip, calibration, status)
        self._trace = trace
        self._tally = Tally()
        self._coverage = Coverage(settings.coverage_slots(clip))
        self._pace = LookPace.of(settings, clip)
        self._tracks: dict[int, FollowedTrack] = {}
        self._records: dict[int, PlanRecord] = {}
        self._resolver = Resolver(
            self._subject, settings, self._tracks, self._tally, trace, self._camera
        )
        self._plans = 0
        self._highest_track = -1
        self._epoch = -1
        self._capture = CaptureConditions()
        self._arrived: float | None = None
        self._waiting = 0  # faces of the newest frame that are not followed
        self._most_waiting = 0  # of this epoch

    def step(self, seen: Perceived) -> tuple[Plan, tuple[Event, ...]]:
        """Take in one sampled frame.

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
            self._most_waiting = 0
            self._trace("epoch", epoch=seen.epoch)
        if self._coverage.newest is not None and seen.slot <= self._coverage.newest:
            return self._pass_over(seen, closed), events
        self._coverage.advance(seen.slot, seen.overrun, contaminated=seen.capture.contaminated)
        self._capture, self._arrived = seen.capture, seen.arrived
        self._deciders.earn(self._subject.clip.step_s)
        evicted, more = self._open_tracks(seen)
        waiting = self._count_waiting(seen)
        return self._use(seen, closed + evicted), events + more + waiting

    def resolve(self, plan: Plan, ratings: Ratings) -> tuple[Event, ...]:
        """Take the device's answer to a plan and say what it means.

        Args:
            plan: a plan of this engine.
            ratings: its answer; one that is late, double or foreign is dropped and counted.
        """
        known = plan.number in self._records and plan.number == ratings.number
        if plan.stream != self.stream or not known:
            self._tally.count(late_answers=1)
            return ()
        events: list[Event] = []
        for number in [n for n in self._records if n <= plan.number]:
            record = self._records.pop(number)
            if number == plan.number:
                events += self._resolver.apply(record, ratings)
            else:
                events += self._resolver.give_up(record)
        return tuple(events)

    @property
    def stream(self) -> str:
        """Id of the stream."""
        return self._subject.stream

    @property
    def counters(self) -> EngineCounters:
        """What has been done so far."""
        return self._tally.counters

    def report(self, now: float) -> StreamReport:
        """Return how the stream is doing at monotonic time `now`."""
        return StreamReport(
            stream=self.stream,
            epoch=max(self._epoch, 0),
            fps=self._capture.source_fps or None,
            loss=None if self._arrived is None else self._coverage.loss,
            tracks=len(self._tracks),
            reasons=self._common_reasons(),
            age_s=None if self._arrived is None else max(now - self._arrived, 0.0),
            faces_waiting=self._faces_waiting,
            notices=self._notices(),
            layer=self._capture.simulcast_layer,
            baseline=self._camera.mark,
        )

    def end(self, reason: TrackEnd) -> tuple[Plan, tuple[Event, ...]]:
        """End every track; answers that are still to come will be dropped."""
        tracks = list(self._tracks.values())
        self._waiting = self._most_waiting = 0
        self._records.clear()
        plan = self._plan(forgets=tuple(self._forget(track) for track in tracks))
        return plan, tuple(self._ended(track, track.seen_at, reason) for track in tracks)

    def retune(self, settings: EngineSettings) -> None:
        """Change thresholds, times and limits from the next frame on; nothing is forgotten."""
        self.settings = self._resolver.settings = settings
        self._coverage.resize(settings.coverage_slots(self._subject.clip))
        self._pace = LookPace.of(settings, self._subject.clip)

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
                    self._tally.count(turned_away=1)
                    limit = self.settings.max_tracks
                    events.append(
                        CapacityReached(
                            self.stream, seen.epoch, number, limit, self._subject.detector
                        )
                    )
                    continue
                self._tally.count(evictions=1)
                forgets.append(self._forget(stale))
                events.append(self._ended(stale, seen.at, TrackEnd.EVICTED))
            clip, decider = self._subject.clip, self._deciders.face()
            evidence = Evidence(self._subject.calibration, clip.frames, clip.step_s, decider)
            self._tracks[number] = FollowedTrack(
                number, seen.epoch, seen.slot, seen.at, TrackWindow(), evidence
            )
            self._trace("track_started", track=number, at=seen.at)
            events.append(TrackStarted(self.stream, seen.epoch, number, seen.at))
        return tuple(forgets), tuple(events)

    def _count_waiting(self, seen: Perceived) -> tuple[Event, ...]:
        """Take note of the faces that are not followed; say so whenever they are more than ever."""
        unknown = {face.track for face in seen.faces} - self._tracks.keys()
        self._waiting = seen.waiting + len(unknown)
        if seen.waiting <= self._most_waiting:
            return ()
        self._most_waiting = seen.waiting
        detector, looked_at = self._subject.detector, len(self._tracks)
        self._trace("faces_waiting", at=seen.at, waiting=self._waiting)
        return (
            CapacityReached(
                self.stream, seen.epoch, 0, looked_at, detector, faces_waiting=self._waiting
            ),
        )

    @property
    def _faces_waiting(self) -> int:
        return self._waiting + sum(track.refused for track in self._tracks.values())

    def _stalest(self, in_sight: set[int]) -> FollowedTrack | None:
        """Return the track that was seen longest ago, or None when all are in sight."""
        hidden = [track for track in self._tracks.values() if track.number not in in_sight]
        return min(hidden, key=lambda track: (track.seen_slot, track.number), default=None)

    def _forget(self, track: FollowedTrack) -> Forget:
        del self._tracks[track.number]
        return Forget(self._key(track.number))

    def _ended(self, track: FollowedTrack, at: float, reason: TrackEnd) -> TrackEnded:
        self._trace("track_ended", track=track.number, at=at, reason=reason.value)
        return TrackEnded(self.stream, track.epoch, track.number, at, reason)

    # -- step: frames ---------------------------------------------------------------------------

    def _pass_over(self, seen: Perceived, forgets: tuple[Forget, ...]) -> Plan:
        """Use nothing of a frame that comes too late."""
        self._tally.count(late_frames=1)
        plan = self._plan(forgets)
        self._keep(plan, PlanRecord(seen.at, seen.arrived, contaminated=False, marks=()))
        return plan

    def _use(self, seen: Perceived, forgets: tuple[Forget, ...]) -> Plan:
        """Push the usable faces of a new frame, and ask for the ratings that are due."""
        faces = self._known_faces(seen.faces)
        for number in faces:
            self._tracks[number].seen_slot, self._tracks[number].seen_at = seen.slot, seen.at
        pushes: list[Push] = []
        marks: list[Mark] = []
        if seen.capture.contaminated:
            self._tally.count(contaminated=1)
            for track in self._tracks.values():
                track.window.taint()
                marks.append(Mark(track.number, pushed=False))
        else:
            stream_reasons = self._stream_reasons()
            for number, face in faces.items():
                push, mark = self._push(self._tracks[number], face, seen, stream_reasons)
                pushes.append(push)
                marks.append(mark)
        rates = tuple(Rate(self._key(mark.track)) for mark in marks if mark.reading is not None)
        looks = sum(push.look for push in pushes)
        self._tally.count(pushes=len(pushes), looks=looks, ratings=len(rates))
        plan = self._plan(forgets, tuple(pushes), rates)
        self._keep(plan, PlanRecord(seen.at, seen.arrived, seen.capture.contaminated, tuple(marks)))
        return plan

    def _known_faces(self, faces: Iterable[AlignedFace]) -> dict[int, AlignedFace]:
        """Return one face per followed track."""
        known: dict[int, AlignedFace] = {}
        for face in faces:
            if face.track in self._tracks and face.track not in known:
                known[face.track] = face
            else:
                self._tally.count(foreign_faces=1)
        return known

    def _push(
        self,
        track: FollowedTrack,
        face: AlignedFace,
        seen: Perceived,
        stream_reasons: frozenset[AbstainReason],
    ) -> tuple[Push, Mark]:
        window, gap = track.window, self.settings.gap_slots(self._subject.clip)
        admission = window.admit(seen.slot, seen.at, face.quality, gap)
        push = Push(
            self._key(track.number),
            face.image,
            face.reanchored,
            admission.missing,
            admission.fresh,
            self._looks(track, seen, fresh=admission.fresh),
        )
        reading = None
        if window.due(self.settings.hop_slots(self._subject.clip) * self.hop_factor):
            hop = window.close_hop()
            against = stream_reasons | reasons.of_face(hop.quality, self.settings)
            if hop.contaminated:
                against |= {AbstainReason.CONTAMINATED}
            if window.frames < self.settings.warmup_frames(self._subject.clip):
                against |= {AbstainReason.WARMING}
            reading = Reading(
                slot=seen.slot,
                start=window.start,
                frames=window.frames,
                hop_frames=hop.frames,
                missing=window.missing,
                reasons=reasons.ordered(against),
                quality=hop.quality,
                box=face.face.box,
                capture=self._capture,
            )
        return push, Mark(track.number, pushed=True, fresh=admission.fresh, reading=reading)

    def _looks(self, track: FollowedTrack, seen: Perceived, *, fresh: bool) -> bool:
        """Return whether the schedule of looks has a track's newest frame looked at."""
        if fresh:
            track.looks.restart()
        return track.looks.looks(
            seen.slot,
            self._pace,
            self.hop_factor,
            seen.overrun,
            strained=self._coverage.overrun > self.settings.max_overrun,
        )

    def _keep(self, plan: Plan, record: PlanRecord) -> None:
        self._records[plan.number] = record
        while len(self._records) > self.settings.max_pending:
            self._resolver.unsettle(self._records.pop(next(iter(self._records))))

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
        lasting = reasons.of_model(self._subject.status)
        return lasting | reasons.of_stream(
            self._capture, self._coverage, self._subject.clip, self.settings
        )

    def _notices(self) -> tuple[Notice, ...]:
        """Return what is worth knowing of the stream beside."""
        small = any(AbstainReason.FACE_SMALL in track.reasons for track in self._tracks.values())
        holds = {
            Notice.CAMERA_CLOCK: self._capture.camera_clock,
            Notice.SMALL_LAYER: reasons.is_small_layer(
                self._capture.simulcast_layer, self.settings, small
            ),
        }
        return tuple(notice for notice, holding in holds.items() if holding)

    def _common_reasons(self) -> tuple[AbstainReason, ...]:
        """Return what keeps the stream as a whole from yielding verdicts."""
        common = set(self._stream_reasons())
        if self._coverage.contaminated:
            common.add(AbstainReason.CONTAMINATED)
        if self._tracks:
            shared = [set(track.reasons) for track in self._tracks.values()]
            common |= set.intersection(*shared)
        elif self._arrived is not None:
            common.add(AbstainReason.NO_FACE)
        if self._faces_waiting:
            common.add(AbstainReason.FACES_WAITING)
        return reasons.ordered(common)
