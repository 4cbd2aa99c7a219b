"""Index of a data set: one entry per video, with its label and who is in it.

Reading an index looks at no pixels. What is wrong with a row is kept beside the entries, named and
counted, so that nothing is skipped in silence.
"""

from __future__ import annotations

import csv
import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

REAL, FAKE = 0, 1

_LABELS = {"real": REAL, "fake": FAKE}


@dataclass(frozen=True, slots=True)
class Entry:
    """One video of a data set.

    Attributes:
        path: the file.
        split: which part of the data set it belongs to, in the data set's own words.
        label: 0 real, 1 fake.
        group: whoever must stay together: one person, one base video.
        kind: kind of manipulation; empty for real ones.
        generator: what made it; empty for real ones.
        source: where it was gathered.
        pair: joins a fake to the real video that it was made from; empty without one.
    """

    path: Path
    split: str
    label: int
    group: str
    kind: str = ""
    generator: str = ""
    source: str = ""
    pair: str = ""


@dataclass(frozen=True, slots=True)
class Refusal:
    """One row or file that is no entry, and why.

    Attributes:
        row: where it stands in a list; 0 when the data set is a folder.
        file: which one, relative to the data set's folder.
        reason: what is wrong, in words that can be counted.
        detail: what is wrong with this one in particular.
    """

    row: int
    file: str
    reason: str
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Index:
    """A data set: what it holds, and what was refused."""

    entries: tuple[Entry, ...]
    refusals: tuple[Refusal, ...] = ()

    def of(self, *splits: str) -> tuple[Entry, ...]:
        """Return the entries of some splits, in the index's order."""
        return tuple(entry for entry in self.entries if entry.split in splits)

    def reasons(self) -> Mapping[str, int]:
        """Return how many refusals there are for each reason, the most frequent first."""
        return dict(Counter(refusal.reason for refusal in self.refusals).most_common())


def merged(indexes: Iterable[Index]) -> Index:
    """Return several indexes as one, in order."""
    known = tuple(indexes)
    return Index(
        tuple(entry for index in known for entry in index.entries),
        tuple(refusal for index in known for refusal in index.refusals),
    )


def digest_of(index: Index, folder: Path) -> str:
    """Return the sha256, hexadecimal, of what an index says of its videos, wherever they lie.

    Args:
        index: of any data set.
        folder: videos below it are named from there.
    """
    rows = [
        (
            path.relative_to(folder).as_posix() if path.is_relative_to(folder) else path.name,
            *(said for name, said in asdict(entry).items() if name != "path"),
        )
        for entry in index.entries
        for path in (entry.path,)
    ]
    return hashlib.sha256(json.dumps(sorted(rows)).encode()).hexdigest()


def read_manifest(manifest: Path) -> Index:
    """Read a `manifest.csv`: columns `file`, `split`, `label` and, as far as known, the others.

    Args:
        manifest: the CSV file; `file` is relative to its folder.

    Raises:
        OSError: the manifest cannot be read.
    """
    entries: list[Entry] = []
    refusals: list[Refusal] = []
    with manifest.open(newline="", encoding="utf-8") as file:
        for number, row in enumerate(csv.DictReader(file), start=2):
            reason = _problem(manifest.parent, row)
            if reason:
                refusals.append(Refusal(number, row.get("file") or "", reason))
            else:
                entries.append(_entry(manifest.parent, row))
    return Index(tuple(entries), tuple(refusals))


def groups_of(entries: Iterable[Entry]) -> tuple[str, ...]:
    """Return the groups of entries, sorted, each once."""
    return tuple(sorted({entry.group for entry in entries}))


def _problem(folder: Path, row: dict[str, str]) -> str:
    if not row.get("file"):
        return "no file is named"
    if row.get("label") not in _LABELS:
        return f"label {row.get('label')!r} is neither real nor fake"
    if not (folder / row["file"]).is_file():
        return "the file is missing"
    return ""


def _entry(folder: Path, row: dict[str, str]) -> Entry:
    return Entry(
        path=folder / row["file"],
        split=row.get("split") or "",
        label=_LABELS[row["label"]],
        group=row.get("group") or row["file"],
        kind=row.get("kind") or "",
        generator=row.get("generator") or "",
        source=row.get("source_repo") or "",
        pair=row.get("pair_id") or "",
    )
