"""Incidents of this analyzer: found by the machine, kept by the store, judged by operators.

Theory of operation. A sink of the event log feeds the machine and appends what it says to the same
log, so that everybody hears of it: the recorder, subscribers, alerts, evidence. What operators do
goes the same way. Memory holds what is open and what the store has not confirmed; everything else
is read from the store. Without a store memory also holds the newest closed ones, `incidents.kept`
of them, and nothing outlives the process.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from typing import Any, Literal

import structlog
from sqlalchemy import Connection

from stream.clock import Clock
from stream.errors import IncidentFull, IncidentUnknown, StreamError, TooManySnoozes
from stream.event_log.event_log import EventLog, StampedEvent
from stream.events import IncidentChanged
from stream.incident import (
    Evidence,
    Incident,
    IncidentStatus,
    IncidentStep,
    Label,
    Mark,
    Snooze,
)
from stream.incidents import records
from stream.incidents.labels import Manifest, manifest
from stream.incidents.machine import IncidentMachine
from stream.incidents.memory import Memory
from stream.incidents.recorder import Recorder
from stream.incidents.records import Cursor, Note, Wanted
from stream.incidents.settings import IncidentSettings
from stream.store import audit
from stream.store.access import StoreAccess, T
from stream.store.audit import AuditEntry
from stream.store.errors import StoreError, StoreOff

log = structlog.get_logger(__name__)

MAX_SNOOZES = 1024
"""Streams that may be snoozed at a time."""

MAX_EVIDENCE = 1024
"""News of evidence of earlier incidents that may await their turn; the oldest gives way."""

SAVED_S = 2.0
"""How long an operator's change waits to be on disk before it is answered."""

TICK_S = 1.0

SNOOZED = "snooze.set"


@dataclass(frozen=True, slots=True)
class Change:
    """What an operator does to an incident; what is left out stays.

    Attributes:
        acknowledged: take note of it, or take that back.
        label: what it was found to be; "" takes an earlier label back.
        note: a comment.
    """

    acknowledged: bool | None = None
    label: Label | Literal[""] | None = None
    note: str | None = None

    @classmethod
    def of(cls, said: Mapping[str, Any]) -> Change:
        """Return the change of a message's fields; a label of None takes the earlier one back."""
        change = cls(said.get("acknowledged"), None, said.get("note"))
        if "label" not in said:
            return change
        return replace(change, label=Label(said["label"]) if said["label"] else "")


@dataclass(frozen=True, slots=True)
class Page:
    """Part of a list of incidents.

    Attributes:
        incidents: newest first.
        next: where the list goes on; None at its end.
        stored: whether the store was asked; else these are only what is in memory.
    """

    incidents: tuple[Incident, ...]
    next: Cursor | None
    stored: bool


@dataclass(frozen=True, slots=True)
class Story:
    """An incident, what was said of it, and who did what.

    Attributes:
        incident: as it is now.
        notes: comments, oldest first.
        audit: entries about it, oldest first; none without a store.
    """

    incident: Incident
    notes: tuple[Note, ...]
    audit: tuple[AuditEntry, ...]


