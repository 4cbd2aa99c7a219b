"""What is kept of a clip, and the folder that keeps it."""

import csv
import json

import pytest

from styleflow.data.index import Entry
from styleflow.errors import ResultsUnusable
from styleflow.evaluation.record import Ledger, describe
from tests.support.records import rating, record

SUBJECT = {"detector": "toy", "sha256": "ab"}


def test_a_clip_that_ends_early_gets_the_mean_of_what_was_seen() -> None:
    clip = record("a.mp4", 1, 0.9, ratings=[rating(1.0, 2.0), rating(2.0, 4.0), rating(3.0, 9.0)])
    assert clip.logit(2.0) == 3.0
    assert clip.logit() == 5.0
    assert clip.logit(0.5) is None


def test_ratings_without_evidence_count_only_when_forced() -> None:
    blurred = rating(1.0, 8.0, reasons=("blurred",))
    clip = record("a.mp4", 1, 0.9, ratings=[blurred, rating(2.0, 2.0)])
    assert clip.logit() == 2.0
    assert clip.logit(forced=True) == 5.0
    assert clip.abstained == 0.5


def test_untrained_ratings_still_are_what_the_clip_is_ranked_by() -> None:
    clip = record("a.mp4", 1, 0.9, ratings=[rating(1.0, 2.0, reasons=("untrained",))])
    assert clip.logit() == 2.0


def test_the_face_that_leans_most_to_fake_speaks_for_the_clip() -> None:
    faces = [rating(1.0, -1.0, track=1), rating(1.0, 3.0, track=2), rating(2.0, 1.0, track=2)]
    assert record("a.mp4", 1, 0.9, ratings=faces).logit() == 2.0


def test_a_pause_in_a_suspicion_is_no_second_alarm() -> None:
    """The engine shows pending while it abstains, whatever it holds underneath."""
    told = ["pending", "suspect", "pending", "suspect", "clear", "suspect"]
    ratings = [rating(float(n), 1.0, verdict=v) for n, v in enumerate(told)]
    clip = record("a.mp4", 0, 0.9, ratings=ratings)
    assert clip.alarms == 2
    assert clip.first("suspect") == 1.0
    assert clip.first("clear") == 4.0
    assert record("a.mp4", 0, 0.9).first("suspect") is None


def test_results_survive_an_interruption(tmp_path) -> None:
    """The line that was cut short is done again; the whole ones are not."""
    first, second = record("a.mp4", 0, 0.2), record("b.mp4", 1, None)
    ledger = Ledger(tmp_path, SUBJECT)
    ledger.add(first)
    ledger.add(second)
    file = tmp_path / "records.jsonl"
    file.write_text(file.read_text()[:-20])
    again = Ledger(tmp_path, SUBJECT)
    assert again.records == {("a.mp4", "as it is"): first}
    again.add(second)
    assert list(Ledger(tmp_path, SUBJECT).records.values()) == [first, second]


def test_the_table_has_a_row_per_clip_and_nothing_for_what_is_not_known(tmp_path) -> None:
    ledger = Ledger(tmp_path, SUBJECT)
    ledger.add(record("a.mp4", 0, 0.25))
    ledger.add(record("b.mp4", 1, None))
    with (tmp_path / "clips.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["clip"] for row in rows] == ["a.mp4", "b.mp4"]
    assert (rows[0]["score"], rows[1]["score"]) == ("0.25", "")
    assert rows[1]["problem"] == "no evidence: warming"
    assert (rows[0]["ratings"], rows[1]["ratings"]) == ("10", "0")


def test_results_of_other_weights_are_not_mixed_in(tmp_path) -> None:
    Ledger(tmp_path, SUBJECT).add(record("a.mp4", 0, 0.2))
    with pytest.raises(ResultsUnusable, match=r"sha256 'ab'.*--out"):
        Ledger(tmp_path, SUBJECT | {"sha256": "cd"})


@pytest.mark.parametrize("line", ["no json", "[]", json.dumps({"clip": "a.mp4"})])
def test_a_damaged_line_is_named_and_not_skipped(tmp_path, line) -> None:
    Ledger(tmp_path, SUBJECT)
    with (tmp_path / "records.jsonl").open("a") as file:
        file.write(line + "\n")
    with pytest.raises(ResultsUnusable, match="damaged"):
        Ledger(tmp_path, SUBJECT)


def test_a_damaged_head_is_refused(tmp_path) -> None:
    (tmp_path / "records.jsonl").write_text("what\n")
    with pytest.raises(ResultsUnusable, match="first line"):
        Ledger(tmp_path, SUBJECT)


def test_clips_are_named_from_their_manifest(tmp_path) -> None:
    entry = Entry(tmp_path / "dev" / "a.mp4", "dev", 1, "anna", pair="p1")
    said = describe(entry, tmp_path)
    assert (said["clip"], said["group"], said["pair"]) == ("dev/a.mp4", "anna", "p1")
    assert describe(entry, tmp_path / "elsewhere")["clip"] == entry.path.as_posix()
