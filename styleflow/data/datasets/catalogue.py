"""Every data set by name, and the one function that opens one.

A data set is written `NAME=FOLDER`, for example `celeb-df-v2=data/Celeb-DF-v2`. A `manifest.csv`,
or a folder with one, needs no name.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from styleflow.data.datasets import celeb_df, deeperforensics, dfdc, faceforensics
from styleflow.data.index import Index, read_manifest
from styleflow.errors import DatasetUnknown, DatasetUnusable

MANIFEST = "manifest.csv"


@dataclass(frozen=True, slots=True)
class Dataset:
    """One data set that can be indexed.

    Attributes:
        title: what it is called in papers.
        folder: what its folder holds.
        read: makes its index.
    """

    title: str
    folder: str
    read: Callable[[Path], Index]


def _of_each_quality() -> Mapping[str, Dataset]:
    sequences = "original_sequences, manipulated_sequences and splits"
    found: dict[str, Dataset] = {}
    for quality in faceforensics.QUALITIES:
        found[f"ffpp-{quality}"] = Dataset(
            f"FaceForensics++ {quality}, four methods",
            sequences,
            partial(faceforensics.read, quality=quality),
        )
        found[f"ffpp-originals-{quality}"] = Dataset(
            f"FaceForensics++ {quality}, originals only",
            sequences,
            partial(faceforensics.read, quality=quality, methods=()),
        )
        found[f"faceshifter-{quality}"] = Dataset(
            f"FaceShifter {quality}, as in FaceForensics++",
            sequences,
            partial(faceforensics.read, quality=quality, methods=("FaceShifter",)),
        )
        found[f"dfd-{quality}"] = Dataset(
            f"DeepFakeDetection {quality}",
            "original_sequences/actors and manipulated_sequences/DeepFakeDetection",
            partial(faceforensics.read_deep_fake_detection, quality=quality),
        )
    return found


_CELEBRITIES = "Celeb-real, Celeb-synthesis, YouTube-real and List_of_testing_videos.txt"

DATASETS: Mapping[str, Dataset] = {
    **_of_each_quality(),
    "celeb-df-v1": Dataset("Celeb-DF v1", _CELEBRITIES, celeb_df.read),
    "celeb-df-v2": Dataset("Celeb-DF v2", _CELEBRITIES, celeb_df.read),
    "dfdc": Dataset(
        "DFDC", "dfdc_train_part_* with metadata.json; test with labels.csv", dfdc.read
    ),
    "dfdc-preview": Dataset("DFDC preview", "dataset.json", dfdc.read_preview),
    "deeperforensics": Dataset(
        "DeeperForensics-1.0, fakes only; add ffpp-originals-c23",
        "manipulated_videos and lists/splits",
        deeperforensics.read,
    ),
}


@dataclass(frozen=True, slots=True)
class Place:
    """Where a data set is.

    Attributes:
        folder: where its files are; they are named from here.
        dataset: its name in `DATASETS`; None when a manifest lists it.
        manifest: that manifest; None when the data set has a name.
    """

    folder: Path
    dataset: str | None = None
    manifest: Path | None = None

    def read(self) -> Index:
        """Return the index of what is there.

        Raises:
            DatasetUnusable: the folder holds nothing of the data set.
        """
        if self.manifest is not None:
            return read_manifest(self.manifest)
        assert self.dataset is not None
        return DATASETS[self.dataset].read(self.folder)


def open_dataset(place: str) -> Index:
    """Return the index of a data set; `place_of` says how it is written.

    Raises:
        DatasetUnknown: no data set has the name.
        DatasetUnusable: the folder or manifest is not there, or holds nothing of the data set.
    """
    return place_of(place).read()


def place_of(place: str) -> Place:
    """Return where a data set is.

    Args:
        place: `NAME=FOLDER` with a name of `DATASETS`, or the path of a manifest or of its folder.

    Raises:
        DatasetUnknown: no data set has the name.
        DatasetUnusable: the folder or manifest is not there.
    """
    name, equals, folder = place.partition("=")
    if equals and not Path(place).exists():
        if name not in DATASETS:
            raise DatasetUnknown(name, ("manifest.csv", *DATASETS))
        if not Path(folder).is_dir():
            raise DatasetUnusable(Path(folder), f"is no folder; {DATASETS[name].folder} belong in")
        return Place(Path(folder), dataset=name)
    manifest = manifest_of(Path(place))
    return Place(manifest.parent, manifest=manifest)


def manifest_of(path: Path) -> Path:
    """Return a manifest that is named itself or by its folder.

    Raises:
        DatasetUnusable: there is none.
    """
    manifest = path / MANIFEST if path.is_dir() else path
    if not manifest.is_file():
        raise DatasetUnusable(
            path, f"holds no {MANIFEST}; write NAME=FOLDER for a data set: {', '.join(DATASETS)}"
        )
    return manifest