class Incidents:
    """Every incident; a sink of the event log. Belongs to the event loop's thread.

    Args:
        events: where changes are told; `attach` puts this into it.
        clock: where time comes from.
        settings: when there is an incident, and how much is kept.
        store: what remembers them; None keeps them in memory only.
        alone: whether no other process writes into the store: then every incident that is open
            there at the start was left by an earlier run. Else only those
            of streams that are taken over, see `take_over`.

    Attributes:
        machine: the open ones.
        recorder: the way to the store; None without one.
        settings: see above.
        forgotten: news of evidence that gave way.
    """

    def __init__(
        self,
        events: EventLog,
        clock: Clock,
        settings: IncidentSettings | None = None,
        store: StoreAccess | None = None,
        *,
        alone: bool = True,
    ) -> None:
        self._alone = alone
        self.settings = settings or IncidentSettings()
        self.machine = IncidentMachine(self.settings)
        self.recorder = Recorder(store) if store is not None else None
        self.forgotten = 0
        self._events = events
        self._clock = clock
        self._store = store
        self._memory = Memory(self.settings.kept)
        self._began = clock.utc()
        self._started = store is None
        self._changing = asyncio.Lock()
        self._news: deque[tuple[str, Evidence]] = deque()
        self._listeners: list[Callable[[str, Snooze | None], None]] = []

    def attach(self) -> None:
        """Begin to listen, before the first stream is added."""
        self._events.attach(self)
        if self.recorder is not None:
            self._events.attach(self.recorder)

    def accept(self, stamped: StampedEvent) -> None:
        """Feed the machine, and tell everybody what follows."""
        event = stamped.event
        if isinstance(event, IncidentChanged):
            if self._store is None:
                self._memory.keep(event, stamped.utc)
            return
        for change in self.machine.take(stamped):
            self._events.append(change)

    # --- life -----------------------------------------------------------------------------

    async def start(self) -> None:
        """Take over from an earlier run: its snoozes hold, what it left open is closed."""
        if self._store is None:
            log.warning("incidents are kept in memory only: there is no store")
            return
        try:
            snoozes, left = await asyncio.to_thread(self._read, _left_over)
        except StoreError as error:
            log.warning("earlier incidents cannot be read yet", error=str(error))
            return
        self._started = True
        for snooze in snoozes:
            self.machine.snoozes.setdefault(snooze.stream, snooze)
        if self._alone:
            self._close(left, self._began)

    async def take_over(self, stream: str) -> tuple[Incident, ...]:
        """Take over a stream from another process: its snooze holds, what it left open is closed.

        Returns:
            The incidents that were closed.
        """
        if self._store is None:
            return ()
        now = self._clock.utc()
        try:
            snoozes, left = await asyncio.to_thread(self._read, _left_over)
        except StoreError as error:
            log.warning("incidents of before cannot be read", stream=stream, error=str(error))
            return ()
        for snooze in snoozes:
            if snooze.stream == stream:
                self.heed(stream, snooze)
        return self._close((incident for incident in left if incident.stream == stream), now)

    def _close(self, left: Iterable[Incident], before: datetime) -> tuple[Incident, ...]:
        """Close what somebody else has opened and does not look after any more; return it."""
        known = self._known()
        mine = [each for each in left if each.id not in known and each.opened <= before]
        for incident in mine:
            over = replace(incident, status=IncidentStatus.CLOSED, closed=incident.last_at)
            self._tell(over, IncidentStep.CLOSED)
        return tuple(mine)

    async def run(self) -> None:
        """Look after them until cancelled."""
        while True:
            try:
                await self.tend()
            except Exception:
                log.exception("incidents are not looked after")  # and are again at the next turn
            await self._clock.sleep(TICK_S)

    async def tend(self) -> None:
        """Do what the passing of time brings: close, wake, and write what was not written."""
        self.tick()
        if not self._started:
            await self.start()
        while self._news:
            name, evidence = self._news.popleft()
            try:
                await self._change(name, partial(_with_evidence, evidence), IncidentStep.EVIDENCE)
            except StreamError as error:
                self.forgotten += 1
                log.warning("evidence of no incident", incident=name, error=str(error))

    def tick(self) -> None:
        """Close what is quiet, and end the snoozes whose time is over."""
        for change in self.machine.tick(self._clock.monotonic()):
            self._events.append(change)
        for snooze in self.machine.wake(self._clock.utc()):
            self._log_snooze(snooze, audit.NOBODY, "snooze.ended")
        if self.recorder is not None:
            self.recorder.settle()

    # --- reading --------------------------------------------------------------------------

    async def page(self, wanted: Wanted, limit: int, after: Cursor | None = None) -> Page:
        """Return incidents, newest first."""
        known = self._known()
        found = [i for i in known.values() if wanted.matches(i) and _is_behind(i, after)]
        stored = False
        if self._store is not None:
            query = partial(
                records.search, wanted=wanted, limit=limit + 1, after=after, without=tuple(known)
            )
            try:
                found += await asyncio.to_thread(self._read, query)
                stored = True
            except StoreError as error:
                log.warning("incidents cannot be read", error=str(error))
        found.sort(key=_order, reverse=True)
        shown = tuple(found[:limit])
        more = Cursor.behind(shown[-1]) if len(found) > limit else None
        return Page(shown, more, stored)

    async def find(self, name: str) -> Incident:
        """Return an incident.

        Raises:
            IncidentUnknown: there is none of this id.
            StoreUnavailable: it is not in memory, and the store cannot be read.
        """
        known = self._get(name)
        if known is None and self._store is not None:
            known = await asyncio.to_thread(self._read, partial(records.load, name=name))
            known = self._get(name) or known  # it may have changed meanwhile
        if known is None:
            raise IncidentUnknown(name)
        return known

    async def story(self, name: str) -> Story:
        """Return an incident with comments and audit. Raises as `find` does."""
        incident = await self.find(name)
        if self._store is None:
            return Story(incident, self._memory.notes(name), ())
        try:
            notes, entries = await asyncio.to_thread(self._read, partial(_said_of, name=name))
        except StoreError as error:
            log.warning("comments cannot be read", incident=name, error=str(error))
            return Story(incident, (), ())
        return Story(incident, notes, entries)

    async def labels(self, split: str = "") -> Manifest:
        """Return what operators found, as a manifest.

        Raises:
            StoreOff: there is none.
            StoreUnavailable: it cannot be read.
        """
        if self._store is None:
            raise StoreOff
        return await asyncio.to_thread(self._read, partial(manifest, split=split))

    # --- what operators do ------------------------------------------------------------------

    async def change(self, name: str, change: Change, by: str) -> Incident:
        """Do what an operator asks, and wait a moment for it to be on disk.

        Args:
            name: id of the incident.
            change: what to do.
            by: the operator.

        Raises:
            IncidentUnknown: there is none of this id.
            IncidentFull: it takes no further comment.
            StoreUnavailable: it is not in memory, and the store cannot be read.
        """
        mark = Mark(by, self._clock.utc())
        incident = await self.find(name)
        if change.note is not None and incident.notes >= self.settings.max_notes:
            raise IncidentFull(name, self.settings.max_notes)
        if change.acknowledged is not None:
            done = partial(_acknowledged, mark if change.acknowledged else None)
            incident = await self._change(name, done, IncidentStep.ACKNOWLEDGED, by)
        if change.label is not None:
            label = Label(change.label) if change.label else None
            done = partial(_labelled, label, mark)
            incident = await self._change(name, done, IncidentStep.LABELLED, by)
        if change.note is not None:
            incident = await self._change(name, _commented, IncidentStep.COMMENTED, by, change.note)
        if self.recorder is not None and not await self.recorder.saved(name, SAVED_S):
            log.warning("an incident's change is not on disk yet", incident=name)
        return incident

    def evidence_changed(self, name: str, evidence: Evidence) -> None:
        """Take note of what is kept of an incident's video; on the event loop, and never waits.

        News of an incident that is not in memory is told with the next `tend`.
        """
        known = self._get(name)
        if known is not None:
            self._put(_with_evidence(evidence, known), IncidentStep.EVIDENCE)
            return
        self._news.append((name, evidence))
        if len(self._news) > MAX_EVIDENCE:
            self._news.popleft()
            self.forgotten += 1

    @property
    def snoozes(self) -> tuple[Snooze, ...]:
        """Streams that open no incidents now, in the order in which they were snoozed."""
        now = self._clock.utc()
        return tuple(s for s in self.machine.snoozes.values() if s.until > now)

    def snooze(self, stream: str, reason: str, minutes: float, by: str) -> Snooze:
        """Have a stream open no incidents for a while; those that are open go on.

        Raises:
            TooManySnoozes: as many streams as may be are snoozed.
        """
        now = self._clock.utc()
        snoozes = self.machine.snoozes
        if stream not in snoozes and len(snoozes) >= MAX_SNOOZES:
            raise TooManySnoozes(MAX_SNOOZES)
        snooze = Snooze(stream, reason, Mark(by, now), now + timedelta(minutes=minutes))
        snoozes.pop(stream, None)
        snoozes[stream] = snooze
        self._log_snooze(snooze, by, SNOOZED)
        return snooze

    def wake(self, stream: str, by: str) -> None:
        """End a stream's snooze before its time; one that has none is fine."""
        snooze = self.machine.snoozes.pop(stream, None)
        if snooze is not None:
            self._log_snooze(snooze, by, "snooze.removed")

    def heed(self, stream: str, snooze: Snooze | None) -> None:
        """Take note of a snooze, or of its end, that another process has written."""
        known = self.machine.snoozes.pop(stream, None)
        if snooze is not None:
            self.machine.snoozes[stream] = snooze
        if snooze != known:
            for listener in self._listeners:
                listener(stream, snooze)

    def on_snooze(self, listener: Callable[[str, Snooze | None], None]) -> None:
        """Have somebody told of every stream that is snoozed, or woken (None)."""
        self._listeners.append(listener)

    # --- inside -----------------------------------------------------------------------------

    def _read(self, query: Callable[[Connection], T]) -> T:
        assert self._store is not None
        with self._store.reading() as connection:
            return query(connection)

    def _known(self) -> dict[str, Incident]:
        """Return what is in memory, in its newest state."""
        kept = self.recorder.unsaved if self.recorder is not None else self._memory.incidents
        return {**kept, **{incident.id: incident for incident in self.machine.open()}}

    def _get(self, name: str) -> Incident | None:
        kept = self.recorder.unsaved if self.recorder is not None else self._memory.incidents
        return self.machine.get(name) or kept.get(name)

    async def _change(
        self,
        name: str,
        apply: Callable[[Incident], Incident],
        step: IncidentStep,
        by: str = "",
        text: str = "",
    ) -> Incident:
        """Change an incident as it is now; one at a time, so that none undoes another's."""
        async with self._changing:
            incident = apply(await self.find(name))
            self._put(incident, step, by, text)
            return incident

    def _put(self, incident: Incident, step: IncidentStep, by: str = "", text: str = "") -> None:
        if self.machine.get(incident.id) is not None:
            self.machine.put(incident)
        self._tell(incident, step, by, text)

    def _tell(self, incident: Incident, step: IncidentStep, by: str = "", text: str = "") -> None:
        change = IncidentChanged(incident.stream, incident.epoch, incident, step, by, text)
        self._events.append(change)

    def _log_snooze(self, snooze: Snooze, by: str, action: str) -> None:
        log.info(action, stream=snooze.stream, by=by, reason=snooze.reason)
        if self.recorder is not None:
            done = self._clock.utc(), by
            self.recorder.send(partial(_write_snooze, snooze, action, done))
        for listener in self._listeners:
            listener(snooze.stream, snooze if action == SNOOZED else None)


