"""Known trials: how far the ratings of known real and fake videos reach, one value per source.

A *trial* is a stretch of one face's evidence, `Horizon.trial_s` long. Within it the ratings of one
face hardly differ, while sources differ a lot (on `val`, a standard deviation of 0.07 within a clip
against 0.65 between real ones). So a trial is one observation, however many ratings are in it, and
what it is compared with is one value per *source*: the highest running mean of each known real
trial, the lowest of each known fake one.

The comparison is a conformal p-value: of G real sources and the face itself, the share that reach
as high. If the face were one more real source, that share would be at most `a` with a chance of at
most `a`, whatever the ratings' distribution and however they depend on one another within a trial.
Since the highest running mean only rises as a trial goes on, and with it the p-value only falls,
this holds at every moment at which one may stop, too. Source: Vovk, Gammerman and Shafer,
"Algorithmic Learning in a Random World" (2005), for p-values of exchangeable examples.
"""

from __future__ import annotations

import json
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Any

from styleflow.errors import DecisionTableUnusable

FORMAT = 1
SHIPPED = "styleflow-live.trials.json"
MOST_TRIAL_S = 3600.0
LEAST_SOURCES = 10
"""Fewer real or fake sources are no table: a p-value could not fall below a tenth."""


@dataclass(frozen=True, slots=True)
class Horizon:
    """Times of one trial, in media seconds of a face's usable evidence.

    Attributes:
        trial_s: how long a trial is.
        least_s: evidence before its running mean is compared with anything, below `trial_s`.
    """

    trial_s: float = 4.0
    least_s: float = 1.5


@dataclass(slots=True)
class Trial:
    """Running mean of the ratings of one trial, and how far it has reached.

    Attributes:
        horizon: its times.
        seen_s: media seconds of evidence so far.
        mean: of the ratings, each by its seconds; meaningless while `seen_s` is 0.
        highest: of the running mean since `horizon.least_s`; None before.
        lowest: likewise.
    """

    horizon: Horizon
    seen_s: float = 0.0
    mean: float = 0.0
    highest: float | None = None
    lowest: float | None = None

    def add(self, logit: float, seconds: float) -> None:
        """Take in a finite logit that speaks for `seconds` (above 0) of evidence."""
        self.seen_s += seconds
        self.mean += (logit - self.mean) * seconds / self.seen_s
        # A microsecond: sums of equal hops miss a round time by rounding.
        if self.seen_s >= self.horizon.least_s - 1e-6:
            self.highest = self.mean if self.highest is None else max(self.highest, self.mean)
            self.lowest = self.mean if self.lowest is None else min(self.lowest, self.mean)

    @property
    def comparable(self) -> bool:
        """Whether there is enough evidence to compare it with known trials."""
        return self.highest is not None

    @property
    def over(self) -> bool:
        """Whether the trial is as long as it gets."""
        return self.seen_s >= self.horizon.trial_s - 1e-6


class Ranks:
    """Values of known sources, one each, to be ranked among.

    Args:
        values: of the sources, in any order.
    """

    def __init__(self, values: Iterable[float]) -> None:
        self._values = sorted(values)
        self.sources = len(self._values)

    def share_at_least(self, value: float) -> float:
        """Return the p-value of being as high: (1 + sources as high) / (1 + sources)."""
        higher = self.sources - bisect_left(self._values, value)
        return (1 + higher) / (1 + self.sources)

    def share_at_most(self, value: float) -> float:
        """Return the p-value of being as low."""
        return (1 + bisect_right(self._values, value)) / (1 + self.sources)


