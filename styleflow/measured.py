"""Measured figures of the shipped weights: how well they tell fakes from real clips.

They come from the evaluations that are committed beside the benchmarks, and belong to weights by
their digest: other weights, even of the same name, have none. `python -m styleflow.measured FILE
[ONCE]` takes them over from a new evaluation (`make default-figures`), and from one of clips that
chose nothing.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

_FILE = "measured.json"
_CHOOSES = "val"  # part of a data set that chooses weights, thresholds and calibration


@dataclass(frozen=True, slots=True)
class Measured:
    """One figure with its 95 % interval from bootstrap draws of groups."""

    value: float
    low: float
    high: float

    @classmethod
    def of(cls, found: Mapping[str, float]) -> Measured:
        """Return a figure as an evaluation gives it."""
        return cls(found["value"], found["low"], found["high"])


@dataclass(frozen=True, slots=True)
class KindFigures:
    """How well one kind of fake is told from all real clips.

    Attributes:
        kind: for example `face_swap`.
        fakes: clips of it.
        auc: share of pairs of a fake of it and a real clip that are ranked right.
    """

    kind: str
    fakes: int
    auc: Measured


@dataclass(frozen=True, slots=True)
class OtherFigures:
    """What an evaluation found on clips that chose nothing about the weights.

    Attributes:
        date: of the evaluation, ISO 8601.
        precision: what its networks were computed in, such as `bfloat16`.
        reals: real clips.
        fakes: fake clips.
        auc: video AUC, as of the clips that chose.
        kinds: the same by kind of fake, most clips first.
    """

    date: str
    precision: str
    reals: int
    fakes: int
    auc: Measured
    kinds: tuple[KindFigures, ...]


@dataclass(frozen=True, slots=True)
class MeasuredFigures:
    """What an evaluation through the live engine found of one set of weights.

    Attributes:
        sha256: digest of the weights.
        date: of the evaluation, ISO 8601.
        precision: what its networks were computed in, such as `int8`.
        chose: whether these clips had a part in choosing the weights, so that figures flatter.
        reals: real clips.
        fakes: fake clips.
        unscored: clips that got no score.
        auc: video AUC, the share of pairs of a fake and a real clip that are ranked right.
        flagged_at_5: share of fakes above the threshold that flags 5 % of the real clips.
        kinds: the same by kind of fake, most clips first.
        once: of other clips, which were looked at once when all was decided; None without them.
    """

    sha256: str
    date: str
    precision: str
    chose: bool
    reals: int
    fakes: int
    unscored: int
    auc: Measured
    flagged_at_5: Measured
    kinds: tuple[KindFigures, ...]
    once: OtherFigures | None = None


def measured(sha256: str) -> MeasuredFigures | None:
    """Return what was measured of weights; None when nothing was."""
    found = _shipped()
    return found if found.sha256 == sha256 else None


@cache
def _shipped() -> MeasuredFigures:
    text = (resources.files("styleflow") / _FILE).read_text(encoding="utf-8")
    found = json.loads(text)
    once = found["once"] and OtherFigures(**{**found["once"], **_figures_of(found["once"])})
    flagged = Measured(**found["flagged_at_5"])
    return MeasuredFigures(**{**found, **_figures_of(found), "flagged_at_5": flagged, "once": once})


def _figures_of(found: Mapping[str, Any]) -> dict[str, Any]:
    """Return the AUC, and that of each kind, as they are kept in the shipped file."""
    kinds = tuple(
        KindFigures(one["kind"], one["fakes"], Measured(**one["auc"])) for one in found["kinds"]
    )
    return {"auc": Measured(**found["auc"]), "kinds": kinds}


def distil(metrics: Mapping[str, Any], once: Mapping[str, Any] | None = None) -> MeasuredFigures:
    """Return what is shipped of an evaluation's figures.

    Args:
        metrics: of the clips that chose the weights, or of any others.
        once: of clips that chose nothing, with the same weights.

    Raises:
        ValueError: `once` is of other weights.
    """
    video, provenance = metrics["video"], metrics["provenance"]
    if once is not None and once["provenance"]["weights_sha256"] != provenance["weights_sha256"]:
        raise ValueError("both evaluations are of the same weights, and these are not")
    return MeasuredFigures(
        sha256=provenance["weights_sha256"],
        date=provenance["date"],
        precision=provenance["precision"],
        chose=provenance["split"] == _CHOOSES,
        reals=video["clips"]["real"],
        fakes=video["clips"]["fake"],
        unscored=len(video["clips"]["unscored"]),
        auc=Measured.of(video["auc"]),
        flagged_at_5=Measured.of(video["tpr_at_5"]),
        kinds=_by_kind(video),
        once=None if once is None else _other(once),
    )


def _other(metrics: Mapping[str, Any]) -> OtherFigures:
    video, provenance = metrics["video"], metrics["provenance"]
    return OtherFigures(
        date=provenance["date"],
        precision=provenance["precision"],
        reals=video["clips"]["real"],
        fakes=video["clips"]["fake"],
        auc=Measured.of(video["auc"]),
        kinds=_by_kind(video),
    )


def _by_kind(video: Mapping[str, Any]) -> tuple[KindFigures, ...]:
    kinds = [
        KindFigures(kind, found["fakes"], Measured.of(found["auc"]))
        for kind, found in video["by_kind"].items()
    ]
    return tuple(sorted(kinds, key=lambda kind: (-kind.fakes, kind.kind)))


def text_of(figures: MeasuredFigures) -> str:
    """Return the text of the shipped file."""
    return json.dumps(asdict(figures), indent=1) + "\n"


def main(metrics: Path, once: Path | None = None) -> None:
    """Take the figures of an evaluation over, and of one of clips that chose nothing."""
    read = [json.loads(path.read_text(encoding="utf-8")) for path in (metrics, once) if path]
    found = distil(*read)
    Path(__file__).with_name(_FILE).write_text(text_of(found), encoding="utf-8")


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:3]))
