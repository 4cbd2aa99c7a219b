"""One probability out of several detectors' logits: logistic stacking, fitted, never guessed.

The ensemble's logit is an intercept plus a weighted sum of its members' logits. Weights come from
validation scores; averaging members that were never compared would only look like agreement. The
file is small JSON that names every member by the digest of its weights, because a fit says nothing
about other weights.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydantic import TypeAdapter, ValidationError

from styleflow.calibration import Calibration
from styleflow.cards import ModelCard, TemporalMode, TrainingStatus
from styleflow.errors import EnsembleInvalid

NAME = "ensemble"
"""What its scores are published under; no detector may be called so."""

LIMIT = 30.0
"""Logits beyond this count as this, in fitting and live: one member must not outvote a hundred."""

_MAX_STEPS = 100
_TOLERANCE = 1e-12
_FLAT = 1e-6  # slope of the loss below which a fit has settled
_WORST_FIRST = (
    TrainingStatus.UNTRAINED,
    TrainingStatus.UNCALIBRATED,
    TrainingStatus.EXPERIMENTAL,
    TrainingStatus.TRAINED,
)

Numbers = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Member:
    """One detector's part in an ensemble.

    Attributes:
        detector: its name.
        sha256: digest of the weights that it was fitted with; empty when the scores did not say.
        weight: multiplies its logit.
    """

    detector: str
    sha256: str
    weight: float


@dataclass(frozen=True, slots=True)
class Fit:
    """Record of a fit.

    Attributes:
        samples: scores that they were fitted on.
        steps: of Newton's method until nothing changed.
        log_loss: mean over the samples, natural logarithm.
        l2: how strongly large weights were held back.
    """

    samples: int
    steps: int
    log_loss: float
    l2: float


@dataclass(frozen=True, slots=True)
class Ensemble:
    """Fitted weights, ready to be used.

    Attributes:
        members: whose logits are summed.
        intercept: added to their sum.
        spread: standard deviation of the logit between samples of one label.
        fit: how the weights came about.
    """

    members: tuple[Member, ...]
    intercept: float
    spread: float
    fit: Fit

    @property
    def names(self) -> frozenset[str]:
        """The members' names."""
        return frozenset(member.detector for member in self.members)

    @property
    def calibration(self) -> Calibration:
        """Calibration of its logit: the plain sigmoid, because the fit is one already."""
        return Calibration(spread=self.spread, fitted=True)

    def logit(self, logits: Mapping[str, float]) -> float:
        """Return the stacked logit of the members' logits, by name. Raises KeyError."""
        return self.intercept + sum(
            member.weight * min(max(logits[member.detector], -LIMIT), LIMIT)
            for member in self.members
        )

    def check(self, cards: Sequence[ModelCard]) -> None:
        """Make sure that the members are here, with the weights they were fitted with.

        Raises:
            EnsembleInvalid: one is missing, or has other weights.
        """
        here = {card.name: card for card in cards}
        if NAME in here:
            raise EnsembleInvalid(f"a detector cannot be called {NAME!r}")
        for member in self.members:
            card = here.get(member.detector)
            if card is None:
                raise EnsembleInvalid(
                    f"the ensemble needs {member.detector!r}; configured: {', '.join(here)}"
                )
            if member.sha256 and member.sha256 != card.sha256:
                raise EnsembleInvalid(
                    f"the ensemble was fitted with other weights of {member.detector!r} "
                    f"({member.sha256[:12]}, not {card.sha256[:12]}): fit it again"
                )

    def card(self, cards: Sequence[ModelCard]) -> ModelCard:
        """Return what messages say about it; it is trusted as far as its least trusted member."""
        own = [card for card in cards if card.name in self.names]
        modes = {card.mode for card in own}
        status = min((card.status for card in own), key=_WORST_FIRST.index)
        digest = hashlib.sha256(_json(self).encode()).hexdigest()
        return ModelCard(
            NAME,
            f"{len(self.members)}-{digest[:12]}",
            modes.pop() if len(modes) == 1 else TemporalMode.MIXED,
            status,
            digest,
        )


