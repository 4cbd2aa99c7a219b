"""Live video, training and offline evaluation take the very same frames of the same file.

The grey level of every picture says its number, so that it can be read from whatever is cut out.
"""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from stream.events import Frame
from stream.ingest.source import Pace, SourceSettings, SourceUrl
from stream.offline.replay import replay
from styleflow.data.index import REAL, Entry, Refusal
from styleflow.data.prepared import PrepareSettings, prepare_video
from styleflow.data.video import follow_face, read_timed
from styleflow.evaluation.offline import rate_offline
from styleflow.pictures.hardware import Decoding
from styleflow.sampling import sample
from tests.support.clips import MiddleFinder
from tests.support.media import encode
from tests.support.models import toy_network

COUNT, SIDE = 75, 64
DARKEST, STEP = 24, 3
RATES = {
    "12": Fraction(12),
    "15": Fraction(15),
    "24": Fraction(24),
    "25": Fraction(25),
    "29.97": Fraction(30_000, 1001),
    "30": Fraction(30),
}


@pytest.fixture(params=list(RATES))
def clip(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """Return a file of one of the usual rates."""
    rate = RATES[request.param]
    pictures = (np.full((SIDE, SIDE, 3), DARKEST + STEP * n, np.uint8) for n in range(COUNT))
    stamps = [round(n * 90_000 / rate) for n in range(COUNT)]
    return encode(
        tmp_path / "clip.mp4",
        pictures,
        fps=round(rate),
        stamps=stamps,
        time_base=Fraction(1, 90_000),
    )


def _number(picture: np.ndarray) -> int:
    """Return which picture of the file this one is."""
    side = picture.shape[0]
    middle = picture[side // 2 - 4 : side // 2 + 4, side // 2 - 4 : side // 2 + 4]
    return round((float(middle.mean()) - DARKEST) / STEP)


class _Listener:
    """A pipeline that keeps the frames which live sampling hands it."""

    def __init__(self, cadence_hz: float) -> None:
        self.cadence_hz = cadence_hz
        self.decoding = Decoding()
        self.taken: list[tuple[int, float, int]] = []

    def open(self, stream: str) -> None:
        """Do nothing."""

    def close(self, *_: object) -> tuple[()]:
        """Return no events."""
        return ()

    def reports(self, now: float) -> tuple[()]:
        """Return no events."""
        return ()

    def process(self, frames: list[tuple[Frame, int]]) -> Any:
        """Keep what came."""
        for frame, _ in frames:
            assert not frame.capture.contaminated
            self.taken.append((frame.slot, frame.at, _number(frame.image)))
        return SimpleNamespace(events=(), faults=())


class _Watched:
    """A detector that keeps the numbers of the pictures which are pushed."""

    def __init__(self) -> None:
        self._network = toy_network()
        self.pushed: list[int] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._network, name)

    def push(self, state: Any, rows: torch.Tensor, batch: torch.Tensor, gap: torch.Tensor) -> None:
        """Keep the number, and push."""
        self.pushed.append(_number(batch[0].numpy()))
        self._network.push(state, rows, batch, gap)


def _live(clip: Path, cadence_hz: float) -> list[tuple[int, float, int]]:
    listener = _Listener(cadence_hz)
    source = SourceSettings(SourceUrl.parse(clip.as_posix()), pace=Pace.FAST)
    replay(source, listener, lambda event: None)  # type: ignore[arg-type]
    return listener.taken


@pytest.mark.parametrize("cadence_hz", [12.5, 25.0])
def test_a_file_is_sampled_alike_wherever_it_is_read(clip: Path, cadence_hz: float) -> None:
    """Same slots, same media times and same frames, live and from the times of the file."""
    times, pictures = read_timed(clip)
    assert [_number(picture) for picture in pictures] == list(range(COUNT))
    sampled = [(s.slot, s.at, s.item) for s in sample(times, cadence_hz)]
    assert _live(clip, cadence_hz) == sampled


def test_training_reads_what_live_video_sees(clip: Path, tmp_path: Path) -> None:
    """The aligned crops of a prepared video show the live frames."""
    settings = PrepareSettings(frames=COUNT, crop_px=32, cadence_hz=12.5)
    entry = Entry(clip, "train", REAL, "somebody")
    video = prepare_video(entry, settings, tmp_path, MiddleFinder())
    assert not isinstance(video, Refusal)
    crops = video.crops()
    live = [number for _, _, number in _live(clip, 12.5)]
    assert [_number(crop) for crop in crops.arriving] == live
    assert crops.frames.tolist() == live
    assert [_number(picture) for picture in video.frames(live)] == live


def test_offline_evaluation_rates_what_live_video_sees(clip: Path) -> None:
    """The pictures that are pushed are the live frames."""
    detector = _Watched()
    times, pictures = read_timed(clip)
    path = follow_face(pictures, MiddleFinder())
    rate_offline(detector, pictures, path, times, hop=8)  # type: ignore[arg-type]
    assert detector.pushed == [n for _, _, n in _live(clip, detector.clip.cadence_hz)]
