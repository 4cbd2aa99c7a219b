"""Figures of an evaluation, from the records of its clips; only values that JSON can hold.

A figure is `{"value", "low", "high"}`: 95 % of bootstrap draws of whole groups lie between the last
two. What cannot be computed is `null`. Clips are ranked by the score that an analysis of the whole
clip reports. A clip without a score cannot be ranked: it is counted and named, and figures called
`forced` rank every clip by all its ratings, as if the engine were not allowed to abstain.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from styleflow.data.index import FAKE, REAL
from styleflow.evaluation import metrics
from styleflow.evaluation.metrics import Interval, Metric, auc
from styleflow.evaluation.record import PLAIN, WITHOUT, ClipRecord, of_condition

SECONDS = (1.0, 2.0, 3.0, 4.0, 5.0, 7.0, 10.0, 15.0, 20.0, 30.0, 60.0)
"""How much of a clip has been seen, for the streaming figures."""

EARLY_S = 2.0
"""By now a score should be nearly as good as at the end."""

_SEED = 0
_COVERAGES = tuple(n / 10 for n in range(1, 11))

Ranking = Callable[[ClipRecord], float | None]
"""What a clip is ranked by; None when there is nothing to rank it by."""


def reported(record: ClipRecord) -> float | None:
    """Rank a clip by what an analysis of it reports."""
    return record.score


def forced(record: ClipRecord) -> float | None:
    """Rank a clip by all its ratings, those without a verdict included."""
    return record.logit(forced=True)


def after(seconds: float, *, forced: bool = False) -> Ranking:
    """Rank clips by what would be reported if they ended after so many media seconds."""
    return lambda record: record.logit(seconds, forced=forced)


def figures(records: Sequence[ClipRecord], enter: float, rounds: int = 1000) -> dict[str, Any]:
    """Return every figure of an evaluation.

    Args:
        records: of all clips, under all conditions.
        enter: score from which a clip is called suspect.
        rounds: bootstrap draws of each figure.
    """
    made = _Figures(rounds)
    plain = of_condition(records, PLAIN)
    names = list(dict.fromkeys(r.condition for r in records if r.condition != PLAIN))
    cues = [name for name in names if name.startswith(WITHOUT)]
    degraded = [name for name in names if not name.startswith(WITHOUT)]
    video = made.video(plain)
    video["by_cue"] = {name: made.degraded(plain, of_condition(records, name)) for name in cues}
    return {
        "video": video,
        "streaming": made.streaming(plain),
        "calibration": made.calibration(plain, enter),
        "robustness": {
            name: made.degraded(plain, of_condition(records, name)) for name in degraded
        },
    }


@dataclass(frozen=True, slots=True)
class _Figures:
    """Works out figures; each with draws of its own, so that adding one changes no other."""

    rounds: int

    # --- whole clips ----------------------------------------------------------------------------

    def video(self, records: Sequence[ClipRecord]) -> dict[str, Any]:
        """Return how well whole clips are told apart."""
        return {
            "clips": count(records),
            "auc": self._metric(auc, records),
            "ap": self._metric(metrics.average_precision, records),
            "eer": self._metric(metrics.equal_error_rate, records),
            "tpr_at_1": self._metric(_hits_at(0.01), records),
            "tpr_at_5": self._metric(_hits_at(0.05), records),
            "auc_forced": self._metric(auc, records, forced),
            "offline": self._offline(records),
            "pairs": self._pairs(records),
            "by_kind": self._against_all_reals(records, lambda r: r.kind),
            "by_generator": self._against_all_reals(records, lambda r: r.generator),
            "by_source": self._within(records, lambda r: r.source),
        }

    def _offline(self, records: Sequence[ClipRecord]) -> dict[str, Any]:
        """Return the same clips' AUC by the offline loop, and what live video adds to it."""
        both = [r for r in records if r.score is not None and r.offline_end is not None]
        return {
            "auc_end": self._metric(auc, records, lambda r: r.offline_end),
            "auc_mean": self._metric(auc, records, lambda r: r.offline_mean),
            "live_minus_end": self._difference(both, reported, lambda r: r.offline_end),
            "live_minus_mean": self._difference(both, reported, lambda r: r.offline_mean),
        }

    def _pairs(self, records: Sequence[ClipRecord]) -> dict[str, Any]:
        """Return figures over clips whose original, or whose fake, is there too."""
        paired = [r for r in records if r.pair and r.score is not None]
        labels = {pair: {r.label for r in paired if r.pair == pair} for pair in _named(paired)}
        paired = [r for r in paired if labels[r.pair] == {REAL, FAKE}]
        reals = {
            pair: [_sure(r.score) for r in paired if r.pair == pair and r.label == REAL]
            for pair in _named(paired)
        }
        fakes = [r for r in paired if r.label == FAKE]
        wins = np.array([_wins(_sure(r.score), reals[r.pair]) for r in fakes])
        return {
            "clips": count(paired),
            "pairs": len(fakes),
            "auc": self._metric(auc, paired),
            "ranked_right": self._resample(
                lambda rows: float(wins[rows].mean()) if len(rows) else math.nan, fakes
            ),
        }

    def _against_all_reals(
        self, records: Sequence[ClipRecord], name: Callable[[ClipRecord], str]
    ) -> dict[str, Any]:
        """Return, for each kind of fake, how well it is told from all reals."""
        reals = [r for r in records if r.label == REAL]
        fakes = [r for r in records if r.label == FAKE]
        found = {}
        for each in sorted({name(r) for r in fakes} - {""}):
            mine = [r for r in fakes if name(r) == each]
            found[each] = {"fakes": len(mine), "auc": self._metric(auc, [*reals, *mine])}
        return found

    def _within(
        self, records: Sequence[ClipRecord], name: Callable[[ClipRecord], str]
    ) -> dict[str, Any]:
        """Return, for each source, how well its fakes are told from its own reals."""
        found = {}
        for each in sorted({name(r) for r in records} - {""}):
            mine = [r for r in records if name(r) == each]
            found[each] = {"clips": count(mine), "auc": self._metric(auc, mine)}
        return found

    # --- as time goes by ------------------------------------------------------------------------

    def streaming(self, records: Sequence[ClipRecord]) -> dict[str, Any]:
        """Return what is known while a clip still plays."""
        return {
            "by_seconds": self._by_seconds(records),
            "early": self._early(records),
            "time_to_verdict": _times([r.first("clear", "suspect") for r in records]),
            "time_to_suspect": _times([r.first("suspect") for r in records if r.label == FAKE]),
            "false_alarms": self._alarms([r for r in records if r.label == REAL]),
            "fakes_found": self._share(
                [r for r in records if r.label == FAKE], lambda r: r.alarms > 0
            ),
            "abstention": _abstention(records),
        }

    def _by_seconds(self, records: Sequence[ClipRecord]) -> list[dict[str, Any]]:
        """Return the AUC that clips would have if they ended early; shorter ones count whole."""
        longest = max((r.duration_s for r in records), default=0.0)
        found = []
        for seconds in SECONDS:
            at, anyhow = after(seconds), after(seconds, forced=True)
            found.append(
                {
                    "seconds": seconds,
                    "scored": sum(at(r) is not None for r in records),
                    "clips": len(records),
                    "auc": self._metric(auc, records, at),
                    "auc_forced": self._metric(auc, records, anyhow),
                }
            )
            if seconds >= longest:
                break
        return found

    def _early(self, records: Sequence[ClipRecord]) -> dict[str, Any]:
        """Return what the rest of a clip adds to its first seconds, on clips scored by then."""
        both = [r for r in records if r.score is not None and after(EARLY_S)(r) is not None]
        return {
            "seconds": EARLY_S,
            "clips": count(both),
            "whole_minus_early": self._difference(both, reported, after(EARLY_S)),
        }

    def _alarms(self, reals: Sequence[ClipRecord]) -> dict[str, Any]:
        hours = sum(r.duration_s for r in reals) / 3600
        alarms = sum(r.alarms for r in reals)
        return {
            "alarms": alarms,
            "hours": _number(hours),
            "per_hour": _figure(metrics.poisson_rate(alarms, hours)),
            "clips_alarmed": self._share(reals, lambda r: r.alarms > 0),
        }

    # --- probabilities --------------------------------------------------------------------------

    def calibration(self, records: Sequence[ClipRecord], enter: float) -> dict[str, Any]:
        """Return whether probabilities come true, and what abstaining would spare."""
        scored = [r for r in records if r.score is not None]
        labels, scores = _columns(scored, reported)
        bins = metrics.reliability(labels, scores)
        return {
            "clips": count(scored),
            "fakes_share": _number(labels.mean() if len(labels) else math.nan),
            "ece": self._metric(metrics.calibration_error, scored),
            "brier": self._metric(metrics.brier, scored),
            "reliability": [
                {
                    "low": b.low,
                    "high": b.high,
                    "clips": b.count,
                    "probability": _number(b.probability),
                    "fakes": _number(b.fakes),
                }
                for b in bins
            ],
            "threshold": enter,
            "reals_flagged": self._share(
                [r for r in scored if r.label == REAL], lambda r: _sure(r.score) >= enter
            ),
            "fakes_flagged": self._share(
                [r for r in scored if r.label == FAKE], lambda r: _sure(r.score) >= enter
            ),
            "risk_coverage": _risk_coverage(scored, enter),
        }

    # --- other conditions -----------------------------------------------------------------------

    def degraded(
        self, plain: Sequence[ClipRecord], degraded: Sequence[ClipRecord]
    ) -> dict[str, Any]:
        """Return what a condition costs, on the clips that were looked at under it.

        In the crossed controls only reals or only fakes are degraded. Where degradation drives the
        score, one of them rises far above the other.
        """
        before = {r.clip: r for r in plain}
        pairs = [(before[r.clip], r) for r in degraded if r.clip in before]
        answered = [(p, w) for p, w in pairs if p.score is not None and w.score is not None]
        ratable = [(p, w) for p, w in pairs if forced(p) is not None and forced(w) is not None]
        return {
            "clips": count(degraded),
            "auc": self._metric(auc, degraded),
            "auc_plain": self._metric(auc, [p for p, _ in answered]),
            "lost": self._lost(answered, reported),
            "auc_forced": self._metric(auc, degraded, forced),
            "lost_forced": self._lost(ratable, forced),
            "only_reals_worn": self._metric(
                auc, [w if w.label == REAL else p for p, w in ratable], forced
            ),
            "only_fakes_worn": self._metric(
                auc, [w if w.label == FAKE else p for p, w in ratable], forced
            ),
            "abstained": _number(_mean([r.abstained for r in degraded])),
        }

    def _lost(
        self, pairs: Sequence[tuple[ClipRecord, ClipRecord]], rank: Ranking
    ) -> dict[str, float | None]:
        labels, before = _columns([p for p, _ in pairs], rank)
        _, after = _columns([w for _, w in pairs], rank)

        def lost(rows: NDArray[np.int64]) -> float:
            return auc(labels[rows], before[rows]) - auc(labels[rows], after[rows])

        return self._resample(lost, [p for p, _ in pairs])

    # --- how ------------------------------------------------------------------------------------

    def _metric(
        self, metric: Metric, records: Iterable[ClipRecord], rank: Ranking = reported
    ) -> dict[str, float | None]:
        ranked = [r for r in records if rank(r) is not None]
        labels, scores = _columns(ranked, rank)
        return self._resample(lambda rows: metric(labels[rows], scores[rows]), ranked)

    def _difference(
        self, records: Sequence[ClipRecord], one: Ranking, other: Ranking
    ) -> dict[str, float | None]:
        labels, first = _columns(records, one)
        _, second = _columns(records, other)

        def difference(rows: NDArray[np.int64]) -> float:
            return auc(labels[rows], first[rows]) - auc(labels[rows], second[rows])

        return self._resample(difference, records)

    def _share(
        self, records: Sequence[ClipRecord], holds: Callable[[ClipRecord], bool]
    ) -> dict[str, float | None]:
        truths = np.array([holds(r) for r in records], np.float64)
        return self._resample(
            lambda rows: float(truths[rows].mean()) if len(rows) else math.nan, records
        )

    def _resample(
        self, figure: Callable[[NDArray[np.int64]], float], records: Sequence[ClipRecord]
    ) -> dict[str, float | None]:
        if not records:
            return {"value": None, "low": None, "high": None}
        rng = np.random.default_rng(_SEED)
        groups = [r.group for r in records]
        return _figure(metrics.resample(figure, groups, rng, rounds=self.rounds))