def _write_snooze(
    snooze: Snooze, action: str, done: tuple[datetime, str], connection: Connection
) -> None:
    if action == SNOOZED:
        records.save_snooze(connection, snooze)
    else:
        records.drop_snooze(connection, snooze.stream)
    detail = {"reason": snooze.reason, "until": snooze.until.isoformat()}
    at, by = done
    audit.append(connection, at, by, action, f"stream/{snooze.stream}", detail)


def _left_over(connection: Connection) -> tuple[tuple[Snooze, ...], tuple[Incident, ...]]:
    return records.load_snoozes(connection), records.left_open(connection)


def _said_of(connection: Connection, name: str) -> tuple[tuple[Note, ...], tuple[AuditEntry, ...]]:
    entries = audit.entries(connection, subject=f"incident/{name}", limit=500)
    return records.notes(connection, name), entries[::-1]


def _order(incident: Incident) -> tuple[datetime, str]:
    return incident.opened, incident.id


def _is_behind(incident: Incident, cursor: Cursor | None) -> bool:
    if cursor is None:
        return True
    mine = Cursor.behind(incident)
    return (mine.opened, mine.id) < (cursor.opened, cursor.id)


def _acknowledged(mark: Mark | None, incident: Incident) -> Incident:
    return replace(incident, acknowledged=mark)


def _labelled(label: Label | None, mark: Mark, incident: Incident) -> Incident:
    return replace(incident, label=label, labelled=mark if label is not None else None)


def _commented(incident: Incident) -> Incident:
    return replace(incident, notes=incident.notes + 1)


def _with_evidence(evidence: Evidence, incident: Incident) -> Incident:
    return replace(incident, evidence=evidence)
