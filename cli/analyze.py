"""`styleflow analyze`: one video from beginning to end."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from cli import logs, plot, wiring
from cli.errors import Exit
from cli.settings import Settings
from stream.analysis import Analysis
from stream.clock import Clock, ManualClock, SystemClock
from stream.events import AbstainReason, Verdict
from stream.ingest.file import duration_s
from stream.ingest.open import check, is_trace, open_source
from stream.ingest.source import Pace, SourceSettings, SourceUrl
from stream.ingest.trace import TraceWriter, recording
from stream.problems import REASON_WORDS, notice
from stream.replay import analyze
from web.predict import prediction


def run(
    settings: Settings,
    source: str,
    as_json: bool,
    picture: Path | None,
    seconds: float | None,
    record: Path | None,
) -> Exit:
    """Analyze one source, show what came of it and return the exit code."""
    logs.configure("warning", settings.log.format)
    wanted = SourceSettings(SourceUrl.parse(source), pace=Pace.FAST)
    is_video = wanted.url.is_file and not is_trace(wanted.url)
    length = duration_s(wanted) if is_video else None
    total = min(filter(None, (length, seconds)), default=None)
    clock: Clock = ManualClock() if wanted.url.is_file else SystemClock()
    check(wanted)
    pipeline = wiring.pipeline(settings, clock)
    pipeline.device.prepare_thread()
    with (
        TraceWriter(record, wanted.url) if record else nullcontext() as writer,
        Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.completed:.1f} s of media"),
            TimeRemainingColumn(),
            console=Console(stderr=True),
            transient=True,
        ) as bar,
    ):
        task = bar.add_task("analyzing", total=total)
        analysis = analyze(
            wanted,
            pipeline,
            settings.engine,
            clock=clock,
            progress=lambda at: bar.update(task, completed=at),
            limit_s=seconds,
            opener=recording(open_source, writer) if writer else open_source,
        )
    if picture is not None:
        plot.timeline(analysis, settings.engine.enter, settings.engine.leave, picture)
    if as_json:
        Console(soft_wrap=True).print_json(prediction(analysis).model_dump_json())
    else:
        show(analysis, picture, Console())
    return exit_code(analysis)


def exit_code(analysis: Analysis) -> Exit:
    """Return what a script should learn from an analysis."""
    match analysis.verdict:
        case Verdict.SUSPECT:
            return Exit.SUSPECT
        case Verdict.CLEAR:
            return Exit.OK
        case _:
            return Exit.NO_VERDICT


def show(analysis: Analysis, picture: Path | None, out: Console) -> None:
    """Print an analysis as a table, with everything that limits what it says."""
    table = Table(title=f"{analysis.source}, {analysis.duration_s:.1f} s", title_justify="left")
    for column in ("face", "from", "to", "score", "verdict", "why no verdict"):
        table.add_column(column)
    for track in analysis.tracks:
        reasons = track.scores[-1].reasons if track.scores else (AbstainReason.WARMING,)
        table.add_row(
            str(track.track),
            f"{track.start:.1f} s",
            f"{track.end:.1f} s",
            "–" if track.score is None else f"{track.score:.3f}",
            track.verdict.value,
            ", ".join(REASON_WORDS[r] for r in reasons) if track.verdict is Verdict.PENDING else "",
        )
    out.print(table)
    said = notice(analysis.model, demo=analysis.demo)
    if said:
        out.print(said, style="bold yellow", markup=False)
    score = "no score" if analysis.score is None else f"score {analysis.score:.3f}"
    out.print(f"{score}, verdict {analysis.verdict.value}", style="bold", markup=False)
    if analysis.verdict is Verdict.PENDING:
        words = "; ".join(REASON_WORDS[reason] for reason in analysis.reasons)
        out.print(f"no verdict: {words}", markup=False)
    out.print("A score is evidence, not proof.", style="dim")
    if picture is not None:
        out.print(f"timeline: {picture}", markup=False, highlight=False)
