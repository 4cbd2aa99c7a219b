"""Verdict from logits: smoothing in media time, the interval, and hysteresis.

Theory of operation. A logit counts as evidence only when nothing speaks against the frames behind
it; otherwise the engine abstains, the score stays what it was, and only time passes. `Evidence`
keeps a weighted mean of the logits that counted. The weight of old ones halves every
`half_life_s`, abstaining included, so that the interval widens while nothing new is learnt. It also
widens where frames have little evidence weight (`evidence_weight.py`), which moves nothing else.

    pending or clear ──score >= enter for dwell_s──▶ suspect
    pending or suspect ──score <= leave for dwell_s──▶ clear
    clear or suspect ──near chance for dwell_s──▶ pending, `undecided`

Where validation says that the model tells little (`Calibration.near_chance`) neither threshold is
asked. Between the thresholds a verdict stays what it was. Abstaining stops the dwell's watch
without setting it back, and shows `pending` whatever verdict is held underneath.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from stream.engine.decider import Decider, Smoothed
from stream.engine.settings import EngineSettings
from stream.events import AbstainReason, Decision, Verdict
from styleflow.calibration import Calibration
from styleflow.decisions import DecisionTable, Quality

LOGIT_LIMIT = 30.0
"""Logits are clipped to +-30 so that no outlier dominates; a sigmoid is flat there."""


AGAINST_THE_VERDICT_ONLY = frozenset({AbstainReason.UNTRAINED, AbstainReason.UNDECIDED})
"""Reasons that keep a verdict back and leave the frames behind it evidence."""


@dataclass(slots=True)
class Smoother:
    """A mean of logits in which older ones weigh less.

    Attributes:
        mean: weighted mean of the logits so far; meaningless while `mass` is 0.
        mass: sampled frames behind it, the older ones discounted.
        evidence_weight: the same, each frame counted by its evidence weight; at most `mass`.
    """

    mean: float = 0.0
    mass: float = 0.0
    evidence_weight: float = 0.0

    def decay(self, elapsed_s: float, half_life_s: float) -> None:
        """Let media time pass."""
        left = 0.5 ** (elapsed_s / half_life_s)
        self.mass *= left
        self.evidence_weight *= left

    def add(self, logit: float, frames: int, evidence_weight: float = 1.0) -> None:
        """Take in the logit of a hop of `frames` usable frames, each of a weight of 0..1."""
        self.mass += frames
        self.evidence_weight += frames * evidence_weight
        self.mean += (min(max(logit, -LOGIT_LIMIT), LOGIT_LIMIT) - self.mean) * frames / self.mass


@dataclass(slots=True)
class Hysteresis:
    """Enters high, leaves low, and only after a while.

    Attributes:
        held: the verdict so far.
        dwelt_s: media seconds for which `candidate` has lasted.
        candidate: the verdict that the latest score leads to, when it is not `held`.
    """

    held: Verdict = Verdict.PENDING
    dwelt_s: float = 0.0
    candidate: Verdict | None = None

    def update(
        self, score: float, elapsed_s: float, settings: EngineSettings, *, near_chance: bool = False
    ) -> Verdict:
        """Return the verdict after a score.

        Args:
            score: 0..1.
            elapsed_s: media seconds since the previous score, or 0 if the engine abstained then.
            settings: thresholds and dwell.
            near_chance: no verdict may be taken from such a score.
        """
        target = Verdict.PENDING if near_chance else self._target(score, settings)
        if target is None or target is self.held:
            self.candidate, self.dwelt_s = None, 0.0
            return self.held
        if target is self.candidate:
            self.dwelt_s += elapsed_s
        else:
            self.candidate, self.dwelt_s = target, 0.0
        # Sums of equal hops miss a round dwell by rounding; a microsecond decides nothing else.
        if self.dwelt_s >= settings.dwell_s - 1e-6:
            self.held, self.candidate, self.dwelt_s = target, None, 0.0
        return self.held

    @staticmethod
    def _target(score: float, settings: EngineSettings) -> Verdict | None:
        if score >= settings.enter:
            return Verdict.SUSPECT
        if score <= settings.leave:
            return Verdict.CLEAR
        return None


class ThresholdDecider:
    """Verdict about one face from its smoothed score and two limits."""

    def __init__(self) -> None:
        self.restart()

    def restart(self) -> None:
        """Forget the verdict: evidence was interrupted."""
        self._hysteresis = Hysteresis()
        self._near_chance = False

    def rate(self, logit: float, seconds: float, smoothed: Smoothed) -> Verdict:
        """Take in a rating that is evidence and return the verdict."""
        self._near_chance = smoothed.near_chance
        return self._hysteresis.update(
            smoothed.score,
            smoothed.seen_s,
            smoothed.settings,
            near_chance=smoothed.near_chance,
        )

    @property
    def undecided(self) -> bool:
        """Whether there is no verdict only because the score is near chance."""
        return self._near_chance and self._hysteresis.held is Verdict.PENDING

    def decision(self) -> Decision | None:
        """Return nothing: score and thresholds say it all."""
        return None


class Thresholds:
    """Deciders of one stream's faces; they share nothing."""

    def earn(self, seconds: float) -> None:
        """Watching costs nothing."""

    def compare_with(self, own: Callable[[DecisionTable], DecisionTable]) -> None:
        """Thresholds compare with nothing."""

    def face(self) -> ThresholdDecider:
        """Return the decider of one more face."""
        return ThresholdDecider()


