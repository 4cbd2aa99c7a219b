"""How long streams are without a score while something is away."""

from __future__ import annotations

from benchmarks.fault_judge import Heard
from benchmarks.outages import longest_silence


def scored(at: float, stream: str = "a", kind: str = "score") -> Heard:
    return Heard(at, stream, 1, round(10 * at), kind)


def test_a_silence_is_the_longest_of_any_stream_and_its_ends_count() -> None:
    told = [scored(9), scored(10.5), scored(11), scored(14), scored(14.5), scored(15.5)]
    assert longest_silence(told, ["a"], 10, 15) == 3
    assert longest_silence(told, ["a"], 10, 13) == 2
    assert longest_silence(told, ["a", "b"], 10, 15) == 5


def test_what_is_no_score_ends_no_silence() -> None:
    told = [scored(10.5), scored(12, kind="track_ended"), scored(14.5)]
    assert longest_silence(told, ["a"], 10, 15) == 4
