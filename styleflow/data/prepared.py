"""Videos after `styleflow prepare`: the face's surroundings, its landmarks, and aligned crops.

A data set's videos are large and seen again in every epoch, so each is decoded once. What is kept
of it is one fixed window around everywhere the face goes, so that neighbouring pictures still lie
on one another, and made smaller only where the face has more pixels than a detector looks at.

Theory of operation. A video's folder is named by its content and by the settings: another run
finds it, changed settings make another. It is written to a temporary folder, then renamed
atomically, so an interrupted run leaves nothing half done. A video is decoded once: while the face
is followed its pictures are spooled to the folder as they are, and when it is known where the face
goes they are cut from there, so that memory holds one picture at a time. That a video shows no
face is kept like any other result.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import cache, cached_property, partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from styleflow.data.face_window import FaceWindow, decoded, encoded
from styleflow.data.index import Entry, Refusal
from styleflow.data.parallel import in_processes
from styleflow.data.spool import Spool
from styleflow.data.video import (
    CropPlan,
    FacePath,
    Frames,
    Times,
    content_key,
    follow_face,
    plan_crops,
    stream_pictures,
)
from styleflow.errors import DatasetUnusable, VideoUnusable
from styleflow.faces.align import mirrored_warp
from styleflow.faces.face import Image
from styleflow.faces.finder import FaceFinder

UNREADABLE = "the video cannot be read"
NO_FACE = "it shows no face"

_VERSION = 4  # counts up when the same video would be kept differently
_ABOUT, _PICTURES, _CROPS = "about.npz", "pictures.bin", "crops.npz"
_SPOOL, _FORMAT = "spool.bin", "format"
_PART = ".part"

MakeFinder = Callable[[], FaceFinder]
"""Makes what finds faces; called once in every process."""


@dataclass(frozen=True, slots=True)
class PrepareSettings:
    """What is kept of a video.

    Attributes:
        frames: how many frames, from the video's beginning.
        face_px: width of the face in kept pictures, at most; larger ones are made smaller.
        margin: how far around the face pictures reach, in widths of the face.
        quality: 0 keeps pictures exactly (PNG); 1 to 100 is JPEG, for data sets too large for that.
        crop_px: side of aligned crops as live video would cut them; 0 keeps none.
        cadence_hz: aligned crops a second.
    """

    frames: int = 150
    face_px: int = 256
    margin: float = 0.6
    quality: int = 0
    crop_px: int = 0
    cadence_hz: float = 12.5


@dataclass(frozen=True, slots=True, eq=False)
class AlignedCrops:
    """A face as a detector samples it; see `CropPlan`.

    Attributes:
        frames: numbers of the sampled frames, `(n,)`.
        arriving: crops under the anchor of the frames before, `(n, S, S, 3)` RGB uint8.
        leaving: crops under the anchor of the frames after, of the same shape.
    """

    frames: NDArray[np.int64]
    arriving: Frames
    leaving: Frames


@dataclass(frozen=True, eq=False)
class PreparedVideo:
    """One video of a data set, read from its folder when it is asked for.

    Attributes:
        entry: its label, group, kind and pair.
        folder: where it was kept.
    """

    entry: Entry
    folder: Path

    @cached_property
    def path(self) -> FacePath:
        """Landmarks of every frame, `(T, 468, 2)`, in pixels of the pictures."""
        return FacePath(self._about["meshes"], self._about["found"])

    @property
    def times(self) -> Times:
        """Media seconds of every frame, `(T,)`."""
        return self._about["times"]

    def frames(self, numbers: Sequence[int]) -> Frames:
        """Return some frames in the order asked for, `(n, H, W, 3)` RGB uint8.

        Raises:
            IndexError: there is no such frame.
        """
        ends = self._about["ends"]
        height, width = (int(n) for n in self._about["size"])
        out = np.empty((len(numbers), height, width, 3), np.uint8)
        with (self.folder / _PICTURES).open("rb") as file:
            for place, number in enumerate(numbers):
                if not 0 <= number < len(ends):
                    raise IndexError(f"frame {number} of {len(ends)}")
                start = int(ends[number - 1]) if number else 0
                file.seek(start)
                out[place] = decoded(file.read(int(ends[number]) - start))
        return out

    def crops(self) -> AlignedCrops:
        """Return the aligned crops.

        Raises:
            OSError: none were kept: `crop_px` was 0.
        """
        with np.load(self.folder / _CROPS) as kept:
            arriving, leaving = kept["arriving"], kept["arriving"].copy()
            leaving[kept["moved"]] = kept["leaving"]
            return AlignedCrops(kept["frames"], arriving, leaving)

    @cached_property
    def _about(self) -> dict[str, NDArray[Any]]:
        with np.load(self.folder / _ABOUT) as kept:
            return dict(kept)


@dataclass(frozen=True, slots=True)
class Prepared:
    """What became of some entries: videos, and refusals that say why there are not more."""

    videos: tuple[PreparedVideo, ...]
    refusals: tuple[Refusal, ...]


def prepare_entries(
    entries: Sequence[Entry],
    settings: PrepareSettings,
    store: Path,
    make_finder: MakeFinder,
    processes: int = 1,
    observe: Callable[[int, int], None] | None = None,
) -> Prepared:
    """Return entries as prepared videos, making those that are not in the store yet.

    Args:
        entries: which videos.
        settings: what is kept of each.
        store: folder of prepared videos; no other run may be preparing into it.
        make_finder: makes what finds faces; picklable where several processes work.
        processes: how many work at a time.
        observe: told how many are done, and of how many.

    Raises:
        DatasetUnusable: the store is of another version of the program.
        WorkersLost: a process ended on its own.
        OSError: the store cannot be written.
    """
    _claim(store)
    for part in store.glob(f"*{_PART}"):
        shutil.rmtree(part)  # of a run that was killed
    results: list[PreparedVideo | Refusal | None] = [
        _found(entry, settings, store) for entry in entries
    ]
    missing = [place for place, result in enumerate(results) if result is None]
    done = len(entries) - len(missing)
    if observe is not None:
        observe(done, len(entries))
    # Processes take seconds to start, so none does when everything is there.
    work = partial(_prepare_with, settings=settings, store=store, make_finder=make_finder)
    made = in_processes(work, [entries[place] for place in missing], processes, one_thread)
    for number, (place, result) in enumerate(zip(missing, made, strict=True), start=1):
        results[place] = result
        if observe is not None:
            observe(done + number, len(entries))
    return Prepared(
        tuple(r for r in results if isinstance(r, PreparedVideo)),
        tuple(r for r in results if isinstance(r, Refusal)),
    )


def _claim(store: Path) -> None:
    """Make a store of this version's format, or refuse one of another."""
    store.mkdir(parents=True, exist_ok=True)
    mark = store / _FORMAT
    if not mark.is_file() and not any(store.iterdir()):
        mark.write_text(f"{_VERSION}\n", encoding="ascii")
    found = mark.read_text(encoding="ascii").strip() if mark.is_file() else "1"
    if found != str(_VERSION):
        reason = (
            f"its videos were prepared in format {found} and this program reads {_VERSION}; "
            "remove the folder, or choose another with --work"
        )
        raise DatasetUnusable(store, reason)


