"""The DeepFake Detection Challenge, and its preview.

    dfdc:          [train/]dfdc_train_part_<n>/{metadata.json,*.mp4}
                   metadata: {"a.mp4": {"label": "FAKE", "split": "train", "original": "b.mp4"}}
                   {validation,test}/{labels.csv,*.mp4}      columns filename, label; 1 is fake
    dfdc-preview:  dataset.json                              the file's path is its key
                   {original_videos,method_A,method_B}/<person>/...mp4

The challenge says of a fake which video it was made from, but not who is in it: whoever was filmed
in one original stays together, and no more can be known. Its preview names people.

Source: Dolhansky et al., 2019 (preview) and 2020.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from styleflow.data.datasets.gathering import (
    STRANGE_LABEL,
    STRANGE_SPLIT,
    UNLISTED,
    Gathering,
    read_lines,
    read_table,
)
from styleflow.data.index import FAKE, REAL, Entry, Index

_LABELS = {"REAL": REAL, "FAKE": FAKE, "0": REAL, "1": FAKE}
_TESTING = ("validation", "test")


def read(root: Path) -> Index:
    """Return the index of the challenge: every part found, and validation and test where they are.

    Raises:
        DatasetUnusable: a part has no metadata, or there is no video at all.
    """
    gathering = Gathering(root)
    for part in _parts(root):
        _gather_part(gathering, part)
    for split in _TESTING:
        if (root / split).is_dir():
            _gather_labelled(gathering, root / split)
    return gathering.index()


def read_preview(root: Path) -> Index:
    """Return the index of the preview.

    Raises:
        DatasetUnusable: there is no `dataset.json`, or no video at all.
    """
    gathering = Gathering(root)
    for name, row in read_table(root / "dataset.json").items():
        label = _LABELS.get(str(row.get("label", "")).upper())
        split = str(row.get("set", ""))
        if label is None:
            gathering.refuse(root / name, STRANGE_LABEL, str(row.get("label")))
        elif split not in ("train", "test"):
            gathering.refuse(root / name, STRANGE_SPLIT, split)
        else:
            gathering.add(_preview_entry(root, name, row, label, split))
    return gathering.index()


def _parts(root: Path) -> list[Path]:
    folder = root / "train" if (root / "train").is_dir() else root
    parts = [p for p in folder.glob("dfdc_train_part_*") if p.is_dir()]
    return sorted(parts, key=lambda p: int("0" + "".join(filter(str.isdigit, p.name))))


def _gather_part(gathering: Gathering, part: Path) -> None:
    table = read_table(part / "metadata.json")
    for name, row in table.items():
        label = _LABELS.get(str(row.get("label", "")))
        if label is None:
            gathering.refuse(part / name, STRANGE_LABEL, str(row.get("label")))
            continue
        if row.get("split", "train") != "train":
            gathering.refuse(part / name, STRANGE_SPLIT, str(row.get("split")))
            continue
        original = Path(str(row.get("original") or name)).stem if label == FAKE else Path(name).stem
        gathering.add(_entry(part / name, "train", label, original))
    _refuse_unlisted(gathering, part, table)


def _gather_labelled(gathering: Gathering, folder: Path) -> None:
    """Gather a folder whose `labels.csv` names file and label."""
    lines = "\n".join(read_lines(folder / "labels.csv"))
    listed: dict[str, object] = {}
    for row in csv.DictReader(io.StringIO(lines)):
        name, label = row.get("filename") or "", _LABELS.get((row.get("label") or "").strip())
        listed[name] = row
        if label is None:
            gathering.refuse(folder / name, STRANGE_LABEL, str(row.get("label")))
        else:
            gathering.add(_entry(folder / name, folder.name, label, Path(name).stem))
    _refuse_unlisted(gathering, folder, listed)


def _refuse_unlisted(gathering: Gathering, folder: Path, listed: Mapping[str, object]) -> None:
    for path in gathering.videos_in(folder):
        if path.name not in listed:
            gathering.refuse(path, UNLISTED)


def _entry(path: Path, split: str, label: int, original: str) -> Entry:
    kind, generator = ("face_swap", "DFDC") if label == FAKE else ("", "")
    return Entry(path, split, label, original, kind, generator, "DFDC", original)


def _preview_entry(root: Path, name: str, row: Mapping[str, Any], label: int, split: str) -> Entry:
    parts = Path(name).parts
    person = str(row.get("target_id") or (parts[1] if len(parts) > 2 else Path(name).stem))
    # Which of a person's videos a fake was made from is not said, so nothing is paired.
    if label == REAL:
        return Entry(root / name, split, REAL, person, source="DFDC preview")
    return Entry(root / name, split, FAKE, person, "face_swap", parts[0], "DFDC preview")
