"""Known trials from an evaluation: the ratings of labelled clips as a table to decide by."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from itertools import pairwise

from styleflow.data.index import FAKE, REAL
from styleflow.decisions import DecisionTable, Horizon, Trial
from styleflow.evaluation.record import ClipRecord, Rating

Steps = tuple[tuple[float, float], ...]
"""Logits of one face that are evidence, each with the seconds that it speaks for."""


def steps_of(record: ClipRecord, hop_s: float) -> Steps:
    """Return the ratings of the face of a clip that has the most evidence.

    Args:
        record: of the clip.
        hop_s: seconds between two ratings; nothing speaks for more than twice that, so that time in
            which the engine abstained counts for nobody.
    """
    faces: dict[int, list[Rating]] = defaultdict(list)
    for rating in record.ratings:
        if rating.counts:
            faces[rating.track].append(rating)
    if not faces:
        return ()
    ratings = max(faces.values(), key=len)
    spans = [hop_s, *(min(b.end - a.end, 2 * hop_s) for a, b in pairwise(ratings))]
    return tuple((r.logit, span) for r, span in zip(ratings, spans, strict=True) if span > 0)


def first_trial(steps: Steps, horizon: Horizon) -> Trial:
    """Return the first trial of a face, as far as it goes."""
    trial = Trial(horizon)
    for logit, seconds in steps:
        if trial.over:
            break
        trial.add(logit, seconds)
    return trial


def known_trials(
    records: Sequence[ClipRecord],
    detector: str,
    digest: str,
    source: str,
    horizon: Horizon,
    hop_s: float,
) -> tuple[DecisionTable, int]:
    """Return the table of these clips, and how many of them have too little evidence for it.

    The first clip of a source that has enough stands for it, since clips of one source are not
    independent, and a new face is one clip, too.

    Raises:
        DecisionTableUnusable: too few sources.
    """
    known: dict[int, dict[str, float]] = {REAL: {}, FAKE: {}}
    left_out = 0
    for record in records:
        trial = first_trial(steps_of(record, hop_s), horizon)
        if trial.highest is None or trial.lowest is None:
            left_out += 1
            continue
        reached = trial.highest if record.label == REAL else trial.lowest
        known[record.label].setdefault(record.group, reached)
    reals, fakes = (tuple(known[label].values()) for label in (REAL, FAKE))
    return DecisionTable(detector, digest, source, horizon, reals, fakes), left_out
