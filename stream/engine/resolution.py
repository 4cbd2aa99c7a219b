"""Resolution of a plan: from the device's answer to scores and verdicts."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping

from stream.engine import reasons
from stream.engine.camera import Camera
from stream.engine.counters import Tally
from stream.engine.evidence_weight import evidence_weight
from stream.engine.plan import Ratings, TrackKey
from stream.engine.records import FollowedTrack, Mark, PlanRecord, Reading, Subject
from stream.engine.settings import EngineSettings
from stream.engine.trace import Trace
from stream.events import AbstainReason, CapacityReached, Event, Score, Verdict, VerdictChanged
from styleflow.decisions import Quality


class Resolver:
    """Turns answered plans of one engine into events, and touches evidence and verdicts.

    Args:
        subject: the stream and the model that the scores are about.
        settings: thresholds and times.
        tracks: those that the engine follows, by number; the engine adds and removes.
        tally: counts for the engine.
        trace: told transitions.
        camera: told the conditions of every rating.

    Attributes:
        settings: what holds from the next answer on.
    """

    def __init__(
        self,
        subject: Subject,
        settings: EngineSettings,
        tracks: Mapping[int, FollowedTrack],
        tally: Tally,
        trace: Trace,
        camera: Camera,
    ) -> None:
        self.settings = settings
        self._subject = subject
        self._stream = subject.stream
        self._detector = subject.detector
        self._calibration = subject.calibration
        self._tracks = tracks
        self._tally = tally
        self._trace = trace
        self._camera = camera

    def apply(self, record: PlanRecord, ratings: Ratings) -> list[Event]:
        """Carry out what an answered plan means for its tracks."""
        events: list[Event] = []
        for mark in record.marks:
            track = self._tracks.get(mark.track)
            if track is None:
                self._tally.count(late_answers=int(mark.reading is not None))
            elif record.contaminated:
                events += self._abstain(track, record, AbstainReason.CONTAMINATED)
            elif TrackKey(self._stream, mark.track) in ratings.refused:
                events += self._refuse(track, record, ratings.slots)
            else:
                events += self._accept(track, mark, record, ratings)
        return events

    def _accept(
        self, track: FollowedTrack, mark: Mark, record: PlanRecord, ratings: Ratings
    ) -> Iterable[Event]:
        """Take note of a push that the device carried out, and of its rating if there is one."""
        if mark.fresh:
            yield from self._abstain(track, record, AbstainReason.WARMING)
            track.evidence.restart()
            track.unsettled = track.refused = False
        if mark.reading is None:
            return
        logit = ratings.logits.get(TrackKey(self._stream, mark.track))
        if logit is None or not math.isfinite(logit) or track.unsettled:
            self._tally.count(unrated=1)
            return
        yield from self._rate(track, mark.reading, logit, record)

    def _rate(
        self, track: FollowedTrack, reading: Reading, logit: float, record: PlanRecord
    ) -> Iterable[Event]:
        evidence, before = track.evidence, track.evidence.shown
        strangeness = self._calibration.strangeness(logit)
        value = evidence_weight(
            reading.quality,
            reading.capture,
            self._subject.clip.cadence_hz,
            strangeness,
            self.settings,
        )
        frames, settings = reading.hop_frames, self.settings
        self._camera.observe(reading.capture, reading.quality)
        bits = reading.capture.bits_per_pixel
        quality = Quality(reading.quality.sharpness, reading.quality.face_px, bits)
        evidence.rate(logit, reading.slot, frames, reading.reasons, settings, value, quality)
        estimate = evidence.estimate(logit, reading.frames, value, reading.quality.sharpness)
        undecided = (AbstainReason.UNDECIDED,) if evidence.undecided else ()
        track.reasons = reading.reasons + undecided
        track.looks.answered(reading.slot, settled=evidence.shown is not Verdict.PENDING)
        self._tally.count(scores=1)
        yield Score(
            stream=self._stream,
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
            reasons=track.reasons,
            quality=reading.quality,
            box=reading.box,
            arrived=record.arrived,
            detector=self._detector,
            evidence_weight=value,
            decision=evidence.decision,
            capture=reading.capture,
            baseline=self._camera.mark,
            strangeness=strangeness,
        )
        yield from self._changed(track, before, estimate.score, record.at)

    def _refuse(self, track: FollowedTrack, record: PlanRecord, slots: int) -> Iterable[Event]:
        """Take note that the device had no slot: nothing is known of the track from here on."""
        self._tally.count(refusals=1)
        yield from self._abstain(track, record, AbstainReason.OVERLOADED)
        track.window.restart()
        track.unsettled = True
        if not track.refused:
            track.refused = True
            self._trace("refused", track=track.number, slots=slots)
            waiting = sum(each.refused for each in self._tracks.values())
            yield CapacityReached(
                self._stream, track.epoch, track.number, slots, self._detector, waiting
            )

    def _abstain(
        self, track: FollowedTrack, record: PlanRecord, reason: AbstainReason
    ) -> tuple[VerdictChanged, ...]:
        before = track.evidence.shown
        track.evidence.abstain()
        track.reasons = reasons.ordered({reason, *reasons.of_model(self._subject.status)})
        return self._changed(track, before, track.evidence.score, record.at)

    def _changed(
        self, track: FollowedTrack, before: Verdict, score: float, at: float
    ) -> tuple[VerdictChanged, ...]:
        now = track.evidence.shown
        if now is before:
            return ()
        self._trace("verdict", track=track.number, at=at, before=before.value, now=now.value)
        return (
            VerdictChanged(
                self._stream, track.epoch, track.number, at, before, now, score, self._detector
            ),
        )

    def give_up(self, record: PlanRecord) -> list[Event]:
        """Treat a plan as never carried out, because a later one was answered before it."""
        self.unsettle(record)
        events: list[Event] = []
        for mark in record.marks:
            track = self._tracks.get(mark.track)
            if track is not None:
                reason = (
                    AbstainReason.CONTAMINATED if record.contaminated else AbstainReason.WARMING
                )
                events += self._abstain(track, record, reason)
        return events

    def unsettle(self, record: PlanRecord) -> None:
        """Let the tracks of an unanswered plan start anew."""
        self._tally.count(unanswered=1)
        for mark in record.marks:
            track = self._tracks.get(mark.track)
            if track is not None and mark.pushed:
                track.window.restart()
                track.unsettled = True
                self._trace("unanswered", track=track.number)
