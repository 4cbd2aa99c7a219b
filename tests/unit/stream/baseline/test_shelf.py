"""Baselines on disk."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from stream.baseline import shelf as shelves
from stream.baseline.errors import BaselinesFull, BaselineUnknown
from stream.baseline.shelf import BaselineShelf
from tests.support.baselines import baseline


def test_a_baseline_is_the_same_after_it_was_written(tmp_path: Path) -> None:
    BaselineShelf(tmp_path / "new").put(baseline())
    assert BaselineShelf(tmp_path / "new").get("lobby") == baseline()
    (file,) = (tmp_path / "new").iterdir()
    assert file.stat().st_size < 6000


def test_a_file_holds_figures_and_neither_pictures_nor_who_it_is(tmp_path: Path) -> None:
    BaselineShelf(tmp_path).put(baseline())
    (file,) = tmp_path.iterdir()
    statistics = json.loads(file.read_text())["statistics"]
    assert set(statistics) == {
        *("seconds", "faces", "trials", "effective", "mean", "deviation", "percentiles"),
        "conditions",
    }
    assert len(statistics["percentiles"]) == 101


def test_what_others_write_and_remove_is_seen(tmp_path: Path) -> None:
    here, there = BaselineShelf(tmp_path), BaselineShelf(tmp_path)
    assert here.all() == {}
    there.put(baseline())
    assert here.get("lobby").name == "Lobby"
    there.put(baseline(name="Hall"))
    assert here.get("lobby").name == "Hall"
    there.remove("lobby")
    with pytest.raises(BaselineUnknown, match="lobby"):
        here.get("lobby")
    with pytest.raises(BaselineUnknown):
        here.remove("lobby")


@pytest.mark.parametrize("stream", [".hidden", "..a", "a.b-c_d"])
def test_every_stream_s_id_makes_a_file_of_its_own(tmp_path: Path, stream: str) -> None:
    BaselineShelf(tmp_path).put(baseline(stream=stream))
    assert set(BaselineShelf(tmp_path).all()) == {stream}
    assert [file.parent for file in tmp_path.rglob("*.json")] == [tmp_path]


@pytest.mark.parametrize(
    "text",
    [
        "no JSON",
        "[]",
        '{"format": 2}',
        '{"format": 1, "stream": "lobby"}',
        "x" * (shelves.MAX_BYTES + 1),
    ],
)
def test_a_damaged_file_is_left_out_and_the_others_are_there(tmp_path: Path, text: str) -> None:
    shelf = BaselineShelf(tmp_path)
    shelf.put(baseline())
    (tmp_path / "stream-yard.baseline.json").write_text(text)
    assert set(shelf.all()) == {"lobby"}


def test_a_file_of_another_stream_is_not_believed(tmp_path: Path) -> None:
    shelf = BaselineShelf(tmp_path)
    shelf.put(baseline())
    os.rename(tmp_path / "stream-lobby.baseline.json", tmp_path / "stream-yard.baseline.json")
    assert shelf.all() == {}


def test_there_are_no_more_than_the_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shelves, "MAX_BASELINES", 2)
    shelf = BaselineShelf(tmp_path)
    shelf.put(baseline(stream="a"))
    shelf.put(baseline(stream="b"))
    shelf.put(baseline(stream="a"))  # takes the place of its own
    with pytest.raises(BaselinesFull):
        shelf.put(baseline(stream="c"))
