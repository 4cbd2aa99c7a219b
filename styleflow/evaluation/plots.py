"""Pictures of an evaluation as SVG that takes the colour of the page around it.

Text and axes are drawn in the page's own text colour, so that one picture serves a light page and a
dark one. No figure is worked out here, apart from curves that are pictures by nature.
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from styleflow.data.index import FAKE, REAL
from styleflow.evaluation.metrics import roc
from styleflow.evaluation.record import ClipRecord

REAL_COLOUR, FAKE_COLOUR, PLAIN_COLOUR = "#2a86c4", "#d9603b", "#7d8f2f"

_INK = "#010203"  # stands for the page's text colour until the SVG is written
_STYLE: Any = {
    "svg.fonttype": "none",
    "svg.hashsalt": "styleflow",
    "font.family": "sans-serif",
    "font.size": 9.0,
    "axes.edgecolor": _INK,
    "axes.labelcolor": _INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.6,
    "xtick.color": _INK,
    "ytick.color": _INK,
    "text.color": _INK,
    "legend.frameon": False,
}


def draw(paint: Callable[[Axes], None], label: str, width: float = 5.2, height: float = 3.2) -> str:
    """Return one picture as SVG text for a page.

    Args:
        paint: draws into the axes.
        label: what the picture shows, for whoever cannot see it.
        width: in inches; only the shape matters, the page decides the size.
        height: in inches.
    """
    with rc_context(_STYLE):
        figure = Figure(figsize=(width, height), layout="constrained")
        figure.patch.set_alpha(0.0)
        axes = figure.add_subplot()
        axes.patch.set_alpha(0.0)
        paint(axes)
        buffer = io.StringIO()
        figure.savefig(buffer, format="svg", metadata={"Date": None})
    svg = buffer.getvalue()
    svg = svg[svg.index("<svg") :].replace(_INK, "currentColor")
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    svg = re.sub(r' (?:width|height)="[\d.]+pt"', "", svg, count=2)
    return svg.replace("<svg", f'<svg role="img" aria-label="{label}"', 1)


def scores(records: Sequence[ClipRecord], enter: float) -> str:
    """Return where the scores of real and of fake clips lie."""

    def paint(axes: Axes) -> None:
        edges = np.linspace(0, 1, 21).tolist()
        for label, colour, name in ((REAL, REAL_COLOUR, "real"), (FAKE, FAKE_COLOUR, "fake")):
            values = [r.score for r in records if r.label == label and r.score is not None]
            axes.hist(values, edges, color=colour, alpha=0.55, label=f"{name} ({len(values)})")
        axes.axvline(enter, color=_INK, linewidth=0.8, linestyle="--")
        axes.set_ylim(0, axes.get_ylim()[1] * 1.25)
        axes.text(enter, axes.get_ylim()[1], " suspect from here", va="top", fontsize=8)
        axes.set(xlim=(0, 1), xlabel="score of the clip (1 leans fake)", ylabel="clips")
        axes.legend(loc="upper center")

    return draw(paint, "Histogram of the scores of real and fake clips")


def roc_curve(records: Sequence[ClipRecord]) -> str:
    """Return the ROC curve of whole clips."""

    def paint(axes: Axes) -> None:
        known = [(r.label, r.score) for r in records if r.score is not None]
        if len({label for label, _ in known}) == 2:
            false_alarms, hits = roc([y for y, _ in known], [s for _, s in known])
            axes.step(false_alarms, hits, where="post", color=FAKE_COLOUR, linewidth=1.8)
        axes.plot([0, 1], [0, 1], color=_INK, linewidth=0.6, linestyle=":")
        axes.set(xlim=(0, 1), ylim=(0, 1.01))
        axes.set(xlabel="share of reals flagged", ylabel="share of fakes found")

    return draw(paint, "ROC curve of whole clips")


def by_seconds(rows: Sequence[Mapping[str, Any]]) -> str:
    """Return how the AUC grows with the seconds seen."""

    def paint(axes: Axes) -> None:
        known = [row for row in rows if row["auc"]["value"] is not None]
        if known:
            seconds = [row["seconds"] for row in known]
            low, value, high = (
                _floats(row["auc"][key] for row in known) for key in ("low", "value", "high")
            )
            axes.fill_between(seconds, low, high, color=FAKE_COLOUR, alpha=0.15, linewidth=0)
            axes.plot(seconds, value, color=FAKE_COLOUR, marker="o", label="as reported")
        forced = [row for row in rows if row["auc_forced"]["value"] is not None]
        axes.plot(
            [row["seconds"] for row in forced],
            [row["auc_forced"]["value"] for row in forced],
            color=_INK,
            linewidth=0.9,
            linestyle="--",
            label="if it may not abstain",
        )
        axes.axhline(0.5, color=_INK, linewidth=0.6, linestyle=":")
        axes.set(ylim=(0.3, 1.0), xlabel="seconds seen", ylabel="video AUC")
        axes.legend(loc="lower right")

    return draw(paint, "Video AUC over the seconds seen")


def over_time(records: Sequence[ClipRecord]) -> str:
    """Return how the published score of real and of fake clips moves while they play."""

    def paint(axes: Axes) -> None:
        grid = np.arange(0.5, max((r.duration_s for r in records), default=1.0) + 1e-9, 0.5)
        for label, colour, name in ((REAL, REAL_COLOUR, "real"), (FAKE, FAKE_COLOUR, "fake")):
            table = np.array([_scores_at(r, grid) for r in records if r.label == label])
            if not len(table) or np.isnan(table).all():
                continue
            shown = ~np.isnan(table).all(axis=0)
            low, middle, high = np.nanquantile(table[:, shown], [0.25, 0.5, 0.75], axis=0)
            axes.fill_between(grid[shown], low, high, color=colour, alpha=0.15, linewidth=0)
            axes.plot(grid[shown], middle, color=colour, linewidth=1.8, label=name)
        axes.set(ylim=(0, 1), xlabel="media time, s", ylabel="score: median and middle half")
        if axes.lines:
            axes.legend(loc="upper right")

    return draw(paint, "Published scores of real and fake clips over time")


def intervals(rows: Mapping[str, Mapping[str, Any]], plain: float | None, label: str) -> str:
    """Return one figure per row with its interval, in the order given.

    Args:
        rows: a figure by name.
        plain: a value to compare them with; none is drawn when None.
        label: what the figures are.
    """

    def paint(axes: Axes) -> None:
        places = np.arange(len(rows))[::-1]
        for place, figure in zip(places, rows.values(), strict=True):
            if figure["value"] is None:
                axes.text(0.5, place, "no figure", va="center", fontsize=8)
                continue
            if figure["low"] is not None:
                span = [figure["low"], figure["high"]]
                axes.plot(span, [place, place], color=FAKE_COLOUR, linewidth=4, alpha=0.3)
            axes.plot(figure["value"], place, "o", color=FAKE_COLOUR)
        if plain is not None:
            axes.axvline(plain, color=_INK, linewidth=0.8, linestyle="--")
        axes.axvline(0.5, color=_INK, linewidth=0.6, linestyle=":")
        axes.set_yticks(places, list(rows))
        axes.set(xlim=(0, 1.01), ylim=(-0.6, len(rows) - 0.4), xlabel=label)

    return draw(paint, label, height=max(1.4, 0.26 * len(rows) + 0.7))


def reliability(bins: Sequence[Mapping[str, Any]]) -> str:
    """Return how often probabilities come true, with the number of clips as the dots' size."""

    def paint(axes: Axes) -> None:
        known = [b for b in bins if b["clips"]]
        axes.plot([0, 1], [0, 1], color=_INK, linewidth=0.6, linestyle=":")
        axes.plot(
            [b["probability"] for b in known],
            [b["fakes"] for b in known],
            color=PLAIN_COLOUR,
            linewidth=1,
        )
        axes.scatter(
            [b["probability"] for b in known],
            [b["fakes"] for b in known],
            s=[12 + 6 * b["clips"] for b in known],
            color=PLAIN_COLOUR,
            alpha=0.7,
        )
        for b in known:
            axes.annotate(
                str(b["clips"]), (b["probability"], b["fakes"]), (0, 8), fontsize=7,
                textcoords="offset points", ha="center",
            )  # fmt: skip
        axes.set(xlim=(0, 1), ylim=(-0.02, 1.08))
        axes.set(xlabel="score", ylabel="share that is fake")

    return draw(paint, "Reliability diagram")


