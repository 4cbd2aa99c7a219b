"""Calibration, from a logit to a probability: the only sigmoid on the way to a user."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True)
class Width:
    """Half width of an interval for faces of one sharpness.

    Attributes:
        sharpness: from which on it holds, up to the next one's; see `FaceQuality`.
        half: of the interval in scaled logits, for one full window of evidence.
    """

    sharpness: float
    half: float


@dataclass(frozen=True, slots=True)
class Calibration:
    """Platt scaling fitted on validation data, with what its interval is made of.

    Attributes:
        scale: multiplies the logit.
        bias: added after scaling.
        spread: standard deviation of the scaled logit between clips of the same label, for one
            full window of evidence.
        fitted: False until it has seen validation data; the messages say so.
        prior: share of fakes for which `bias` was fitted.
        undecided: distance of the scaled logit from even odds, before the prior, below which no
            verdict is taken, because validation clips there are told apart badly; 0 takes all.
        widths: conformal half widths by sharpness, rising from 0; `spread` is taken where there
            are none, or where the sharpness is unknown.
    """

    scale: float = 1.0
    bias: float = 0.0
    spread: float = 2.0
    fitted: bool = False
    prior: float = 0.5
    undecided: float = 0.0
    widths: tuple[Width, ...] = ()

    def probability(self, logit: float) -> float:
        """Return the probability, in (0, 1), that a face with this logit is synthesised."""
        return _sigmoid(self.scale * logit + self.bias)

    def interval(
        self, logit: float, evidence: float, sharpness: float | None = None
    ) -> tuple[float, float]:
        """Return an interval of about two thirds around the probability.

        Args:
            logit: raw output, possibly averaged over time.
            evidence: how many full windows of evidence are behind it; less evidence is wider. More
                than one narrows nothing where there are conformal widths: they are what whole clips
                scatter by, and watching a source for longer does not make it another source.
            sharpness: of the face, see `FaceQuality`; None where it is not known.
        """
        centre = self.scale * logit + self.bias
        if self.widths and sharpness is not None:
            evidence = min(evidence, 1.0)
        half = self.half_width(sharpness) / math.sqrt(max(evidence, 1e-3))
        return _sigmoid(centre - half), _sigmoid(centre + half)

    def at_prior(self, prior: float) -> Calibration:
        """Return the same calibration where another share of faces, 0..1, is synthesised.

        The evidence of a logit stays what it is; Bayes' rule moves the log odds by the difference.
        """
        bias = self.bias + _log_odds(prior) - _log_odds(self.prior)
        return replace(self, bias=bias, prior=prior)

    def near_chance(self, logit: float) -> bool:
        """Say whether a logit lies too close to even odds for a verdict.

        The prior is left out of it: how common fakes are makes no rating any firmer.
        """
        even = self.scale * logit + self.bias - _log_odds(self.prior)
        return abs(even) < self.undecided

    def strangeness(self, logit: float) -> float:
        """Return how far a logit lies beyond the clips of the fit, in spreads; 0 among them.

        Where the clips of either label lie is not stored, but follows from what is: of two equal
        bells, Platt's scaled logits lie `spread` spreads apart. Logit 0 is taken for the middle
        of one of them or a place between, so that only what is farther than that from 0 is beyond
        both. `styleflow-live` counts from the mean of real clips, see `weigh_cues`.

        It sees only how extreme the rating is. A strange face whose cues cancel each other, or that
        looks like any other to the network, is not strange to it.
        """
        if self.spread <= 0:
            return 0.0
        return max(abs(self.scale * logit) / self.spread - self.spread, 0.0)

    def half_width(self, sharpness: float | None) -> float:
        """Return half an interval's width in scaled logits, for one full window of evidence."""
        if sharpness is None:
            return self.spread
        reached = [width.half for width in self.widths if sharpness >= width.sharpness]
        return reached[-1] if reached else self.spread


def _log_odds(share: float) -> float:
    return math.log(share / (1 - share))


def _sigmoid(x: float) -> float:
    if x >= 0:
        return 1.0 / (1.0 + math.exp(-min(x, 700.0)))
    e = math.exp(max(x, -700.0))
    return e / (1.0 + e)
