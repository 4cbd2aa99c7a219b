"""Record of one video: its events gathered into a score per face, and the highest as the video's.

A face's score is the calibrated mean of its logits over the hops that gave evidence (of a detector
that sums up the track itself, its last one). The video's is the highest of its faces, because one
synthesised face is enough. Where a face was not looked at, or the source broke off, it is never
clear. A score between the thresholds is no verdict, and neither is one near chance.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from stream.engine.settings import EngineSettings
from stream.engine.verdict import AGAINST_THE_VERDICT_ONLY
from stream.errors import SourceError
from stream.events import (
    AbstainReason,
    CapacityReached,
    Event,
    Score,
    TrackEnd,
    TrackEnded,
    TrackStarted,
    Verdict,
)
from stream.ingest.open import is_demo
from stream.ingest.source import SourceSettings
from stream.offline.analysis import Analysis, TrackTimeline
from stream.offline.media_time import MediaTime
from stream.pipeline import Scorer
from styleflow.calibration import Calibration
from styleflow.clips import ClipSpec
from styleflow.evaluation.summary import Summary

MAX_SCORES_PER_TRACK = 20_000
MAX_TRACKS = 1_000


@dataclass(slots=True)
class TrackRecord:
    """Scores of one track, bounded, and what they amount to."""

    start: float
    end: float
    end_reason: TrackEnd | None = None
    scores: list[Score] = field(default_factory=list)
    stride: int = 1
    seen: int = 0
    summary: Summary = field(default_factory=Summary)
    frames: int = 0
    evidence_weight: float = 0.0  # of the ratings that counted, their sum
    sharpness: float = 0.0  # likewise
    counted: int = 0

    def add(self, score: Score) -> None:
        """Keep a score; beyond the limit keep every second one, so memory stays bounded."""
        self.end = score.end
        if not set(score.reasons) - AGAINST_THE_VERDICT_ONLY:
            self.summary.add(score.logit, score.frames)
            self.frames = max(self.frames, score.frames)
            self.evidence_weight += score.evidence_weight
            self.sharpness += score.quality.sharpness
            self.counted += 1
        if self.seen % self.stride == 0:
            self.scores.append(score)
        self.seen += 1
        if len(self.scores) > MAX_SCORES_PER_TRACK:
            self.scores = self.scores[::2]
            self.stride *= 2


class VideoRecord:
    """What one detector's events say about a video, gathered while it is replayed.

    Args:
        scorer: whose scores count.
        media: turns the times of epochs into those of the whole video.

    Attributes:
        frames: sampled frames processed.
        faces_waiting: how many faces at once were not looked at, at most.
    """

    def __init__(self, scorer: Scorer, media: MediaTime) -> None:
        self.frames = 0
        self.faces_waiting = 0
        self._scorer = scorer
        self._media = media
        self._tracks: dict[tuple[int, int], TrackRecord] = {}

    def take(self, event: Event) -> None:
        """Take in the next event."""
        match event:
            case CapacityReached():
                self.faces_waiting = max(self.faces_waiting, event.faces_waiting)
            case TrackStarted() if len(self._tracks) >= MAX_TRACKS:
                self.faces_waiting = max(self.faces_waiting, 1)  # nobody keeps what it scores
            case TrackStarted():
                at = self._media.at(event.epoch, event.at)
                record = TrackRecord(at, at, summary=Summary(self._scorer.clip.memory))
                self._tracks[event.epoch, event.track] = record
            case Score() if event.detector == self._scorer.card.name:
                track = self._tracks.get((event.epoch, event.track))
                if track is not None:
                    track.add(_in_whole(event, self._media))
            case TrackEnded() if (event.epoch, event.track) in self._tracks:
                track = self._tracks[event.epoch, event.track]
                track.end_reason = event.reason
                track.end = max(track.end, self._media.at(event.epoch, event.at))

    def conclude(
        self, source: SourceSettings, engine: EngineSettings, failure: SourceError | None = None
    ) -> Analysis:
        """Return what the whole video says.

        Args:
            source: the video.
            engine: the thresholds of a verdict.
            failure: why the source broke off, if it did.
        """
        self._end_with_the_video()
        scorer, tracks = self._scorer, list(self._tracks.values())
        rated = [track for track in tracks if track.summary.logit is not None]
        worst = max(rated, key=lambda track: track.summary.logit or 0.0, default=None)
        score = _score(worst, scorer.calibration)
        low, high = _interval(worst, scorer.calibration, scorer.clip)
        verdict = _verdict(worst, scorer.calibration, engine)
        reasons = _reasons(worst, tracks, scorer.calibration)
        verdict, reasons = self._restrain(verdict, reasons, failure)
        return Analysis(
            source=source.url.redacted,
            duration_s=self._media.elapsed_s,
            frames=self.frames,
            tracks=self._timelines(engine),
            score=score,
            low=low,
            high=high,
            verdict=verdict,
            reasons=reasons,
            model=scorer.card,
            demo=is_demo(source.url),
            failure=failure,
            faces_waiting=self.faces_waiting,
            notices=self._media.notices,
        )

    def _end_with_the_video(self) -> None:
        """Forget that tracks ended with the last epoch: the video ended first."""
        last_epoch = max((epoch for epoch, _ in self._tracks), default=0)
        for (epoch, _), track in self._tracks.items():
            if epoch == last_epoch and track.end_reason is TrackEnd.EPOCH_ENDED:
                track.end_reason = None

    def _restrain(
        self, verdict: Verdict, reasons: tuple[AbstainReason, ...], failure: SourceError | None
    ) -> tuple[Verdict, tuple[AbstainReason, ...]]:
        """Return the verdict with its reasons; what was not seen is not clear."""
        if failure is not None and verdict is Verdict.CLEAR:
            verdict = Verdict.PENDING
        if self.faces_waiting and verdict is not Verdict.SUSPECT:
            return Verdict.PENDING, (*reasons, AbstainReason.FACES_WAITING)
        return verdict, reasons

    def _timelines(self, engine: EngineSettings) -> tuple[TrackTimeline, ...]:
        calibration, clip = self._scorer.calibration, self._scorer.clip
        return tuple(
            _timeline(track, number, calibration, clip, engine)
            for (_, number), track in sorted(self._tracks.items())
        )


def _in_whole(score: Score, media: MediaTime) -> Score:
    """Return a score whose times are those of the whole source."""
    start, end = media.at(score.epoch, score.start), media.at(score.epoch, score.end)
    return replace(score, start=start, end=end)


def _timeline(
    track: TrackRecord,
    number: int,
    calibration: Calibration,
    clip: ClipSpec,
    engine: EngineSettings,
) -> TrackTimeline:
    score = _score(track, calibration)
    low, high = _interval(track, calibration, clip)
    return TrackTimeline(
        track=number,
        start=track.start,
        end=track.end,
        end_reason=track.end_reason,
        scores=tuple(track.scores),
        score=score,
        verdict=_verdict(track, calibration, engine),
        low=low,
        high=high,
    )


def _score(track: TrackRecord | None, calibration: Calibration) -> float | None:
    if track is None or track.summary.logit is None:
        return None
    return calibration.probability(track.summary.logit)


def _interval(
    track: TrackRecord | None, calibration: Calibration, clip: ClipSpec
) -> tuple[float | None, float | None]:
    if track is None or track.summary.logit is None:
        return None, None
    evidence = track.evidence_weight / track.counted * track.frames / clip.frames
    return calibration.interval(track.summary.logit, evidence, track.sharpness / track.counted)


def _verdict(
    track: TrackRecord | None, calibration: Calibration, engine: EngineSettings
) -> Verdict:
    score = _score(track, calibration)
    if track is None or score is None or _near_chance(track, calibration):
        return Verdict.PENDING
    if any(AbstainReason.UNTRAINED in s.reasons for s in track.scores):
        return Verdict.PENDING
    if score >= engine.enter:
        return Verdict.SUSPECT
    return Verdict.CLEAR if score <= engine.leave else Verdict.PENDING


def _near_chance(track: TrackRecord, calibration: Calibration) -> bool:
    logit = track.summary.logit
    return logit is not None and calibration.near_chance(logit)


def _reasons(
    worst: TrackRecord | None, tracks: list[TrackRecord], calibration: Calibration
) -> tuple[AbstainReason, ...]:
    """Return why a video got no verdict, most fundamental first; empty when it got one."""
    if worst is not None:
        if AbstainReason.UNTRAINED in worst.scores[-1].reasons:
            return (AbstainReason.UNTRAINED,)
        return (AbstainReason.UNDECIDED,) * _near_chance(worst, calibration)
    if not tracks:
        return (AbstainReason.NO_FACE,)
    said = {reason for track in tracks for s in track.scores[-1:] for reason in s.reasons}
    return tuple(r for r in AbstainReason if r in said) or (AbstainReason.WARMING,)
