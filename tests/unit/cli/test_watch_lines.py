from __future__ import annotations

import json
import os
import re
import sys
from io import StringIO

import pytest

from cli.watch_lines import Lines, json_lines, reader_left, text_lines
from stream.events import (
    AbstainReason,
    CapacityReached,
    ConnectionState,
    EpochCause,
    EpochStarted,
    Event,
    IncidentChanged,
    ReasonCode,
    StreamChanged,
    Verdict,
    VerdictChanged,
)
from stream.incident import IncidentStep
from styleflow.client.messages import Message
from tests.support.client import read, snapshot
from tests.support.incidents import incident
from tests.support.wire import (
    CARD,
    UNTRAINED_DEMO,
    added,
    removed,
    report,
    score,
    track_ended,
    track_started,
    verdict_changed,
)

STAMP = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d  "


@pytest.mark.parametrize(
    ("event", "said"),
    [
        (added(), "lobby  added: Lobby, scored by styleflow-live 0.1"),
        (removed(), "lobby  removed"),
        (
            StreamChanged(
                "lobby", 1, ConnectionState.BACKING_OFF, ReasonCode.UNREACHABLE, "refused", 0.5
            ),
            "lobby  not connected, trying again soon: refused",
        ),
        (EpochStarted("lobby", 2, EpochCause.PTS_JUMP), "lobby  media time begins anew: pts jump"),
        (track_started(), "lobby  face 1 appeared"),
        (track_ended(), "lobby  face 1 gone: lost"),
        (CapacityReached("lobby", 1, 0, 8, CARD.name, 2), "lobby  2 faces are not looked at"),
        (verdict_changed(), "lobby  face 1 suspect 0.90, was clear (styleflow-live)"),
        (
            VerdictChanged(
                "lobby", 1, 2, 2.0, Verdict.PENDING, Verdict.CLEAR, 0.1, CARD.name
            ),
            "lobby  face 2 clear 0.10, was none yet",
        ),
        (
            IncidentChanged("lobby", 1, incident(), IncidentStep.LABELLED, "ann"),
            "lobby  incident 20260301-023000-1 labelled by ann: Lobby: looks synthesised",
        ),
    ],
    ids=lambda value: type(value).__name__ if not isinstance(value, str) else "",
)  # fmt: skip
def test_an_event_is_one_line(event: Event, said: str) -> None:
    (line,) = text_lines(read(event))
    assert re.match(STAMP + re.escape(said), line)


def test_scores_and_statuses_are_no_events() -> None:
    assert list(text_lines(read(score()))) == []
    assert list(text_lines(read(report()))) == []


def test_a_stream_begins_with_what_is_known_of_it() -> None:
    blurred = score("lobby", 2, verdict=Verdict.PENDING, reasons=(AbstainReason.BLURRED,))
    first, *faces = text_lines(snapshot("lobby", score("lobby", 1), blurred, info=UNTRAINED_DEMO))
    assert "Demo: " in first
    assert "demo source" in first
    assert [re.sub(STAMP, "", face) for face in faces] == [
        "lobby  face 1 clear 0.25 (styleflow-live)",
        "lobby  face 2 none yet 0.25 (styleflow-live)",
    ]


def test_what_an_analyzer_says_cannot_break_a_line() -> None:
    event = StreamChanged("lobby", 1, ConnectionState.FAILED, ReasonCode.AUTH, "a\nb\r\tc", None)
    (line,) = text_lines(read(event))
    assert "a b c" in line


@pytest.mark.parametrize("message", [read(score()), read(verdict_changed()), snapshot("lobby")])
def test_json_is_the_message_in_one_line(message: Message) -> None:
    (line,) = json_lines(message)
    assert "\n" not in line
    assert json.loads(line)["type"] == message.type


def test_a_closed_pipe_is_seen_before_there_is_something_to_write(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    reader, writer = os.pipe()
    with os.fdopen(writer, "w") as out:
        monkeypatch.setattr(sys, "stdout", out)
        assert not reader_left()
        Lines(text_lines).note(read(report()))
        os.close(reader)
        assert reader_left()
        with pytest.raises(BrokenPipeError):
            Lines(text_lines).note(read(report()))


def test_output_that_is_no_file_is_read_by_somebody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", StringIO())
    assert not reader_left()