def fit(
    logits: Numbers,
    labels: Numbers,
    detectors: Sequence[str],
    digests: Mapping[str, str] | None = None,
    *,
    l2: float = 1e-3,
) -> Ensemble:
    """Return the ensemble that explains labels best.

    Logistic regression by Newton's method; the intercept is not held back.

    Args:
        logits: one row per sample, one column per detector, `(N, K)`.
        labels: 0 real, 1 fake, `(N,)`.
        detectors: names of the columns.
        digests: sha256 of the weights behind a column, by name.
        l2: half the squared weights, times this, is added to the mean loss.

    Raises:
        EnsembleInvalid: too few samples, one label only, or no convergence.
    """
    x, y = _checked(logits, labels, detectors)
    design = np.column_stack([np.ones(len(x)), x])
    held = np.diag([0.0, *([l2] * x.shape[1])])
    weights = np.zeros(design.shape[1])
    loss = _loss(design, y, weights, held)
    steps, before = 0, math.inf
    while before - loss > _TOLERANCE * max(abs(loss), 1.0):
        if steps == _MAX_STEPS:
            raise EnsembleInvalid(f"the fit did not settle within {_MAX_STEPS} steps")
        steps += 1
        p = _sigmoid(design @ weights)
        gradient = design.T @ (p - y) / len(y) + held @ weights
        curvature = (design * (p * (1 - p))[:, None]).T @ design / len(y) + held
        move = np.linalg.lstsq(curvature + 1e-12 * np.eye(len(weights)), gradient, rcond=None)[0]
        before = loss
        weights, loss = _descended(design, y, weights, move, held, loss)
    slope = design.T @ (_sigmoid(design @ weights) - y) / len(y) + held @ weights
    if np.abs(slope).max() > _FLAT:
        raise EnsembleInvalid(f"the fit stopped on a slope of {np.abs(slope).max():.2g}")
    stacked = design @ weights
    spread = math.sqrt(float(np.mean([stacked[y == label].var() for label in (0.0, 1.0)])))
    plain = _loss(design, y, weights, np.zeros_like(held))
    known = digests or {}
    return Ensemble(
        tuple(
            Member(name, known.get(name, ""), float(weight))
            for name, weight in zip(detectors, weights[1:], strict=True)
        ),
        float(weights[0]),
        max(spread, 1e-3),
        Fit(len(y), steps, plain, l2),
    )


def held_out_loss(
    logits: Numbers,
    labels: Numbers,
    detectors: Sequence[str],
    groups: Sequence[str],
    folds: int = 5,
) -> float | None:
    """Return the log loss on samples that were not fitted on, or None where there are too few.

    Args:
        logits: `(N, K)`.
        labels: `(N,)`.
        detectors: names of the columns.
        groups: what each sample belongs to; a group is never on both sides.
        folds: parts that the groups are dealt into.
    """
    order = {group: number % folds for number, group in enumerate(dict.fromkeys(groups))}
    fold = np.array([order[group] for group in groups])
    losses: list[Numbers] = []
    for number in range(folds):
        inside, outside = fold != number, fold == number
        try:
            made = fit(logits[inside], labels[inside], detectors)
        except EnsembleInvalid:
            return None
        z = np.array(
            [made.logit(dict(zip(detectors, row, strict=True))) for row in logits[outside]]
        )
        losses.append(np.logaddexp(0.0, z) - labels[outside] * z)
    return float(np.concatenate(losses).mean())


def save(ensemble: Ensemble, path: Path) -> None:
    """Write an ensemble as JSON."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(_json(ensemble) + "\n", encoding="utf-8")


def load(path: Path) -> Ensemble:
    """Read an ensemble.

    Raises:
        EnsembleInvalid: there is no such file, or it is none.
    """
    try:
        ensemble = TypeAdapter(Ensemble).validate_json(path.read_bytes())
    except OSError as error:
        reason = f"cannot be read ({error.strerror}); fit one with `styleflow ensemble fit`"
        raise EnsembleInvalid(reason, path) from None
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "file"
        raise EnsembleInvalid(f"{where}: {first['msg']}", path) from None
    numbers = [ensemble.intercept, ensemble.spread, *(m.weight for m in ensemble.members)]
    if len(ensemble.members) < 2 or not all(math.isfinite(n) for n in numbers):
        raise EnsembleInvalid("needs two members or more, and finite numbers", path)
    if len(ensemble.names) < len(ensemble.members):
        raise EnsembleInvalid("names a member twice", path)
    return ensemble


def _checked(logits: Numbers, labels: Numbers, detectors: Sequence[str]) -> tuple[Numbers, Numbers]:
    x = np.clip(np.asarray(logits, np.float64), -LIMIT, LIMIT)
    y = np.asarray(labels, np.float64)
    if x.ndim != 2 or x.shape != (len(y), len(detectors)) or len(detectors) < 2:
        raise EnsembleInvalid("needs a label and two or more detectors' logits per sample")
    if not np.isfinite(x).all():
        raise EnsembleInvalid("every logit must be a finite number")
    if set(y.tolist()) != {0.0, 1.0}:
        raise EnsembleInvalid("labels must be 0 (real) and 1 (fake), and both must occur")
    least = 5 * (len(detectors) + 1)
    if len(y) < least:
        raise EnsembleInvalid(f"needs {least} samples for {len(detectors)} detectors, got {len(y)}")
    return x, y


def _descended(
    design: Numbers, y: Numbers, weights: Numbers, move: Numbers, held: Numbers, loss: float
) -> tuple[Numbers, float]:
    """Go along a step, halved until it helps; stay where none does."""
    for halving in range(30):
        there = weights - move * 0.5**halving
        lower = _loss(design, y, there, held)
        if lower <= loss:
            return there, lower
    return weights, loss


def _loss(design: Numbers, y: Numbers, weights: Numbers, held: Numbers) -> float:
    z = design @ weights
    return float(np.mean(np.logaddexp(0.0, z) - y * z) + weights @ held @ weights / 2)


def _sigmoid(z: Numbers) -> Numbers:
    return np.asarray(np.exp(-np.logaddexp(0.0, -z)))


def _json(ensemble: Ensemble) -> str:
    return json.dumps(asdict(ensemble), indent=2)
