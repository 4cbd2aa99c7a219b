"""`styleflow evaluate`: clips through the live engine, then figures and a report.

What has been done is kept: an interrupted run goes on where it stopped, and a finished one only
works out its figures again.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from cli import logs, provenance, wiring
from cli.errors import Exit
from cli.evaluation_runner import EvaluationRunner, RunnerSettings, Task, evaluate_all
from cli.settings import Settings
from stream.engine.budget import Budget
from stream.offline.incident_count import IncidentCount, count_incidents
from styleflow.cards import ModelCard
from styleflow.data.datasets.catalogue import place_of
from styleflow.data.index import REAL, Entry, Index, digest_of
from styleflow.digest import file_digest
from styleflow.errors import DecisionTableUnusable, ResultsUnusable
from styleflow.evaluation.conditions import GRID
from styleflow.evaluation.figures import figures
from styleflow.evaluation.metrics import poisson_rate
from styleflow.evaluation.record import PLAIN, WITHOUT, ClipRecord, Ledger, describe, of_condition
from styleflow.evaluation.report import write_report
from styleflow.evaluation.subset import balanced


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the command line asks for.

    Attributes:
        clips: a data set, as `open_dataset` takes it.
        out: folder of results.
        split: which part of the data set; all of it when empty.
        detector: by name; the configured one when None.
        weights: its files, when they are not the configured ones.
        untrained: random weights where there are none.
        limit: look at so many clips at most, real and fake in turn.
        seconds: look at so much media time of each clip at most.
        grid: try the robustness grid, too.
        ablate: take away each cue in turn, too.
        offline: rate clips by the offline loop, too.
        jobs: processes.
        data: what tables call the clips; the data set or the manifest's folder when empty.
        trained_on: what tables say that the weights were trained on.
        rounds: bootstrap draws behind each interval.
        conditions: names of the grid's conditions to try, too, where not all are wanted.
    """

    clips: str
    out: Path
    split: str = "dev"
    detector: str | None = None
    weights: tuple[Path, ...] = ()
    untrained: bool = False
    limit: int | None = None
    seconds: float | None = None
    grid: bool = False
    ablate: bool = False
    offline: bool = True
    jobs: int = 1
    data: str = ""
    trained_on: str = ""
    rounds: int = 1000
    conditions: tuple[str, ...] = ()


def run(settings: Settings, asked: Wanted) -> Exit:
    """Evaluate, write `metrics.json`, `clips.csv` and `report.html`, and say what came of it."""
    logs.configure("warning", settings.log.format)
    clips = open_clips(asked.clips)
    entries = choose(clips, asked)
    wanted = RunnerSettings(
        settings,
        clips.folder,
        asked.detector,
        asked.weights,
        asked.untrained,
        asked.seconds,
        asked.offline,
    )
    runner = EvaluationRunner(wanted)
    ledger = Ledger(asked.out, subject(runner, settings, clips, asked))
    tasks = todo(entries, conditions(runner, asked))
    evaluate(runner, wanted, ledger, tasks, asked.jobs)
    keys = [(describe(e, wanted.root)["clip"], name) for e, name in tasks]
    records = [ledger.records[key] for key in keys]
    found = figures(records, settings.engine.enter, asked.rounds)
    found["streaming"]["false_incidents"] = false_incidents(records, runner.card, settings)
    found["provenance"] = about(runner, settings, asked, clips, entries)
    text = json.dumps(found, indent=1, allow_nan=False, ensure_ascii=False)
    (asked.out / "metrics.json").write_text(text + "\n", encoding="utf-8")
    write_report(found, records, wanted.root, asked.out / "report.html")
    show(found, asked.out, Console())
    return Exit.OK


@dataclass(frozen=True, slots=True)
class ClipSet:
    """The clips that are evaluated, before any is chosen.

    Attributes:
        index: what they are.
        folder: where they are; clips are named from here.
        title: the data set's name, or that of the manifest's folder.
        listing: the data set's name, or that of the manifest.
        sha256: of the manifest, or of what the index says; hexadecimal.
    """

    index: Index
    folder: Path
    title: str
    listing: str
    sha256: str


