"""Calls: one look of every clip after two codec generations, drawn once for each pair.

The whole picture goes through what is drawn (`styleflow/data/degradations/call.py`) and is then
cropped under the very anchor of the undegraded look. What that adds to the look's statistics, added
to the clip's, is the same clip after a call. Who belongs to one pair shares every draw: were a fake
coded otherwise than its original, the codec could become the cue. Everybody else draws alone.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from styleflow.data.degradations.call import CallDegradation, random_call
from styleflow.data.index import Entry
from styleflow.data.parallel import in_processes
from styleflow.data.prepared import MakeFinder, finder_of, one_thread
from styleflow.data.video import Frames
from styleflow.detectors.styleflow_live.network import StyleFlowLiveDims
from styleflow.errors import VideoUnusable
from styleflow.faces.align import mirrored_warp
from styleflow.faces.finder import FaceFinder
from styleflow.training.styleflow_live.features import feature_encoder
from styleflow.training.styleflow_live.looks import LookedAt, LookSpec, even, followed
from styleflow.weights import cache as published
from styleflow.weights.checkpoint import digest

_VERSION = 1  # counts up when the same clip would come out of a call otherwise

Shifts = NDArray[np.float64]
"""What calls add to a look's statistics, `(draws, blocks, 4, D)`."""


def call_of(entry: Entry, seed: int, number: int) -> CallDegradation:
    """Return a draw for a clip: for all of a pair the same, and of another number another."""
    said = hashlib.sha256(f"{seed} {number} {_together(entry)}".encode()).digest()
    return random_call(np.random.default_rng(int.from_bytes(said[:8], "big")))


def called(
    entry: Entry, spec: LookSpec, calls: Sequence[CallDegradation], finder: FaceFinder
) -> Frames | None:
    """Return the middle look of a clip after each of some calls, `(draws, S, S, 3)`.

    None when it shows no face.

    Raises:
        VideoUnusable: it cannot be read.
    """
    seen = followed(entry, spec, finder)
    if seen is None:
        return None
    middle = len(seen.slots) // 2
    history, anchor = even(np.stack(seen.pictures[middle])), seen.anchors[middle]
    crops = [mirrored_warp(call.apply(history)[-1], anchor, spec.size_px) for call in calls]
    return np.stack(crops)


def call_all(
    clips: Sequence[LookedAt],
    spec: LookSpec,
    draws: int,
    seed: int,
    work: Path,
    make_finder: MakeFinder,
    processes: int = 1,
    observe: Callable[[int, int], None] | None = None,
) -> None:
    """Keep the looks of clips after calls; what the work folder has of them is not made again.

    Args:
        clips: their looks.
        spec: how they were looked at.
        draws: calls of each.
        seed: decides what is drawn.
        work: folder of results.
        make_finder: makes what finds faces; picklable where several processes work.
        processes: how many work at a time.
        observe: told how many are done, and of how many.

    Raises:
        WorkersLost: a process ended on its own.
        OSError: the folder cannot be written.
    """
    store = _store(spec, draws, seed, work)
    store.mkdir(parents=True, exist_ok=True)
    missing = [clip for clip in clips if not (store / _file(clip)).is_file()]
    todo = partial(_keep, spec=spec, draws=draws, seed=seed, store=store, make_finder=make_finder)
    for done, _ in enumerate(in_processes(todo, missing, processes, one_thread), start=1):
        if observe is not None:
            observe(len(clips) - len(missing) + done, len(clips))


def call_shifts(
    clips: Sequence[LookedAt],
    dims: StyleFlowLiveDims,
    spec: LookSpec,
    draws: int,
    seed: int,
    work: Path,
    processes: int = 1,
    observe: Callable[[int, int], None] | None = None,
) -> list[Shifts | None]:
    """Return what calls add to the statistics of each clip; None where `call_all` kept nothing.

    Arguments as for `call_all`; `dims` is of the network, whose encoder stands on published
    weights.

    Raises:
        WeightsMissing: the published weights are not on this machine.
        OSError: the work folder cannot be written.
    """
    crops = _store(spec, draws, seed, work)
    encoding = f"{dims.backbone} {dims.blocks} {dims.size_px} {digest(published.dinov2())}"
    store = crops.with_name(f"{crops.name}-{hashlib.sha256(encoding.encode()).hexdigest()[:12]}")
    store.mkdir(parents=True, exist_ok=True)
    encoder: torch.nn.Module | None = None
    made: list[Shifts | None] = []
    for number, clip in enumerate(clips, start=1):
        source = crops / _file(clip)
        path = store / source.with_suffix(".npy").name
        if source.is_file() and not path.is_file():
            encoder = encoder or feature_encoder(dims, processes)
            _encode(clip, source, encoder, path)
        made.append(np.load(path) if path.is_file() else None)
        if observe is not None:
            observe(number, len(clips))
    return made


def _encode(clip: LookedAt, source: Path, encoder: torch.nn.Module, path: Path) -> None:
    looks = clip.looks()
    with np.load(source) as kept:
        pictures = np.concatenate([looks.crops[[looks.degraded_look]], kept["crops"]])
    with torch.inference_mode():
        statistics, _ = encoder(torch.from_numpy(pictures))
    found = statistics.double().numpy()
    part = path.with_suffix(".part")
    with part.open("wb") as file:
        np.save(file, found[1:] - found[:1])
    os.replace(part, path)


def _keep(
    clip: LookedAt,
    *,
    spec: LookSpec,
    draws: int,
    seed: int,
    store: Path,
    make_finder: MakeFinder,
) -> None:
    calls = [call_of(clip.entry, seed, number) for number in range(draws)]
    try:
        crops = called(clip.entry, spec, calls, finder_of(make_finder))
    except VideoUnusable:
        return  # it could be looked at, so it has changed since; the clip goes without
    if crops is None:
        return
    path = store / _file(clip)
    part = path.with_suffix(f".{os.getpid()}.part")
    with part.open("wb") as file:
        np.savez(file, crops=crops)
    os.replace(part, path)


def _together(entry: Entry) -> str:
    """Return the name of whoever shares draws with a clip."""
    return f"pair {entry.pair}" if entry.pair else f"clip {entry.group} {entry.path.name}"


def _file(clip: LookedAt) -> str:
    """Return the name of a clip's file: the same pictures in two pairs are two files."""
    who = hashlib.sha256(_together(clip.entry).encode()).hexdigest()[:8]
    return f"{clip.path.stem}-{who}.npz"


def _store(spec: LookSpec, draws: int, seed: int, work: Path) -> Path:
    """Return the folder of the crops: its name holds all that they depend on beside the clips."""
    said = json.dumps([_VERSION, str(spec), draws, seed])
    return work / f"calls-{hashlib.sha256(said.encode()).hexdigest()[:12]}"
