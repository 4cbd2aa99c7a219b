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

A table may have *buckets* of a figure of quality. Then a face is compared with the known real
sources of its own bucket, where these are enough, and with all of them otherwise. Its bucket is
settled by the evidence before the first comparison, for known sources in the same way, so that
the promise holds within every bucket ("Mondrian" p-values, same source).
"""

from __future__ import annotations

import json
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from importlib import resources
from pathlib import Path
from typing import Any

from styleflow.errors import DecisionTableUnusable

FORMAT = 1
SHIPPED = "styleflow-live.trials.json"
MOST_TRIAL_S = 3600.0
LEAST_SOURCES = 10
"""Fewer real or fake sources are no table: a p-value could not fall below a tenth."""
LEAST_IN_BUCKET = 19
"""Fewer real sources are no bucket: a p-value could not fall to a twentieth, and no trial is held
to less than that (`stream/engine/budget.py`)."""


class QualityFigure(StrEnum):
    """Figure of quality that known sources can be told apart by."""

    SHARPNESS = "sharpness"
    FACE_PX = "face_px"
    BITS_PER_PIXEL = "bits_per_pixel"


@dataclass(frozen=True, slots=True)
class Quality:
    """Quality of the pictures behind a rating, or its mean over a trial; 0 where it is unknown.

    Attributes:
        sharpness: of the face, see `FaceQuality`.
        face_px: side of the face in source pixels.
        bits_per_pixel: compressed bits per source pixel of the stream.
    """

    sharpness: float = 0.0
    face_px: float = 0.0
    bits_per_pixel: float = 0.0

    def of(self, figure: QualityFigure) -> float:
        """Return one of the figures."""
        return float(getattr(self, figure.value))


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
        quality: mean of the evidence until it became comparable, each by its seconds.
    """

    horizon: Horizon
    seen_s: float = 0.0
    mean: float = 0.0
    highest: float | None = None
    lowest: float | None = None
    quality: Quality = Quality()

    def add(self, logit: float, seconds: float, quality: Quality | None = None) -> None:
        """Take in a finite logit that speaks for `seconds` (above 0) of evidence."""
        if not self.comparable:
            self.quality = _mean(self.quality, self.seen_s, quality or Quality(), seconds)
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


def _mean(one: Quality, one_s: float, other: Quality, other_s: float) -> Quality:
    share = other_s / (one_s + other_s)

    def mean(a: float, b: float) -> float:
        return a + (b - a) * share

    return Quality(
        mean(one.sharpness, other.sharpness),
        mean(one.face_px, other.face_px),
        mean(one.bits_per_pixel, other.bits_per_pixel),
    )


class Ranks:
    """Values of known sources, one each, to be ranked among.

    Args:
        values: of the sources, in any order.
    """

    def __init__(self, values: Iterable[float]) -> None:
        self._values = sorted(values)
        self.sources = len(self._values)

    @property
    def finest(self) -> float:
        """Smallest p-value that there can be."""
        return 1.0 / (1.0 + self.sources)

    def share_at_least(self, value: float) -> float:
        """Return the p-value of being as high: (1 + sources as high) / (1 + sources)."""
        higher = self.sources - bisect_left(self._values, value)
        return (1 + higher) / (1 + self.sources)

    def share_at_most(self, value: float) -> float:
        """Return the p-value of being as low."""
        return (1 + bisect_right(self._values, value)) / (1 + self.sources)


