"""Known trials from an evaluation's ratings."""

from __future__ import annotations

import json
from dataclasses import asdict, replace

import pytest
from typer.testing import CliRunner

from cli.main import app
from styleflow.decisions import Horizon, QualityFigure, read_table
from styleflow.errors import DecisionTableUnusable, ResultsUnusable
from styleflow.evaluation.record import FORMAT, PLAIN, ClipRecord, Rating, read_records
from styleflow.evaluation.trials import first_trial, known_trials, qualities_of, steps_of

HOP_S = 0.5


def record(name: str, label: int, logit: float, count: int = 10, reasons=()) -> ClipRecord:
    ratings = tuple(
        Rating(1, HOP_S * (i + 1), i + 1, logit, 0.5, "pending", tuple(reasons))
        for i in range(count)
    )
    return ClipRecord(
        name, PLAIN, label, name, "", "", "made up", "", 5.0, 0.5, 0.4, 0.6, "clear", "", ratings
    )


def evaluation() -> list[ClipRecord]:
    reals = [record(f"r{i}", 0, float(i)) for i in range(12)]
    return reals + [record(f"f{i}", 1, float(i)) for i in range(12)]


def test_every_rating_that_counts_speaks_for_the_time_since_the_one_before():
    assert steps_of(record("a", 0, 1.0, count=3), HOP_S) == ((1.0, 0.5), (1.0, 0.5), (1.0, 0.5))
    assert steps_of(record("a", 0, 1.0, reasons=("dark",)), HOP_S) == ()


def test_time_without_evidence_counts_for_nobody():
    one = record("a", 0, 1.0, count=2)
    late = Rating(1, 60.0, 9, 1.0, 0.5, "pending")
    assert sum(s for _, s in steps_of(_with(one, late), HOP_S)) == pytest.approx(2.0)


def test_the_face_with_most_evidence_is_the_clip_s():
    one = record("a", 0, 1.0, count=5)
    passer_by = Rating(2, 0.5, 1, 9.0, 0.9, "pending")
    assert {x for x, _ in steps_of(_with(one, passer_by), HOP_S)} == {1.0}


def _with(one: ClipRecord, rating: Rating) -> ClipRecord:
    return ClipRecord(**{**_shallow(one), "ratings": (*one.ratings, rating)})


def _shallow(one: ClipRecord) -> dict:
    return {name: getattr(one, name) for name in one.__dataclass_fields__}


def test_a_clip_with_too_little_evidence_is_left_out_and_counted():
    table, left_out = known_trials(
        [*evaluation(), record("short", 0, 9.0, count=2)], "toy", "ab", "here", Horizon(), HOP_S
    )
    assert left_out == 1
    assert len(table.reals) == len(table.fakes) == 12
    trial = first_trial(steps_of(record("x", 0, 99.0), HOP_S), Horizon())
    assert table.as_high(trial) == pytest.approx(1 / 13)


def test_a_source_is_known_by_its_first_clip_with_enough_evidence():
    twice = replace(record("again", 0, 99.0), group="r0")
    table, left_out = known_trials([*evaluation(), twice], "toy", "ab", "here", Horizon(), HOP_S)
    assert left_out == 0
    assert max(table.reals) == 11.0


def test_too_few_sources_are_no_table():
    with pytest.raises(DecisionTableUnusable, match="3 real sources"):
        known_trials(evaluation()[9:], "toy", "ab", "here", Horizon(), HOP_S)


def test_the_command_makes_a_table_of_an_evaluation(tmp_path):
    folder = tmp_path / "evaluation"
    folder.mkdir()
    head = {"format": FORMAT, "detector": "toy", "sha256": "ab", "engine": {"hop_s": HOP_S}}
    lines = [json.dumps(head), *(json.dumps(asdict(one)) for one in evaluation())]
    (folder / "records.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    out = tmp_path / "lobby.trials.json"
    done = CliRunner().invoke(
        app, ["evaluate", "trials", str(folder), "--out", str(out), "--source", "our lobby"]
    )
    assert done.exit_code == 0, done.output
    assert "12 real and 12 fake" in done.output.replace("\n", " ")
    table = read_table(out)
    assert (table.detector, table.digest, table.source) == ("toy", "ab", "our lobby")


def test_a_folder_without_results_says_how_to_make_them(tmp_path):
    with pytest.raises(ResultsUnusable, match="styleflow evaluate"):
        read_records(tmp_path)


def with_sharpness(one: ClipRecord, sharpness: float) -> ClipRecord:
    return replace(one, ratings=tuple(replace(r, sharpness=sharpness) for r in one.ratings))


def test_buckets_of_quality_are_of_like_size_and_need_enough_sources():
    clips = [with_sharpness(record(f"r{i}", 0, float(i)), float(i)) for i in range(40)]
    fakes = [record(f"f{i}", 1, float(i)) for i in range(12)]
    how = ("toy", "ab", "here", Horizon(), HOP_S, QualityFigure.SHARPNESS)
    table, _ = known_trials([*clips, *fakes], *how)
    assert table.buckets is not None
    assert table.buckets.edges == (20.0,)
    face = with_sharpness(record("x", 0, 19.5), 3.0)
    trial = first_trial(steps_of(face, HOP_S), Horizon(), qualities_of(face, HOP_S))
    assert table.as_high(trial) == pytest.approx(1 / 21)
    few, _ = known_trials([*clips[:30], *fakes], *how)
    assert few.buckets is None