@dataclass(frozen=True, slots=True)
class Estimate:
    """What is published about a track after a rating."""

    score: float
    low: float
    high: float


class Evidence:
    """What one track's logits have said since its evidence started.

    Args:
        calibration: the detector's.
        clip_frames: sampled frames in one full window of evidence.
        step_s: media seconds per slot.
        decider: makes the verdict; thresholds when None.
    """

    def __init__(
        self,
        calibration: Calibration,
        clip_frames: int,
        step_s: float,
        decider: Decider | None = None,
    ) -> None:
        self._decider: Decider = decider or ThresholdDecider()
        self._calibration = calibration
        self._clip_frames = clip_frames
        self._step_s = step_s
        self.shown = Verdict.PENDING
        self.restart()

    def restart(self) -> None:
        """Forget every logit. What is shown stays, until `abstain` or `rate` says otherwise."""
        self._smoother = Smoother()
        self._decider.restart()
        self._slot: int | None = None
        self._abstained = True

    def abstain(self) -> None:
        """Show no verdict for now; what is held underneath stays."""
        self._abstained = True
        self.shown = Verdict.PENDING

    def rate(
        self,
        logit: float,
        slot: int,
        frames: int,
        reasons: tuple[AbstainReason, ...],
        settings: EngineSettings,
        evidence_weight: float = 1.0,
        quality: Quality | None = None,
    ) -> None:
        """Take note of a rating.

        Args:
            logit: raw and finite.
            slot: newest frame behind it.
            frames: usable frames since the previous rating.
            reasons: why no verdict may be shown. Whatever speaks against the frames also keeps
                their logit out of the score; being untrained speaks only against the verdict.
            settings: thresholds and times.
            evidence_weight: of each of these frames, 0..1.
            quality: of these frames, where known trials are told apart by it.
        """
        elapsed_s = 0.0 if self._slot is None else (slot - self._slot) * self._step_s
        self._slot = slot
        self._smoother.decay(elapsed_s, settings.half_life_s)
        if not AGAINST_THE_VERDICT_ONLY.issuperset(reasons):
            self.abstain()
            return
        self._smoother.add(logit, frames, evidence_weight)
        if reasons:
            self.abstain()
            return
        # Only time that was seen counts: a gap must not bring a verdict nearer.
        seen_s = 0.0 if self._abstained else min(elapsed_s, frames * self._step_s)
        self._abstained = False
        smoothed = Smoothed(self.score, seen_s, self._near_chance, settings, quality)
        self.shown = self._decider.rate(logit, frames * self._step_s, smoothed)

    @property
    def undecided(self) -> bool:
        """Whether no verdict is shown only because the score is near chance."""
        return not self._abstained and self._decider.undecided

    @property
    def decision(self) -> Decision | None:
        """How the verdict came about, where a budget of false alarms decides; else None."""
        return self._decider.decision()

    @property
    def _near_chance(self) -> bool:
        return self._calibration.near_chance(self._smoother.mean)

    @property
    def score(self) -> float:
        """The smoothed probability of what counted; that of logit 0 before anything did."""
        return self._calibration.probability(self._smoother.mean)

    def estimate(
        self,
        logit: float,
        frames: int,
        evidence_weight: float = 1.0,
        sharpness: float | None = None,
    ) -> Estimate:
        """Return what to publish.

        Args:
            logit: the newest logit; stands in for the mean while nothing was admitted yet.
            frames: usable frames behind it, likewise.
            evidence_weight: of each of them, likewise.
            sharpness: of the face lately.
        """
        begun = self._smoother.mass > 0
        mean = self._smoother.mean if begun else min(max(logit, -LOGIT_LIMIT), LOGIT_LIMIT)
        evidence = (
            self._smoother.evidence_weight if begun else frames * evidence_weight
        ) / self._clip_frames
        low, high = self._calibration.interval(mean, evidence, sharpness)
        return Estimate(self._calibration.probability(mean), low, high)
