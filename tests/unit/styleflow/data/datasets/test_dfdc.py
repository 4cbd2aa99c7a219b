"""The challenge and its preview on miniature trees in the real layout."""

import json

import pytest

from styleflow.data.datasets import dfdc
from styleflow.data.index import FAKE, REAL
from styleflow.errors import DatasetUnusable
from tests.support.trees import tree


@pytest.fixture(params=["", "train/"])
def challenge(request, tmp_path):
    part = f"{request.param}dfdc_train_part_0"
    tree(tmp_path, f"{part}/aaa.mp4", f"{part}/bbb.mp4", "test/ccc.mp4", "test/ddd.mp4")
    table = {
        "aaa.mp4": {"label": "FAKE", "split": "train", "original": "bbb.mp4"},
        "bbb.mp4": {"label": "REAL", "split": "train", "original": None},
    }
    (tmp_path / part / "metadata.json").write_text(json.dumps(table))
    (tmp_path / "test" / "labels.csv").write_text("filename,label\nccc.mp4,1\nddd.mp4,0\n")
    return tmp_path, tmp_path / part


def test_parts_are_for_training_and_labels_for_testing(challenge):
    index = dfdc.read(challenge[0])
    assert index.refusals == ()
    assert [(e.path.name, e.label) for e in index.of("train")] == [
        ("aaa.mp4", FAKE),
        ("bbb.mp4", REAL),
    ]
    assert [(e.path.name, e.label) for e in index.of("test")] == [
        ("ccc.mp4", FAKE),
        ("ddd.mp4", REAL),
    ]
    fake, real = index.of("train")
    assert fake.pair == fake.group == real.pair == real.group == "bbb"


def test_rows_that_make_no_sense_are_named(challenge):
    root, part = challenge
    tree(part, "odd.mp4")
    table = {
        "aaa.mp4": {"label": "MAYBE", "split": "train"},
        "bbb.mp4": {"label": "REAL", "split": "holiday"},
        "gone.mp4": {"label": "REAL", "split": "train"},
    }
    (part / "metadata.json").write_text(json.dumps(table))
    assert dfdc.read(root).reasons() == {
        "its label is neither real nor fake": 1,
        "its split is not one of this data set": 1,
        "the file is missing": 1,
        "no official split lists it": 1,
    }


@pytest.mark.parametrize("content", ["", "[]", '{"a.mp4": 1}'])
def test_metadata_that_is_none_is_an_error(challenge, content):
    (challenge[1] / "metadata.json").write_text(content)
    with pytest.raises(DatasetUnusable, match=r"metadata\.json"):
        dfdc.read(challenge[0])


def test_the_preview_names_people_and_splits(tmp_path):
    table = {
        "original_videos/961202/961202_A_001.mp4": {"label": "real", "set": "train"},
        "method_A/961202/961202_1224068_A_001.mp4": {
            "label": "fake",
            "set": "test",
            "target_id": 961202,
        },
        "method_B/1/1_2_A_001.mp4": {"label": "fake", "set": "spare"},
        "method_B/1/1_2_A_002.mp4": {"label": "?", "set": "train"},
        "method_B/1/1_2_A_003.mp4": {"label": "fake", "set": "train"},
    }
    tree(tmp_path, *list(table)[:2])
    (tmp_path / "dataset.json").write_text(json.dumps(table))
    index = dfdc.read_preview(tmp_path)
    real, fake = index.entries
    assert (real.label, real.split, real.group) == (REAL, "train", "961202")
    assert (fake.label, fake.split, fake.group) == (FAKE, "test", "961202")
    assert fake.generator == "method_A"
    assert index.reasons() == {
        "its split is not one of this data set": 1,
        "its label is neither real nor fake": 1,
        "the file is missing": 1,
    }
