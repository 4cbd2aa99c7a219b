"""Result of analyzing one video: values for whoever calls `styleflow.analyze`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from styleflow.cards import ModelCard

Verdict = Literal["pending", "clear", "suspect"]
"""Conclusion from the evidence: suspect at or above the upper threshold, clear at or below the
lower one; pending between them, without enough evidence, and always for an untrained model."""


@dataclass(frozen=True, slots=True)
class Moment:
    """One score of one face, about as often as the engine's hop says.

    Attributes:
        start: media seconds of the first frame behind it.
        end: media seconds of the newest frame behind it.
        score: smoothed probability that the face is synthesised, 0..1.
        interval: lower and upper end of the score's interval.
        verdict: what the evidence says at `end`.
        reasons: why there is no verdict, such as `warming` or `face_small`; empty when there is.
    """

    start: float
    end: float
    score: float
    interval: tuple[float, float]
    verdict: Verdict
    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class FaceTimeline:
    """One face from its first to its last sampled frame.

    Attributes:
        face: number of the face, unique within the analysis.
        start: media seconds at which it appeared.
        end: media seconds at which it was last seen.
        score: what it scores as a whole; None when there was never enough evidence.
        verdict: what the evidence says about it as a whole.
        moments: its scores, in order.
    """

    face: int
    start: float
    end: float
    score: float | None
    verdict: Verdict
    moments: tuple[Moment, ...]


@dataclass(frozen=True, slots=True)
class Analysis:
    """Score, verdict and timelines of one video. A score is evidence, not proof.

    Attributes:
        source: the video, as it was named.
        duration_s: media seconds from the first to the last frame.
        frames: sampled frames that were looked at.
        score: that of its most suspicious face, 0..1; None when there is no evidence.
        interval: lower and upper end of the score's interval; None without a score.
        verdict: what the evidence says about the video.
        reasons: why there is no verdict, such as `no_face`; empty when there is one.
        faces: a timeline per face, in order of appearance; empty when there was none.
        model: the model behind the scores, and how far they may be trusted.
        faces_waiting: how many faces at once were not looked at, at most; the verdict is never
            clear when there were any.
    """

    source: str
    duration_s: float
    frames: int
    score: float | None
    interval: tuple[float, float] | None
    verdict: Verdict
    reasons: tuple[str, ...]
    faces: tuple[FaceTimeline, ...]
    model: ModelCard
    faces_waiting: int = 0
