"""FaceForensics++ and what is laid out like it, on a miniature tree in the real layout."""

import json

import pytest

from styleflow.data.datasets import faceforensics
from styleflow.data.index import FAKE, REAL
from styleflow.errors import DatasetUnusable
from tests.support.trees import tree

PAIRS = {"train": [["071", "054"]], "val": [["720", "672"]], "test": [["953", "974"]]}


@pytest.fixture
def root(tmp_path):
    names = [name for pairs in PAIRS.values() for pair in pairs for name in pair]
    tree(tmp_path, *(f"original_sequences/youtube/c23/videos/{name}.mp4" for name in names))
    for method in ("Deepfakes", "FaceShifter"):
        swaps = [s for pairs in PAIRS.values() for a, b in pairs for s in (f"{a}_{b}", f"{b}_{a}")]
        tree(tmp_path, *(f"manipulated_sequences/{method}/c23/videos/{s}.mp4" for s in swaps))
    (tmp_path / "splits").mkdir()
    for split, pairs in PAIRS.items():
        (tmp_path / "splits" / f"{split}.json").write_text(json.dumps(pairs))
    return tmp_path


def test_originals_and_fakes_lie_in_the_official_splits(root):
    index = faceforensics.read(root, "c23", ("Deepfakes",))
    assert index.refusals == ()
    assert len(index.of("train")) == len(index.of("val")) == len(index.of("test")) == 4
    reals = [e for e in index.of("train") if e.label == REAL]
    fakes = [e for e in index.of("train") if e.label == FAKE]
    assert [e.path.name for e in reals] == ["071.mp4", "054.mp4"]
    assert [(e.path.name, e.pair) for e in fakes] == [
        ("071_054.mp4", "071"),
        ("054_071.mp4", "054"),
    ]
    assert {e.group for e in (*reals, *fakes)} == {"054_071"}
    assert {(e.kind, e.generator) for e in fakes} == {("face_swap", "Deepfakes")}


def test_methods_that_are_not_there_are_refused_once_each(root):
    index = faceforensics.read(root, "c23")
    assert dict(index.reasons()) == {"the folder is missing": 3}
    assert index.refusals[0].file == "manipulated_sequences/Face2Face/c23/videos"


def test_a_video_that_is_missing_or_in_no_split_is_named(root):
    videos = root / "manipulated_sequences" / "Deepfakes" / "c23" / "videos"
    (videos / "071_054.mp4").unlink()
    tree(videos, "001_002.mp4")
    tree(root, "original_sequences/youtube/c23/videos/999.mp4")
    index = faceforensics.read(root, "c23", ("Deepfakes",))
    assert {(r.file.split("/")[-1], r.reason) for r in index.refusals} == {
        ("071_054.mp4", "the file is missing"),
        ("001_002.mp4", "no official split lists it"),
        ("999.mp4", "no official split lists it"),
    }


def test_the_best_quality_is_in_raw_or_in_c0(root):
    youtube = root / "original_sequences" / "youtube"
    (youtube / "c23").rename(youtube / "raw")
    assert len(faceforensics.read(root, "c0", ()).entries) == 6
    (youtube / "raw").rename(youtube / "c0")
    assert len(faceforensics.read(root, "c0", ()).entries) == 6


def test_splits_may_lie_beside_the_videos(root):
    for path in list((root / "splits").iterdir()):
        path.rename(root / path.name)
    (root / "splits").rmdir()
    assert len(faceforensics.read(root, "c23", ("FaceShifter",)).entries) == 12


@pytest.mark.parametrize(
    ("content", "said"),
    [("[", "cannot be read"), ('["071"]', "list of pairs"), ('[["071", "1"]]', "071 is in train")],
)
def test_splits_that_cannot_be_trusted_are_an_error(root, content, said):
    (root / "splits" / "val.json").write_text(content)
    with pytest.raises(DatasetUnusable, match=said):
        faceforensics.read(root, "c23", ("Deepfakes",))


def test_a_folder_with_nothing_of_it_is_an_error_that_says_what_was_sought(root):
    with pytest.raises(DatasetUnusable, match=r"no video found.*c40.*missing"):
        faceforensics.read(root, "c40")


def test_actors_of_deep_fake_detection_stay_together(tmp_path):
    tree(
        tmp_path,
        "original_sequences/actors/c23/videos/01__exit_phone_room.mp4",
        "original_sequences/actors/c23/videos/notes.mp4",
        "manipulated_sequences/DeepFakeDetection/c23/videos/01_02__exit_phone_room__YVGY8LOK.mp4",
        "manipulated_sequences/DeepFakeDetection/c23/videos/01_02.mp4",
    )
    index = faceforensics.read_deep_fake_detection(tmp_path, "c23")
    real, fake = index.entries
    assert (real.label, fake.label) == (REAL, FAKE)
    assert real.group == fake.group == "actor01"
    assert real.pair == fake.pair == "01__exit_phone_room"
    assert index.reasons() == {"its name is not of this data set": 2}
