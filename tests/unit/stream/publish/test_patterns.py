"""Patterns: they match what a shell's do, and no pattern takes long to compile or to match."""

from __future__ import annotations

from fnmatch import fnmatchcase

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream.publish.patterns import Pattern, PatternSet, is_pattern, wildcards
from stream.publish.subscription import Filter


@pytest.mark.parametrize(
    ("name", "pattern"), [("*", True), ("cam-?", True), ("a[bc]", True), ("lobby-1.2", False)]
)
def test_a_glob_is_a_pattern(name: str, pattern: bool) -> None:
    assert is_pattern(name) is pattern


@given(st.text("ab*?", max_size=12), st.text("ab", max_size=10))
def test_a_pattern_matches_what_a_shell_would_match(pattern: str, stream: str) -> None:
    assert Pattern(pattern).matches(stream) is fnmatchcase(stream, pattern)


@pytest.mark.parametrize(
    "pattern",
    ["cam-[0-9]", "cam-[!0-9]", "[]-]x", "cam-[abc", "[!]]", "[", "[]", "*[a-c]?", "[a-]"],
)
@pytest.mark.parametrize(
    "stream", ["cam-1", "cam-x", "]x", "cam-[abc", "a", "[", "[]", "xxbz", "-"]
)
def test_sets_are_those_of_a_shell(pattern: str, stream: str) -> None:
    assert Pattern(pattern).matches(stream) is fnmatchcase(stream, pattern)


def test_globs_are_compiled_when_they_are_subscribed_to_and_not_at_each_new_stream(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    wanted = Filter(tuple(f"*a{n}*b*" for n in range(64)))
    monkeypatch.setattr("re.compile", None)
    monkeypatch.setattr("stream.publish.patterns.Pattern.__init__", None)
    assert wanted.matches("xa63ccb")
    assert not wanted.matches("a" * 64)


def test_a_match_takes_one_step_per_character_whatever_the_pattern() -> None:
    class Counted(str):
        steps = 0

        def __iter__(self):  # type: ignore[no-untyped-def]
            for sign in str.__iter__(self):
                Counted.steps += 1
                yield sign

    assert not Pattern("*a*a*a*a*a*a*a*a*b").matches(Counted("a" * 64))
    assert Counted.steps == 64


def test_ids_and_patterns_stand_side_by_side() -> None:
    both = PatternSet(("lobby", "cam-*"))
    assert [s for s in ("lobby", "cam-7", "lobby2") if both.matches(s)] == ["lobby", "cam-7"]
    assert wildcards("a*[b") == 2
