"""Known-real video of tests: looks, trials and baselines with made-up figures."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from stream.baseline.baseline import Baseline
from stream.baseline.making import Rated, Said, made_of
from stream.baseline.settings import BaselineSettings
from stream.baseline.trials import Look, RealTrial
from stream.events import CaptureConditions, PictureFormat
from styleflow.decisions import DecisionTable, Horizon
from styleflow.faces.face import FaceQuality
from tests.support.wire import CARD

NOON = datetime(2026, 11, 30, 12, 0, tzinfo=UTC)
HORIZON = Horizon(trial_s=4.0, least_s=1.5)
H264 = CaptureConditions(
    source_fps=25.0, bits_per_pixel=0.1, picture_format=PictureFormat("h264", 1280, 720)
)
VP8 = replace(H264, picture_format=PictureFormat("vp8", 1280, 720))
SMALL = replace(H264, picture_format=PictureFormat("h264", 640, 360))
DAYLIGHT = FaceQuality(face_px=160.0, sharpness=200.0, brightness=120.0, yaw_deg=0.0)


def table(reals: int = 39) -> DecisionTable:
    """Return a general null from 0 to 3.8 in tenths."""
    values = tuple(i / 10 for i in range(reals))
    return DecisionTable(CARD.name, CARD.sha256, "made up", HORIZON, values, values)


def rated() -> Rated:
    """Return whose ratings count."""
    return Rated(CARD.name, CARD.sha256, table())


def looks(seconds: float, logit: float = -1.0, face: int = 1, **more: Any) -> Iterator[Look]:
    """Yield ratings of one face, four a second."""
    for n in range(round(seconds * 4)):
        yield Look((0, face), (n + 1) * 0.25, logit, counts=True, **more)


def trial(highest: float = -1.0, face: int = 1, **changes: Any) -> RealTrial:
    """Return a whole trial."""
    made = RealTrial(
        (0, face), highest, 4.0, 120.0, 200.0, 160.0, 0.1, codec="h264", size=(1280, 720)
    )
    return replace(made, **changes)


def trials(values: Iterable[float], face: int = 1) -> list[RealTrial]:
    """Return trials of one face with these values."""
    return [trial(value, face) for value in values]


def baseline(
    values: Iterable[float] = (), *, stream: str = "lobby", days: float = 30.0, **changes: Any
) -> Baseline:
    """Return a baseline of an h264 camera by daylight, made at noon; of -1 without values."""
    said = Said(stream, "Lobby", "the file lobby.mp4", "ann", NOON)
    found = trials(list(values) or [-1.0 + 0.01 * (n % 7) for n in range(60)])
    made = made_of(found, rated(), said, BaselineSettings(least_minutes=1.0))
    return replace(made, expires=NOON + timedelta(days=days), **changes)
