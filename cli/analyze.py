"""`styleflow analyze`: one video from beginning to end."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from cli import logs, plot, wiring, words
from cli.errors import Exit
from cli.overlay import Album
from cli.settings import ConfigInvalid, DetectorConfig, Settings
from stream.clock import Clock, ManualClock, SystemClock
from stream.events import AbstainReason, Verdict
from stream.ingest.check import check
from stream.ingest.file import duration_s
from stream.ingest.open import is_trace, open_source
from stream.ingest.source import Pace, SourceSettings, SourceUrl
from stream.ingest.trace import TraceWriter, recording
from stream.offline.analysis import Analysis, DetectorUnknown
from stream.offline.replay import analyze
from stream.pipeline import Pipeline, Viewer
from stream.problems import NOTICE_WORDS, REASON_WORDS, UNDECIDED, notice
from styleflow import ensemble
from styleflow.detectors.registry import DETECTORS
from web.routes.predict import prediction


@dataclass(frozen=True, slots=True)
class Wanted:
    """Request of the command line.

    Attributes:
        source: what to analyze.
        detector: by name; the configured one when None.
        weights: its files, when they are not the configured ones.
        untrained: random weights where there are none.
        seconds: stop after so much media time.
        as_json: print JSON rather than a table.
        picture: where to draw the timeline.
        record: where to keep the packets.
        overlay: folder for annotated pictures.
    """

    source: str
    detector: str | None = None
    weights: tuple[Path, ...] = ()
    untrained: bool = False
    seconds: float | None = None
    as_json: bool = False
    picture: Path | None = None
    record: Path | None = None
    overlay: Path | None = None


def run(settings: Settings, asked: Wanted) -> Exit:
    """Analyze one source, show what came of it and return the exit code."""
    logs.configure("warning", settings.log.format)
    seconds, record = asked.seconds, asked.record
    if asked.picture is not None:
        plot.check(asked.picture)
    wanted = SourceSettings(SourceUrl.parse(asked.source), pace=Pace.FAST)
    is_video = wanted.url.is_file and not is_trace(wanted.url)
    length = duration_s(wanted) if is_video else None
    total = min(filter(None, (length, seconds)), default=None)
    clock: Clock = ManualClock() if wanted.url.is_file else SystemClock()
    check(wanted, served=False)
    album = Album(asked.overlay) if asked.overlay else None
    pipeline = pipeline_for(settings, clock, asked, album.add if album else None)
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
            detector=asked.detector,
            clock=clock,
            progress=lambda at: bar.update(task, completed=at),
            limit_s=seconds,
            opener=recording(open_source, writer) if writer else open_source,
            partial=True,
        )
    picture = asked.picture
    if picture is not None:
        plot.timeline(analysis, settings.engine.enter, settings.engine.leave, picture)
    if asked.as_json:
        Console(soft_wrap=True).print_json(prediction(analysis).model_dump_json())
    else:
        show(analysis, picture, Console())
        if album is not None:
            more = f", {album.left_out} more left out" if album.left_out else ""
            said = f"annotated pictures: {album.written} in {asked.overlay}{more}"
            Console().print(said, markup=False, highlight=False, soft_wrap=True)
    if analysis.failure is not None:
        said = f"broke off after {analysis.duration_s:.1f} s of media: {analysis.failure.detail}"
        Console(stderr=True).print(said, style="red", markup=False, highlight=False)
    return exit_code(analysis)


def pipeline_for(
    settings: Settings, clock: Clock, asked: Wanted, viewer: Viewer | None = None
) -> Pipeline:
    """Return the pipeline that the command line asks for.

    Args:
        settings: everything that the command line does not say.
        clock: where time comes from.
        asked: what it says.
        viewer: shown what the detectors point at.

    Raises:
        DetectorWeightsMissing: a published detector has no weights.
        CheckpointInvalid: a file of weights cannot be used.
        ConfigInvalid: weights without a detector, or a detector that does not exist.
    """
    name = asked.detector
    if name is None:
        if asked.weights:
            raise ConfigInvalid("--weights", ("say whose they are with --detector",))
        return wiring.pipeline(settings, clock, untrained=asked.untrained, viewer=viewer)
    if name not in (*DETECTORS, ensemble.NAME):
        raise DetectorUnknown(name, tuple(DETECTORS))
    if asked.weights:
        return wiring.from_files(settings, clock, name, asked.weights, viewer)
    if name == ensemble.NAME:
        return wiring.pipeline(settings, clock, untrained=asked.untrained, viewer=viewer)
    if name not in [wanted.name for wanted in wiring.chosen(settings)]:
        added = (DetectorConfig(name=name),)
        settings = settings.model_copy(update={"detectors": added})
    return wiring.pipeline(
        wiring.alone(settings, name), clock, untrained=asked.untrained, viewer=viewer
    )


def exit_code(analysis: Analysis) -> Exit:
    """Return what a script should learn from an analysis.

    A source that broke off was not seen to its end, so nothing about it is clear.
    """
    match analysis.verdict:
        case Verdict.SUSPECT:
            return Exit.SUSPECT
        case _ if analysis.failure is not None:
            return Exit.ERROR
        case Verdict.CLEAR:
            return Exit.OK
        case _:
            return Exit.NO_VERDICT


def show(analysis: Analysis, picture: Path | None, out: Console) -> None:
    """Print an analysis as a table, with everything that limits what it says."""
    title = f"{analysis.source}, {analysis.duration_s:.1f} s, by {analysis.model.name}"
    table = Table(title=Text(title, style="table.title"), title_justify="left")
    for column in ("face", "from", "to", "score", "verdict", "why undecided"):
        table.add_column(column)
    for track in analysis.tracks:
        reasons = track.scores[-1].reasons if track.scores else (AbstainReason.WARMING,)
        table.add_row(
            str(track.track),
            f"{track.start:.1f} s",
            f"{track.end:.1f} s",
            "–" if track.score is None else f"{track.score:.3f}",
            words.of_outcome(track.verdict),
            _why(reasons) if track.verdict is Verdict.PENDING else "",
        )
    out.print(table)
    said = notice(analysis.model, demo=analysis.demo)
    if said:
        out.print(said, style="bold yellow", markup=False)
    for each in analysis.notices:
        out.print(f"{each.value}: {NOTICE_WORDS[each]}", style="yellow", markup=False)
    score = "no score"
    if analysis.score is not None:
        score = f"score {analysis.score:.3f} ({analysis.low:.3f} to {analysis.high:.3f})"
    out.print(f"{score}, verdict {words.of_outcome(analysis.verdict)}", style="bold", markup=False)
    if analysis.faces_waiting:
        said = f"faces that were not looked at: up to {analysis.faces_waiting} at a time"
        out.print(f"{said} (perception.max_faces)", style="bold yellow", markup=False)
    if analysis.failure is not None:
        out.print("the source broke off: this is what was seen until then", markup=False)
    elif analysis.verdict is Verdict.PENDING:
        out.print(f"undecided: {_why(analysis.reasons)}", markup=False)
    out.print("A score is evidence, not proof.", style="dim")
    if picture is not None:
        out.print(f"timeline: {picture}", markup=False, highlight=False)


def _why(reasons: Sequence[AbstainReason]) -> str:
    """Return why it is undecided, in words."""
    return ", ".join(REASON_WORDS[reason] for reason in reasons) or UNDECIDED
