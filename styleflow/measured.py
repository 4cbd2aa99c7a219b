"""Measured figures of the shipped weights: how well they tell fakes from real clips.

They come from the evaluation that is committed beside the benchmarks, and belong to weights by
their digest: other weights, even of the same name, have none. `python -m styleflow.measured FILE`
takes them over from a new evaluation (`make default-figures`).
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
class MeasuredFigures:
    """What an evaluation through the live engine found of one set of weights.

    Attributes:
        sha256: digest of the weights.
        date: of the evaluation, ISO 8601.
        reals: real clips.
        fakes: fake clips.
        unscored: clips that got no score.
        auc: video AUC, the share of pairs of a fake and a real clip that are ranked right.
        flagged_at_5: share of fakes above the threshold that flags 5 % of the real clips.
        kinds: the same by kind of fake, most clips first.
    """

    sha256: str
    date: str
    reals: int
    fakes: int
    unscored: int
    auc: Measured
    flagged_at_5: Measured
    kinds: tuple[KindFigures, ...]


def measured(sha256: str) -> MeasuredFigures | None:
    """Return what was measured of weights; None when nothing was."""
    found = _shipped()
    return found if found.sha256 == sha256 else None


@cache
def _shipped() -> MeasuredFigures:
    text = (resources.files("styleflow") / _FILE).read_text(encoding="utf-8")
    found = json.loads(text)
    kinds = tuple(
        KindFigures(one["kind"], one["fakes"], Measured(**one["auc"])) for one in found["kinds"]
    )
    auc, flagged = Measured(**found["auc"]), Measured(**found["flagged_at_5"])
    return MeasuredFigures(**{**found, "auc": auc, "flagged_at_5": flagged, "kinds": kinds})


def distil(metrics: Mapping[str, Any]) -> MeasuredFigures:
    """Return what is shipped of an evaluation's figures."""
    video, provenance = metrics["video"], metrics["provenance"]
    kinds = [
        KindFigures(kind, found["fakes"], Measured.of(found["auc"]))
        for kind, found in video["by_kind"].items()
    ]
    return MeasuredFigures(
        sha256=provenance["weights_sha256"],
        date=provenance["date"],
        reals=video["clips"]["real"],
        fakes=video["clips"]["fake"],
        unscored=len(video["clips"]["unscored"]),
        auc=Measured.of(video["auc"]),
        flagged_at_5=Measured.of(video["tpr_at_5"]),
        kinds=tuple(sorted(kinds, key=lambda kind: (-kind.fakes, kind.kind))),
    )


def text_of(figures: MeasuredFigures) -> str:
    """Return the text of the shipped file."""
    return json.dumps(asdict(figures), indent=1) + "\n"


def main(metrics: Path) -> None:
    """Take the figures of an evaluation over."""
    found = distil(json.loads(metrics.read_text(encoding="utf-8")))
    Path(__file__).with_name(_FILE).write_text(text_of(found), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
