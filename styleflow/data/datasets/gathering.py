"""Gathering of index entries; what is refused is named instead of dropped."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from styleflow.data.index import Entry, Index, Refusal
from styleflow.errors import DatasetUnusable

MISSING = "the file is missing"
UNLISTED = "no official split lists it"
NO_FOLDER = "the folder is missing"
STRANGE_NAME = "its name is not of this data set"
STRANGE_LABEL = "its label is neither real nor fake"
STRANGE_SPLIT = "its split is not one of this data set"
CONFLICT = "it is listed twice, and not alike"

_VIDEOS = (".mp4", ".avi", ".mkv", ".mov", ".webm")


@dataclass(slots=True)
class Gathering:
    """An index while it is read.

    Attributes:
        root: refused files are named relative to this folder.
    """

    root: Path
    _entries: dict[Path, Entry] = field(default_factory=dict)
    _refusals: list[Refusal] = field(default_factory=list)

    def add(self, entry: Entry) -> None:
        """Take an entry if its file is there and it does not contradict an earlier one."""
        known = self._entries.get(entry.path)
        if known is not None and known != entry:
            self.refuse(entry.path, CONFLICT)
        elif not entry.path.is_file():
            self.refuse(entry.path, MISSING)
        else:
            self._entries[entry.path] = entry

    def refuse(self, path: Path, reason: str, detail: str = "") -> None:
        """Name a file or folder that is no entry."""
        name = path.relative_to(self.root) if path.is_relative_to(self.root) else path
        self._refusals.append(Refusal(0, name.as_posix(), reason, detail))

    def videos_in(self, folder: Path) -> Iterator[Path]:
        """Yield the videos of a folder by name; a folder that is not there is refused."""
        if not folder.is_dir():
            self.refuse(folder, NO_FOLDER)
            return
        yield from sorted(p for p in folder.iterdir() if p.suffix.lower() in _VIDEOS)

    def index(self) -> Index:
        """Return what was gathered.

        Raises:
            DatasetUnusable: nothing at all was found, so this is hardly the data set's folder.
        """
        if not self._entries:
            raise DatasetUnusable(self.root, _nothing(self._refusals))
        return Index(tuple(self._entries.values()), tuple(self._refusals))


def read_json(path: Path) -> Any:
    """Return the content of a JSON file that a data set cannot do without.

    Raises:
        DatasetUnusable: it is missing or no JSON.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DatasetUnusable(path, f"cannot be read: {error}") from error


def read_table(path: Path) -> Mapping[str, Mapping[str, Any]]:
    """Return a JSON file that maps names to properties.

    Raises:
        DatasetUnusable: it is missing, no JSON, or of another shape.
    """
    table = read_json(path)
    if not isinstance(table, dict) or not all(isinstance(row, dict) for row in table.values()):
        raise DatasetUnusable(path, "expected a JSON object of objects, one per video")
    return table


def read_lines(path: Path) -> tuple[str, ...]:
    """Return the lines of a text file that say something.

    Raises:
        DatasetUnusable: it cannot be read.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, ValueError) as error:
        raise DatasetUnusable(path, f"cannot be read: {error}") from error
    return tuple(line.strip() for line in lines if line.strip())


def _nothing(refusals: Iterable[Refusal]) -> str:
    first = next(iter(refusals), None)
    return "no video found" if first is None else f"no video found; {first.file}: {first.reason}"
