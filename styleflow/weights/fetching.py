"""Published detectors fetched from their authors' pages: looked up, downloaded, imported, kept.

A file that is not complete lies in `downloads/DETECTOR` of the cache and is continued by the next
run; the checkpoint that the files become replaces them. One fetch of a detector runs at a time.
"""

from __future__ import annotations

import errno
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from filelock import FileLock, Timeout

from styleflow.detectors.authors_files import Publication
from styleflow.errors import CheckpointInvalid, DownloadFailed, DownloadUnknown
from styleflow.weights import importing
from styleflow.weights.checkpoint import Checkpoint, is_safetensors, save
from styleflow.weights.hub import Hub, HubFile, Say
from styleflow.weights.places import cache_dir, fetched_path

TERMS = {
    "DINOv3 License": "https://ai.meta.com/resources/models-and-libraries/dinov3-license/",
}
"""Licences with terms of their own, and where they can be read."""

FileProgress = Callable[[str, int, int], None]
"""Told the name of a file, how many of its bytes are here, and of how many."""


@dataclass(frozen=True, slots=True)
class Offer:
    """A detector that can be fetched, as the hub describes it.

    Attributes:
        name: the detector.
        files: what will be downloaded.
        page: where its authors publish it.
        licence: what it may be used for.
        terms: address of a licence with terms of its own; empty where there is none.
    """

    name: str
    files: tuple[HubFile, ...]
    page: str
    licence: str
    terms: str

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(file.size for file in self.files)


def look_up(name: str, hub: Hub, say: Say | None = None) -> Offer:
    """Return what fetching a detector would download.

    Raises:
        DetectorUnknown: no published file is known for this name.
        DownloadUnknown: its authors offer no address that a program can download from.
        DownloadFailed: the hub cannot be reached or refuses.
    """
    publications = importing.publications(name)
    if not importing.is_offered(publications):
        missing = importing.missing_weights(name, None)
        raise DownloadUnknown(name, missing.sources, missing.remedy)
    with _remedied(name, publications):
        files = tuple(hub.look_up(str(importing.repository(p)), p.file, say) for p in publications)
    first = publications[0]
    terms = next((TERMS[known] for known in TERMS if known in first.licence), "")
    return Offer(name, files, first.page, first.licence, terms)


def fetch(
    offer: Offer, hub: Hub, progress: FileProgress | None = None, say: Say | None = None
) -> Path:
    """Download a detector's files, import them, and return the checkpoint in the cache.

    Args:
        offer: from `look_up`; whoever wants it has agreed to its licence.
        hub: where it is.
        progress: told how far each file is.
        say: told in a few words what is being done.

    Raises:
        DownloadFailed: the hub refuses or breaks off, another fetch of it is running, or the disk
            is full.
        CheckpointInvalid: the files are not this detector's; they are removed.
    """
    path = fetched_path(offer.name)
    publications = importing.publications(offer.name)
    with _remedied(offer.name, publications), _alone(offer.name) as folder:
        with _room(offer, folder):
            parts = [_download(hub, file, folder, progress, say) for file in offer.files]
            if say is not None:
                say(f"importing {offer.name}")
            _import(offer, parts, path)
        shutil.rmtree(folder, ignore_errors=True)  # what is left of earlier versions, too
    return path


def _download(
    hub: Hub, file: HubFile, folder: Path, progress: FileProgress | None, say: Say | None
) -> Path:
    def tell(have: int) -> None:
        if progress is not None:
            progress(file.name, have, file.size)

    return hub.download(file, folder, tell, say)


def _import(offer: Offer, parts: Sequence[Path], path: Path) -> None:
    """Write the checkpoint that complete files become; those that cannot become one are removed."""
    with tempfile.TemporaryDirectory(dir=parts[0].parent, prefix=f".{offer.name}-") as folder:
        named = [Path(folder) / file.name for file in offer.files]
        for part, name in zip(parts, named, strict=True):
            name.symlink_to(part.resolve())  # the import knows files by their published names
        try:
            checkpoint = _imported(offer, named)
        except CheckpointInvalid:
            for part in parts:
                part.unlink()
            raise
    save(checkpoint, path)


def _imported(offer: Offer, files: Sequence[Path]) -> Checkpoint:
    for file in files:
        if file.suffix == ".safetensors" and not is_safetensors(file):
            raise CheckpointInvalid(file, "is not the safetensors file that its name promises")
    checkpoint, _ = importing.import_files(files, offer.name)
    source = f"Fetched from {offer.page} at revision {offer.files[0].commit}."
    return replace(checkpoint, provenance=f"{checkpoint.provenance} {source}")


@contextmanager
def _alone(name: str) -> Iterator[Path]:
    """Hold the lock of a detector's downloads and give their folder."""
    folder = cache_dir() / "downloads" / name
    folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder.with_suffix(".lock"), timeout=0)
    try:
        lock.acquire()
    except Timeout:
        reason = f"is being fetched already ({lock.lock_file})"
        raise DownloadFailed(name, reason, "Wait for it, or end it") from None
    try:
        folder.mkdir(exist_ok=True)  # the one before may have removed it at its end
        yield folder
    finally:
        lock.release()


@contextmanager
def _room(offer: Offer, folder: Path) -> Iterator[None]:
    """Refuse a download that the disk has no room for, before it or when it is full."""
    here = sum(
        part.stat().st_size for file in offer.files if (part := folder / file.part).is_file()
    )
    need = max(0, offer.size - here) + offer.size  # and as much for the checkpoint beside it
    if shutil.disk_usage(folder).free < need:
        raise _full(offer.name, folder, need)
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise _full(offer.name, folder, need) from error
        raise


def _full(name: str, folder: Path, need: int) -> DownloadFailed:
    free = shutil.disk_usage(folder).free
    reason = f"{folder} needs {megabytes(need)} free and has {megabytes(free)}"
    remedy = "Make room, or name another folder with STYLEFLOW_CACHE; what has come is kept"
    return DownloadFailed(name, reason, remedy)


@contextmanager
def _remedied(name: str, publications: Sequence[Publication]) -> Iterator[None]:
    """Give failed downloads the way to do without: which files to bring from where."""
    try:
        yield
    except DownloadFailed as error:
        if error.remedy:
            raise
        files = " ".join(p.file for p in publications)
        remedy = (
            f"Run the command again, which goes on where it stopped; or bring "
            f"{files.replace(' ', ' and ')} from {publications[0].page} and run: "
            f"styleflow checkpoints import {name} {files}"
        )
        raise replace(error, remedy=remedy) from error


def megabytes(size: int) -> str:
    """Return a size for people."""
    return f"{size / 1e6:,.1f} MB" if size >= 1e5 else f"{size:,} bytes"
