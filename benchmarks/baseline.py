"""Baselines: how much better real and fake are told apart when a camera's own real video is known.

    python -m benchmarks.baseline NAME=RESULTS [NAME=RESULTS …] [--rounds N] [--out DIR]

RESULTS are folders of `styleflow evaluate` runs. A clip's evidence is cut in two. The first half of
a real clip is its baseline; the second halves of real clips, and of the fakes that were made of
them (the same pair, or else the same group), are judged. A trial of a half is what a budget
compares: how far its running mean reached. Relative at weight w means less w times the baseline's.

Two figures: the area under the ROC curve without and with the baseline, by kind, with intervals
from drawing whole groups; and what comes of trials that are held to a stake, against the shipped
table mixed with the camera's null. Of a few seconds there is one trial, which would weigh 1 in 42,
so that null is made up: the half's level, and how far the second halves of *other* groups' real
clips lie from their first.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from rich.console import Console
from rich.table import Table

from benchmarks.hardware import hardware
from benchmarks.result import write_result
from stream.baseline.mixing import between
from styleflow.data.index import FAKE, REAL
from styleflow.decisions import DecisionTable, Ranks, shipped_table
from styleflow.evaluation.metrics import auc
from styleflow.evaluation.record import PLAIN, ClipRecord, of_condition, read_records
from styleflow.evaluation.trials import Steps, first_trial, steps_of

RESULTS = Path(__file__).parent / "results"
HOP_S = 0.24
LEAST_GROUPS = 5
"""Groups of fakes below which drawing groups says nothing, so that there is no interval."""
WEIGHTS = (0.0, 0.25, 0.5, 0.75, 1.0)
STAKES = (0.05, 0.1, 0.2)
MIXED = (None, 0.25, 0.5, 0.75)  # None: without a baseline
ALL = "all"


@dataclass(frozen=True, slots=True)
class Judged:
    """The second half of a clip, and the baseline of the real clip that belongs to it.

    Attributes:
        label: 0 real, 1 fake.
        group: whoever must stay together.
        kind: of manipulation; empty for real ones.
        level: of the baseline's trial, a logit.
        reached: of the second half's trial, a logit.
    """

    label: int
    group: str
    kind: str
    level: float
    reached: float


def halves(steps: Steps) -> tuple[Steps, Steps]:
    """Return the first and the second half of some evidence, by its seconds."""
    half, seen = sum(span for _, span in steps) / 2, 0.0
    first: list[tuple[float, float]] = []
    second: list[tuple[float, float]] = []
    for step in steps:
        (first if seen < half else second).append(step)
        seen += step[1]
    return tuple(first), tuple(second)


def judged(records: Sequence[ClipRecord], table: DecisionTable) -> list[Judged]:
    """Return the second halves of clips whose camera has a baseline."""
    reached: dict[str, tuple[float, float]] = {}
    for record in records:
        trials = [first_trial(half, table.horizon) for half in halves(steps_of(record, HOP_S))]
        first, second = (trial.highest for trial in trials)
        if second is not None and (record.label == FAKE or first is not None):
            reached[record.clip] = (math.nan if first is None else first, second)
    pairs: dict[str, list[float]] = defaultdict(list)
    groups: dict[str, list[float]] = defaultdict(list)
    for record in records:
        if record.label == REAL and record.clip in reached:
            groups[record.group].append(reached[record.clip][0])
            if record.pair:
                pairs[record.pair].append(reached[record.clip][0])
    found = []
    for record in records:
        if record.clip not in reached:
            continue
        levels = [reached[record.clip][0]]
        if record.label == FAKE:
            levels = pairs.get(record.pair, []) if record.pair else []
            levels = levels or groups.get(record.group, [])
        if levels:
            level, second = float(np.mean(levels)), reached[record.clip][1]
            found.append(Judged(record.label, record.group, record.kind, level, second))
    return found


def relative_auc(ones: Sequence[Judged], weight: float) -> float:
    """Return the area under the curve of what is relative at a weight."""
    return auc([one.label for one in ones], [one.reached - weight * one.level for one in ones])


def drawn(ones: Sequence[Judged], rng: np.random.Generator) -> list[Judged]:
    """Return as many groups, drawn with repetition, and all that belongs to each."""
    groups: dict[str, list[Judged]] = defaultdict(list)
    for one in ones:
        groups[one.group].append(one)
    names = sorted(groups)
    return [one for n in rng.integers(len(names), size=len(names)) for one in groups[names[n]]]


def areas(ones: Sequence[Judged], rounds: int, seed: int) -> dict[str, Any]:
    """Return the area at every weight, and how much the whole baseline changes it."""
    rng = np.random.default_rng(seed)
    fake_groups = len({one.group for one in ones if one.label == FAKE})
    rounds = rounds if fake_groups >= LEAST_GROUPS else 0
    draws: dict[float, list[float]] = {weight: [] for weight in WEIGHTS}
    for _ in range(rounds):
        some = drawn(ones, rng)
        if len({one.label for one in some}) == 2:
            for weight in WEIGHTS:
                draws[weight].append(relative_auc(some, weight))
    gains = np.array(draws[1.0]) - np.array(draws[0.0])
    return {
        "reals": sum(one.label == REAL for one in ones),
        "fakes": sum(one.label == FAKE for one in ones),
        "groups": len({one.group for one in ones}),
        "fake_groups": fake_groups,
        "by_weight": {
            f"{weight:g}": {"auc": relative_auc(ones, weight), **_span(np.array(draws[weight]))}
            for weight in WEIGHTS
        },
        "gain": {
            "auc": relative_auc(ones, 1.0) - relative_auc(ones, 0.0),
            **_span(gains),
        },
    }


def _span(values: np.ndarray) -> dict[str, float]:
    if not len(values):
        return {"low": math.nan, "high": math.nan}
    low, high = np.quantile(values, [0.025, 0.975])
    return {"low": float(low), "high": float(high)}


def by_kind(ones: Sequence[Judged], rounds: int, seed: int) -> dict[str, Any]:
    """Return the areas of all fakes and of each kind, always against all real clips."""
    kinds = sorted({one.kind for one in ones if one.label == FAKE})
    return {
        kind: areas(
            [one for one in ones if one.label == REAL or kind in (ALL, one.kind)], rounds, seed
        )
        for kind in (ALL, *kinds)
    }


def held_to_stakes(ones: Sequence[Judged], table: DecisionTable) -> dict[str, Any]:
    """Return which share of real and of fake trials alarms, by weight of the null and stake."""
    found: dict[str, Any] = {}
    for weight in MIXED:
        shares = [(one.label, _share(one, ones, table, weight)) for one in ones]
        found["none" if weight is None else f"{weight:g}"] = {
            f"{stake:g}": {
                kind: {
                    "alarms": sum(share <= stake for label, share in shares if label == wanted),
                    "of": sum(label == wanted for label, _ in shares),
                }
                for kind, wanted in (("real", REAL), ("fake", FAKE))
            }
            for stake in STAKES
        }
    return found


def _share(
    one: Judged, ones: Sequence[Judged], table: DecisionTable, weight: float | None
) -> float:
    """Return the p-value of a trial against a null of which so much is the camera's."""
    if weight is None:
        return Ranks(table.reals).share_at_least(one.reached)
    away = [o.reached - o.level for o in ones if o.label == REAL and o.group != one.group]
    count = len(table.reals)
    own = one.level + np.quantile(away, (np.arange(count) + 1) / count)
    null = between(sorted(table.reals), [float(v) for v in own], one.level, weight)
    return Ranks(null).share_at_least(one.reached)


