"""Evaluation of one clip through the live path.

`stream.offline.replay.analyze` does the work: the same lines as live video, without waiting for
its pace.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from stream.engine.settings import EngineSettings
from stream.errors import SourceError
from stream.ingest.source import Pace, SourceSettings, SourceUrl
from stream.offline.analysis import Analysis, TrackTimeline
from stream.offline.replay import analyze
from stream.pipeline import Pipeline
from styleflow.evaluation.record import ClipRecord, Rating


def evaluate_clip(
    video: Path,
    pipeline: Pipeline,
    engine: EngineSettings,
    said: dict[str, Any],
    condition: str,
    *,
    detector: str | None = None,
    limit_s: float | None = None,
    stop: Callable[[], bool] | None = None,
) -> ClipRecord:
    """Return the record of a video file that was played through the live engine.

    A video that cannot be played is a record with the reason, not an error: one bad clip must not
    end an evaluation, and must not vanish from it either.

    Args:
        video: the file that is played.
        pipeline: from frame to event.
        engine: its settings.
        said: what the manifest says, see `styleflow.evaluation.record.describe`.
        condition: what was done to the file.
        detector: whose scores are heard; the first one's when None.
        limit_s: stop after so much media time.
        stop: asked after every frame; True ends early.
    """
    source = SourceSettings(SourceUrl.parse(video.as_posix()), pace=Pace.FAST)
    try:
        analysis = analyze(source, pipeline, engine, detector=detector, limit_s=limit_s, stop=stop)
    except SourceError as error:
        return ClipRecord(
            **said,
            condition=condition,
            duration_s=0.0,
            score=None,
            low=None,
            high=None,
            verdict="pending",
            problem=f"{error.code.value}: {error.detail}",
        )
    return ClipRecord(
        **said,
        condition=condition,
        duration_s=analysis.duration_s,
        score=analysis.score,
        low=analysis.low,
        high=analysis.high,
        verdict=analysis.verdict.value,
        problem=_problem(analysis),
        ratings=tuple(rating for track in analysis.tracks for rating in _ratings(track)),
        memory=pipeline.scorer(detector).clip.memory,
    )


def _problem(analysis: Analysis) -> str:
    if analysis.score is not None:
        return ""
    return "no evidence: " + ", ".join(reason.value for reason in analysis.reasons)


def _ratings(track: TrackTimeline) -> tuple[Rating, ...]:
    return tuple(
        Rating(
            track=track.track,
            end=round(score.end, 4),
            frames=score.frames,
            logit=score.logit,
            score=score.score,
            verdict=score.verdict.value,
            reasons=tuple(reason.value for reason in score.reasons),
            sharpness=round(score.quality.sharpness, 2),
            face_px=round(score.quality.face_px, 1),
            bits_per_pixel=round(score.capture.bits_per_pixel, 5),
            brightness=round(score.quality.brightness, 2),
        )
        for score in track.scores
    )
