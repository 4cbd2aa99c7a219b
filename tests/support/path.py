"""The whole path with toy parts: a pipeline whose finder always sees one face in the middle."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from stream.clock import ManualClock
from stream.device.device import Device
from stream.engine.camera import Camera
from stream.engine.engine import EngineSettings
from stream.events import CaptureConditions, Frame
from stream.ingest.source import Pace, SourceSettings, SourceUrl
from stream.perception.perception import Perception
from stream.perception.settings import PerceptionSettings
from stream.pipeline import Pipeline
from styleflow.cards import ModelCard, TrainingStatus
from styleflow.faces.face import Face, Image
from tests.support.faces import face_at
from tests.support.models import toy_network


class CentreFinder:
    """Sees one face in the middle of every picture."""

    def find(self, image: Image, tiles: int = 0, known: Sequence[Face] = ()) -> tuple[Face, ...]:
        height, width = image.shape[:2]
        return (face_at(width / 2, height / 2, min(width, height) * 0.6),)

    def follow(self, image: Image, faces: Sequence[Face]) -> tuple[Face, ...]:
        return self.find(image)


EAGER = EngineSettings(
    hop_s=0.08, warmup_s=0.4, min_face_px=10, min_sharpness=0, min_brightness=0, max_yaw_deg=180
)
"""Judges whatever it is shown."""


def toy_pipeline(
    finder: Callable[[], object] = CentreFinder,
    slots: int = 8,
    settings: EngineSettings = EAGER,
    perception: PerceptionSettings | None = None,
    status: TrainingStatus = TrainingStatus.UNTRAINED,
    cameras: Callable[[str, ModelCard], Camera | None] | None = None,
) -> Pipeline:
    """Return a pipeline with a toy network."""
    network = toy_network()
    network.card = replace(network.card, status=status)
    return Pipeline(
        [Device(network, slots)],
        lambda: Perception(finder(), [network.clip], perception),  # type: ignore[arg-type]
        settings,
        ManualClock(),
        cameras=cameras,
    )


def frames(stream: str, image: Image, count: int, first: int = 0) -> list[Frame]:
    """Return frames of one still picture on the cadence grid."""
    return [
        Frame(
            stream,
            0,
            slot,
            slot * 0.08,
            100 + slot * 0.08,
            image,
            capture=CaptureConditions(source_fps=25.0),
        )
        for slot in range(first, first + count)
    ]


def from_file(path: Path) -> SourceSettings:
    """Return settings that read a file as fast as possible."""
    return SourceSettings(SourceUrl.parse(str(path)), pace=Pace.FAST)
