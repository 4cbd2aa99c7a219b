"""Analysis of a whole video, for `analyze` and `/predict`. Values only."""

from __future__ import annotations

from collections.abc import Awaitable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from stream.errors import DetectorUnknown as DetectorUnknown
from stream.errors import SourceError
from stream.events import AbstainReason, Notice, Score, TrackEnd, Verdict
from styleflow.detectors.protocol import ModelCard


@dataclass(frozen=True, slots=True)
class VideoLimits:
    """Work that one analysis may take.

    Attributes:
        frames: decoded pictures.
        pixels: of one picture.
    """

    frames: int
    pixels: int


@dataclass(frozen=True, slots=True)
class TrackTimeline:
    """One face from its first to its last sampled frame.

    Attributes:
        track: number of the face, unique within the analysis.
        start: media seconds at which it appeared.
        end: media seconds at which it was last seen.
        end_reason: why it ended; None when the video ended first.
        scores: every published score of the face, in order.
        score: what the face scores as a whole; None when there was never enough evidence.
        verdict: what the evidence says about the face as a whole.
        low: lower end of the score's interval; None without a score.
        high: upper end of the score's interval; None without a score.
    """

    track: int
    start: float
    end: float
    end_reason: TrackEnd | None
    scores: tuple[Score, ...]
    score: float | None
    verdict: Verdict
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, slots=True)
class Analysis:
    """Result of one pass over a video.

    Attributes:
        source: where the video came from, as it may be shown: without credentials.
        duration_s: media seconds from the first to the last frame.
        frames: sampled frames that were analyzed.
        tracks: the faces, in order of appearance; empty when there was none.
        score: the video's score, 1 leans fake; None when there is no evidence.
        low: lower end of the score's interval; None without a score.
        high: upper end of the score's interval; None without a score.
        verdict: what the evidence says about the video.
        reasons: why there is no verdict; empty when there is one.
        model: the model behind the scores.
        demo: whether the video is one of the demo sources.
        failure: why the source broke off before its end, if it did.
        faces_waiting: how many faces at once were not looked at, at most. The verdict is
            never clear when there were any.
        notices: what is worth knowing of the video beside.
    """

    source: str
    duration_s: float
    frames: int
    tracks: tuple[TrackTimeline, ...]
    score: float | None
    low: float | None
    high: float | None
    verdict: Verdict
    reasons: tuple[AbstainReason, ...]
    model: ModelCard
    demo: bool
    failure: SourceError | None = None
    faces_waiting: int = 0
    notices: tuple[Notice, ...] = ()


class Predictor(Protocol):
    """Whoever analyses a file for `/predict`."""

    def __call__(self, path: Path, *, shown: str, detector: str | None) -> Awaitable[Analysis]:
        """Analyse one video file.

        Args:
            path: the file.
            shown: what to call it in `Analysis.source`.
            detector: name of the detector, or None for the default.

        Raises:
            SourceError: the file is not a video, or cannot be decoded.
            VideoBeyondLimits: the file is more than one analysis may take.
            DetectorUnknown: there is no such detector.
        """
        ...
