"""One clip through the live path, as an evaluation keeps it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from stream.offline.evaluate_clip import evaluate_clip
from stream.offline.replay import analyze
from tests.support.media import encode, moving_pictures
from tests.support.path import EAGER, from_file, toy_pipeline

SAID: dict[str, Any] = {
    "clip": "disc.mp4",
    "label": 1,
    "group": "disc",
    "kind": "",
    "generator": "",
    "source": "",
    "pair": "",
}


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("clips") / "disc.mp4"
    return encode(path, moving_pictures(60), gop=20)


def test_a_record_says_what_an_analysis_says(clip: Path) -> None:
    analysis = analyze(from_file(clip), toy_pipeline(), EAGER)
    record = evaluate_clip(clip, toy_pipeline(), EAGER, SAID, "as it is")
    assert (record.score, record.low, record.high) == (analysis.score, analysis.low, analysis.high)
    assert record.duration_s == analysis.duration_s
    assert record.problem == ""
    (track,) = analysis.tracks
    assert [r.logit for r in record.ratings] == [s.logit for s in track.scores]


def test_the_score_can_be_worked_out_from_the_ratings(clip: Path) -> None:
    """So the score after two seconds means what the score of the whole clip means."""
    pipeline = toy_pipeline()
    record = evaluate_clip(clip, pipeline, EAGER, SAID, "as it is")
    logit = record.logit()
    assert logit is not None
    calibration = pipeline.scorer(None).calibration
    assert calibration.probability(logit) == pytest.approx(record.score)


def test_a_clip_that_ends_early_says_what_its_beginning_said(clip: Path) -> None:
    whole = evaluate_clip(clip, toy_pipeline(), EAGER, SAID, "as it is")
    part = evaluate_clip(clip, toy_pipeline(), EAGER, SAID, "as it is", limit_s=1.2)
    assert part.logit() == pytest.approx(whole.logit(part.ratings[-1].end))


def test_a_clip_that_cannot_be_played_is_a_record_with_the_reason(tmp_path: Path) -> None:
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(b"no video at all")
    record = evaluate_clip(broken, toy_pipeline(), EAGER, SAID, "as it is")
    assert record.score is None
    assert record.problem.startswith("corrupt: ")
    assert record.ratings == ()
    assert record.abstained == 1.0


def test_a_clip_without_enough_evidence_says_why(clip: Path) -> None:
    record = evaluate_clip(clip, toy_pipeline(), EAGER, SAID, "as it is", limit_s=0.2)
    assert record.score is None
    assert record.problem == "no evidence: untrained, warming"
