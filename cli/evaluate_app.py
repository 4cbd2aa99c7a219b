"""The commands under `styleflow evaluate`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from cli.commands import ConfigOption, UntrainedOption, readable
from cli.groups import ClipsByDefault
from styleflow.decisions import QualityFigure

evaluate_app = typer.Typer(
    cls=ClipsByDefault,
    no_args_is_help=True,
    help="""Measure a detector on labelled clips, through the engine that watches live video.

    `styleflow evaluate DATASET --out DIR` evaluates; see `styleflow evaluate clips --help`.""",
)


@evaluate_app.command("clips")
@readable
def evaluate_clips(
    clips: Annotated[
        str,
        typer.Argument(
            metavar="DATASET",
            help="NAME=FOLDER, or a manifest.csv (file, split, label and others) or its folder.",
        ),
    ],
    out: Annotated[Path, typer.Option(help="Folder of results; an interrupted run goes on there.")],
    detector: Annotated[
        str | None,
        typer.Option(help="Which detector; `styleflow checkpoints list` names them."),
    ] = None,
    weights: Annotated[
        list[Path] | None,
        typer.Option(help="Its weights: a checkpoint, or the authors' file."),
    ] = None,
    split: Annotated[
        str,
        typer.Option(help="Which part of the data set: dev, test, ...; an empty one means all."),
    ] = "dev",
    limit: Annotated[
        int | None, typer.Option(min=2, help="At most so many clips, real and fake in turn.")
    ] = None,
    seconds: Annotated[
        float | None, typer.Option(min=0.1, help="At most so much media time of each clip.")
    ] = None,
    grid: Annotated[
        bool, typer.Option("--grid", help="Also degrade the clips in twelve ways; takes longer.")
    ] = False,
    condition: Annotated[
        list[str] | None,
        typer.Option(help="Also degrade the clips in this way of the grid; may be given again."),
    ] = None,
    ablate: Annotated[
        bool, typer.Option("--ablate", help="Also take away each cue of the detector in turn.")
    ] = False,
    offline: Annotated[
        bool, typer.Option(help="Also rate each clip by the plain loop, without the engine.")
    ] = True,
    jobs: Annotated[int, typer.Option(min=1, max=64, help="Processes.")] = 1,
    data: Annotated[
        str,
        typer.Option(help="What tables call these clips; the data set or its folder by default."),
    ] = "",
    trained_on: Annotated[
        str, typer.Option(help="What the weights were trained on, for tables.")
    ] = "",
    rounds: Annotated[
        int, typer.Option(min=1, help="Bootstrap draws behind each interval.")
    ] = 1000,
    untrained: UntrainedOption = False,
    config: ConfigOption = None,
) -> None:
    """Send every clip through the live engine and write `report.html`, `metrics.json`, `clips.csv`.

    `clips` may be left out: `styleflow evaluate DATASET --out DIR`.
    """
    from cli.evaluate import Wanted, run
    from cli.settings import environment, load

    wanted = Wanted(
        clips,
        out,
        split,
        detector,
        tuple(weights or ()),
        untrained,
        limit,
        seconds,
        grid,
        ablate,
        offline,
        jobs,
        data,
        trained_on,
        rounds,
        tuple(condition or ()),
    )
    raise typer.Exit(run(load(config, environment()), wanted))


@evaluate_app.command("compare")
@readable
def evaluate_compare(
    results: Annotated[
        list[Path], typer.Argument(help="metrics.json files, or the folders that hold them.")
    ],
    out: Annotated[
        Path | None, typer.Option(help="Also write table.md and table.json into this folder.")
    ] = None,
) -> None:
    """Print a table of video AUC: one row per model, one column per data set."""
    from cli.compare import compare

    compare(results, out, Console())


@evaluate_app.command("check")
@readable
def evaluate_check(
    results: Annotated[Path, typer.Argument(help="A metrics.json, or the folder that holds it.")],
    committed: Annotated[Path, typer.Argument(help="The metrics.json that it should repeat.")],
) -> None:
    """Say whether an evaluation repeats committed figures; exit code 1 when it does not.

    AUC and average precision may differ by 0.01, other shares by 0.03: processors round
    differently, and a face box may move by a fraction of a pixel.
    """
    from cli.compare import check

    raise typer.Exit(check(results, committed, Console()))


@evaluate_app.command("trials")
@readable
def evaluate_trials(
    results: Annotated[Path, typer.Argument(help="Folder of a finished evaluation.")],
    out: Annotated[Path, typer.Option(help="The table to write, such as lobby.trials.json.")],
    source: Annotated[
        str, typer.Option(help="What the clips are, for people: 'val', 'our lobby, May'.")
    ] = "",
    trial: Annotated[float, typer.Option(min=0.5, max=3600, help="Seconds of one trial.")] = 4.0,
    least: Annotated[
        float, typer.Option(min=0.1, max=3600, help="Seconds before a trial says anything.")
    ] = 1.5,
    by: Annotated[
        QualityFigure | None,
        typer.Option(help="Compare a face with real sources of like quality, where enough are."),
    ] = None,
) -> None:
    """Make the table of known trials that `decision.by: budget` compares faces with.

    Every real and every fake source of the evaluation becomes one value, so a table of a site's own
    cameras makes the budget hold there.
    """
    from cli.trials import write_trials

    write_trials(results, out, source, trial, least, Console(), by)
