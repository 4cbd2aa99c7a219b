"""Messages from clients: understood as documented, and refused when they say anything else."""

from __future__ import annotations

import json

import pytest
from pydantic import ValidationError

from stream.publish.client_messages import ResumePoint, Subscribe, parse_client


def subscribe(**fields: object) -> Subscribe:
    """Return a subscription as parsed from text."""
    parsed = parse_client(json.dumps({"type": "subscribe", "id": "mine", **fields}))
    assert isinstance(parsed, Subscribe)
    return parsed


def test_a_bare_resume_point_belongs_to_the_one_stream() -> None:
    point = {"epoch": 2, "seq": 7}
    assert subscribe(streams=["lobby"], resume=point).resume_points == {
        "lobby": ResumePoint(**point)
    }
    by_stream = subscribe(streams=["a", "b"], resume={"b": point})
    assert by_stream.resume_points == {"b": ResumePoint(**point)}


@pytest.mark.parametrize("streams", [["a", "b"], ["cam-*"]])
def test_a_bare_resume_point_needs_exactly_one_stream(streams: list[str]) -> None:
    with pytest.raises(ValidationError, match="exactly one stream"):
        subscribe(streams=streams, resume={"epoch": 0, "seq": 1})


@pytest.mark.parametrize(
    "text",
    [
        '{"type": "hello", "password": "x"}',
        '{"type": "shout"}',
        '{"type": "subscribe", "id": ""}',
        '{"type": "subscribe", "id": "a", "max_hz": 0}',
        '{"type": "subscribe", "id": "a", "min_state": "clear"}',
        '{"type": "unsubscribe", "id": "a", "v": 2}',
        '{"type": "unsubscribe", "id": "a", "v": true}',
        '{"type": "unsubscribe", "id": "a", "v": "1"}',
        "[]",
        "{",
    ],
)
def test_what_is_not_known_is_refused(text: str) -> None:
    with pytest.raises(ValidationError):
        parse_client(text)


@pytest.mark.parametrize("pattern", ["*a" * 5, "[" * 64, "?????", "*" * 128])
def test_a_glob_of_many_wildcards_is_refused_with_words(pattern: str) -> None:
    with pytest.raises(ValidationError, match="at most 4 wildcards"):
        subscribe(streams=["lobby", pattern])


@pytest.mark.parametrize(
    "message",
    [
        {"type": "hello"},
        {"type": "subscribe", "id": "a"},
        {"type": "unsubscribe", "id": "a"},
        {"type": "incident", "id": "inc-1", "acknowledged": True},
    ],
)
def test_a_client_may_send_the_version_that_it_was_sent(message: dict[str, object]) -> None:
    parsed = parse_client(json.dumps({"v": 1, **message}))
    assert parsed == parse_client(json.dumps(message))