def count(records: Sequence[ClipRecord]) -> dict[str, Any]:
    """Return how many clips and groups there are, and which clips have no score, and why."""
    return {
        "real": sum(r.label == REAL for r in records),
        "fake": sum(r.label == FAKE for r in records),
        "groups": len({r.group for r in records}),
        "unscored": [{"clip": r.clip, "why": r.problem} for r in records if r.score is None],
    }


def _times(times: Sequence[float | None]) -> dict[str, Any]:
    """Return how long it takes until something happens, over clips in which it does."""
    known = [t for t in times if t is not None]
    middle, most = np.quantile(known, [0.5, 0.9]) if known else (math.nan, math.nan)
    return {
        "clips": len(times),
        "happened": len(known),
        "median_s": _number(middle),
        "p90_s": _number(most),
    }


def _abstention(records: Sequence[ClipRecord]) -> dict[str, Any]:
    """Return how many ratings gave no verdict, and why; warming up is a reason like others."""
    ratings = [rating for r in records for rating in r.ratings]
    reasons = Counter(reason for rating in ratings for reason in rating.reasons)
    return {
        "ratings": len(ratings),
        "share": _number(_mean([not rating.counts for rating in ratings])),
        "reasons": {why: _number(n / len(ratings)) for why, n in reasons.most_common()},
        "clips_without_score": sum(r.score is None for r in records),
        "clips_without_face": sum(not r.ratings for r in records),
    }