def prepare_video(
    entry: Entry, settings: PrepareSettings, store: Path, finder: FaceFinder
) -> PreparedVideo | Refusal:
    """Return one entry as a prepared video, or say why it cannot be one."""
    found = _found(entry, settings, store)
    if found is not None:
        return found
    folder = store / prepared_key(entry.path, settings)
    try:
        _keep(folder, partial(_write, entry.path, settings, finder))
    except VideoUnusable as error:
        return Refusal(0, entry.path.name, UNREADABLE, error.reason)
    return _kept(entry, folder)


def _found(entry: Entry, settings: PrepareSettings, store: Path) -> PreparedVideo | Refusal | None:
    """Return what the store has of an entry; None when it is still to be made."""
    try:
        folder = store / prepared_key(entry.path, settings)
    except OSError as error:
        return Refusal(0, entry.path.name, UNREADABLE, str(error.strerror))
    return _kept(entry, folder) if (folder / _ABOUT).is_file() else None


def _kept(entry: Entry, folder: Path) -> PreparedVideo | Refusal:
    with np.load(folder / _ABOUT) as about:
        empty = not len(about["ends"])
    return Refusal(0, entry.path.name, NO_FACE) if empty else PreparedVideo(entry, folder)


def prepared_key(video: Path, settings: PrepareSettings) -> str:
    """Return the name of a video's folder: its content, the settings, and this code's version.

    Raises:
        OSError: the file cannot be read.
    """
    said = json.dumps([_VERSION, content_key(video), asdict(settings)], sort_keys=True)
    return hashlib.sha256(said.encode()).hexdigest()[:24]


