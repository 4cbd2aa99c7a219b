"""Whatever happens, what goes over the wire is JSON that the published schema accepts."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from pydantic import TypeAdapter, ValidationError

from stream.events import Event, Score, StreamReport, VerdictChanged
from stream.publish.asyncapi import schemas
from stream.publish.client_messages import parse_client
from stream.publish.encode import Context, StreamInfo, View, encode, encode_snapshot, message
from stream.publish.schema import ServerMessage
from styleflow.client.following import parse
from styleflow.detectors.protocol import TrainingStatus
from tests.support import wire

UTC_NOW = datetime(2026, 11, 21, 8, 0, tzinfo=UTC)
VALIDATORS = {name: Draft202012Validator(schema) for name, schema in schemas().items()}
ANY_MESSAGE: TypeAdapter[Any] = TypeAdapter(ServerMessage)


def _context(info: StreamInfo, now: float) -> Context:
    return Context(info, seq=7, now=now, utc=UTC_NOW)


def _strict(text: str) -> dict[str, Any]:
    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is not JSON")

    loaded: dict[str, Any] = json.loads(text, parse_constant=refuse)
    return loaded


@given(wire.events, wire.infos, st.floats(min_value=0, max_value=1e9))
def test_every_event_becomes_a_message_that_its_schema_accepts(
    event: Event, info: StreamInfo, now: float
) -> None:
    """No NaN, no missing field, no unknown word, whatever the event holds."""
    loaded = _strict(encode(event, _context(info, now)))
    VALIDATORS[loaded["type"]].validate(loaded)
    assert (loaded["v"], loaded["stream"], loaded["epoch"]) == (1, event.stream, event.epoch)


@given(wire.events, wire.infos, st.floats(min_value=0, max_value=1e9))
def test_reading_a_message_back_gives_the_same_message(
    event: Event, info: StreamInfo, now: float
) -> None:
    """Nothing is lost or rounded between text and model."""
    context = _context(info, now)
    assert ANY_MESSAGE.validate_json(encode(event, context)) == message(event, context)


@given(wire.events, wire.infos, st.floats(min_value=0, max_value=1e9))
def test_the_python_client_reads_every_message_and_loses_nothing(
    event: Event, info: StreamInfo, now: float
) -> None:
    """Its types are its own; what they write is what came."""
    text = encode(event, _context(info, now))
    read = parse(text)
    assert read is not None
    assert _strict(read.model_dump_json()) == _strict(text)


@given(st.lists(wire.scores, max_size=4), wire.infos)
def test_every_snapshot_is_accepted_by_its_schema(scores: list[Score], info: StreamInfo) -> None:
    """A snapshot of anything is valid as well."""
    report = StreamReport("lobby", 3, 25.0, 0.0, len(scores), (), 0.1)
    text = encode_snapshot("lobby", View(report, tuple(scores)), _context(info, 5.0))
    VALIDATORS["snapshot"].validate(_strict(text))


@given(wire.scores, wire.infos)
def test_whatever_carries_a_score_says_when_it_must_not_be_believed(
    score: Score, info: StreamInfo
) -> None:
    """Untrained, uncalibrated and demo are in every message with a number, in plain words."""
    change = VerdictChanged("lobby", 1, 1, 0.0, score.verdict, score.verdict, 0.5, score.detector)
    for event in (score, change):
        data = json.loads(encode(event, _context(info, 5.0)))["data"]
        assert data["demo"] == info.demo
        assert data["model"]["status"] == info.model.status.value
        assert ("demo" in data["notice"]) == info.demo
        if info.model.status is TrainingStatus.UNTRAINED:
            assert "untrained" in data["notice"]
        elif not info.calibrated:
            assert "uncalibrated" in data["notice"]


@given(st.text(max_size=200) | st.binary(max_size=200))
def test_any_text_from_a_client_is_understood_or_refused(text: str | bytes) -> None:
    """Nothing that a client sends raises anything but a validation error."""
    try:
        parse_client(text)
    except ValidationError:
        return
