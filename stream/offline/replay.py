"""Replay of a file or a recorded trace through the live path, in a plain loop and one thread.

Same input, same output, bit for bit on one CPU: frames are processed one at a time, nothing is
dropped for lateness, and time is a ManualClock. Tests, `analyze`, `/predict`, streaming metrics and
benchmarks all come through here.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from stream.clock import Clock, ManualClock
from stream.engine.engine import EngineSettings
from stream.errors import SourceError, VideoBeyondLimits
from stream.events import (
    AbstainReason,
    CapacityReached,
    ConnectionState,
    EpochStarted,
    Event,
    Frame,
    Score,
    StreamChanged,
    StreamReport,
    TrackEnd,
    TrackEnded,
    TrackStarted,
    Verdict,
)
from stream.ingest.context import IngestContext, SourceAccess
from stream.ingest.ingest import Ingest
from stream.ingest.open import OpenSource, is_demo, open_source
from stream.ingest.source import SourceSettings
from stream.offline.analysis import Analysis, DetectorUnknown, TrackTimeline, VideoLimits
from stream.offline.media_time import MediaTime
from stream.pipeline import Pipeline
from styleflow.calibration import Calibration
from styleflow.clips import ClipSpec
from styleflow.evaluation.summary import Summary

STREAM = "replay"
MAX_SCORES_PER_TRACK = 20_000
MAX_TRACKS = 1_000

Progress = Callable[[float], None]
"""Told the media seconds that have been processed."""


def replay(
    source: SourceSettings,
    pipeline: Pipeline,
    on_event: Callable[[Event], None],
    *,
    clock: Clock | None = None,
    progress: Progress | None = None,
    limit_s: float | None = None,
    stop: Callable[[], bool] | None = None,
    opener: OpenSource = open_source,
    media: MediaTime | None = None,
    limits: VideoLimits | None = None,
) -> None:
    """Send a source through a pipeline until its first end, and hand over every event in order.

    Args:
        source: what to read; it is opened once and never retried.
        pipeline: from frame to event; left without this stream afterwards.
        on_event: told every event.
        clock: where time comes from; a ManualClock unless the source is live.
        progress: told the media seconds processed so far.
        limit_s: stop after this much media time, counted across epochs.
        stop: asked after every frame; True ends the replay early.
        opener: how the source is obtained.
        media: counts the media time; handed in by whoever wants to know where epochs lie in it.
        limits: beyond which it is given up; any size when left out.

    Raises:
        SourceError: the source could not be opened, or broke.
        VideoBeyondLimits: there is more of it than the limits allow.
    """
    media = media or media_time(pipeline)
    clock = clock or ManualClock()
    context = IngestContext(pipeline.cadence_hz, random.Random(0), access=SourceAccess(opener))
    ingest = Ingest(STREAM, source, clock, context)
    failure: SourceError | None = None
    done = False

    def emit(item: Frame | StreamChanged | EpochStarted) -> None:
        nonlocal failure, done
        if done:
            return
        if isinstance(item, Frame):
            _check_size(item, limits)
            processed = pipeline.process([(item, 0)])
            for event in processed.events:
                on_event(event)
            for fault in processed.faults:
                raise fault.error
            elapsed_s = media.advance(item.epoch, item.at)
            if progress is not None:
                progress(elapsed_s)
            if (limit_s is not None and elapsed_s >= limit_s) or (stop is not None and stop()):
                done = True
                ingest.close()
            return
        if isinstance(item, EpochStarted):
            media.begin(item.epoch)
        on_event(item)
        if isinstance(item, StreamChanged) and item.code is not None:
            if item.state in (ConnectionState.BACKING_OFF, ConnectionState.FAILED):
                failure = SourceError(item.code, item.detail)
                done = True
                ingest.close()
            elif item.state is ConnectionState.ENDED:
                done = True

    def wait(seconds: float) -> bool:
        if isinstance(clock, ManualClock):
            clock.advance(max(seconds, 0.0))
        if limits is not None and ingest.counters.decoded > limits.frames:
            raise VideoBeyondLimits(f"it has more than {limits.frames} pictures")
        return done or (stop is not None and stop())

    pipeline.open(STREAM)
    try:
        ingest.run(emit, wait)
    finally:
        for report in pipeline.reports(0.0):
            if isinstance(report, StreamReport) and report.stream == STREAM:
                media.notices = report.notices
        for event in pipeline.close(STREAM, TrackEnd.EPOCH_ENDED):
            on_event(event)
    if failure is not None:
        raise failure


def media_time(pipeline: Pipeline) -> MediaTime:
    """Return a count of media time whose epochs are one sampled frame apart."""
    return MediaTime(1.0 / pipeline.cadence_hz)


def _check_size(frame: Frame, limits: VideoLimits | None) -> None:
    height, width = frame.image.shape[:2]
    if limits is not None and width * height > limits.pixels:
        raise VideoBeyondLimits(
            f"its pictures of {width}x{height} have more than {limits.pixels} pixels"
        )


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
    counted: int = 0

    def add(self, score: Score) -> None:
        """Keep a score; beyond the limit keep every second one, so memory stays bounded."""
        self.end = score.end
        if not set(score.reasons) - {AbstainReason.UNTRAINED}:
            self.summary.add(score.logit, score.frames)
            self.frames = max(self.frames, score.frames)
            self.evidence_weight += score.evidence_weight
            self.counted += 1
        if self.seen % self.stride == 0:
            self.scores.append(score)
        self.seen += 1
        if len(self.scores) > MAX_SCORES_PER_TRACK:
            self.scores = self.scores[::2]
            self.stride *= 2


def analyze(
    source: SourceSettings,
    pipeline: Pipeline,
    engine: EngineSettings,
    *,
    detector: str | None = None,
    clock: Clock | None = None,
    progress: Progress | None = None,
    limit_s: float | None = None,
    stop: Callable[[], bool] | None = None,
    opener: OpenSource = open_source,
    partial: bool = False,
    limits: VideoLimits | None = None,
) -> Analysis:
    """Return what a whole video says: a score per track, and the highest as the video's.

    A track's score is the calibrated mean of its logits over the hops that gave evidence (of a
    detector that sums up the track itself, its last one). The video's is the highest of its
    tracks, because one synthesised face is enough. Where a face was not looked at it is never
    clear. Of a pipeline's detectors only one is heard: `detector`, or the first. A score between
    the thresholds is no verdict. Of a source that breaks off, `partial` keeps what was analyzed
    until then, if anything was; it is never clear.

    Raises:
        DetectorUnknown: the pipeline has no detector of that name.
        SourceError: the source could not be opened, or broke.
    """
    try:
        scorer = pipeline.scorer(detector)
    except KeyError:
        known = tuple(scorer.card.name for scorer in pipeline.scorers)
        raise DetectorUnknown(str(detector), known) from None
    tracks: dict[tuple[int, int], TrackRecord] = {}
    frames = 0
    media = media_time(pipeline)
    waiting = 0

    def on_event(event: Event) -> None:
        nonlocal waiting
        match event:
            case CapacityReached():
                waiting = max(waiting, event.faces_waiting)
            case TrackStarted() if len(tracks) >= MAX_TRACKS:
                waiting = max(waiting, 1)  # nobody keeps what it scores
            case TrackStarted():
                summary, at = Summary(scorer.clip.memory), media.at(event.epoch, event.at)
                tracks[event.epoch, event.track] = TrackRecord(at, at, summary=summary)
            case Score() if (event.epoch, event.track) in tracks:
                if event.detector == scorer.card.name:
                    tracks[event.epoch, event.track].add(_in_whole(event, media))
            case TrackEnded() if (event.epoch, event.track) in tracks:
                track = tracks[event.epoch, event.track]
                track.end_reason = event.reason
                track.end = max(track.end, media.at(event.epoch, event.at))

    def on_progress(at: float) -> None:
        nonlocal frames
        frames += 1
        if progress is not None:
            progress(at)

    failure: SourceError | None = None
    try:
        replay(
            source,
            pipeline,
            on_event,
            clock=clock,
            progress=on_progress,
            limit_s=limit_s,
            stop=stop,
            opener=opener,
            media=media,
            limits=limits,
        )
    except SourceError as error:
        if not partial or not frames:
            raise
        failure = error
    last_epoch = max((epoch for epoch, _ in tracks), default=0)
    for (epoch, _), track in tracks.items():
        if epoch == last_epoch and track.end_reason is TrackEnd.EPOCH_ENDED:
            track.end_reason = None  # the video ended first
    numbered = sorted(tracks.items())
    timelines = tuple(
        _timeline(track, number, scorer.calibration, scorer.clip, engine)
        for (_, number), track in numbered
    )
    rated = [track for track in tracks.values() if track.summary.logit is not None]
    worst = max(rated, key=lambda track: track.summary.logit or 0.0, default=None)
    low, high = _interval(worst, scorer.calibration, scorer.clip)
    score = _score(worst, scorer.calibration)
    verdict = Verdict.PENDING if worst is None else _verdict(score, worst.scores, engine)
    if failure is not None and verdict is Verdict.CLEAR:
        verdict = Verdict.PENDING  # what was not seen is not clear
    why = _reasons(worst, list(tracks.values()))
    if waiting and verdict is not Verdict.SUSPECT:
        # What was seen does not speak for a face that was not looked at.
        verdict, why = Verdict.PENDING, (*why, AbstainReason.FACES_WAITING)
    return Analysis(
        source=source.url.redacted,
        duration_s=media.elapsed_s,
        frames=frames,
        tracks=timelines,
        score=score,
        low=low,
        high=high,
        verdict=verdict,
        reasons=why,
        model=scorer.card,
        demo=is_demo(source.url),
        failure=failure,
        faces_waiting=waiting,
        notices=media.notices,
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
        verdict=_verdict(score, track.scores, engine),
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
    evidence_weight = track.evidence_weight / track.counted
    return calibration.interval(track.summary.logit, evidence_weight * track.frames / clip.frames)


def _verdict(score: float | None, scores: list[Score], engine: EngineSettings) -> Verdict:
    untrained = any(AbstainReason.UNTRAINED in s.reasons for s in scores)
    if score is None or untrained:
        return Verdict.PENDING
    if score >= engine.enter:
        return Verdict.SUSPECT
    return Verdict.CLEAR if score <= engine.leave else Verdict.PENDING


def _reasons(worst: TrackRecord | None, tracks: list[TrackRecord]) -> tuple[AbstainReason, ...]:
    """Return why a video got no verdict, most fundamental first; empty when it got one."""
    if worst is not None:
        return tuple(r for r in worst.scores[-1].reasons if r is AbstainReason.UNTRAINED)
    if not tracks:
        return (AbstainReason.NO_FACE,)
    said = {reason for track in tracks for s in track.scores[-1:] for reason in s.reasons}
    return tuple(r for r in AbstainReason if r in said) or (AbstainReason.WARMING,)
