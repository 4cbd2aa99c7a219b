"""Celeb-DF on a miniature tree in the real layout."""

import pytest

from styleflow.data.datasets import celeb_df
from styleflow.data.index import FAKE, REAL
from styleflow.errors import DatasetUnusable
from tests.support.trees import tree


@pytest.fixture
def root(tmp_path):
    tree(
        tmp_path,
        "Celeb-real/id0_0000.mp4",
        "Celeb-real/id1_0003.mp4",
        "Celeb-synthesis/id0_id1_0000.mp4",
        "Celeb-synthesis/id1_id0_0003.mp4",
        "YouTube-real/00170.mp4",
    )
    _listing(tmp_path, "1 YouTube-real/00170.mp4", "0 Celeb-synthesis/id1_id0_0003.mp4")
    return tmp_path


def _listing(root, *lines):
    (root / "List_of_testing_videos.txt").write_text("\n".join(lines) + "\n")


def test_what_is_not_listed_for_testing_is_for_training(root):
    index = celeb_df.read(root)
    assert index.refusals == ()
    assert {(e.path.name, e.label) for e in index.of("test")} == {
        ("00170.mp4", REAL),
        ("id1_id0_0003.mp4", FAKE),
    }
    assert {(e.path.name, e.label) for e in index.of("train")} == {
        ("id0_0000.mp4", REAL),
        ("id1_0003.mp4", REAL),
        ("id0_id1_0000.mp4", FAKE),
    }


def test_a_fake_is_paired_with_the_video_it_was_made_from(root):
    (fake,) = (e for e in celeb_df.read(root).of("train") if e.label == FAKE)
    (real,) = (e for e in celeb_df.read(root).entries if e.path.name == "id0_0000.mp4")
    assert (fake.pair, fake.group) == (real.pair, real.group) == ("id0_0000", "id0")


def test_what_the_list_says_wrongly_is_named(root):
    tree(root, "Celeb-real/holiday.mp4")
    _listing(
        root,
        "0 YouTube-real/00170.mp4",
        "1 Celeb-real/id9_0000.mp4",
        "? Celeb-real/id0_0000.mp4",
    )
    index = celeb_df.read(root)
    assert [(r.file, r.reason) for r in index.refusals] == [
        ("List_of_testing_videos.txt", "its label is neither real nor fake"),
        ("Celeb-real/holiday.mp4", "its name is not of this data set"),
        ("YouTube-real/00170.mp4", "its label is neither real nor fake"),
        ("Celeb-real/id9_0000.mp4", "the file is missing"),
    ]
    assert "found in YouTube-real" in index.refusals[2].detail


def test_without_the_list_nothing_can_be_said(root):
    (root / "List_of_testing_videos.txt").unlink()
    with pytest.raises(DatasetUnusable, match="List_of_testing"):
        celeb_df.read(root)
