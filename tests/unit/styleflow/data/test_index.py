"""Promises of data set indexes."""

from styleflow.data.index import (
    FAKE,
    REAL,
    groups_of,
    read_manifest,
)

HEADER = "file,split,label,kind,generator,pair_id,group,source_repo\n"


def _manifest(folder, *rows):
    for name in ("a.mp4", "b.mp4"):
        (folder / name).write_bytes(b"")
    path = folder / "manifest.csv"
    path.write_text(HEADER + "".join(row + "\n" for row in rows))
    return path


def test_a_row_becomes_an_entry(tmp_path):
    index = read_manifest(
        _manifest(
            tmp_path,
            "a.mp4,train,real,,,p1,anna,repo",
            "b.mp4,dev,fake,swap,Maker,p1,bert,repo",
        )
    )
    real, fake = index.entries
    assert (real.label, real.split, real.group, real.pair) == (REAL, "train", "anna", "p1")
    assert (fake.label, fake.kind, fake.generator, fake.source) == (FAKE, "swap", "Maker", "repo")
    assert real.path == tmp_path / "a.mp4"
    assert index.of("dev") == (fake,)
    assert groups_of(index.entries) == ("anna", "bert")
    assert index.refusals == ()


def test_what_is_wrong_with_a_row_is_named_and_counted(tmp_path):
    index = read_manifest(
        _manifest(
            tmp_path,
            "a.mp4,train,real,,,,anna,",
            "gone.mp4,train,real,,,,anna,",
            "b.mp4,train,maybe,,,,anna,",
            ",train,real,,,,anna,",
        )
    )
    assert len(index.entries) == 1
    assert [(r.row, r.file) for r in index.refusals] == [(3, "gone.mp4"), (4, "b.mp4"), (5, "")]
    assert [r.reason for r in index.refusals] == [
        "the file is missing",
        "label 'maybe' is neither real nor fake",
        "no file is named",
    ]


def test_columns_that_are_not_there_are_empty(tmp_path):
    (tmp_path / "a.mp4").write_bytes(b"")
    path = tmp_path / "manifest.csv"
    path.write_text("file,label\na.mp4,fake\n")
    (entry,) = read_manifest(path).entries
    assert (entry.split, entry.kind, entry.pair, entry.group) == ("", "", "", "a.mp4")
