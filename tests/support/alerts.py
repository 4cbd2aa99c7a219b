"""Incidents, rules, stores and receivers for tests of alerts."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from sqlalchemy import create_engine

from stream.alerts.errors import AlertUndelivered
from stream.alerts.messages import Message
from stream.alerts.settings import Rule
from stream.event_log.event_log import StampedEvent
from stream.events import Event, IncidentChanged, Verdict, VerdictChanged
from stream.incident import (
    Incident,
    IncidentStatus,
    IncidentStep,
    Mark,
    Peak,
    ScoredBy,
    Severity,
)
from stream.store.access import DirectStore
from stream.store.tables import metadata

BEGAN = datetime(2026, 1, 1, tzinfo=UTC)
"""The wall clock of a ManualClock that starts at 0."""

SECRET = "a-secret-of-some-length"


def incident(id: str = "i1", **changes: Any) -> Incident:
    """Return an open incident of the stream `lobby`."""
    made = Incident(
        id=id,
        stream="lobby",
        name="Lobby",
        epoch=1,
        tracks=(1,),
        scored_by=ScoredBy("toy", "1", "causal", "trained", "0" * 64),
        severity=Severity.HIGH,
        status=IncidentStatus.OPEN,
        opened=BEGAN,
        last_at=BEGAN,
        closed=None,
        suspect_s=0.0,
        peak=Peak(0.9, 0.8, 0.95, BEGAN),
    )
    return replace(made, **changes)


def changed(
    step: IncidentStep = IncidentStep.OPENED, id: str = "i1", **changes: Any
) -> IncidentChanged:
    """Return a change of an incident; one that closes it closes it."""
    if step is IncidentStep.CLOSED:
        changes = {"status": IncidentStatus.CLOSED, "closed": BEGAN} | changes
    if step is IncidentStep.ACKNOWLEDGED:
        changes = {"acknowledged": Mark("anna", BEGAN)} | changes
    one = incident(id, **changes)
    return IncidentChanged(one.stream, one.epoch, one, step)


def verdict(verdict: Verdict, track: int = 1, stream: str = "lobby") -> VerdictChanged:
    """Return a change of a face's verdict."""
    return VerdictChanged(stream, 1, track, 0.0, Verdict.PENDING, verdict, 0.9, "toy")


def rule(**changes: Any) -> Rule:
    """Return a rule that tells everything through the channel `hook`."""
    return Rule(**({"name": "all", "channels": ("hook",)} | changes))


def stamped(event: Event, seconds: float = 0.0, id: int = 1) -> StampedEvent:
    """Return an event of so many seconds after the beginning."""
    return StampedEvent(id, seconds, BEGAN + timedelta(seconds=seconds), event)


def store(path: Path) -> DirectStore:
    """Return a store in a SQLite file, made if it is not there."""
    made = DirectStore(create_engine(f"sqlite:///{path}"))
    metadata.create_all(made.engine)
    return made


@dataclass
class PlayedChannel:
    """A channel that the test answers for: it fails as often as `refusals` says."""

    name: str = "hook"
    kind: str = "played"
    timeout_s: float = 5.0
    refusals: int = 0
    error: Exception = field(default_factory=lambda: AlertUndelivered("nobody is there"))
    taken: list[Message] = field(default_factory=list)
    tried: list[str] = field(default_factory=list)
    arrived: asyncio.Event = field(default_factory=asyncio.Event)

    async def deliver(self, message: Message) -> str:
        """Take a message, or refuse it."""
        self.tried.append(message.id)
        if self.refusals:
            self.refusals -= 1
            raise self.error
        self.taken.append(message)
        self.arrived.set()
        return "taken"


@dataclass
class Received:
    """One request that a receiver was sent."""

    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> dict[str, Any]:
        """The body as values."""
        values: dict[str, Any] = json.loads(self.body)
        return values


@dataclass
class Receiver:
    """A real HTTP server on a loopback port that takes webhooks.

    Attributes:
        url: where messages are posted to.
        answers: statuses of the next answers; 204 when there are none left.
        headers: further headers of every answer.
        got: every request.
    """

    url: str = ""
    answers: list[int] = field(default_factory=list)
    headers: dict[str, str] = field(default_factory=dict)
    got: list[Received] = field(default_factory=list)
    taken: list[str] = field(default_factory=list)
    arrived: threading.Event = field(default_factory=threading.Event)


@contextmanager
def receiver(answers: tuple[int, ...] = ()) -> Iterator[Receiver]:
    """Run a receiver."""
    kept = Receiver(answers=list(answers))

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_: Any) -> None:
            """Say nothing."""

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            kept.got.append(Received(dict(self.headers.items()), body))
            status = kept.answers.pop(0) if kept.answers else 204
            if 200 <= status < 300:
                kept.taken.append(self.headers["StyleFlow-Id"])
            self.send_response(status)
            for name, value in kept.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", "0")
            self.end_headers()
            kept.arrived.set()

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    kept.url = f"http://127.0.0.1:{server.server_address[1]}/hook"
    try:
        yield kept
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
