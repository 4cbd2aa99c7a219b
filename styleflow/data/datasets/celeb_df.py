"""Celeb-DF, first and second version: celebrities, and their faces swapped.

    Celeb-real/id0_0000.mp4
    Celeb-synthesis/id0_id1_0000.mp4     made from Celeb-real/id0_0000.mp4
    YouTube-real/00000.mp4
    List_of_testing_videos.txt           lines such as `1 YouTube-real/00170.mp4`; 1 is real

What is not listed for testing is for training. People occur on both sides of the official split.

Source: Li et al., CVPR 2020.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from styleflow.data.datasets.gathering import (
    MISSING,
    STRANGE_LABEL,
    STRANGE_NAME,
    Gathering,
    read_lines,
)
from styleflow.data.index import FAKE, REAL, Entry, Index

LISTING = "List_of_testing_videos.txt"
FOLDERS: Mapping[str, int] = {"Celeb-real": REAL, "YouTube-real": REAL, "Celeb-synthesis": FAKE}

_CELEBRITY = re.compile(r"(?P<person>id\d+)_(?P<number>\d+)")
_SWAPPED = re.compile(r"(?P<target>id\d+)_(?P<source>id\d+)_(?P<number>\d+)")
_YOUTUBE = re.compile(r"\d+")


def read(root: Path) -> Index:
    """Return the index of a folder of Celeb-DF v1 or v2.

    Raises:
        DatasetUnusable: there is no list of testing videos, or no video at all.
    """
    gathering = Gathering(root)
    listed = _testing(root, gathering)
    for folder, label in FOLDERS.items():
        for path in gathering.videos_in(root / folder):
            claimed = listed.pop(path, None)
            if claimed is not None and claimed != label:
                gathering.refuse(path, STRANGE_LABEL, f"listed as {claimed}, found in {folder}")
                continue
            entry = _entry(path, folder, "train" if claimed is None else "test")
            if entry is None:
                gathering.refuse(path, STRANGE_NAME)
            else:
                gathering.add(entry)
    for path in listed:
        gathering.refuse(path, MISSING)
    return gathering.index()


def _testing(root: Path, gathering: Gathering) -> dict[Path, int]:
    """Return the videos listed for testing and what the list calls them: 0 real, 1 fake."""
    listed: dict[Path, int] = {}
    for line in read_lines(root / LISTING):
        label, _, name = line.partition(" ")
        if label not in ("0", "1"):
            gathering.refuse(root / LISTING, STRANGE_LABEL, line)
        else:
            listed[root / name.strip()] = REAL if label == "1" else FAKE  # the list says 1 for real
    return listed


def _entry(path: Path, folder: str, split: str) -> Entry | None:
    if folder == "YouTube-real":
        group = f"youtube{path.stem}"
        known = _YOUTUBE.fullmatch(path.stem)
        return known and Entry(path, split, REAL, group, source=folder, pair=group)
    if folder == "Celeb-real":
        name = _CELEBRITY.fullmatch(path.stem)
        return name and Entry(path, split, REAL, name["person"], source=folder, pair=path.stem)
    name = _SWAPPED.fullmatch(path.stem)
    return name and Entry(
        path,
        split,
        FAKE,
        name["target"],
        "face_swap",
        "Celeb-DF",
        folder,
        f"{name['target']}_{name['number']}",
    )
