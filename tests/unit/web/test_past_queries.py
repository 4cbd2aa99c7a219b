"""Moments and cursors in a URL."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from web.errors import RequestInvalid
from web.past_queries import cursor_of, moment, place_of

NOON = 1_772_366_400_000_000


@pytest.mark.parametrize(
    "text",
    [
        "1772366400",
        "1772366400.0",
        "2026-03-01T12:00:00Z",
        "2026-03-01T12:00:00",
        "2026-03-01 12:00",
        "2026-03-01T13:00:00+01:00",
        "2026-03-01T13:00:00 01:00",
    ],
)
def test_a_moment_is_iso_8601_or_seconds(text: str) -> None:
    assert moment(text, "from") == NOON


@pytest.mark.parametrize("text", ["", "now", "nan", "inf", "1e300", "2026-13-01", "2026-03-01T"])
def test_what_is_no_moment_is_refused_by_name(text: str) -> None:
    with pytest.raises(RequestInvalid, match="from"):
        moment(text, "from")


@given(st.integers(0, 2**53))
def test_a_cursor_leads_back(number: int) -> None:
    assert place_of(cursor_of(number)) == number


@given(st.text(max_size=20))
def test_a_foreign_cursor_is_refused(text: str) -> None:
    try:
        number = place_of(text)
    except RequestInvalid:
        return
    assert place_of(cursor_of(number)) == number
