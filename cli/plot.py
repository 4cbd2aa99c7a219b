"""A picture of an analysis: one timeline per face."""

from __future__ import annotations

from pathlib import Path

from cli import drawing
from cli.settings import ConfigInvalid
from stream.offline.analysis import Analysis
from stream.problems import notice

COLOURS = ("#0b6e99", "#b5541c", "#5b7f2b", "#7a4f9a", "#a0344c", "#3d5a80")
MAX_TRACKS = 12
KINDS = (".png", ".svg", ".pdf")


def check(path: Path) -> None:
    """Find out before an hour of video is analyzed whether its picture can be written.

    Raises:
        ConfigInvalid: the folder is missing, or the kind of picture is not known.
        FolderNeeded: matplotlib finds no folder for its list of fonts.
    """
    if path.suffix.lower() not in KINDS:
        raise ConfigInvalid("--plot", (f"{path} must end in {', '.join(KINDS)}",))
    if not path.parent.is_dir():
        raise ConfigInvalid("--plot", (f"the folder {path.parent} does not exist",))
    drawing.load()


def timeline(analysis: Analysis, enter: float, leave: float, path: Path) -> None:
    """Write the rolling score of every face over media time to a picture file.

    Scores that came without a verdict are drawn faintly; gaps between scores stay gaps.

    Raises:
        FolderNeeded: matplotlib finds no folder for its list of fonts.
    """
    figure = drawing.figure(figsize=(10, 4), layout="constrained")
    axes = figure.subplots()
    for index, track in enumerate(analysis.tracks[:MAX_TRACKS]):
        colour = COLOURS[index % len(COLOURS)]
        times = [score.end for score in track.scores]
        axes.fill_between(
            times,
            [score.low for score in track.scores],
            [score.high for score in track.scores],
            color=colour,
            alpha=0.12,
            linewidth=0,
        )
        judged = [s.score if not s.reasons else float("nan") for s in track.scores]
        axes.plot(times, [s.score for s in track.scores], color=colour, alpha=0.45, linewidth=1)
        axes.plot(times, judged, color=colour, linewidth=2)
        mean = "no score" if track.score is None else f"{track.score:.2f}"
        axes.plot([], [], color=colour, label=f"face {track.track}: {mean}")
    axes.axhline(enter, color="#888888", linewidth=1, linestyle="--")
    axes.axhline(leave, color="#888888", linewidth=1, linestyle=":")
    axes.text(0, enter + 0.01, "suspect above", fontsize=8, color="#666666")
    axes.text(0, leave - 0.045, "clear below", fontsize=8, color="#666666")
    axes.set(xlim=(0, max(analysis.duration_s, 1e-3)), ylim=(0, 1))
    axes.set_xlabel("media time, s")
    axes.set_ylabel("score (1 leans fake)")
    axes.set_title(f"{analysis.source}   {analysis.model.name} ({analysis.model.mode.value})")
    if analysis.tracks:
        axes.legend(loc="upper right", frameon=False)
    warning = notice(analysis.model, demo=analysis.demo)
    figure.supxlabel(
        warning or "a score is evidence, not proof",
        fontsize=9,
        color="#a0344c" if warning else "#666666",
    )
    figure.savefig(path, dpi=120)
