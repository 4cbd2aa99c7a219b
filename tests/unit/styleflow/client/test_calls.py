from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest

from styleflow.client import calls
from styleflow.client.errors import AnalyzerAway, RequestRefused
from styleflow.client.requests import IncidentChange

PROBLEM = {
    "type": "urn:styleflow:problem:busy", "title": "Too much", "status": 429, "detail": "full",
    "code": "busy", "hint": "wait", "retry": True,
    "faults": [{"where": "body.id", "what": "too long"}],
}  # fmt: skip


def test_a_problem_response_is_passed_on_whole() -> None:
    headers = {"content-type": "application/problem+json", "retry-after": "7"}
    with pytest.raises(RequestRefused, match="full") as caught:
        calls.streams().result("http://host", 429, headers, json.dumps(PROBLEM).encode())
    error = caught.value
    assert (error.code, error.title, error.hint, error.status) == ("busy", "Too much", "wait", 429)
    assert (error.retry, error.retry_after_s) == (True, 7.0)
    assert error.faults == ("body.id: too long",)


@pytest.mark.parametrize(
    ("status", "kind", "body"),
    [
        (404, "text/html", b"<html>"),
        (302, "text/html", b""),
        (200, "text/html", b"<html>"),
        (200, "application/json", b'{"streams": [{"id": 1}]}'),
    ],
)
def test_what_is_no_analyzer_is_said(status: int, kind: str, body: bytes) -> None:
    with pytest.raises(AnalyzerAway, match="http://host"):
        calls.streams().result("http://host", status, {"content-type": kind}, body)


def test_ids_cannot_lead_elsewhere() -> None:
    assert calls.remove_stream("../incidents").path == "/api/v1/streams/..%2Fincidents"
    assert calls.incident("a/b?c").path == "/api/v1/incidents/a%2Fb%3Fc"


def test_only_what_was_given_is_sent() -> None:
    """What is left out stays as it is, and an older analyzer refuses what it does not know."""
    assert calls.add_stream("a", "demo://tampered", None, None, {}).body == {
        "id": "a",
        "source": {"url": "demo://tampered"},
    }
    assert calls.change_incident("i", IncidentChange(label=None)).body == {"label": None}
    assert calls.change_incident("i", IncidentChange(acknowledged=True)).body == {
        "acknowledged": True
    }


def test_filters_are_written_as_the_analyzer_reads_them() -> None:
    since = datetime(2026, 11, 30, tzinfo=UTC)
    asked = {"acknowledged": False, "since": since, "label": None, "stream": "lobby"}
    assert calls.incidents(asked, 10, "next").params == {
        "acknowledged": "false",
        "from": "2026-11-30T00:00:00+00:00",
        "stream": "lobby",
        "limit": "10",
        "cursor": "next",
    }
