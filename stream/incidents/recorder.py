"""The recorder: incidents on their way into the store. A sink of the event log that never waits.

What cannot be written is kept and tried again: an incident as it is by then, a comment or an audit
entry as it was. Both are bounded: of incidents the oldest gives way, of the others the newest, and
either is counted in `lost`. While the store is away, incidents are read from here.
"""

from __future__ import annotations

import asyncio
from collections import deque
from concurrent.futures import CancelledError, Future
from dataclasses import dataclass
from functools import partial
from typing import Any

import structlog
from sqlalchemy import Connection

from stream.event_log.event_log import StampedEvent
from stream.events import IncidentChanged
from stream.incident import Incident, IncidentStep
from stream.incidents import records
from stream.incidents.records import Note
from stream.store import audit
from stream.store.access import StoreAccess, Write
from stream.store.errors import StoreError

log = structlog.get_logger(__name__)

MAX_UNSAVED = 1024
"""Incidents, and other writes besides, that may await their being written."""


@dataclass(frozen=True, slots=True, eq=False)
class _Sent:
    """What is on its way: an incident as it was then, and what no later state makes up for."""

    incident: Incident | None
    owed: Write[Any] | None


class Recorder:
    """Writes incidents, comments, snoozes and their audit entries. Belongs to the event loop.

    Args:
        store: where they go.

    Attributes:
        unsaved: incidents whose newest state the store has not confirmed, the oldest first.
        lost: states, comments and entries that were given up.
        failures: writes that failed, most of which are tried again.
    """

    def __init__(self, store: StoreAccess) -> None:
        self.unsaved: dict[str, Incident] = {}
        self.lost = 0
        self.failures = 0
        self._store = store
        self._owed: deque[Write[Any]] = deque()
        self._newest: dict[str, Future[Any]] = {}  # of those that are unsaved
        self._refused: set[str] = set()
        self._settled: deque[tuple[_Sent, BaseException | None]] = deque()  # by any thread

    def accept(self, stamped: StampedEvent) -> None:
        """Write what changed of an incident."""
        event = stamped.event
        if isinstance(event, IncidentChanged):
            self._take_note()
            self._keep(event.incident)
            doing = partial(_write_doing, event, stamped) if event.by else None
            self._submit(_Sent(event.incident, doing))

    def send(self, write: Write[Any]) -> None:
        """Hand a write to the store, and try it again when the store cannot be used."""
        self._submit(_Sent(None, write))

    async def saved(self, name: str, seconds: float) -> bool:
        """Wait until an incident's newest state is written; return False if it takes longer."""
        sent = self._newest.get(name)
        if sent is not None:
            waiting = asyncio.wrap_future(sent)
            waiting.add_done_callback(_error_of)  # it is told of elsewhere
            await asyncio.wait([waiting], timeout=seconds)
        self._take_note()
        return name not in self.unsaved

    def settle(self) -> None:
        """Take note of what was written, and try again what was not."""
        self._take_note()
        refused, self._refused = self._refused, set()
        for name in refused & self.unsaved.keys():
            self._submit(_Sent(self.unsaved[name], None))
        for _ in range(len(self._owed)):
            self._submit(_Sent(None, self._owed.popleft()))

    def _submit(self, sent: _Sent) -> None:
        future = self._store.submit(partial(_write, sent))
        if sent.incident is not None:
            self._newest[sent.incident.id] = future
        future.add_done_callback(lambda done: self._settled.append((sent, _error_of(done))))

    def _take_note(self) -> None:
        while self._settled:
            sent, error = self._settled.popleft()
            if error is not None:
                self._note_failure(sent, error)
            incident = sent.incident
            if incident is None or self.unsaved.get(incident.id) is not incident:
                continue  # a later state is on its way
            if error is None:
                self._drop(incident.id)
            else:
                self._refused.add(incident.id)

    def _note_failure(self, sent: _Sent, error: BaseException) -> None:
        self.failures += 1
        if sent.owed is None:
            return
        if isinstance(error, StoreError) and len(self._owed) < MAX_UNSAVED:
            self._owed.append(sent.owed)
            return
        self.lost += 1
        # Not the error's text: a database repeats what it was given, and that is somebody's words.
        kind = type(error).__name__
        log.warning("what was said of an incident could not be stored", error=kind)

    def _keep(self, incident: Incident) -> None:
        self.unsaved.pop(incident.id, None)
        self.unsaved[incident.id] = incident
        if len(self.unsaved) > MAX_UNSAVED:
            self._drop(next(iter(self.unsaved)))
            self.lost += 1

    def _drop(self, name: str) -> None:
        del self.unsaved[name]
        self._newest.pop(name, None)


def _error_of(done: Future[Any] | asyncio.Future[Any]) -> BaseException | None:
    return CancelledError() if done.cancelled() else done.exception()


def _write(sent: _Sent, connection: Connection) -> None:
    if sent.incident is not None:
        records.save(connection, sent.incident)
    if sent.owed is not None:
        sent.owed(connection)


def _write_doing(event: IncidentChanged, stamped: StampedEvent, connection: Connection) -> None:
    """Write what somebody did to an incident, and the incident itself if it never was."""
    if records.load(connection, event.incident.id) is None:
        records.save(connection, event.incident)
    if event.step is IncidentStep.COMMENTED:
        note = Note(stamped.utc, event.by, event.text)
        records.add_note(connection, event.incident.id, note)
    action, subject = f"incident.{event.step.value}", f"incident/{event.incident.id}"
    audit.append(connection, stamped.utc, event.by, action, subject, _detail(event))


def _detail(event: IncidentChanged) -> dict[str, Any]:
    """Return what an audit entry says; never a comment's words: those can be deleted, it cannot."""
    incident = event.incident
    match event.step:
        case IncidentStep.LABELLED:
            return {"label": None if incident.label is None else incident.label.value}
        case IncidentStep.ACKNOWLEDGED:
            return {"acknowledged": incident.acknowledged is not None}
        case IncidentStep.COMMENTED:
            return {"note": incident.notes}
        case _:
            return {}