def open_clips(place: str) -> ClipSet:
    """Return the clips of a data set.

    Raises:
        DatasetUnknown: no data set has the name.
        DatasetUnusable: the folder or manifest is not there, or holds nothing of the data set.
    """
    where = place_of(place)
    index = where.read()
    if where.manifest is None:
        name = where.dataset or ""
        return ClipSet(index, where.folder, name, name, digest_of(index, where.folder))
    title, digest = where.folder.resolve().name, file_digest(where.manifest)
    return ClipSet(index, where.folder, title, where.manifest.name, digest)


def choose(clips: ClipSet, asked: Wanted) -> tuple[Entry, ...]:
    """Return the clips to look at.

    Raises:
        ResultsUnusable: there are none in this split.
    """
    index = clips.index
    entries = index.of(asked.split) if asked.split else index.entries
    if not entries:
        splits = ", ".join(sorted({entry.split for entry in index.entries})) or "none"
        reason = f"has no usable clip in split {asked.split!r}; its splits: {splits}"
        raise ResultsUnusable(Path(clips.listing), reason)
    return balanced(entries, asked.limit)


def conditions(runner: EvaluationRunner, asked: Wanted) -> tuple[str, ...]:
    """Return the conditions under which clips are looked at, the most important first.

    Raises:
        ResultsUnusable: the detector offers no ablation, and one is wanted; or the grid has no
            condition of a name.
    """
    if asked.ablate and len(runner.cues) < 2:
        reason = f"{runner.card.name} cannot leave out a cue; run without --ablate"
        raise ResultsUnusable(asked.out, reason)
    without = [f"{WITHOUT}{cue}" for cue in runner.cues] if asked.ablate else []
    grid = [condition.name for condition in GRID]
    unknown = sorted(set(asked.conditions) - set(grid))
    if unknown:
        reason = f"no condition is named {unknown[0]!r}; there are {', '.join(grid)}"
        raise ResultsUnusable(asked.out, reason)
    degraded = grid if asked.grid else [name for name in grid if name in asked.conditions]
    return (PLAIN, *without, *degraded)


def todo(entries: Sequence[Entry], names: Sequence[str]) -> list[Task]:
    """Return every clip under every condition, condition by condition."""
    return [(entry, name) for name in names for entry in entries]


def subject(
    runner: EvaluationRunner, settings: Settings, clips: ClipSet, asked: Wanted
) -> dict[str, Any]:
    """Return what must be the same for results to belong together, as JSON values."""
    return {
        "detector": runner.card.name,
        "sha256": runner.card.sha256,
        "precision": runner.precision,
        "manifest": clips.sha256,
        "seconds": asked.seconds,
        "offline": asked.offline,
        "engine": asdict(settings.engine),
    }


def evaluate(
    runner: EvaluationRunner,
    wanted: RunnerSettings,
    ledger: Ledger,
    tasks: Sequence[Task],
    jobs: int,
) -> None:
    """Evaluate what the ledger lacks, with a progress bar, and keep each result at once."""
    left = [t for t in tasks if (describe(t[0], wanted.root)["clip"], t[1]) not in ledger]
    with Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        transient=True,
    ) as bar:
        shown = bar.add_task("clips", total=len(tasks), completed=len(tasks) - len(left))
        for record in evaluate_all(runner, wanted, left, jobs):
            ledger.add(record)
            bar.update(shown, advance=1, description=f"{record.clip}, {record.condition}")


