"""Nobody who validates is trained on, and nothing that measures is touched."""

from pathlib import Path

from styleflow.data.index import REAL, Entry, Index
from styleflow.data.partition import partition


def _entry(name, split, group):
    return Entry(Path(f"{name}.mp4"), split, REAL, group)


def _names(entries):
    return [entry.path.stem for entry in entries]


def test_official_parts_are_kept_and_tests_left_alone():
    index = Index((_entry("a", "train", "x"), _entry("b", "val", "y"), _entry("c", "test", "z")))
    parts = partition(index)
    assert (_names(parts.training), _names(parts.validation)) == (["a"], ["b"])
    assert parts.refusals == ()


def test_a_group_on_both_sides_is_not_trained_on_and_named():
    index = Index((_entry("a", "train", "x"), _entry("b", "val", "x"), _entry("c", "train", "y")))
    parts = partition(index)
    assert _names(parts.training) == ["c"]
    assert [(r.file, r.detail) for r in parts.refusals] == [("a.mp4", "x")]


def test_people_that_a_recipe_holds_out_validate():
    index = Index(tuple(_entry(n, "train_real", n) for n in "abc"))
    parts = partition(index, held_out=("b",))
    assert (_names(parts.training), _names(parts.validation)) == (["a", "c"], ["b"])
    assert parts.refusals == ()


def test_without_a_validation_part_a_tenth_of_the_groups_is_held_out_always_the_same():
    entries = [_entry(f"{g}{n}", "", f"g{g}") for g in range(40) for n in range(2)]
    parts = partition(Index(tuple(entries)))
    groups = {e.group for e in parts.validation}
    assert len(groups) == 4
    assert not groups & {e.group for e in parts.training}
    assert len(parts.training) + len(parts.validation) == len(entries)
    again = partition(Index(tuple(reversed(entries))))
    assert {e.group for e in again.validation} == groups


def test_a_single_group_is_trained_on():
    parts = partition(Index((_entry("a", "train", "x"),)))
    assert _names(parts.training) == ["a"]
    assert parts.validation == ()


def test_a_split_that_nobody_knows_is_refused():
    parts = partition(Index((_entry("a", "train", "x"), _entry("b", "hidden", "y"))))
    assert [(r.file, r.detail) for r in parts.refusals] == [("b.mp4", "hidden")]
