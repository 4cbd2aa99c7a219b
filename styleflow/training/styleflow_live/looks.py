"""Looks at a clip: the crops that live video would give the detector, and degraded ones of reals.

Each clip is decoded once. Its frames are sampled, its face followed and its crops anchored by the
code that live video uses; what is kept is the crop at every look, because all later stages start
from there. One look of every real clip is kept degraded, too, in all ways of `degradations.py`: the
whole picture is degraded and then cropped under the very same anchor.

A clip's file is named by its content and by all that decides what is kept, and appears complete or
not at all, so an interrupted run goes on where it stopped.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from styleflow.data.index import REAL, Entry, Refusal
from styleflow.data.parallel import in_processes
from styleflow.data.prepared import (
    NO_FACE,
    UNREADABLE,
    MakeFinder,
    finder_of,
    one_thread,
)
from styleflow.data.video import (
    Frames,
    anchored,
    content_key,
    follow_face,
    stream_pictures,
)
from styleflow.detectors.styleflow_live.network import look_places
from styleflow.errors import VideoUnusable
from styleflow.faces.align import Transform, mirrored_warp
from styleflow.faces.face import Image
from styleflow.faces.finder import FaceFinder
from styleflow.sampling import GridSampler, Sampled
from styleflow.training.styleflow_live.degradations import DEGRADATIONS, HISTORY

_VERSION = 3  # counts up when the same clip would be kept differently


@dataclass(frozen=True, slots=True)
class LookSpec:
    """How clips are looked at.

    Attributes:
        size_px: side of the crops.
        cadence_hz: sampled frames a second, on which the face is followed.
        every: slots from one look to the next.
        seconds: how much of a clip, from its beginning.
    """

    size_px: int = 224
    cadence_hz: float = 12.5
    every: int = 4
    seconds: float = 8.0


@dataclass(frozen=True, slots=True, eq=False)
class Looks:
    """One clip as the detector sees it.

    Attributes:
        slots: where on the cadence grid the looks lie, `(n,)` int64.
        crops: aligned crops, `(n, S, S, 3)` RGB uint8.
        degraded_look: number of the look that was degraded.
        degraded: the same crop after each of `DEGRADATIONS`, `(K, S, S, 3)`; none of fakes.
    """

    slots: NDArray[np.int64]
    crops: Frames
    degraded_look: int
    degraded: Frames


@dataclass(frozen=True, slots=True, eq=False)
class LookedAt:
    """One clip of a data set whose looks are kept.

    Attributes:
        entry: its label, group, generator and source.
        path: the file with its looks.
    """

    entry: Entry
    path: Path

    def looks(self) -> Looks:
        """Read the looks."""
        with np.load(self.path) as kept:
            return Looks(kept["slots"], kept["crops"], int(kept["degraded_look"]), kept["degraded"])


def look_at_all(
    entries: Sequence[Entry],
    spec: LookSpec,
    store: Path,
    make_finder: MakeFinder,
    processes: int = 1,
    observe: Callable[[int, int], None] | None = None,
) -> tuple[tuple[LookedAt, ...], tuple[Refusal, ...]]:
    """Return the clips that were looked at, and why others could not be.

    Args:
        entries: which clips; what the store has of them is kept.
        spec: how.
        store: folder of results.
        make_finder: makes what finds faces; picklable where several processes work.
        processes: how many work at a time.
        observe: told how many are done, and of how many.

    Raises:
        WorkersLost: a process ended on its own.
        OSError: the store cannot be written.
    """
    store.mkdir(parents=True, exist_ok=True)
    work = partial(_keep, spec=spec, store=store, make_finder=make_finder)
    paths = [store / f"{_key(entry, spec)}.npz" for entry in entries]
    missing = [e for e, path in zip(entries, paths, strict=True) if not path.is_file()]
    refusals: list[Refusal] = []
    for done, refusal in enumerate(in_processes(work, missing, processes, one_thread), start=1):
        if refusal is not None:
            refusals.append(refusal)
        if observe is not None:
            observe(len(entries) - len(missing) + done, len(entries))
    kept = [LookedAt(e, path) for e, path in zip(entries, paths, strict=True) if path.is_file()]
    return tuple(kept), tuple(refusals)


@dataclass(frozen=True, slots=True, eq=False)
class Followed:
    """The pictures of a clip's looks, and where its face is in them.

    Attributes:
        slots: of the cadence grid.
        pictures: each with the pictures before it, itself last.
        anchors: under which each is cropped.
    """

    slots: list[int]
    pictures: list[tuple[Image, ...]]
    anchors: list[Transform]


def followed(entry: Entry, spec: LookSpec, finder: FaceFinder) -> Followed | None:
    """Return what looks at a clip see; None when it shows no face.

    Raises:
        VideoUnusable: it cannot be read.
    """
    sampled = list(sampled_pictures(entry.path, spec))
    path = follow_face((s.item[-1] for s in sampled), finder)
    if path is None:
        return None
    plan = anchored(path, [(n, s.at) for n, s in enumerate(sampled)])
    slots = [sampled[n].slot for n in plan.frames]
    chosen = look_places(slots, spec.every)
    return Followed(
        [slots[place] for place in chosen],
        [sampled[plan.frames[place]].item for place in chosen],
        [plan.arriving[place] for place in chosen],
    )


def look_at(entry: Entry, spec: LookSpec, finder: FaceFinder) -> Looks | None:
    """Return the looks at one clip; None when it shows no face.

    Raises:
        VideoUnusable: it cannot be read.
    """
    seen = followed(entry, spec, finder)
    if seen is None:
        return None
    pictures, anchors = seen.pictures, seen.anchors
    crops = [mirrored_warp(p[-1], a, spec.size_px) for p, a in zip(pictures, anchors, strict=True)]
    middle = len(crops) // 2
    degraded: list[Image] = []
    if entry.label == REAL:
        history = even(np.stack(pictures[middle]))
        for seed, degrade in enumerate(DEGRADATIONS.values()):
            degraded.append(mirrored_warp(degrade(history, seed), anchors[middle], spec.size_px))
    blank = np.zeros((0, spec.size_px, spec.size_px, 3), np.uint8)
    return Looks(
        np.array([slot - seen.slots[0] for slot in seen.slots], np.int64),
        np.stack(crops),
        middle,
        np.stack(degraded) if degraded else blank,
    )


def sampled_pictures(video: Path, spec: LookSpec) -> Iterator[Sampled[tuple[Image, ...]]]:
    """Yield the sampled frames of a clip, each with the pictures before it, itself last."""
    sampler: GridSampler[tuple[Image, ...]] = GridSampler(spec.cadence_hz)
    recent: deque[Image] = deque(maxlen=HISTORY)
    for at, picture in stream_pictures(video):
        if at > spec.seconds:
            break
        recent.append(picture)
        yield from sampler.push(at, tuple(recent))
    yield from sampler.finish()


def even(frames: Frames) -> Frames:
    """Return pictures without a last odd row or column, which 4:2:0 cannot hold."""
    height, width = (n // 2 * 2 for n in frames.shape[1:3])
    return np.ascontiguousarray(frames[:, :height, :width])


def _key(entry: Entry, spec: LookSpec) -> str:
    said = json.dumps(
        [_VERSION, content_key(entry.path), entry.label, asdict(spec), list(DEGRADATIONS)],
        sort_keys=True,
    )
    return hashlib.sha256(said.encode()).hexdigest()[:24]


def _keep(entry: Entry, *, spec: LookSpec, store: Path, make_finder: MakeFinder) -> Refusal | None:
    try:
        looks = look_at(entry, spec, finder_of(make_finder))
    except VideoUnusable as error:
        return Refusal(0, entry.path.name, UNREADABLE, error.reason)
    if looks is None:
        return Refusal(0, entry.path.name, NO_FACE)
    path = store / f"{_key(entry, spec)}.npz"
    part = path.with_suffix(f".{os.getpid()}.part")
    with part.open("wb") as file:
        np.savez(
            file,
            slots=looks.slots,
            crops=looks.crops,
            degraded_look=looks.degraded_look,
            degraded=looks.degraded,
        )
    os.replace(part, path)
    return None