@dataclass(frozen=True, slots=True)
class Buckets:
    """Quality of the known real sources, and where buckets of it begin.

    Attributes:
        figure: what tells the buckets apart.
        edges: where each bucket but the first begins, rising.
        values: the figure of each known real source's trial, in the table's order.
    """

    figure: QualityFigure
    edges: tuple[float, ...]
    values: tuple[float, ...]

    def of(self, value: float) -> int:
        """Return the number of the bucket of a figure, the first one is 0."""
        return bisect_right(self.edges, value)


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
        buckets: of the real sources' quality; None compares with all of them.
        least_in_bucket: real sources that a bucket needs; all are taken where it has fewer.

    Raises:
        DecisionTableUnusable: fewer than `LEAST_SOURCES` sources of either kind, times that are no
            trial, or buckets that do not belong to these sources.
    """

    detector: str
    digest: str
    source: str
    horizon: Horizon
    reals: tuple[float, ...]
    fakes: tuple[float, ...]
    buckets: Buckets | None = None
    least_in_bucket: int = LEAST_IN_BUCKET
    _highest: Ranks = field(init=False, repr=False, compare=False)
    _by_bucket: dict[int, Ranks] = field(init=False, repr=False, compare=False)
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
        object.__setattr__(self, "_by_bucket", self._sorted_out())

    def _sorted_out(self) -> dict[int, Ranks]:
        """Return the buckets that have enough real sources."""
        buckets = self.buckets
        if buckets is None:
            return {}
        if len(buckets.values) != len(self.reals) or list(buckets.edges) != sorted(buckets.edges):
            raise DecisionTableUnusable(
                f"there are {len(buckets.values)} figures of {buckets.figure} for "
                f"{len(self.reals)} real sources, or the buckets do not rise"
            )
        sources: dict[int, list[float]] = {}
        for value, real in zip(buckets.values, self.reals, strict=True):
            sources.setdefault(buckets.of(value), []).append(real)
        least = max(self.least_in_bucket, 1)
        return {n: Ranks(each) for n, each in sources.items() if len(each) >= least}

    @property
    def finest(self) -> float:
        """Smallest chance of a false alarm that a trial can be held to: 1 / (1 + real sources)."""
        return self._highest.finest

    @property
    def finest_miss(self) -> float:
        """Smallest chance of a miss that one trial can be held to: 1 / (1 + fake sources)."""
        return self._lowest.finest

    def finest_of(self, trial: Trial) -> float:
        """Return the smallest chance of a false alarm that this trial can be held to.

        Nothing that is added to a trial after it has become comparable changes it.
        """
        return self._null(trial).finest

    def _null(self, trial: Trial) -> Ranks:
        """Return the real sources that a trial is ranked among: those of its bucket, or all."""
        if self.buckets is None:
            return self._highest
        bucket = self.buckets.of(trial.quality.of(self.buckets.figure))
        return self._by_bucket.get(bucket, self._highest)

    def as_high(self, trial: Trial) -> float:
        """Return the share of real sources, this face among them, that reach as high."""
        return 1.0 if trial.highest is None else self._null(trial).share_at_least(trial.highest)

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
        if self.buckets is not None:
            document["buckets"] = {
                "figure": self.buckets.figure.value,
                "edges": list(self.buckets.edges),
                "reals": [round(value, 6) for value in self.buckets.values],
                "least": self.least_in_bucket,
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
        buckets = document.get("buckets")
        return DecisionTable(
            detector=str(document["detector"]),
            digest=str(document["sha256"]),
            source=str(document["source"]),
            horizon=horizon,
            reals=_values(document["reals"]),
            fakes=_values(document["fakes"]),
            buckets=None if buckets is None else _buckets(buckets),
            least_in_bucket=int(buckets["least"]) if buckets else LEAST_IN_BUCKET,
        )
    except OSError as error:
        raise DecisionTableUnusable(f"{path} cannot be read: {error.strerror}") from error
    except (ValueError, KeyError, TypeError) as error:
        raise DecisionTableUnusable(f"{path} is not a table of known trials: {error!r}") from error


def _buckets(found: Mapping[str, Any]) -> Buckets:  # Any: JSON
    return Buckets(QualityFigure(found["figure"]), _values(found["edges"]), _values(found["reals"]))


def _values(found: Sequence[Any]) -> tuple[float, ...]:  # Any: JSON
    values = tuple(float(value) for value in found)
    if not all(abs(value) < 1e6 for value in values):
        raise ValueError("a logit is not a number")
    return values
