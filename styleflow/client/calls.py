"""Requests of the HTTP API as values: a call is built here, sent by whichever client, read here."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Generic, TypeVar
from urllib.parse import quote

from pydantic import ValidationError

from styleflow.client.endpoint import ADDRESS_HINT
from styleflow.client.errors import AnalyzerAway, RequestRefused
from styleflow.client.requests import IncidentChange, SourceBody, StreamBody, StreamChange
from styleflow.client.responses import (
    CallerView,
    IncidentList,
    IncidentView,
    ProblemBody,
    StatusView,
    StreamList,
    StreamView,
)
from styleflow.client.values import IncidentData, Wire

T = TypeVar("T")
PROBLEM = "application/problem+json"


@dataclass(frozen=True, slots=True)
class Call(Generic[T]):
    """One request and how its response is read.

    Attributes:
        method: of HTTP.
        path: below the analyzer's address.
        read: makes the result of the body of a response.
        body: JSON to send, or None.
        params: query parameters.
    """

    method: str
    path: str
    read: Callable[[bytes], T]
    body: Mapping[str, Any] | None = None
    params: Mapping[str, str] = field(default_factory=dict)

    def result(self, address: str, status: int, headers: Mapping[str, str], body: bytes) -> T:
        """Return the result in a response.

        Raises:
            RequestRefused: it is a problem response.
            AnalyzerAway: it is not an analyzer's.
        """
        if status >= 400 and headers.get("content-type", "").startswith(PROBLEM):
            raise refusal(body, headers)
        if not 200 <= status < 300:
            raise AnalyzerAway(
                address, f"what answers there is no analyzer: HTTP {status}", ADDRESS_HINT
            )
        try:
            return self.read(body)
        except ValidationError:
            raise AnalyzerAway(
                address, "its response is not understood; is it of another release?", ADDRESS_HINT
            ) from None


def refusal(body: bytes, headers: Mapping[str, str]) -> RequestRefused:
    """Return the error that a problem response tells of."""
    told = ProblemBody.model_validate_json(body)
    after = headers.get("retry-after", "")
    return RequestRefused(
        told.code,
        told.title,
        told.detail,
        told.hint,
        told.status,
        told_retry=told.retry,
        told_retry_after_s=float(after) if after.isdigit() else None,
        faults=tuple(f"{fault.where}: {fault.what}" for fault in told.faults),
    )


def caller() -> Call[CallerView]:
    """Ask who the token is, and what it may do."""
    return Call("GET", "/api/v1/caller", CallerView.model_validate_json)


def streams() -> Call[tuple[StreamView, ...]]:
    """Ask for every stream."""
    return Call("GET", "/api/v1/streams", lambda body: StreamList.model_validate_json(body).streams)


def stream_status(stream: str) -> Call[StatusView]:
    """Ask how a stream is doing."""
    return Call("GET", f"{_stream(stream)}/status", StatusView.model_validate_json)


def add_stream(
    stream: str, url: str, name: str | None, priority: str | None, source: Mapping[str, Any]
) -> Call[StreamView]:
    """Ask for a new stream."""
    given = {"name": name, "priority": priority}
    body = StreamBody(
        id=stream,
        source=SourceBody(url=url, **source),
        **{key: value for key, value in given.items() if value is not None},
    )
    return Call("POST", "/api/v1/streams", StreamView.model_validate_json, _set(body))


def change_stream(stream: str, name: str | None, priority: str | None) -> Call[StreamView]:
    """Ask for another name or priority."""
    given = {"name": name, "priority": priority}
    body = StreamChange(**{key: value for key, value in given.items() if value is not None})
    return Call("PATCH", _stream(stream), StreamView.model_validate_json, _set(body))


def remove_stream(stream: str) -> Call[None]:
    """Ask that a stream be removed."""
    return Call("DELETE", _stream(stream), lambda _: None)


def incidents(filters: Mapping[str, Any], limit: int, cursor: str | None) -> Call[IncidentList]:
    """Ask for a page of incidents, newest first."""
    asked = {**filters, "limit": limit, "cursor": cursor}
    named = {
        _RENAMED.get(key, key): _text(value) for key, value in asked.items() if value is not None
    }
    return Call("GET", "/api/v1/incidents", IncidentList.model_validate_json, params=named)


def incident(name: str) -> Call[IncidentView]:
    """Ask for one incident."""
    return Call("GET", _incident(name), IncidentView.model_validate_json)


def change_incident(name: str, change: IncidentChange) -> Call[IncidentData]:
    """Say something of an incident."""
    return Call("PATCH", _incident(name), IncidentData.model_validate_json, _set(change))


_RENAMED = {"since": "from", "until": "to"}
"""Query parameters whose names are words of Python."""


def _set(body: Wire) -> dict[str, Any]:
    """Return what was given of a body: an older analyzer refuses what it does not know."""
    found: dict[str, Any] = body.model_dump(mode="json", exclude_unset=True)
    return found


def _text(value: object) -> str:
    """Return a query parameter as it is written."""
    if isinstance(value, datetime):
        return value.isoformat()
    return value if isinstance(value, str) else json.dumps(value)


def _stream(stream: str) -> str:
    return f"/api/v1/streams/{quote(stream, safe='')}"


def _incident(name: str) -> str:
    return f"/api/v1/incidents/{quote(name, safe='')}"
