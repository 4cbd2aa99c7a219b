"""Families of training windows on disk: a few files that are read whole.

A family is a real window and the pseudo-fakes made from it. Keeping them together lets a batch set
each fake against its own original, under the same degradation and in the same place.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from styleflow.errors import DatasetUnusable
from styleflow.training.styleflow_live.windows import Window

_FORMAT = 2  # counts up when windows would be cut or kept differently


@dataclass(frozen=True, slots=True, eq=False)
class Family:
    """A real window and its pseudo-fakes.

    Attributes:
        group: whose face it is.
        real: the real window.
        fakes: at least one pseudo-fake of it.
    """

    group: str
    real: Window
    fakes: tuple[Window, ...]


def write_shard(families: Sequence[Family], path: Path) -> None:
    """Write families to one file, which appears complete or not at all."""
    members = [(i, f.group, w) for i, f in enumerate(families) for w in (f.real, *f.fakes)]
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=path.parent, suffix=".part", delete=False) as part:
        np.savez(
            part,
            crops=np.concatenate([w.crops for _, _, w in members]),
            masks=np.concatenate([w.masks for _, _, w in members]),
            lengths=np.array([len(w.crops) for _, _, w in members]),
            families=np.array([i for i, _, _ in members]),
            groups=np.array([g for _, g, _ in members]),
            kinds=np.array([w.kind for _, _, w in members]),
            format=np.array(_FORMAT),
        )
    os.replace(part.name, path)


def read_shards(paths: Iterable[Path], without: Sequence[str] = ()) -> list[Family]:
    """Return the families of some files, in order.

    Args:
        paths: files that `write_shard` wrote.
        without: kinds of pseudo-fakes to leave out; families that have no other are left out too.

    Raises:
        DatasetUnusable: a file was written by another version of the program.
    """
    families: list[Family] = []
    for path in paths:
        with np.load(path) as file:
            shard = {name: file[name] for name in file.files}  # each name is read once
        found = int(shard.get("format", 1))
        if found != _FORMAT:
            reason = (
                f"its windows have format {found} and this program reads {_FORMAT}; "
                "remove the folder, or choose another with --work"
            )
            raise DatasetUnusable(path.parent, reason)
        ends = np.cumsum(shard["lengths"])
        windows = [
            Window(str(kind), shard["crops"][end - n : end], shard["masks"][end - n : end])
            for kind, n, end in zip(shard["kinds"], shard["lengths"], ends, strict=True)
        ]
        for number in np.unique(shard["families"]):
            rows = np.flatnonzero(shard["families"] == number)
            members = [windows[r] for r in rows]
            fakes = tuple(w for w in members if w.kind and w.kind not in without)
            if fakes:
                families.append(Family(str(shard["groups"][rows[0]]), members[0], fakes))
    return families
