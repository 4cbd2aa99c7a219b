"""Tables of decisions and of drift: measured figures as they stand in the documents.

    python -m benchmarks.decision_tables

Rewrites what lies between the marks `<!-- decisions: NAME -->` and `<!-- end -->`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.drift import setting_name
from stream.drift.settings import DriftSettings

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "benchmarks" / "results"
DOCUMENTS = (ROOT / "docs" / "decisions.md", ROOT / "docs" / "model-card.md")

_MARKED = re.compile(r"(<!-- decisions: ([a-z-]+) -->\n).*?(<!-- end -->)", re.DOTALL)


Found = Mapping[str, Any]  # Any: JSON


def alarms(found: Found) -> str:
    """Return promised against measured false alarms per hour, way by way."""
    ways = found["ways"]
    names = list(ways["budget"])
    rows = [
        [name, *(_rate(ways[way][name]) for way in ("budget", "threshold", "independent"))]
        for name in names
    ]
    return _table(
        ["promised", "budget: false alarms an hour", "fixed threshold", "ratings multiplied"], rows
    )


def times(found: Found) -> str:
    """Return the share of fakes found within some seconds, by budget and by threshold."""
    ways = found["ways"]
    seconds = list(next(iter(ways["budget"].values()))["found_within"])
    rows = []
    for name in ways["budget"]:
        for way, said in (("budget", "budget"), ("threshold", "fixed threshold")):
            one = ways[way][name]
            within = [_percent(one["found_within"][s]) for s in seconds]
            rows.append([name, said, *within, _seconds(one["found_p50_s"])])
    heads = ["false alarms", "decided by", *(f"found within {s} s" for s in seconds), "median"]
    return _table(heads, rows)


def buckets(found: Found) -> str:
    """Return what buckets of quality do to false alarms and to what is found."""
    tried, gains = found["buckets"]["ways"], found["buckets"]["gains"]
    names = list(next(iter(tried.values())))
    rows = []
    for way, by_budget in tried.items():
        rates = [_rate(by_budget[name]) for name in names]
        one = gains.get(way.removeprefix("buckets by "))
        if one is None:
            rows.append([way, *rates, _percent(gains["all"]), "–"])
            continue
        more = " to ".join(f"{100 * one['more'][end]:+.0f}" for end in ("low", "high"))
        rows.append([way, *rates, _percent(one["found"]), more])
    heads = ["compared with", *names, "fakes found at one in 20", "more than all, points (95 %)"]
    return _table(heads, rows)


def drift(found: Found) -> str:
    """Return how often nothing is called drift, and what is noticed, with the default settings."""
    result, default = found["drift"], DriftSettings()
    setting = setting_name(default.distance, default.margin)
    unchanged, noticed = result["unchanged"][setting], result["noticed"][setting]
    rates = (each["per_month"] for each in unchanged.values())
    rows = [
        [
            "nothing: notices a month",
            *(f"{x['value']:.2f} ({x['low']:.2f} to {x['high']:.2f})" for x in rates),
        ]
    ]
    for what, by_kind in noticed.items():
        cells = (
            f"{x['noticed']} of {x['cameras']}, after {x['hours_p50']:.0f} h"
            for x in by_kind.values()
        )
        rows.append([f"{what}: noticed", *cells])
    return _table(["what happens", *unchanged], rows)


TABLES: Mapping[str, Callable[[Found], str]] = {
    "alarms": alarms,
    "times": times,
    "buckets": buckets,
    "drift": drift,
}


def measured() -> Found:
    """Return the figures of all tables."""
    decisions, drifted = (
        json.loads((RESULTS / f"{name}.json").read_text(encoding="utf-8"))
        for name in ("decisions", "drift")
    )
    return {**decisions, "drift": drifted}


def rewritten(text: str, found: Found) -> str:
    """Return a document with its marked tables made anew."""

    def made(match: re.Match[str]) -> str:
        return f"{match[1]}{TABLES[match[2]](found)}{match[3]}"

    return _MARKED.sub(made, text)


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [heads, ["---"] * len(heads), *rows]
    return "".join("| " + " | ".join(line) + " |\n" for line in lines)


def _rate(one: Found) -> str:
    """Return false alarms per hour with their interval."""
    if not one["alarms"]:
        return f"none in {one['hours']:,.0f} h"
    value, low, high = (f"{one[key]:.2g}" for key in ("per_hour", "low", "high"))
    return f"{value} ({low} to {high})"


def _percent(share: float | None) -> str:
    return "–" if share is None else f"{share:.1%}"


def _seconds(value: float | None) -> str:
    return "–" if value is None else f"{value:.1f} s"


def main() -> None:
    """Rewrite the tables of every document."""
    found = measured()
    for path in DOCUMENTS:
        text = path.read_text(encoding="utf-8")
        path.write_text(rewritten(text, found), encoding="utf-8")


if __name__ == "__main__":
    main()