def spread(ones: Sequence[Judged]) -> dict[str, float]:
    """Return how real clips differ among one another, and a clip's halves from each other."""
    reals = [one for one in ones if one.label == REAL]
    return {
        "between_reals": float(np.std([one.level for one in reals])),
        "within_reals": float(np.std([one.reached - one.level for one in reals])),
    }


def draw(found: dict[str, Any], path: Path) -> None:
    """Draw the area by weight, of each data set and kind, as a PNG."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(4.5 * len(found), 3.6), layout="constrained")
    axes = np.atleast_1d(figure.subplots(1, len(found), sharey=True))
    colours = ("#444444", "#2a86c4", "#d9603b", "#7d8f2f", "#8e5bb5", "#c4a22a")
    for axis, (name, one) in zip(axes, found.items(), strict=True):
        for colour, (kind, figures) in zip(colours, one["auc"].items(), strict=False):
            points = figures["by_weight"]
            line = [point["auc"] for point in points.values()]
            label = f"{kind} ({figures['fakes']})"
            wide = 2.5 if kind == ALL else 1.2
            axis.plot([float(w) for w in points], line, color=colour, label=label, linewidth=wide)
            if kind == ALL and not math.isnan(figures["gain"]["low"]):
                low, high = ([p[end] for p in points.values()] for end in ("low", "high"))
                axis.fill_between([float(w) for w in points], low, high, color=colour, alpha=0.12)
        axis.axhline(0.5, color="#999999", linestyle=":", linewidth=1)
        axis.set(title=name, xlabel="weight of the baseline")
        axis.legend(frameon=False, fontsize=8, title="fakes", title_fontsize=8)
    axes[0].set(ylabel="AUC of second halves", ylim=(0.2, 1.0))
    figure.savefig(path, dpi=120)


def main(
    results: Annotated[list[str], typer.Argument(help="NAME=FOLDER of `styleflow evaluate` runs.")],
    rounds: Annotated[int, typer.Option(min=1, help="Draws of groups.")] = 2000,
    seed: Annotated[int, typer.Option(help="Of every draw.")] = 1,
    out: Annotated[Path, typer.Option(help="Folder of the JSON and the plot.")] = RESULTS,
) -> None:
    """Measure what a baseline changes, by kind of fake."""
    table, console = shipped_table(), Console()
    found: dict[str, Any] = {}
    shown = Table("clips", "kind", "reals", "fakes", "AUC without", "with", "gain (95 %)")
    for name, _, folder in (one.partition("=") for one in results):
        subject, records = read_records(Path(folder))
        if subject.get("sha256") != table.digest:
            raise typer.BadParameter(f"{folder} is of other weights than the shipped table")
        ones = judged(of_condition(records, PLAIN), table)
        found[name] = {
            "auc": by_kind(ones, rounds, seed),
            "stakes": held_to_stakes(ones, table),
            "spread": spread(ones),
        }
        for kind, one in found[name]["auc"].items():
            points, gain = one["by_weight"], one["gain"]
            shown.add_row(
                *(name, kind, str(one["reals"]), str(one["fakes"])),
                *(
                    f"{p['auc']:.3f} ({p['low']:.2f}–{p['high']:.2f})"
                    for p in (points["0"], points["1"])
                ),
                f"{gain['auc']:+.3f} ({gain['low']:+.2f} to {gain['high']:+.2f})",
            )
    console.print(shown)
    document = {
        "benchmark": "baseline",
        "hardware": asdict(hardware()),
        "detector": table.detector,
        "sha256": table.digest,
        "rounds": rounds,
        "seed": seed,
        "clips": found,
    }
    write_result(document, out / "baseline.json")
    draw(found, out / "baseline.png")


if __name__ == "__main__":
    typer.run(main)
