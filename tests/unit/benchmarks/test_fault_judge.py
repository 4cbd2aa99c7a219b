"""Tests of the judgement of faults."""

from __future__ import annotations

import math

from benchmarks.fault_judge import Heard, Verdict, heard, judge, late, spread


def _score(at: float, generation: int, number: int, stream: str = "a") -> Heard:
    return Heard(at, stream, generation, number, "score")


def _event(at: float, generation: int, number: int, kind: str = "track_ended") -> Heard:
    return Heard(at, "a", generation, number, kind)


def _judge(told: list[Heard], stored: list[Heard], *, moves: bool = True) -> Verdict:
    return judge(
        "worker",
        10.0,
        told,
        stored,
        affected={"a": 3},
        noticed=12.5,
        moves=moves,
        since=0.0,
        settled=100.0,
    )


def test_a_message_says_who_spoke() -> None:
    """The generation is in the epoch, the number in `seq`."""
    message = {"type": "score", "stream": "a", "epoch": (3 << 20) + 2, "seq": 7, "data": {}}
    assert heard(message, 1.0) == Heard(1.0, "a", 3, 7, "score")
    event = {**message, "type": "event", "data": {"kind": "track_ended"}}
    assert heard(event, 1.0) == Heard(1.0, "a", 3, 7, "track_ended")


def test_a_snapshot_is_no_word_of_anybody() -> None:
    """It repeats what was said before."""
    assert heard({"type": "snapshot", "stream": "a", "epoch": 1, "seq": 1, "data": {}}, 1.0) is None


def test_scored_again_is_said_by_the_new_owner() -> None:
    """What the old one still says does not count."""
    found = _judge([_score(9, 3, 1), _score(10.2, 3, 2), _score(14, 4, 3)], [])
    assert (found.noticed_s, found.again_s, found.all_again_s) == (2.5, {"a": 4.0}, 4.0)


def test_the_same_owner_is_enough_when_only_the_gateway_is_gone() -> None:
    """Streams stay where they are."""
    assert _judge([_score(11, 3, 2)], [], moves=False).again_s == {"a": 1.0}


def test_a_stream_that_is_never_scored_again_is_told() -> None:
    """It has no time, and so has the whole."""
    found = _judge([_score(11, 3, 2)], [])
    assert (found.again_s, found.all_again_s) == ({"a": None}, None)


def test_events_must_be_on_both_sides() -> None:
    """One that was only shown and one that is only stored are both lost."""
    found = _judge([_event(9, 3, 1), _event(9, 3, 2)], [_event(0, 3, 2), _event(0, 3, 4)])
    assert found.unstored == ("a/1 track_ended",)
    assert found.unshown == ("a/4 track_ended",)
    assert found.lost == 2


def test_other_events_and_those_still_on_their_way_are_not_missed() -> None:
    """Only those of which none may be lost, up to when the store has settled."""
    assert _judge([_event(9, 3, 1, "track_started"), _event(101, 3, 2)], []).lost == 0


def test_what_an_old_owner_stores_after_the_new_one_began_is_counted() -> None:
    """By the time at which it was made: its numbers are lower in any case."""
    stored = [_event(12, 3, 2), _event(11, 4, 8)]
    assert _judge(stored[::-1], stored).stored_late == 1


def test_an_old_owner_that_speaks_after_the_new_one_is_counted() -> None:
    """Per stream, in the order in which it came."""
    told = [_score(1, 3, 1), _score(2, 4, 5), _score(3, 3, 2), _score(3, 3, 2, "b")]
    assert late(told) == 1
    assert _judge(told, []).split_brain == 1


def test_events_shown_twice_are_counted() -> None:
    """Coming back must not repeat them."""
    assert _judge([_event(9, 3, 1), _event(11, 3, 1)], []).repeated == 1


def test_the_worst_of_times_is_unknown_when_one_is_missing() -> None:
    """A median of the others still says something."""
    found = spread([1.0, 3.0, None])
    assert (found.median, found.missing, math.isnan(found.worst)) == (2.0, 1, True)
    assert found.known_worst == 3.0
    assert spread([1.0, 3.0]).worst == 3.0
    assert math.isnan(spread([]).median)
