"""FaceForensics++, with FaceShifter and DeepFakeDetection, in the layout of its download script.

    original_sequences/{youtube,actors}/{raw,c23,c40}/videos/*.mp4
    manipulated_sequences/<method>/{raw,c23,c40}/videos/*.mp4
    splits/{train,val,test}.json       pairs of ids, from the authors' repository

A fake `000_003` shows the face of 003 in the video 000. The official splits are pairs of ids, and
all that is made of a pair stays together. The script calls quality c0 `raw`; older ones `c0`.
DeepFakeDetection has no official split: its split is empty, and whoever trains on it holds actors
out.

Source: Rössler et al., ICCV 2019; FaceShifter: Li et al., CVPR 2020; DeepFakeDetection: Dufour and
Gully, 2019.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from styleflow.data.datasets.gathering import STRANGE_NAME, UNLISTED, Gathering, read_json
from styleflow.data.index import FAKE, REAL, Entry, Index
from styleflow.errors import DatasetUnusable

QUALITIES = ("c0", "c23", "c40")
METHODS = ("Deepfakes", "Face2Face", "FaceSwap", "NeuralTextures")
"""The four methods that papers train on."""

SPLITS = ("train", "val", "test")

_KINDS = {
    "Deepfakes": "face_swap",
    "FaceSwap": "face_swap",
    "FaceShifter": "face_swap",
    "DeepFakeDetection": "face_swap",
    "Face2Face": "reenactment",
    "NeuralTextures": "reenactment",
}
_ACTOR = re.compile(r"(?P<actor>\d+)__(?P<scene>.+)")
_SWAPPED = re.compile(r"(?P<target>\d+)_(?P<source>\d+)__(?P<scene>.+)__(?P<code>[A-Z0-9]+)")


def read(root: Path, quality: str, methods: Sequence[str] = METHODS) -> Index:
    """Return the index of some methods and the originals that they are made from.

    Args:
        root: folder with `original_sequences`, `manipulated_sequences` and `splits`.
        quality: c0, c23 or c40.
        methods: folders below `manipulated_sequences`; none for the originals alone.

    Raises:
        DatasetUnusable: there are no split files, or no video at all.
    """
    splits = OfficialSplits.read(root)
    gathering = Gathering(root)
    originals = _videos(root / "original_sequences" / "youtube", quality)
    for split, one, other in splits.pairs:
        for name in (one, other):
            gathering.add(
                Entry(
                    originals / f"{name}.mp4",
                    split,
                    REAL,
                    splits.group(name),
                    source="FaceForensics++",
                    pair=name,
                )
            )
    for path in gathering.videos_in(originals):
        if path.stem not in splits:
            gathering.refuse(path, UNLISTED)
    for method in methods:
        _gather_method(gathering, _videos(root / "manipulated_sequences" / method, quality), splits)
    return gathering.index()


def read_deep_fake_detection(root: Path, quality: str) -> Index:
    """Return the index of DeepFakeDetection: paid actors, and their faces swapped.

    Raises:
        DatasetUnusable: there is no video at all.
    """
    gathering = Gathering(root)
    for path in gathering.videos_in(_videos(root / "original_sequences" / "actors", quality)):
        name = _ACTOR.fullmatch(path.stem)
        if name is None:
            gathering.refuse(path, STRANGE_NAME)
        else:
            gathering.add(
                Entry(path, "", REAL, f"actor{name['actor']}", source="DFD", pair=path.stem)
            )
    swapped = _videos(root / "manipulated_sequences" / "DeepFakeDetection", quality)
    for path in gathering.videos_in(swapped):
        name = _SWAPPED.fullmatch(path.stem)
        if name is None:
            gathering.refuse(path, STRANGE_NAME)
            continue
        original = f"{name['target']}__{name['scene']}"
        gathering.add(
            Entry(
                path,
                "",
                FAKE,
                f"actor{name['target']}",
                "face_swap",
                "DeepFakeDetection",
                "DFD",
                original,
            )
        )
    return gathering.index()


@dataclass(frozen=True, slots=True)
class OfficialSplits:
    """Which pairs of ids belong to which split.

    Attributes:
        pairs: split and the two ids of every pair, in the files' order.
        places: split and group of every id.
    """

    pairs: tuple[tuple[str, str, str], ...]
    places: dict[str, tuple[str, str]]

    @classmethod
    def read(cls, root: Path) -> OfficialSplits:
        """Read `train.json`, `val.json` and `test.json` from `splits/` or from the root itself.

        Raises:
            DatasetUnusable: one is missing, is not a list of pairs, or names an id again.
        """
        folder = root / "splits" if (root / "splits").is_dir() else root
        pairs: list[tuple[str, str, str]] = []
        places: dict[str, tuple[str, str]] = {}
        for split in SPLITS:
            path = folder / f"{split}.json"
            for one, other in _checked_pairs(read_json(path), path):
                group = "_".join(sorted((one, other)))
                pairs.append((split, one, other))
                for name in (one, other):
                    if name in places:
                        raise DatasetUnusable(path, f"id {name} is in {places[name][0]} already")
                    places[name] = (split, group)
        return cls(tuple(pairs), places)

    def __contains__(self, name: str) -> bool:
        return name in self.places

    def split(self, name: str) -> str:
        """Return the split of an id."""
        return self.places[name][0]

    def group(self, name: str) -> str:
        """Return the pair of an id, whose videos stay together."""
        return self.places[name][1]


def _gather_method(gathering: Gathering, folder: Path, splits: OfficialSplits) -> None:
    method = folder.parents[1].name
    found = {path.stem: path for path in gathering.videos_in(folder)}
    if not folder.is_dir():
        return  # refused once, as a folder
    for split, one, other in splits.pairs:
        for target, source in ((one, other), (other, one)):
            path = found.pop(f"{target}_{source}", folder / f"{target}_{source}.mp4")
            gathering.add(
                Entry(
                    path,
                    split,
                    FAKE,
                    splits.group(target),
                    _KINDS.get(method, "face_swap"),
                    method,
                    "FaceForensics++",
                    target,
                )
            )
    for path in found.values():
        gathering.refuse(path, UNLISTED)


def _videos(sequences: Path, quality: str) -> Path:
    """Return the folder of one quality; c0 is called raw unless only c0 is there."""
    if quality == "c0" and not (sequences / "c0").is_dir():
        quality = "raw"
    return sequences / quality / "videos"


def _checked_pairs(content: object, path: Path) -> list[tuple[str, str]]:
    if not isinstance(content, list) or not all(
        isinstance(pair, list) and len(pair) == 2 for pair in content
    ):
        raise DatasetUnusable(path, 'expected a list of pairs such as ["071", "054"]')
    return [(str(one), str(other)) for one, other in content]
