"""`styleflow train`: from data sets to a checkpoint, with a picture of the run."""

from __future__ import annotations

import re
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from rich.console import Console

from cli import drawing
from cli.prepare import prepare_videos
from cli.progress import ProgressBoard
from styleflow.errors import RecipeInvalid
from styleflow.training.loop import read_log
from styleflow.training.methods import (
    Method,
    method_of,
    read_recipe,
    taught_by,
    versioned,
    with_autoencoder,
)
from styleflow.training.recipe import shortened
from styleflow.training.styleflow_live.teacher import weights_of
from styleflow.weights.importing import missing_weights


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the command line asks for.

    Attributes:
        places: data sets, as `open_dataset` takes them.
        recipe: YAML file of `configs/train/`.
        work: folder of results; an interrupted run goes on from there.
        out: the checkpoint to write; `out/` and its own name when None.
        version: what a styleflow-live checkpoint calls itself; as its recipe says when None.
        steps: for a trial, steps per stage at most.
        processes: how many prepare videos; as many as there are cores when None.
        device: what trains: cpu, cuda or cuda:N.
        teacher: a published detector that a styleflow-live learns from; as its recipe says when
            None.
        autoencoder: folder with the auto-encoder whose round trips a styleflow-live learns from; as
            its recipe says when None.
    """

    places: Sequence[str]
    recipe: Path
    work: Path
    out: Path | None = None
    version: str | None = None
    steps: int | None = None
    processes: int | None = None
    device: str = "cpu"
    teacher: str | None = None
    autoencoder: Path | None = None


def run(wanted: Wanted) -> None:
    """Prepare what is missing, train every stage, and write the checkpoint.

    Raises:
        RecipeInvalid: the recipe cannot be followed, or not on this device.
        DetectorWeightsMissing: its teacher has no weights here.
        DatasetUnusable: a data set cannot be used.
    """
    console = Console(stderr=True)
    torch.set_flush_denormal(True)
    recipe = versioned(read_recipe(wanted.recipe), wanted.version)
    if wanted.teacher is not None:
        recipe = taught_by(recipe, wanted.teacher, wanted.recipe)
    if wanted.autoencoder is not None:
        recipe = with_autoencoder(recipe, wanted.autoencoder, wanted.recipe)
    check_teacher(recipe)
    method, work = method_of(recipe), wanted.work
    check_device(wanted, method)
    if wanted.steps is not None:
        # A trial's weights and windows must never be taken for the real run's.
        recipe, work = shortened(recipe, wanted.steps), work / f"trial-{wanted.steps}"
    with ProgressBoard(console) as board:
        made = _follow(method, recipe, wanted, work, board, console)
    plot(work, work / "training.png")
    out = wanted.out or Path("out") / made.name
    if out.resolve() != made.resolve():
        out.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(made, out)
    console.print(f"wrote {out}", markup=False, highlight=False)


def _follow(
    method: Method, recipe: Any, wanted: Wanted, work: Path, board: ProgressBoard, out: Console
) -> Path:
    """Follow a recipe and return the checkpoint in the work folder."""
    splits = prepare_videos(wanted.places, recipe, wanted.work, wanted.processes, board, out)
    work.mkdir(parents=True, exist_ok=True)
    return method.run(recipe, splits.training, splits.validation, work, board.tell, wanted.device)


def check_teacher(recipe: Any) -> None:
    """Refuse a recipe whose teacher is not here, before hours are spent on what comes first.

    Raises:
        DetectorWeightsMissing: the error says which file to fetch, and where.
    """
    name = getattr(recipe, "teacher", None)
    if name is not None:
        path = weights_of(name, recipe.teacher_weights)
        if not path.is_file():
            raise missing_weights(name, path)


def check_device(wanted: Wanted, method: Method) -> None:
    """Refuse a device that is not there, or that the method has no use for."""
    if not re.fullmatch(r"cpu|cuda(:\d+)?", wanted.device):
        reason = f"cannot be followed on {wanted.device!r}; a device is cpu, cuda or cuda:N"
        raise RecipeInvalid(wanted.recipe, reason)
    device = torch.device(wanted.device)
    if device.type == "cpu":
        return
    if not method.on_gpu:
        reason = f"is followed on the processor; leave out --device {wanted.device}"
        raise RecipeInvalid(wanted.recipe, reason)
    if (device.index or 0) >= torch.cuda.device_count():
        reason = f"cannot be followed: there is no {wanted.device} here; leave out --device"
        raise RecipeInvalid(wanted.recipe, reason)


def plot(work: Path, picture: Path) -> None:
    """Draw the logs of all stages in a work folder, one panel per stage."""
    drawing.load()
    from matplotlib import pyplot as plt

    logs = {str(path.parent.relative_to(work)): read_log(path) for path in _logs(work)}
    if not logs:
        return
    figure, panels = plt.subplots(
        len(logs), 1, figsize=(7, 2.2 * len(logs)), squeeze=False, layout="constrained"
    )
    for (stage, rows), panel in zip(logs.items(), panels[:, 0], strict=True):
        for name in sorted({row[1] for row in rows}):
            steps, values = zip(*((s, v) for s, n, v in rows if n == name), strict=True)
            panel.plot(steps, values, label=name)
        panel.set_title("training" if stage == "." else stage, loc="left")
        panel.set_xlabel("optimiser steps")
        panel.legend(frameon=False)
    figure.savefig(picture, dpi=110)
    plt.close(figure)


def _logs(work: Path) -> list[Path]:
    """Return the logs of a run's stages, without those of trials beside it."""
    found = [work / "log.csv", *sorted(work.glob("*/log.csv"))]
    return [path for path in found if path.is_file() and not path.parent.name.startswith("trial-")]
