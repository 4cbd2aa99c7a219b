"""Linear heads on foundation features, fitted so that degradations do not move them.

A clip's vector is the mean of its looks' statistics, so a linear head's rating of the clip is the
mean of its logits over looks. Sources weigh the same whatever number of clips they have: fakes
evenly by generator, reals evenly by repository, both labels half. What separates lies in
directions of small variance, so stiffness is tiny; what holds a head back instead is a penalty on
how far degradations move the logit of a real picture.

There are many more features than clips. A fit therefore happens in the span of the clips' vectors
and of the directions of degradations, where nothing is lost.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from styleflow.data.index import FAKE, Entry
from styleflow.detectors.styleflow_live.face_encoder import STATISTICS
from styleflow.training.styleflow_live.features import ClipFeatures

Array = NDArray[np.float64]

_NEWTON_STEPS = 40
_ENOUGH = 1e-7  # a step that gains less is the last
_KEPT = 1e-9  # directions with less of the largest one's weight are left out


@dataclass(frozen=True, slots=True)
class HeadSpec:
    """One linear head.

    Attributes:
        statistics: names of `STATISTICS` that it sees.
        penalty: weight of the penalty on what degradations do to reals.
        round_trips: share of the fakes' weight that pseudo-fakes have, where there are any.
        calls: share of every clip's weight that the same clip after calls has, where it was in any.
        ridge: stiffness.
    """

    statistics: tuple[str, ...] = ("mean", "spread")
    penalty: float = 0.1
    round_trips: float = 0.0
    calls: float = 0.0
    ridge: float = 1e-5

    def __post_init__(self) -> None:
        """Refuse what there is not."""
        unknown = set(self.statistics) - set(STATISTICS)
        if unknown or not self.statistics:
            raise ValueError(f"statistics are of {', '.join(STATISTICS)}, not {self.statistics}")
        if self.penalty < 0 or not self.ridge > 0:
            raise ValueError("penalty is 0 or more, and ridge above 0")
        for name in ("round_trips", "calls"):
            if not 0 <= getattr(self, name) < 1:
                raise ValueError(f"{name} lies between 0 and 1, not {getattr(self, name)}")


@dataclass(frozen=True, slots=True, eq=False)
class Head:
    """A fitted head, or the mean of several.

    Attributes:
        weights: of every statistic, `(blocks, 4, D)`; zero where it does not look.
        biases: of every statistic, `(4,)`: minus what reals and fakes have on average.
    """

    weights: Array
    biases: Array

    def logits(self, features: NDArray[Any]) -> Array:
        """Return logits, `(n,)`, of statistics `(n, blocks, 4, D)`."""
        found = np.einsum("nbsd,bsd->n", features.astype(np.float64), self.weights)
        return np.asarray(found + self.biases.sum())


def source_weights(entries: Sequence[Entry]) -> Array:
    """Return what clips count, `(n,)`: generators and repositories evenly, labels half each."""
    labels = np.array([entry.label for entry in entries])
    names = [(e.label, (e.generator if e.label == FAKE else e.source) or e.group) for e in entries]
    counts = Counter(names)
    weights = np.array([1 / counts[name] for name in names])
    for label in np.unique(labels):
        weights[labels == label] /= weights[labels == label].sum() * len(np.unique(labels))
    return weights


@dataclass(frozen=True, slots=True, eq=False)
class Opinions:
    """What somebody else thinks of clips, whatever their labels.

    Attributes:
        fake: probabilities, `(n,)`, of the clips with labels and then of those without; NaN of
            clips that nothing is thought of.
        weight: of all of them together, beside all labels, which weigh 1.
        unlabelled: clips whose labels are not looked at.
    """

    fake: Array
    weight: float
    unlabelled: Sequence[ClipFeatures] = ()


def heard(labels: Array, weights: Array, opinions: Opinions) -> tuple[Array, Array]:
    """Return targets and weights, `(n,)` each, whose cross-entropy is that of labels and opinions.

    Cross-entropy is linear in its target: a clip with a label and an opinion is one with their mean
    for a target, and their weights' sum for a weight. Opinions count the same whatever the labels.

    Args:
        labels: 0 or 1; anything where the weight is 0.
        weights: of the labels, adding up to 1.
        opinions: of the same clips, one at least.
    """
    known = np.isfinite(opinions.fake)
    beside = opinions.weight * known / known.sum()
    both = weights + beside
    sums = weights * labels + beside * np.where(known, opinions.fake, 0)
    return sums / np.where(both > 0, both, 1), both / both.sum()


def fit_heads(
    clips: Sequence[ClipFeatures],
    specs: Sequence[HeadSpec],
    penalty_rank: int,
    opinions: Opinions | None = None,
    penalised: Sequence[int] | None = None,
    pseudo: Sequence[Array] = (),
    calls: Sequence[Array | None] = (),
) -> Head:
    """Return the mean of heads, each at the size at which training clips spread by 1.

    Args:
        clips: that are trained on.
        specs: the heads.
        penalty_rank: directions into which all that degradations do is compressed.
        opinions: what a teacher thinks of the clips; the heads are fitted to that, too.
        penalised: rows of the clips' degraded looks that the penalty sees; all when None.
        pseudo: vectors of pseudo-fakes, `(blocks, 4, D)` each, for the heads that want them.
        calls: what calls add to the clips' vectors, `(draws, blocks, 4, D)` each, likewise.
    """
    labels = np.array([float(clip.entry.label) for clip in clips])
    weights = source_weights([clip.entry for clip in clips])
    targets, counted, others = labels, weights, []
    if opinions is not None:
        others = [clip.mean for clip in opinions.unlabelled]
        labels, weights = (np.pad(values, (0, len(others))) for values in (labels, weights))
        targets, counted = heard(labels, weights, opinions)
    x = np.stack([clip.mean for clip in clips] + others)  # (n, blocks, 4, D)
    shifts = _shifts(clips, penalised)
    total, biases = np.zeros(x.shape[1:]), np.zeros(len(STATISTICS))
    for spec in specs:
        seen = [STATISTICS.index(name) for name in spec.statistics]
        shape = x[:, :, seen].shape[1:]
        flat, shifted = (
            x[:, :, seen].reshape(len(x), -1),
            shifts[:, :, seen].reshape(len(shifts), -1),
        )
        rows = _with_calls(
            flat, targets, counted, [_rows(added, seen) for added in calls], spec.calls
        )
        rows = _with_pseudo(*rows, [p[:, seen].ravel() for p in pseudo], spec)
        direction = fit_direction(*rows, shifted, spec, penalty_rank)
        scored = flat @ direction
        direction = (direction / (scored.std() * len(specs))).reshape(shape)
        total[:, seen] += direction
        middle = np.average(x[:, :, seen], axis=0, weights=weights)
        biases[seen] -= np.einsum("bsd,bsd->s", middle, direction)
    return Head(total, biases)


def _rows(added: Array | None, seen: list[int]) -> Array | None:
    """Return what a head sees of what calls add to a clip, `(draws, F)`."""
    return None if added is None else added[:, :, seen].reshape(len(added), -1)


def _with_calls(
    x: Array, targets: Array, counted: Array, added: Sequence[Array | None], share: float
) -> tuple[Array, Array, Array]:
    """Return vectors, targets and weights with the same clips after calls, as a head wants.

    Each clip's weight stays what it was, so sources and labels go on counting evenly.
    """
    heard = [(n, each) for n, each in enumerate(added) if each is not None and len(each)]
    if not heard or share == 0:
        return x, targets, counted
    kept = counted.copy()
    vectors, labels, weights = [x], [targets], [kept]
    for number, each in heard:
        count = len(each)
        vectors.append(x[number] + each)
        labels.append(np.full(count, targets[number]))
        weights.append(np.full(count, share * counted[number] / count))
        kept[number] *= 1 - share
    return np.concatenate(vectors), np.concatenate(labels), np.concatenate(weights)


def _with_pseudo(
    x: Array, targets: Array, counted: Array, pseudo: Sequence[Array], spec: HeadSpec
) -> tuple[Array, Array, Array]:
    """Return vectors, targets and weights with pseudo-fakes among the fakes, as a head wants."""
    if not pseudo or spec.round_trips == 0:
        return x, targets, counted
    fake = counted * targets
    each = spec.round_trips * fake.sum() / len(pseudo)
    left = counted - spec.round_trips * fake
    kept = np.where(left > 0, (1 - spec.round_trips) * fake / np.where(left > 0, left, 1), 0)
    return (
        np.concatenate([x, np.stack(pseudo)]),
        np.concatenate([kept, np.ones(len(pseudo))]),
        np.concatenate([left, np.full(len(pseudo), each)]),
    )


def _shifts(clips: Sequence[ClipFeatures], penalised: Sequence[int] | None) -> Array:
    """Return what degradations added to looks at reals, `(m, blocks, 4, D)`."""
    rows = slice(None) if penalised is None else list(penalised)
    moved = [
        clip.degraded[rows].astype(np.float64) - clip.clean for clip in clips if len(clip.degraded)
    ]
    return np.concatenate(moved) if moved else np.zeros((0, *clips[0].clean.shape))


def fit_direction(
    x: Array, labels: Array, weights: Array, shifts: Array, spec: HeadSpec, penalty_rank: int
) -> Array:
    """Return the weights of a logistic regression in units of the features, `(F,)`.

    Args:
        x: clips' vectors, `(n, F)`.
        labels: 0 to 1, `(n,)`.
        weights: what clips count, adding up to 1.
        shifts: what degradations added to vectors of reals, `(m, F)`.
        spec: of the head.
        penalty_rank: see `fit_heads`.
    """
    middle = np.average(x, axis=0, weights=weights)
    spread = np.sqrt(np.average((x - middle) ** 2, axis=0, weights=weights)) + 1e-6
    scale = spread * np.sqrt(x.shape[1])  # rows have a length of about 1
    z, moved = (x - middle) / scale, shifts[:0] / scale
    if spec.penalty > 0 and len(shifts):
        moved = _compressed(shifts / scale, penalty_rank)
    basis = _span(np.concatenate([z, moved]))  # (k, F)
    inside, penalty = z @ basis.T, np.eye(len(basis)) * spec.ridge
    if len(moved):
        across = moved @ basis.T
        penalty += spec.penalty * across.T @ across / len(moved)
    return np.asarray((basis.T @ _newton(inside, labels, weights, penalty)) / scale)


def _newton(z: Array, labels: Array, weights: Array, penalty: Array) -> Array:
    """Return the direction of a logistic regression with an unpenalised bias, `(k,)`."""
    k = z.shape[1]
    rows = np.column_stack([z, np.ones(len(z))])
    stiff = np.zeros((k + 1, k + 1))
    stiff[:k, :k], stiff[k, k] = penalty, 1e-9

    def objective(beta: Array) -> float:
        margin = rows @ beta
        loss = (weights * (np.logaddexp(0, margin) - labels * margin)).sum()
        return float(loss + 0.5 * beta @ stiff @ beta)

    beta = np.zeros(k + 1)
    now = objective(beta)
    for _ in range(_NEWTON_STEPS):
        p = 1 / (1 + np.exp(-(rows @ beta)))
        slope = rows.T @ (weights * (p - labels)) + stiff @ beta
        curve = rows.T @ ((weights * p * (1 - p))[:, None] * rows) + stiff
        step = np.linalg.solve(curve + 1e-10 * np.eye(k + 1), slope)
        length = 1.0
        while (new := objective(beta - length * step)) > now and length > 1e-3:
            length /= 2
        beta = beta - length * step
        if now - new < _ENOUGH:
            break
        now = new
    return np.asarray(beta[:k])


def _compressed(rows: Array, rank: int) -> Array:
    """Return at most `rank` rows with the mean square along every direction that many rows have.

    Exact up to what the smallest directions carry.
    """
    if len(rows) <= rank:
        return rows
    largest = np.linalg.eigh(rows @ rows.T)[1][:, ::-1][:, :rank]
    return np.asarray((largest.T @ rows) * np.sqrt(rank / len(rows)))


def _span(rows: Array) -> Array:
    """Return an orthonormal basis of the space that rows span, `(k, F)`."""
    if len(rows) >= rows.shape[1]:
        return np.eye(rows.shape[1])
    sizes, vectors = np.linalg.eigh(rows @ rows.T)
    kept = sizes > _KEPT * sizes[-1]
    return np.asarray((vectors[:, kept] / np.sqrt(sizes[kept])).T @ rows)
