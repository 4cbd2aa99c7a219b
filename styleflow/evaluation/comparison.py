"""Several evaluations side by side, and one against what it should repeat."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from styleflow.errors import ResultsUnusable

TOLERANCES: Mapping[str, float] = {
    "video.auc": 0.01,
    "video.ap": 0.01,
    "video.eer": 0.03,
    "video.tpr_at_5": 0.03,
    "video.auc_forced": 0.01,
    "video.offline.auc_end": 0.01,
    "video.offline.auc_mean": 0.01,
    "video.pairs.auc": 0.01,
    "video.pairs.ranked_right": 0.03,
    "streaming.false_alarms.clips_alarmed": 0.03,
    "streaming.fakes_found": 0.03,
    "calibration.ece": 0.02,
    "calibration.reals_flagged": 0.03,
    "calibration.fakes_flagged": 0.03,
}
"""Which figures must be repeated, and how closely."""

_SAME = ("detector", "weights_sha256", "manifest_sha256", "split", "clips", "engine")
_PARTS = ("video", "streaming", "calibration", "robustness", "provenance")


@dataclass(frozen=True, slots=True)
class Difference:
    """Something that is not what it was.

    Attributes:
        name: which figure, or what it was made with.
        found: what it is now.
        committed: what it was.
        tolerance: how far apart they may be; None where they must be equal.
    """

    name: str
    found: Any
    committed: Any
    tolerance: float | None = None


@dataclass(frozen=True, slots=True)
class Cell:
    """One model on one data set.

    Attributes:
        model: detector, version and the beginning of the weights' digest.
        trained_on: what the weights were trained on, as far as was said.
        data: which clips.
        auc: video AUC through the live engine, with `low` and `high`.
        clips: how many of each label.
        status: `trained`, `uncalibrated` or `untrained`.
    """

    model: str
    trained_on: str
    data: str
    auc: Mapping[str, float | None]
    clips: Mapping[str, Any]
    status: str


def read_metrics(path: Path) -> dict[str, Any]:
    """Return the figures of an evaluation.

    Args:
        path: `metrics.json`, or the folder that holds it.

    Raises:
        ResultsUnusable: it is not there, or not what an evaluation writes.
    """
    file = path / "metrics.json" if path.is_dir() else path
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise ResultsUnusable(file, f"cannot be read: {error.strerror}") from None
    except ValueError as error:
        raise ResultsUnusable(file, f"is no JSON ({error})") from None
    missing = [part for part in _PARTS if not isinstance(found, dict) or part not in found]
    if missing:
        raise ResultsUnusable(file, f"was not written by an evaluation: lacks {missing[0]!r}")
    return dict(found)


def differences(found: Mapping[str, Any], committed: Mapping[str, Any]) -> tuple[Difference, ...]:
    """Return in what an evaluation differs from one that it should repeat.

    What both were made with comes first: other weights or other clips give other figures.
    """
    unlike = [
        Difference(key, found["provenance"].get(key), committed["provenance"].get(key))
        for key in _SAME
        if found["provenance"].get(key) != committed["provenance"].get(key)
    ]
    for name, tolerance in TOLERANCES.items():
        now, then = _value(found, name), _value(committed, name)
        both = now is not None and then is not None
        if abs(now - then) > tolerance if both else now != then:  # type: ignore[operator]
            unlike.append(Difference(name, now, then, tolerance))
    return tuple(unlike)


def cells(results: Sequence[Mapping[str, Any]]) -> tuple[Cell, ...]:
    """Return each evaluation's place in a table of models and data sets."""
    return tuple(_cell(each) for each in results)


def markdown(table: Sequence[Cell]) -> str:
    """Return a table in the form of the papers': video AUC in per cent, the best in bold.

    Rows are models and what they were trained on, columns are data sets. A model that was
    evaluated twice on one data set shows the later of the two. The name of a model that was not
    trained says so, and it is never the best.
    """
    columns = list(dict.fromkeys(cell.data for cell in table))
    rows = list(dict.fromkeys((cell.model, cell.trained_on, cell.status) for cell in table))
    placed = {(c.model, c.trained_on, c.status, c.data): c for c in table}
    best = {data: _best(table, data) for data in columns}
    lines = [
        "| model | trained on | " + " | ".join(columns) + " |",
        "|---" * (2 + len(columns)) + "|",
    ]
    for model, trained_on, status in rows:
        shown = [
            _shown(placed.get((model, trained_on, status, data)), best[data]) for data in columns
        ]
        name = model if status == "trained" else f"{model} ({status})"
        lines.append(f"| {name} | {trained_on or 'not said'} | " + " | ".join(shown) + " |")
    return "\n".join(lines) + "\n"


def _cell(found: Mapping[str, Any]) -> Cell:
    made_with = found["provenance"]
    split = f" ({made_with['split']})" if made_with.get("split") else ""
    return Cell(
        model=f"{made_with['detector']} {made_with['version']}, {made_with['weights_sha256'][:8]}",
        trained_on=made_with.get("trained_on", ""),
        data=f"{made_with.get('data', 'unnamed')}{split}",
        auc=found["video"]["auc"],
        clips={key: found["video"]["clips"][key] for key in ("real", "fake")},
        status=made_with["status"],
    )


def _best(table: Sequence[Cell], data: str) -> float | None:
    values = [c.auc["value"] for c in table if c.data == data and c.status != "untrained"]
    return max((value for value in values if value is not None), default=None)


def _shown(cell: Cell | None, best: float | None) -> str:
    if cell is None or cell.auc["value"] is None:
        return "–"
    value = f"{100 * cell.auc['value']:.1f}"
    if cell.auc["value"] == best and cell.status != "untrained":
        value = f"**{value}**"
    low, high = cell.auc["low"], cell.auc["high"]
    return value if low is None or high is None else f"{value} ({100 * low:.1f}–{100 * high:.1f})"


def _value(found: Mapping[str, Any], name: str) -> float | None:
    """Return the value of a figure by its dotted name; None where there is none."""
    place: Any = found
    for part in (*name.split("."), "value"):
        place = place.get(part) if isinstance(place, Mapping) else None
    return None if place is None else float(place)