def _prepare_with(
    entry: Entry, *, settings: PrepareSettings, store: Path, make_finder: MakeFinder
) -> PreparedVideo | Refusal:
    return prepare_video(entry, settings, store, finder_of(make_finder))


@cache
def finder_of(make_finder: MakeFinder) -> FaceFinder:
    """Make a process's finder once: loading its weights takes longer than a short video."""
    return make_finder()


def one_thread() -> None:
    """Keep processes from each taking all cores."""
    cv2.setNumThreads(1)
    torch.set_num_threads(1)


def _keep(folder: Path, write: Callable[[Path], None]) -> None:
    """Let something write a folder, which appears complete or not at all."""
    part = Path(tempfile.mkdtemp(suffix=_PART, dir=folder.parent))
    try:
        write(part)
        try:
            os.replace(part, folder)
        except OSError:
            if not (folder / _ABOUT).is_file():  # else another process was first, with the same
                raise
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _write(video: Path, settings: PrepareSettings, finder: FaceFinder, folder: Path) -> None:
    with (folder / _SPOOL).open("w+b") as file:
        spool = Spool(file)
        path = follow_face(spool.through(stream_pictures(video, settings.frames)), finder)
        about: dict[str, Any] = {"ends": np.zeros(0, np.int64)}
        if path is not None:
            about = _write_pictures(spool, path, settings, folder)
    (folder / _SPOOL).unlink()
    np.savez_compressed(folder / _ABOUT, **about)


def _write_pictures(
    spool: Spool, path: FacePath, settings: PrepareSettings, folder: Path
) -> dict[str, Any]:
    """Cut pictures and crops, and return what is to be known of them."""
    window = FaceWindow.around(path, spool.shapes[0], settings.margin, settings.face_px)
    times = np.array(spool.times)
    crops = None
    if settings.crop_px:
        crops = _Crops(plan_crops(path, times, settings.cadence_hz), settings.crop_px)
    ends, end = [], 0
    with (folder / _PICTURES).open("wb") as file:
        for number, picture in enumerate(spool):
            data = encoded(window.cut(picture), settings.quality)
            file.write(data)
            end += len(data)
            ends.append(end)
            if crops is not None:
                crops.add(number, picture)
    if crops is not None:
        crops.write(folder / _CROPS)
    return {
        "ends": np.array(ends, np.int64),
        "size": np.array(window.size),
        "times": times,
        "meshes": window.carry(path.meshes),
        "found": path.found,
    }


class _Crops:
    """Aligned crops, cut from whole pictures so that no pixel is resampled twice.

    Args:
        plan: which frames are cropped, and how.
        size_px: side of the crops.
    """

    def __init__(self, plan: CropPlan, size_px: int) -> None:
        self._plan, self._size_px = plan, size_px
        self._places = {int(frame): place for place, frame in enumerate(plan.frames)}
        self._arriving = np.zeros((len(plan.frames), size_px, size_px, 3), np.uint8)
        self._leaving: list[Image] = []

    def add(self, number: int, picture: Image) -> None:
        """Crop a frame if it is sampled; frames come in order."""
        place = self._places.get(number)
        if place is None:
            return
        self._arriving[place] = mirrored_warp(picture, self._plan.arriving[place], self._size_px)
        if self._plan.moved[place]:
            self._leaving.append(mirrored_warp(picture, self._plan.leaving[place], self._size_px))

    def write(self, path: Path) -> None:
        """Write the crops to a file."""
        np.savez_compressed(
            path,
            frames=self._plan.frames,
            arriving=self._arriving,
            moved=self._plan.moved,
            leaving=np.stack(self._leaving) if self._leaving else self._arriving[:0],
        )
