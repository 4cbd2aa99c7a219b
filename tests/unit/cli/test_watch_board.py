from __future__ import annotations

import re

import pytest
from rich.console import Console

from cli.watch_board import CAUTION, WIDE, Board
from stream.events import AbstainReason, EpochCause, EpochStarted, StreamReport, Verdict
from tests.support.client import read, snapshot
from tests.support.wire import UNTRAINED_DEMO, removed, score, track_ended


def shown(board: Board, width: int = 160) -> str:
    console = Console(width=width)
    with console.capture() as capture:
        console.print(board.table(width))
    return capture.get()


def filled() -> Board:
    board = Board()
    board.note(read(score("a", 1)))
    board.note(read(score("b", 2, 0.9, verdict=Verdict.SUSPECT)))
    blurred = (AbstainReason.BLURRED,)
    board.note(read(score("c", 3, 0.5, verdict=Verdict.PENDING, reasons=blurred), UNTRAINED_DEMO))
    return board


def test_suspects_come_first_and_what_ended_is_forgotten() -> None:
    board = filled()
    text = shown(board)
    assert text.index("suspect") < text.index("none yet") < text.index("clear")
    assert "demo source" in text
    board.note(read(track_ended("b", track=2)))
    board.note(read(EpochStarted("c", 2, EpochCause.PTS_JUMP)))
    board.note(read(removed("a")))
    assert not re.search("suspect|none yet|clear|demo source", shown(board))


def test_words_of_the_wire_are_not_shown() -> None:
    assert not re.search(r"\b(ok|abstain|warming)\b", shown(filled()))


def test_a_notice_stands_once_below_the_table() -> None:
    board = Board()
    for track in range(5):
        board.note(read(score("lobby", track), UNTRAINED_DEMO))
    assert len(re.findall("demo source", shown(board))) == 1


def test_faces_that_wait_are_said_beside_the_scores_of_the_others() -> None:
    board = Board()
    board.note(read(score("lobby", 1)))
    waiting = (AbstainReason.FACES_WAITING,)
    board.note(read(StreamReport("lobby", 1, 25.0, 0.0, 1, waiting, 0.04, faces_waiting=1)))
    assert "some faces have not been looked at" in shown(board)


def test_streams_without_a_face_have_a_row() -> None:
    board = Board()
    board.note(snapshot("lobby"))
    assert "lobby" in shown(board)
    assert CAUTION in shown(board)


@pytest.mark.parametrize("width", [60, 80, WIDE, 200])
def test_no_line_is_wider_than_the_terminal_and_verdicts_are_whole(width: int) -> None:
    board = filled()
    board.note(read(score("a-camera-with-a-very-long-name-in-the-lobby", 1234)))
    text = shown(board, width)
    assert max(map(len, text.splitlines())) <= width
    for word in ("suspect", "none yet", "clear", "0.90", "1234"):
        assert word in text
    assert ("interval" in text) == (width >= WIDE)


def test_a_narrow_table_has_one_line_per_face() -> None:
    board = filled()
    rows = [line for line in shown(board, 80).splitlines() if re.search(r" 0\.\d\d ", line)]
    assert len(rows) == 3


def test_detectors_are_told_apart_when_there_are_several() -> None:
    board = filled()
    assert "detector" not in shown(board)
    board.note(read(score("a", 1, detector="caddm-resnet34")))
    assert "caddm-resnet34" in shown(board)
