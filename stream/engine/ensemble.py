"""Ensemble of several detectors on one face: their newest logits, stacked.

An ensemble speaks when every member has spoken of a face since it last did itself, and recently;
a member that abstains makes it abstain, so it never covers for one that is missing. Smoothing,
interval and verdict follow the same rules as a detector's own (`verdict.py`); the evidence
weight of a frame is the lowest among the members.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from stream.engine.settings import EngineSettings
from stream.engine.verdict import Evidence
from stream.events import AbstainReason, Event, Score, TrackEnded, Verdict, VerdictChanged
from styleflow.cards import TrainingStatus
from styleflow.clips import ClipSpec
from styleflow.ensemble import NAME, Ensemble

TICK_HZ = 100.0
"""Members are sampled at different cadences; the ensemble counts media time in hundredths."""


@dataclass(slots=True)
class _Track:
    """What the members have said of one face since the ensemble last spoke of it."""

    evidence: Evidence
    newest: dict[str, Score] = field(default_factory=dict)
    spoke_at: float | None = None


class EnsembleEngine:
    """One stream's ensemble; a pure object, bounded by the faces that the engines follow.

    Args:
        ensemble: how logits are stacked.
        clip: one full window of evidence, see `clip`.
        status: how far its scores may be trusted.
        settings: thresholds and times.
    """

    def __init__(
        self, ensemble: Ensemble, clip: ClipSpec, status: TrainingStatus, settings: EngineSettings
    ) -> None:
        self.settings = settings
        self._ensemble = ensemble
        self._clip = clip
        self._status = status
        self._tracks: dict[int, _Track] = {}

    @staticmethod
    def clip(duration_s: float) -> ClipSpec:
        """Return the window of an ensemble whose longest member sees so much media time."""
        return ClipSpec(max(round(duration_s * TICK_HZ), 1), TICK_HZ, 0)

    def take(self, event: Event) -> tuple[Event, ...]:
        """Take note of what an engine says, and return what follows from it."""
        match event:
            case Score() if event.detector in self._ensemble.names:
                return self._score(event)
            case VerdictChanged(verdict=Verdict.PENDING):
                return self._abstain(event)
            case TrackEnded():
                self._tracks.pop(event.track, None)
        return ()

    def _score(self, score: Score) -> tuple[Event, ...]:
        track = self._tracks.get(score.track)
        if track is None:
            evidence = Evidence(self._ensemble.calibration, self._clip.frames, self._clip.step_s)
            track = self._tracks[score.track] = _Track(evidence)
        track.newest[score.detector] = score
        oldest = score.end - self.settings.max_gap_s
        track.newest = {name: s for name, s in track.newest.items() if s.end >= oldest}
        if len(track.newest) < len(self._ensemble.names):
            return ()
        members = tuple(track.newest.values())
        track.newest = {}
        return self._speak(track, members)

    def _speak(self, track: _Track, members: tuple[Score, ...]) -> tuple[Event, ...]:
        newest = max(members, key=lambda s: s.end)
        start = min(s.start for s in members)
        logit = self._ensemble.logit({s.detector: s.logit for s in members})
        reasons = self._reasons(members)
        ticks = self._ticks(newest.end - (start if track.spoke_at is None else track.spoke_at))
        evidence, before = track.evidence, track.evidence.shown
        slot = round(newest.end * TICK_HZ)
        evidence_weight = min(s.evidence_weight for s in members)
        evidence.rate(logit, slot, ticks, reasons, self.settings, evidence_weight)
        estimate = evidence.estimate(logit, self._ticks(newest.end - start), evidence_weight)
        track.spoke_at = newest.end
        score = replace(
            newest,
            start=start,
            frames=min(s.frames for s in members),
            missing=max(s.missing for s in members),
            logit=logit,
            probability=self._ensemble.calibration.probability(logit),
            score=estimate.score,
            low=estimate.low,
            high=estimate.high,
            verdict=evidence.shown,
            reasons=reasons,
            arrived=max(s.arrived for s in members),
            detector=NAME,
            evidence_weight=evidence_weight,
        )
        return (score, *_changed(score, before, evidence.shown, newest.end))

    def _reasons(self, members: tuple[Score, ...]) -> tuple[AbstainReason, ...]:
        said = {reason for score in members for reason in score.reasons}
        if self._status is TrainingStatus.UNTRAINED:
            said.add(AbstainReason.UNTRAINED)
        return tuple(reason for reason in AbstainReason if reason in said)

    def _ticks(self, seconds: float) -> int:
        return min(max(round(seconds * TICK_HZ), 1), self._clip.frames)

    def _abstain(self, event: VerdictChanged) -> tuple[Event, ...]:
        """Show no verdict because a member shows none any more."""
        track = self._tracks.get(event.track)
        if track is None or event.detector not in self._ensemble.names:
            return ()
        before = track.evidence.shown
        track.evidence.abstain()
        track.newest.pop(event.detector, None)
        if before is Verdict.PENDING:
            return ()
        changed = replace(event, previous=before, score=track.evidence.score, detector=NAME)
        return (changed,)


def _changed(score: Score, before: Verdict, now: Verdict, at: float) -> tuple[VerdictChanged, ...]:
    if before is now:
        return ()
    return (
        VerdictChanged(score.stream, score.epoch, score.track, at, before, now, score.score, NAME),
    )
