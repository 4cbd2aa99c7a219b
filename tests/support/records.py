"""Results of clips that nobody had to play."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from styleflow.evaluation.record import PLAIN, ClipRecord, Rating


def rating(end: float, logit: float, **changes: Any) -> Rating:
    """Return a rating that is evidence."""
    said = {"track": 1, "frames": 3, "score": 0.5, "verdict": "clear"} | changes
    return Rating(end=end, logit=logit, **said)


def record(
    clip: str,
    label: int,
    score: float | None,
    *,
    ratings: Sequence[Rating] | None = None,
    **changes: Any,
) -> ClipRecord:
    """Return a record of a clip of ten seconds, in a group of its own unless it says otherwise.

    Its ratings agree with its score when none are given: one logit of `score - 0.5` a second.
    """
    if ratings is None:
        logits = [] if score is None else [score - 0.5] * 10
        ratings = [rating(n + 1.0, logit) for n, logit in enumerate(logits)]
    said: dict[str, Any] = {
        "condition": PLAIN,
        "group": clip,
        "kind": "face_swap" if label else "",
        "generator": "Swapper" if label else "",
        "source": "somewhere",
        "pair": "",
        "duration_s": 10.0,
        "low": None if score is None else max(0.0, score - 0.1),
        "high": None if score is None else min(1.0, score + 0.1),
        "verdict": "pending" if score is None else "clear",
        "problem": "no evidence: warming" if score is None else "",
        "offline_end": score,
        "offline_mean": score,
    } | changes
    return ClipRecord(clip=clip, label=label, score=score, ratings=tuple(ratings), **said)
