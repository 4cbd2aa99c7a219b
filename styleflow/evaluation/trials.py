"""Known trials from an evaluation: the ratings of labelled clips as a table to decide by."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from itertools import pairwise, zip_longest

from styleflow.data.index import FAKE, REAL
from styleflow.decisions import (
    LEAST_IN_BUCKET,
    Buckets,
    DecisionTable,
    Horizon,
    Quality,
    QualityFigure,
    Trial,
)
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
    return tuple((rating.logit, span) for rating, span in _spans(record, hop_s))


def qualities_of(record: ClipRecord, hop_s: float) -> tuple[Quality, ...]:
    """Return the quality behind each of `steps_of` the same clip."""
    return tuple(rating.quality for rating, _ in _spans(record, hop_s))


def _spans(record: ClipRecord, hop_s: float) -> list[tuple[Rating, float]]:
    faces: dict[int, list[Rating]] = defaultdict(list)
    for rating in record.ratings:
        if rating.counts:
            faces[rating.track].append(rating)
    if not faces:
        return []
    ratings = max(faces.values(), key=len)
    spans = [hop_s, *(min(b.end - a.end, 2 * hop_s) for a, b in pairwise(ratings))]
    return [(r, span) for r, span in zip(ratings, spans, strict=True) if span > 0]


def first_trial(steps: Steps, horizon: Horizon, qualities: Sequence[Quality] = ()) -> Trial:
    """Return the first trial of a face, as far as it goes.

    Args:
        steps: of the face.
        horizon: times of the trial.
        qualities: of each step; unknown when there are none.
    """
    trial = Trial(horizon)
    for (logit, seconds), quality in zip_longest(steps, qualities):
        if trial.over:
            break
        trial.add(logit, seconds, quality)
    return trial


def even_edges(values: Sequence[float], least: int = LEAST_IN_BUCKET) -> tuple[float, ...]:
    """Return where as many buckets of like size begin as there is enough for; none for one."""
    count = len(values) // least
    rising = sorted(values)
    return tuple(rising[len(values) * n // count] for n in range(1, count))


def known_trials(
    records: Sequence[ClipRecord],
    detector: str,
    digest: str,
    source: str,
    horizon: Horizon,
    hop_s: float,
    by: QualityFigure | None = None,
) -> tuple[DecisionTable, int]:
    """Return the table of these clips, and how many of them have too little evidence for it.

    The first clip of a source that has enough stands for it, since clips of one source are not
    independent, and a new face is one clip, too.

    Args:
        records: of the clips.
        detector: whose ratings they are.
        digest: SHA-256 of its weights.
        source: what the clips are, for people.
        horizon: times of a trial.
        hop_s: seconds between two ratings.
        by: also make buckets of this figure of the real sources, of like size and each with
            `LEAST_IN_BUCKET` sources at least; none where there are too few for two.

    Raises:
        DecisionTableUnusable: too few sources.
    """
    known: dict[int, dict[str, float]] = {REAL: {}, FAKE: {}}
    qualities: dict[str, float] = {}
    left_out = 0
    for record in records:
        trial = first_trial(steps_of(record, hop_s), horizon, qualities_of(record, hop_s))
        if trial.highest is None or trial.lowest is None:
            left_out += 1
            continue
        reached = trial.highest if record.label == REAL else trial.lowest
        known[record.label].setdefault(record.group, reached)
        if record.label == REAL and by is not None:
            qualities.setdefault(record.group, trial.quality.of(by))
    reals, fakes = (tuple(known[label].values()) for label in (REAL, FAKE))
    values = tuple(qualities.values())
    edges = even_edges(values)
    buckets = Buckets(by, edges, values) if by is not None and edges else None
    return DecisionTable(detector, digest, source, horizon, reals, fakes, buckets), left_out
