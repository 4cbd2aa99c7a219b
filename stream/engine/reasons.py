"""Reasons to give no verdict: of a stream as a whole, and of one face in it."""

from __future__ import annotations

from collections.abc import Iterable

from stream.engine.settings import EngineSettings
from stream.engine.window import Coverage
from stream.events import AbstainReason, CaptureConditions, Layer
from styleflow.cards import TrainingStatus
from styleflow.clips import ClipSpec
from styleflow.faces.face import FaceQuality

LAYER_FACES = 4
"""Least side of a simulcast layer, in smallest faces: a head takes a quarter of its picture."""


def of_stream(
    capture: CaptureConditions, coverage: Coverage, clip: ClipSpec, limits: EngineSettings
) -> frozenset[AbstainReason]:
    """Return what speaks against every track of a frame, whatever the model.

    Args:
        capture: of the newest frame.
        coverage: of the stream lately.
        clip: whose cadence the source has to keep up with.
        limits: beyond which no verdict is given.
    """
    holes = coverage.loss > limits.max_loss
    slow = _is_slow(capture, limits.min_fps_share * clip.cadence_hz)
    lossy = not capture.link_loss <= limits.max_link_loss
    holds = {
        AbstainReason.LOW_FPS: slow or (holes and capture.lossless),
        AbstainReason.PACKET_LOSS: lossy or (holes and not capture.lossless),
        AbstainReason.OVERLOADED: coverage.overrun > limits.max_overrun,
    }
    return frozenset(reason for reason, holding in holds.items() if holding)


def of_model(status: TrainingStatus) -> frozenset[AbstainReason]:
    """Return what speaks against every score of a model."""
    untrained = status is TrainingStatus.UNTRAINED
    return frozenset({AbstainReason.UNTRAINED} if untrained else ())


def of_face(quality: FaceQuality, limits: EngineSettings) -> frozenset[AbstainReason]:
    """Return what speaks against a face; a figure that is not a number speaks against it."""
    enough = {
        AbstainReason.FACE_SMALL: quality.face_px >= limits.min_face_px,
        AbstainReason.BLURRED: quality.sharpness >= limits.min_sharpness,
        AbstainReason.DARK: quality.brightness >= limits.min_brightness,
        AbstainReason.PROFILE: abs(quality.yaw_deg) <= limits.max_yaw_deg,
    }
    return frozenset(reason for reason, fine in enough.items() if not fine)


def is_small_layer(layer: Layer | None, limits: EngineSettings, small_face: bool) -> bool:  # noqa: FBT001
    """Say whether a sender should give a larger one of its sizes.

    Args:
        layer: what it gives; None when it has only one.
        limits: with the size of a face that yields a verdict.
        small_face: whether a face in it is too small.
    """
    if layer is None:
        return False
    return small_face or min(layer.width, layer.height) < LAYER_FACES * limits.min_face_px


_ORDER = {reason: place for place, reason in enumerate(AbstainReason)}


def ordered(reasons: Iterable[AbstainReason]) -> tuple[AbstainReason, ...]:
    """Return each reason once, most fundamental first."""
    return tuple(sorted(set(reasons), key=_ORDER.__getitem__))


def _is_slow(capture: CaptureConditions, wanted: float) -> bool:
    """Return whether the source is too slow; a rate of 0 is unknown."""
    return capture.source_fps != 0 and not capture.source_fps >= wanted
