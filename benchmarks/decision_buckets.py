"""Buckets of quality: whether comparing a face with real sources of like quality finds more fakes.

One trial of each source of an evaluation. A face is held to one known real source in twenty
(`stream/engine/budget.py` never holds it to less), once among all real sources and once among those
of its bucket. Real and fake sources are drawn anew, the edges of the buckets with them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from stream.engine.budget import MOST_STAKE
from styleflow.data.index import FAKE, REAL
from styleflow.decisions import LEAST_IN_BUCKET, Horizon, QualityFigure, Ranks, Trial
from styleflow.evaluation.record import ClipRecord
from styleflow.evaluation.trials import even_edges, first_trial, qualities_of, steps_of

ROUNDS = 1000
_ROUNDING = 1e-9


def gains(
    records: Sequence[ClipRecord], horizon: Horizon, hop_s: float, seed: int
) -> dict[str, Any]:
    """Return the share of fakes that each kind of bucket finds more than all real sources do.

    Args:
        records: of the clips, under one condition.
        horizon: times of a trial.
        hop_s: seconds between two ratings.
        seed: of the draws.
    """
    reals, fakes = (_trials(records, label, horizon, hop_s) for label in (REAL, FAKE))
    found: dict[str, Any] = {"reals": len(reals), "fakes": len(fakes), "held_to": MOST_STAKE}
    found["all"] = share(reals, fakes, None)
    for by in QualityFigure:
        rng = np.random.default_rng(seed)
        more = []
        for _ in range(ROUNDS):
            known = [reals[n] for n in rng.integers(len(reals), size=len(reals))]
            tried = [fakes[n] for n in rng.integers(len(fakes), size=len(fakes))]
            more.append(share(known, tried, by) - share(known, tried, None))
        low, high = np.quantile(more, [0.025, 0.975])
        found[by.value] = {
            "found": share(reals, fakes, by),
            "more": {"median": float(np.median(more)), "low": float(low), "high": float(high)},
        }
    return found


def share(reals: Sequence[Trial], fakes: Sequence[Trial], by: QualityFigure | None) -> float:
    """Return the share of fakes that are among the highest, of all real sources or by bucket."""
    general = Ranks(_highest(trial) for trial in reals)
    edges = even_edges([trial.quality.of(by) for trial in reals]) if by else ()

    def bucket(trial: Trial) -> int:
        return int(np.searchsorted(edges, trial.quality.of(by), side="right")) if by else 0

    own = {n: [t for t in reals if bucket(t) == n] for n in range(len(edges) + 1)}
    ranks = {
        n: Ranks(_highest(t) for t in each) if len(each) >= LEAST_IN_BUCKET else general
        for n, each in own.items()
    }
    shares = [ranks[bucket(trial)].share_at_least(_highest(trial)) for trial in fakes]
    return sum(each <= MOST_STAKE + _ROUNDING for each in shares) / len(fakes)


def _highest(trial: Trial) -> float:
    assert trial.highest is not None
    return trial.highest


def _trials(
    records: Sequence[ClipRecord], label: int, horizon: Horizon, hop_s: float
) -> list[Trial]:
    """Return the first comparable trial of every source."""
    found: dict[str, Trial] = {}
    for record in records:
        trial = first_trial(steps_of(record, hop_s), horizon, qualities_of(record, hop_s))
        if record.label == label and trial.comparable:
            found.setdefault(record.group, trial)
    return list(found.values())
