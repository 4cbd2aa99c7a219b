"""`styleflow train`: from prepared windows to a checkpoint, with a picture of the run."""

from __future__ import annotations

from pathlib import Path

import matplotlib as mpl
import torch
from rich.console import Console

from styleflow.checkpoint import save
from styleflow.data.face_weights import load_finder
from styleflow.training.loop import read_log
from styleflow.training.pipeline import Workshop
from styleflow.training.recipe import read_recipe


def run(recipe: Path, clips: Path, work: Path, checkpoint: Path, version: str) -> None:
    """Prepare what is missing, train every stage, and write the checkpoint.

    Args:
        recipe: YAML file of `configs/train/`.
        clips: folder with `manifest.csv` and `faces.csv`.
        work: folder of results; an interrupted run goes on from there.
        checkpoint: the file to write.
        version: what the checkpoint calls itself.
    """
    out = Console(stderr=True)
    torch.set_flush_denormal(True)
    shop = Workshop(clips, work, read_recipe(recipe), load_finder(), lambda text: out.log(text))
    with out.status(f"training on {clips}"):
        shop.prepare()
        trained = shop.train(version)
    save(trained, checkpoint)
    plot(work, work / "training.png")
    out.print(f"wrote {checkpoint} ({trained.sha256[:12]})", markup=False, highlight=False)


def plot(work: Path, picture: Path) -> None:
    """Draw the logs of all stages in a work folder, one panel per stage."""
    mpl.use("Agg")
    from matplotlib import pyplot as plt

    logs = {path.parent.name: read_log(path) for path in sorted(work.glob("*/log.csv"))}
    if not logs:
        return
    figure, panels = plt.subplots(
        len(logs), 1, figsize=(7, 2.2 * len(logs)), squeeze=False, layout="constrained"
    )
    for (stage, rows), panel in zip(logs.items(), panels[:, 0], strict=True):
        for name in sorted({row[1] for row in rows}):
            steps, values = zip(*((s, v) for s, n, v in rows if n == name), strict=True)
            panel.plot(steps, values, label=name)
        panel.set_title(stage, loc="left")
        panel.legend(frameon=False)
    figure.savefig(picture, dpi=110)
    plt.close(figure)
