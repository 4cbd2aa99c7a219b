"""A video file through the live path, for `styleflow.analyze`.

`styleflow.api` finds `analyze` by its name, because imports run from here to there.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path

from stream.clock import ManualClock
from stream.device.device import Device
from stream.engine.settings import EngineSettings
from stream.errors import SourceError
from stream.events import Score
from stream.ingest.source import Pace, SourceSettings, SourceUrl
from stream.offline.analysis import Analysis, TrackTimeline
from stream.offline.replay import analyze as analyze_source
from stream.perception.perception import Perception
from stream.perception.settings import PerceptionSettings
from stream.pipeline import Pipeline
from styleflow import analysis as public
from styleflow.detectors.protocol import Detector, HopAware
from styleflow.errors import VideoUnusable
from styleflow.pictures.hardware import Decoding
from styleflow.runtime_settings import RuntimeSettings
from styleflow.weights.face_networks import graphs_dir, load_finder

SLOTS = 64
"""Faces that can be scored at the same time, as in `configs/default.yaml`."""


def analyze(
    video: Path,
    detector: Detector,
    *,
    seconds: float | None = None,
    progress: Callable[[float], None] | None = None,
    device: str = "cpu",
) -> public.Analysis:
    """Return what a video file scores with the default settings; see `styleflow.analyze`.

    Raises:
        FileNotFoundError: there is no such file.
        VideoUnusable: the file is no video, or cannot be decoded.
        WeightsMissing: the face networks have not been fetched.
    """
    if not video.is_file():
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(video))
    engine, clock = EngineSettings(), ManualClock()
    source = SourceSettings(SourceUrl.parse(str(video)), pace=Pace.FAST)
    pipeline = _pipeline(detector, engine, clock, device)
    try:
        found = analyze_source(
            source, pipeline, engine, clock=clock, progress=progress, limit_s=seconds
        )
    except SourceError as error:
        raise VideoUnusable(video, error.detail) from error
    return _published(found, str(video))


def _pipeline(
    detector: Detector, engine: EngineSettings, clock: ManualClock, device: str
) -> Pipeline:
    if isinstance(detector, HopAware):
        detector = detector.every(engine.hop_slots(detector.clip))
    finder = load_finder(device, RuntimeSettings(cache=graphs_dir()))
    return Pipeline(
        [Device(detector, SLOTS, device)],
        lambda: Perception(finder, [detector.clip], PerceptionSettings()),
        engine,
        clock,
        decoding=Decoding.on(device),
    )


def _published(found: Analysis, source: str) -> public.Analysis:
    """Return an analysis as its public value."""
    interval = None
    if found.low is not None and found.high is not None:
        interval = (found.low, found.high)
    return public.Analysis(
        source=source,
        duration_s=found.duration_s,
        frames=found.frames,
        score=found.score,
        interval=interval,
        verdict=found.verdict.value,
        reasons=tuple(reason.value for reason in found.reasons),
        faces=tuple(_face(track) for track in found.tracks),
        model=found.model,
        faces_waiting=found.faces_waiting,
    )


def _face(track: TrackTimeline) -> public.FaceTimeline:
    return public.FaceTimeline(
        face=track.track,
        start=track.start,
        end=track.end,
        score=track.score,
        verdict=track.verdict.value,
        moments=tuple(_moment(score) for score in track.scores),
    )


def _moment(score: Score) -> public.Moment:
    return public.Moment(
        start=score.start,
        end=score.end,
        score=score.score,
        interval=(score.low, score.high),
        verdict=score.verdict.value,
        reasons=tuple(reason.value for reason in score.reasons),
    )