def false_incidents(
    records: Sequence[ClipRecord], card: ModelCard, settings: Settings
) -> dict[str, Any]:
    """Return incidents per hour of real video by thresholds and by a budget, as JSON values.

    The budget is the configured one, whoever decides; it has no figures where its known trials are
    not of these weights. Of a budget that decided there are no verdicts by thresholds.
    """
    reals = [r for r in of_condition(records, PLAIN) if r.label == REAL]
    found: dict[str, Any] = {"thresholds": None, "budget": None}
    if settings.decision.by == "thresholds":
        counted = count_incidents(reals, card, settings.incidents, settings.engine)
        found["thresholds"] = _per_hour(counted)
    try:
        table = wiring.decision_table(settings, [card])
    except DecisionTableUnusable as error:
        return {**found, "budget_missing": str(error)}
    budget = Budget(table, settings.decision)
    counted = count_incidents(reals, card, settings.incidents, settings.engine, budget)
    found["budget"] = {
        **_per_hour(counted),
        "promised": settings.decision.per_hour,
        "known": table.source,
    }
    return found


def _per_hour(counted: IncidentCount) -> dict[str, Any]:
    rate = poisson_rate(counted.incidents, counted.hours)
    return {
        "incidents": counted.incidents,
        "hours": round(counted.hours, 6),
        "per_hour": {
            key: round(value, 6) if math.isfinite(value) else None
            for key, value in asdict(rate).items()
        },
    }


def about(
    runner: EvaluationRunner,
    settings: Settings,
    asked: Wanted,
    clips: ClipSet,
    entries: Sequence[Entry],
) -> dict[str, Any]:
    """Return what the figures were made with, as JSON values."""
    card = runner.card
    return {
        "detector": card.name,
        "version": card.version,
        "weights_sha256": card.sha256,
        "precision": runner.precision,
        "mode": card.mode.value,
        "status": card.status.value,
        "command": provenance.command(),
        "commit": provenance.commit(),
        "date": provenance.today(),
        "hardware": provenance.hardware(),
        "trained_on": asked.trained_on,
        "data": asked.data or clips.title,
        "manifest": clips.listing,
        "manifest_sha256": clips.sha256,
        "split": asked.split,
        "clips": len(entries),
        "limited": asked.limit is not None,
        "rounds": asked.rounds,
        "refused": [asdict(refusal) for refusal in clips.index.refusals],
        "engine": asdict(settings.engine),
    }


def show(found: dict[str, Any], out: Path, console: Console) -> None:
    """Print the main figures, and where the rest is."""
    video, streaming = found["video"], found["streaming"]
    clips = video["clips"]
    title = f"{found['provenance']['detector']}: {clips['real']} real, {clips['fake']} fake clips"
    table = Table(title=title, title_justify="left")
    for column in ("figure", "value", "from", "to"):
        table.add_column(column)
    rows = [
        ("video AUC through the live engine", video["auc"]),
        ("video AUC offline, rated at the end", video["offline"]["auc_end"]),
        ("AUC of clips with their original", video["pairs"]["auc"]),
        ("share of pairs ranked right", video["pairs"]["ranked_right"]),
        ("average precision", video["ap"]),
        ("equal error rate", video["eer"]),
        ("fakes found at 5 % false alarms", video["tpr_at_5"]),
        ("false alarms per hour of real video", streaming["false_alarms"]["per_hour"]),
        *(
            (f"false incidents per hour, by {way}", each["per_hour"])
            for way in ("thresholds", "budget")
            if (each := streaming["false_incidents"][way])
        ),
    ]
    for name, figure in rows:
        values = (figure[key] for key in ("value", "low", "high"))
        table.add_row(name, *("–" if v is None else f"{v:.3f}" for v in values))
    console.print(table)
    if clips["unscored"]:
        names = ", ".join(each["clip"] for each in clips["unscored"])
        said = f"without a score: {len(clips['unscored'])} ({names})"
        console.print(said, style="yellow", markup=False, highlight=False, soft_wrap=True)
    refused = found["provenance"]["refused"]
    if refused:
        said = f"videos refused: {len(refused)}; metrics.json names them"
        console.print(said, style="yellow", markup=False)
    if found["provenance"]["status"] == "untrained":
        console.print("The model is untrained: these figures mean nothing.", style="bold yellow")
    console.print(f"report: {out / 'report.html'}", markup=False, highlight=False, soft_wrap=True)
