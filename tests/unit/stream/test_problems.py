"""Words for people: every error of ours has a sentence and a next step."""

from __future__ import annotations

from pathlib import Path

import pytest

from stream.errors import (
    Overloaded,
    SourceError,
    SourceUrlInvalid,
    StreamExists,
    StreamUnknown,
    TooManyStreams,
)
from stream.events import AbstainReason, ConnectionState, ReasonCode
from stream.problems import REASON_WORDS, SOURCE_HINTS, STATE_WORDS, Problem, notice
from styleflow.cards import ModelCard, TemporalMode, TrainingStatus
from styleflow.errors import CheckpointInvalid, ShapeMismatch, WeightsMissing


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (SourceUrlInvalid("ftp://x", "unknown scheme"), 400, "source_url"),
        (SourceError(ReasonCode.AUTH, "401 from the camera"), 422, "auth"),
        (StreamExists("lobby"), 409, "stream_exists"),
        (StreamUnknown("lobby"), 404, "stream_unknown"),
        (TooManyStreams(4), 429, "too_many_streams"),
        (Overloaded(30.0), 429, "overloaded"),
        (WeightsMissing("face", Path("x"), "styleflow models fetch"), 503, "weights_missing"),
        (CheckpointInvalid(Path("a.safetensors"), "truncated"), 500, "checkpoint_invalid"),
        (ShapeMismatch("latents", "(B, T, L, D)", (1, 2)), 500, "shape_mismatch"),
        (FileNotFoundError(2, "no such file", "clip.mp4"), 404, "file_missing"),
    ],
)
def test_every_error_is_described(error: Exception, status: int, code: str) -> None:
    problem = Problem.of(error)
    assert (problem.status, problem.code) == (status, code)
    assert problem.title
    assert problem.detail in problem.line


def test_an_unknown_error_keeps_its_text_to_itself() -> None:
    """The text of a foreign error may carry a password."""
    problem = Problem.of(RuntimeError("rtsp://user:hunter2@cam"))
    assert "hunter2" not in problem.line
    assert problem.status == 500


def test_the_closed_lists_all_have_words() -> None:
    assert set(SOURCE_HINTS) == set(ReasonCode)
    assert set(REASON_WORDS) == set(AbstainReason)
    assert set(STATE_WORDS) == set(ConnectionState)


@pytest.mark.parametrize(
    ("status", "demo", "said"),
    [
        (TrainingStatus.TRAINED, False, ()),
        (TrainingStatus.TRAINED, True, ("demo",)),
        (TrainingStatus.UNTRAINED, False, ("untrained",)),
        (TrainingStatus.UNTRAINED, True, ("demo", "untrained")),
        (TrainingStatus.UNCALIBRATED, False, ("uncalibrated",)),
    ],
)
def test_scores_that_mean_little_say_so(
    status: TrainingStatus, demo: bool, said: tuple[str, ...]
) -> None:
    card = ModelCard("styleflow-live", "1", TemporalMode.CAUSAL, status, "0" * 64)
    text = notice(card, demo=demo)
    assert all(word in text for word in said)
    assert bool(text) == bool(said)
