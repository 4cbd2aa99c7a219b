"""DeeperForensics-1.0 on a miniature tree in the real layout."""

import pytest

from styleflow.data.datasets import deeperforensics
from styleflow.data.index import FAKE
from styleflow.errors import DatasetUnusable
from tests.support.trees import tree

LISTS = {"train": "000_M101.mp4\n001_W021.mp4\n", "val": "002_M004.mp4\n", "test": "003_W133.mp4\n"}


@pytest.fixture
def root(tmp_path):
    for variant in ("end_to_end", "end_to_end_level_3"):
        folder = f"manipulated_videos/{variant}"
        tree(tmp_path, *(f"{folder}/{n}" for text in LISTS.values() for n in text.split()))
    tree(tmp_path, "source_videos/M101/BlendShape/camera_front/M101_BlendShape_camera_front.mp4")
    splits = tmp_path / "lists" / "splits"
    splits.mkdir(parents=True)
    for split, text in LISTS.items():
        (splits / f"{split}.txt").write_text(text)
    return tmp_path


def test_only_undamaged_fakes_are_taken_and_none_of_the_actors_own_videos(root):
    index = deeperforensics.read(root)
    assert index.refusals == ()
    assert [(e.split, e.path.stem, e.pair) for e in index.entries] == [
        ("train", "000_M101", "000"),
        ("train", "001_W021", "001"),
        ("val", "002_M004", "002"),
        ("test", "003_W133", "003"),
    ]
    assert {e.label for e in index.entries} == {FAKE}


def test_variants_can_be_chosen(root):
    index = deeperforensics.read(root, ("end_to_end_level_3",))
    assert {e.generator for e in index.entries} == {"DF-VAE end_to_end_level_3"}


def test_what_lists_and_folders_do_not_share_is_named(root):
    folder = root / "manipulated_videos" / "end_to_end"
    (folder / "002_M004.mp4").unlink()
    tree(folder, "004_M101.mp4", "readme.mp4")
    assert {(r.file.split("/")[-1], r.reason) for r in deeperforensics.read(root).refusals} == {
        ("002_M004.mp4", "the file is missing"),
        ("004_M101.mp4", "no official split lists it"),
        ("readme.mp4", "its name is not of this data set"),
    }


def test_a_fake_in_two_splits_is_an_error(root):
    (root / "lists" / "splits" / "test.txt").write_text("000_M101.mp4\n")
    with pytest.raises(DatasetUnusable, match="000_M101 is in train"):
        deeperforensics.read(root)
