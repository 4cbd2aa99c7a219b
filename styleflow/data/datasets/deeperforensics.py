"""DeeperForensics-1.0: actors' faces swapped into the originals of FaceForensics++.

    manipulated_videos/<variant>/000_M101.mp4     the face of actor M101 in the video 000
    lists/splits/{train,val,test}.txt             names of fakes

The originals are not part of it. They are FaceForensics++'s in quality c23, which the catalogue
lists as `ffpp-originals-c23`; fakes and originals are joined by their pair, the three-digit id.
Variants other than `end_to_end` and `reenact_postprocess` are the same fakes, damaged.

Source: Jiang et al., CVPR 2020.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from styleflow.data.datasets.gathering import MISSING, STRANGE_NAME, UNLISTED, Gathering, read_lines
from styleflow.data.index import FAKE, Entry, Index
from styleflow.errors import DatasetUnusable

VARIANTS = ("end_to_end",)
"""What papers measure on, undamaged."""

SPLITS = ("train", "val", "test")

_NAME = re.compile(r"(?P<target>\d{3})_(?P<actor>[MW]\d{3})")


def read(root: Path, variants: Sequence[str] = VARIANTS) -> Index:
    """Return the index of some variants; every entry is a fake.

    Args:
        root: folder with `manipulated_videos` and `lists`.
        variants: folders below `manipulated_videos`.

    Raises:
        DatasetUnusable: a list of a split is missing or contradicts another, or there is no video.
    """
    splits = _splits(root / "lists" / "splits")
    gathering = Gathering(root)
    for variant in variants:
        folder = root / "manipulated_videos" / variant
        left = dict(splits)
        for path in gathering.videos_in(folder):
            name, split = _NAME.fullmatch(path.stem), left.pop(path.stem, None)
            if name is None:
                gathering.refuse(path, STRANGE_NAME)
            elif split is None:
                gathering.refuse(path, UNLISTED)
            else:
                gathering.add(_entry(path, split, variant, name["target"]))
        if folder.is_dir():
            for stem in left:
                gathering.refuse(folder / f"{stem}.mp4", MISSING)
    return gathering.index()


def _splits(folder: Path) -> dict[str, str]:
    splits: dict[str, str] = {}
    for split in SPLITS:
        path = folder / f"{split}.txt"
        for line in read_lines(path):
            stem = Path(line).stem
            if splits.setdefault(stem, split) != split:
                raise DatasetUnusable(path, f"{stem} is in {splits[stem]} already")
    return splits


def _entry(path: Path, split: str, variant: str, target: str) -> Entry:
    return Entry(
        path, split, FAKE, target, "face_swap", f"DF-VAE {variant}", "DeeperForensics-1.0", target
    )