def _risk_coverage(scored: Sequence[ClipRecord], enter: float) -> dict[str, Any]:
    """Return the share of wrong verdicts when clips with the widest intervals get none."""
    wrong = [int((_sure(r.score) >= enter) != (r.label == FAKE)) for r in scored]
    doubt = [_sure(r.high) - _sure(r.low) for r in scored]
    coverage, risk = metrics.risk_coverage(wrong, doubt)
    order = np.argsort(doubt, kind="stable")
    points = []
    for share in _COVERAGES if len(coverage) else ():
        at = int(np.searchsorted(coverage, share - 1e-9))
        kept = [scored[i] for i in order[: round(coverage[at] * len(scored))]]
        points.append(
            {
                "coverage": _number(coverage[at]),
                "risk": _number(risk[at]),
                "auc": _number(auc(*_columns(kept, reported))),
            }
        )
    return {"area": _number(metrics.risk_area(coverage, risk)), "points": points}


def _hits_at(rate: float) -> Metric:
    return lambda labels, scores: metrics.hit_rate_at(labels, scores, rate)


def _columns(
    records: Sequence[ClipRecord], rank: Ranking
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    labels = np.array([r.label for r in records], np.int64)
    return labels, np.array([_sure(rank(r)) for r in records], np.float64)


def _sure(value: float | None) -> float:
    return math.nan if value is None else value


def _wins(fake: float, reals: Sequence[float]) -> float:
    """Return the share of originals below their fake; a tie counts half."""
    return _mean([(fake > real) + 0.5 * (fake == real) for real in reals])


def _named(records: Iterable[ClipRecord]) -> list[str]:
    return list(dict.fromkeys(r.pair for r in records))


def _mean(values: Sequence[float]) -> float:
    return float(np.mean(values)) if values else math.nan


def _number(value: float) -> float | None:
    """Return a number rounded as far as it means something, or None where there is none."""
    return round(float(value), 6) if math.isfinite(value) else None


def _figure(interval: Interval) -> dict[str, float | None]:
    return {
        "value": _number(interval.value),
        "low": _number(interval.low),
        "high": _number(interval.high),
    }