@dataclass(frozen=True)
class DecisionTable:
    """Known trials of one detector: what a face's trial is compared with.

    Attributes:
        detector: whose ratings these are.
        digest: SHA-256 of the weights that gave them.
        source: where the videos come from, for people.
        horizon: times of a trial; a face's trials must have the same.
        reals: highest running mean of a trial of each known real source.
        fakes: lowest running mean of a trial of each known fake source.

    Raises:
        DecisionTableUnusable: fewer than `LEAST_SOURCES` sources of either kind, or times that are
            no trial.
    """

    detector: str
    digest: str
    source: str
    horizon: Horizon
    reals: tuple[float, ...]
    fakes: tuple[float, ...]
    _highest: Ranks = field(init=False, repr=False, compare=False)
    _lowest: Ranks = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if not 0 < self.horizon.least_s < self.horizon.trial_s <= MOST_TRIAL_S:
            raise DecisionTableUnusable(
                f"a trial of {self.horizon.trial_s:g} s that says something after "
                f"{self.horizon.least_s:g} s is none: the first must be longer, the second above 0"
            )
        object.__setattr__(self, "_highest", Ranks(self.reals))
        object.__setattr__(self, "_lowest", Ranks(self.fakes))
        for kind, ranks in (("real", self._highest), ("fake", self._lowest)):
            if ranks.sources < LEAST_SOURCES:
                raise DecisionTableUnusable(
                    f"there are trials of {ranks.sources} {kind} sources, and a table needs "
                    f"{LEAST_SOURCES}"
                )

    @property
    def finest(self) -> float:
        """Smallest chance of a false alarm that a trial can be held to: 1 / (1 + real sources)."""
        return 1.0 / (1.0 + self._highest.sources)

    @property
    def finest_miss(self) -> float:
        """Smallest chance of a miss that one trial can be held to: 1 / (1 + fake sources)."""
        return 1.0 / (1.0 + self._lowest.sources)

    def as_high(self, trial: Trial) -> float:
        """Return the share of real sources, this face among them, that reach as high."""
        return 1.0 if trial.highest is None else self._highest.share_at_least(trial.highest)

    def as_low(self, trial: Trial) -> float:
        """Return the share of fake sources, this face among them, that reach as low."""
        return 1.0 if trial.lowest is None else self._lowest.share_at_most(trial.lowest)

    def write(self, path: Path) -> None:
        """Write it as JSON.

        Raises:
            OSError: it cannot be written.
        """
        document = {
            "format": FORMAT,
            "detector": self.detector,
            "sha256": self.digest,
            "source": self.source,
            "trial_s": self.horizon.trial_s,
            "least_s": self.horizon.least_s,
            "reals": [round(value, 6) for value in self.reals],
            "fakes": [round(value, 6) for value in self.fakes],
        }
        path.write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def shipped_table() -> DecisionTable:
    """Return the known trials that travel inside the package, for its own weights.

    Raises:
        DecisionTableUnusable: this installation lacks the file, or it is damaged.
    """
    with resources.as_file(resources.files("styleflow") / "weights" / SHIPPED) as path:
        return read_table(path)


def read_table(path: Path) -> DecisionTable:
    """Read a table.

    Raises:
        DecisionTableUnusable: there is none, or it is not one.
    """
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        if document["format"] != FORMAT:
            raise DecisionTableUnusable(f"{path} has format {document['format']}, not {FORMAT}")
        horizon = Horizon(float(document["trial_s"]), float(document["least_s"]))
        return DecisionTable(
            detector=str(document["detector"]),
            digest=str(document["sha256"]),
            source=str(document["source"]),
            horizon=horizon,
            reals=_values(document["reals"]),
            fakes=_values(document["fakes"]),
        )
    except OSError as error:
        raise DecisionTableUnusable(f"{path} cannot be read: {error.strerror}") from error
    except (ValueError, KeyError, TypeError) as error:
        raise DecisionTableUnusable(f"{path} is not a table of known trials: {error!r}") from error


def _values(found: Sequence[Any]) -> tuple[float, ...]:  # Any: JSON
    values = tuple(float(value) for value in found)
    if not all(abs(value) < 1e6 for value in values):
        raise ValueError("a logit is not a number")
    return values
