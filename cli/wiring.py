"""Puts the parts together: settings in, running objects out. No decisions of its own."""

from __future__ import annotations

from pathlib import Path

from cli.settings import Settings
from stream.clock import Clock
from stream.device.device import Device
from stream.perception import Perception
from stream.pipeline import Observer, Pipeline
from stream.supervisor import FileAnalyzer
from styleflow.checkpoint import Checkpoint, build, load, seeded_untrained
from styleflow.data.face_weights import load_finder
from styleflow.detector import Detector


def checkpoint(path: Path | None) -> Checkpoint:
    """Return the configured checkpoint, or a seeded one that calls itself untrained."""
    return load(path) if path else seeded_untrained()


def detector(settings: Settings) -> Detector:
    """Return the deepfake detector on its device."""
    return build(checkpoint(settings.model.checkpoint), settings.model.device)


def pipeline(settings: Settings, clock: Clock, observe: Observer | None = None) -> Pipeline:
    """Return a pipeline with its own device; the face models are shared by its streams.

    Raises:
        WeightsMissing: the face models have not been fetched.
        CheckpointInvalid: the checkpoint cannot be used.
    """
    device = Device(
        detector(settings), settings.model.slots, settings.model.device, settings.model.threads
    )
    finder = load_finder(settings.model.device)
    clip = device.detector.clip
    return Pipeline(
        device,
        lambda: Perception(finder, clip, settings.perception),
        settings.engine,
        clock,
        observe,
    )


def predictor(settings: Settings, clock: Clock) -> FileAnalyzer:
    """Return what answers `/predict`: its own pipeline, made at the first request."""
    return FileAnalyzer(lambda: pipeline(settings, clock), settings.engine)
