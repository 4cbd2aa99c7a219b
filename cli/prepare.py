"""`styleflow prepare`: what a training run needs, made once."""

from __future__ import annotations

import csv
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from cli.progress import ProgressBoard
from styleflow.data.datasets.catalogue import manifest_of, open_dataset
from styleflow.data.index import Entry, Index, Refusal, groups_of, merged, read_stills
from styleflow.data.partition import Partition, partition
from styleflow.data.prepared import UNREADABLE, PreparedVideo, prepare_entries
from styleflow.data.video import check_readable
from styleflow.errors import DatasetUnusable, VideoUnusable
from styleflow.training.methods import (
    held_out,
    method_of,
    prepare_settings,
    read_recipe,
    takes_of,
)
from styleflow.weights.face_networks import load_finder

REFUSED = "refused.csv"
STILLS_LIST = "faces.csv"
_SHOWN = 20  # refusals that are listed on the terminal; the file has all of them


@dataclass(frozen=True, slots=True)
class PreparedSplits:
    """The videos of a training run; stills are among those that are trained on."""

    training: tuple[PreparedVideo, ...]
    validation: tuple[PreparedVideo, ...]


def run(
    places: Sequence[str],
    recipe: Path,
    work: Path,
    processes: int | None = None,
    share: tuple[int, int] = (0, 1),
) -> None:
    """Make what training needs; what is there already is kept.

    Args:
        places: data sets, as `open_dataset` takes them.
        recipe: YAML file of `configs/train/`.
        work: folder of results.
        processes: how many work at a time; as many as there are cores when None.
        share: of training windows, for styleflow-live: which one, and of how many.
    """
    out = Console(stderr=True)
    plan = read_recipe(recipe)
    with ProgressBoard(out) as board:
        made = prepare_videos(places, plan, work, processes, board, out)
        ahead = method_of(plan).prepare
        if ahead is not None:
            ahead(plan, made.training, made.validation, work, board.tell, share)
    out.print(f"prepared: {work}", markup=False, highlight=False)


def check(places: Sequence[str], recipe: Path) -> None:
    """Say what data sets hold and what is wrong with them; opens every video, writes nothing.

    Args:
        places: data sets, as `open_dataset` takes them.
        recipe: YAML file; it may hold people out.
    """
    out = Console(stderr=True)
    parts = _split(places, read_recipe(recipe), out)
    entries = (*parts.training, *parts.validation)
    refusals: list[Refusal] = []
    with ProgressBoard(out) as board:
        count = board.counting("opening")
        for done, entry in enumerate(entries, start=1):
            try:
                check_readable(entry.path)
            except VideoUnusable as error:
                refusals.append(Refusal(0, entry.path.name, UNREADABLE, error.reason))
            count(done, len(entries))
    show_refusals(Index((), (*parts.refusals, *refusals)), out)


def prepare_videos(
    places: Sequence[str],
    recipe: Any,
    work: Path,
    processes: int | None,
    board: ProgressBoard,
    out: Console,
) -> PreparedSplits:
    """Return the videos that a recipe trains on and validates with, prepared.

    Raises:
        DatasetUnusable: nothing is left to train on.
    """
    stills = _stills(places) if method_of(recipe).takes_stills else ()
    load_finder()  # says what is missing before any process starts
    parts = _split(places, recipe, out)
    made = prepare_entries(
        (*parts.training, *parts.validation, *stills),
        prepare_settings(recipe),
        work / "videos",
        load_finder,
        processes or len(os.sched_getaffinity(0)),
        board.counting("preparing"),
    )
    refused = Index((), (*parts.refusals, *made.refusals))
    show_refusals(refused, out)
    write_refusals(refused, work / REFUSED)
    validating = set(parts.validation)
    splits = PreparedSplits(
        tuple(v for v in made.videos if v.entry not in validating),
        tuple(v for v in made.videos if v.entry in validating),
    )
    if not splits.training:
        raise DatasetUnusable(Path(places[0]), "no video is left to train on")
    return splits


def _stills(places: Sequence[str]) -> tuple[Entry, ...]:
    """Return the stills of the one folder of clips and stills that styleflow-live is trained from.

    Raises:
        DatasetUnusable: there are several folders, or it has no stills.
    """
    if len(places) != 1:
        raise DatasetUnusable(
            Path(places[1]),
            "styleflow-live is trained from one folder with manifest.csv and faces.csv",
        )
    listing = manifest_of(Path(places[0])).parent / STILLS_LIST
    if not listing.is_file():
        raise DatasetUnusable(listing, "is not there, and styleflow-live is trained on its stills")
    return read_stills(listing)


def show_refusals(index: Index, out: Console) -> None:
    """Print how often each reason occurs, and the first refusals one by one."""
    if not index.refusals:
        return
    table = Table(title="left out", title_justify="left", box=None)
    table.add_column("count", justify="right")
    table.add_column("reason")
    for reason, count in index.reasons().items():
        table.add_row(str(count), reason)
    out.print(table)
    for refusal in index.refusals[:_SHOWN]:
        detail = f" ({refusal.detail})" if refusal.detail else ""
        out.print(f"  {refusal.file}: {refusal.reason}{detail}", markup=False, highlight=False)
    if len(index.refusals) > _SHOWN:
        out.print(f"  and {len(index.refusals) - _SHOWN} more", highlight=False)


def write_refusals(index: Index, path: Path) -> None:
    """Write every refusal to a CSV file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file)
        rows.writerow(("row", "file", "reason", "detail"))
        rows.writerows((r.row, r.file, r.reason, r.detail) for r in index.refusals)


def _split(places: Sequence[str], recipe: Any, out: Console) -> Partition:
    """Open data sets, say what they hold, and decide what is trained on."""
    takes = takes_of(recipe)
    index = merged(open_dataset(place) for place in places)
    index = Index(tuple(entry for entry in index.entries if takes(entry)), index.refusals)
    parts = partition(index, held_out(recipe))
    parts = Partition(parts.training, parts.validation, (*index.refusals, *parts.refusals))
    for name, entries in (("training", parts.training), ("validation", parts.validation)):
        fakes = sum(entry.label for entry in entries)
        out.print(
            f"{name}: {len(entries) - fakes} real and {fakes} fake videos "
            f"of {len(groups_of(entries))} groups",
            highlight=False,
        )
    return parts
