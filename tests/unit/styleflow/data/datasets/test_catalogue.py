"""Data sets are opened by name, and what goes wrong says what to write instead."""

import pytest

from styleflow.data.datasets.catalogue import DATASETS, open_dataset
from styleflow.errors import DatasetUnknown, DatasetUnusable
from tests.support.trees import tree


def test_a_data_set_is_opened_by_name_and_folder(tmp_path):
    tree(tmp_path, "Celeb-real/id0_0000.mp4", "Celeb-synthesis/id0_id1_0000.mp4")
    tree(tmp_path, "YouTube-real/00000.mp4")
    (tmp_path / "List_of_testing_videos.txt").write_text("")
    assert len(open_dataset(f"celeb-df-v2={tmp_path}").entries) == 3


def test_a_manifest_is_opened_by_its_path_or_its_folder(tmp_path):
    tree(tmp_path / "a=b", "one.mp4")
    manifest = tmp_path / "a=b" / "manifest.csv"
    manifest.write_text("file,split,label\none.mp4,train,real\n")
    assert open_dataset(str(manifest)) == open_dataset(str(manifest.parent))
    assert len(open_dataset(str(manifest)).entries) == 1


def test_a_name_that_does_not_exist_lists_those_that_do(tmp_path):
    with pytest.raises(DatasetUnknown, match="celeb-df-v2"):
        open_dataset(f"celebdf={tmp_path}")


@pytest.mark.parametrize("name", DATASETS)
def test_a_folder_that_is_not_there_or_empty_is_said(name, tmp_path):
    with pytest.raises(DatasetUnusable, match="no folder"):
        open_dataset(f"{name}={tmp_path / 'none'}")
    with pytest.raises(DatasetUnusable):
        open_dataset(f"{name}={tmp_path}")


def test_a_folder_without_a_manifest_says_how_to_name_a_data_set(tmp_path):
    with pytest.raises(DatasetUnusable, match="NAME=FOLDER"):
        open_dataset(str(tmp_path))