def risk_coverage(points: Sequence[Mapping[str, Any]]) -> str:
    """Return the share of wrong verdicts against the share of clips that get one."""

    def paint(axes: Axes) -> None:
        shown = [p for p in points if p["risk"] is not None]
        axes.plot(
            [p["coverage"] for p in shown],
            [p["risk"] for p in shown],
            color=FAKE_COLOUR,
            marker="o",
            label="wrong verdicts",
        )
        ranked = [p for p in points if p["auc"] is not None]
        axes.plot(
            [p["coverage"] for p in ranked],
            [p["auc"] for p in ranked],
            color=REAL_COLOUR,
            marker="s",
            label="video AUC of those answered",
        )
        axes.set(xlim=(0, 1.02), ylim=(0, 1.02), xlabel="share of clips answered")
        axes.legend(loc="best")

    return draw(paint, "Risk over coverage")


def _scores_at(record: ClipRecord, grid: np.ndarray) -> list[float]:
    """Return the newest published score at each moment, of the face that leans most to fake."""
    found = []
    for moment in grid:
        newest: dict[int, float] = {}
        for rating in record.ratings:
            if rating.end <= moment and rating.counts:
                newest[rating.track] = rating.score
        alive = moment <= record.duration_s + 0.5
        found.append(max(newest.values(), default=np.nan) if alive else np.nan)
    return found


def _floats(values: Any) -> list[float]:
    return [np.nan if value is None else float(value) for value in values]
