"""Incidents, comments and snoozes as the store keeps them. Every function is given a connection."""

from __future__ import annotations

import base64
import re
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, Select, and_, delete, insert, or_, select, update

from stream.errors import CursorInvalid
from stream.incident import Incident, IncidentStatus, Label, Mark, Severity, Snooze
from stream.publish.incidents import incident_data, incident_of
from stream.publish.schema import IncidentData
from stream.store.access import from_us, to_us
from stream.store.tables import incident_notes, incidents, snoozes

_PLACE = re.compile(r"(?P<opened>[0-9]{1,18}):(?P<id>[A-Za-z0-9-]{1,64})", re.ASCII)
"""A cursor's text, decoded; its number fits whatever a database counts with."""


@dataclass(frozen=True, slots=True)
class Note:
    """A comment on an incident.

    Attributes:
        at: wall clock.
        by: whose.
        text: what it says.
    """

    at: datetime
    by: str
    text: str


@dataclass(frozen=True, slots=True)
class Cursor:
    """A place in the list of incidents: behind this one.

    Attributes:
        opened: microseconds since 1970.
        id: of the incident.
    """

    opened: int
    id: str

    @classmethod
    def behind(cls, incident: Incident) -> Cursor:
        """Return the place behind an incident."""
        return cls(to_us(incident.opened), incident.id)

    @classmethod
    def parse(cls, text: str) -> Cursor:
        """Return the cursor of a text. Raises CursorInvalid."""
        try:
            place = base64.urlsafe_b64decode(text.encode()).decode("ascii")
        except ValueError:
            raise CursorInvalid from None
        parts = _PLACE.fullmatch(place)
        if parts is None:
            raise CursorInvalid
        return cls(int(parts["opened"]), parts["id"])

    @property
    def text(self) -> str:
        """The cursor as clients hand it back; they need not understand it."""
        return base64.urlsafe_b64encode(f"{self.opened}:{self.id}".encode()).decode()


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which incidents are asked for; None means any.

    Attributes:
        stream: of this stream.
        status: open or closed.
        severity: of this severity.
        label: labelled so.
        acknowledged: whether somebody took note.
        since: suspect at this time or later.
        until: opened before this time.
    """

    stream: str | None = None
    status: IncidentStatus | None = None
    severity: Severity | None = None
    label: Label | None = None
    acknowledged: bool | None = None
    since: datetime | None = None
    until: datetime | None = None

    def matches(self, incident: Incident) -> bool:
        """Say whether an incident is asked for; `_where` says the same to the database."""
        return (
            self.stream in (None, incident.stream)
            and self.status in (None, incident.status)
            and self.severity in (None, incident.severity)
            and self.label in (None, incident.label)
            and self.acknowledged in (None, incident.acknowledged is not None)
            and (self.since is None or incident.last_at >= self.since)
            and (self.until is None or incident.opened < self.until)
        )


def save(connection: Connection, incident: Incident) -> None:
    """Write an incident as it is now."""
    row = {
        "stream": incident.stream,
        "opened": to_us(incident.opened),
        "last_at": to_us(incident.last_at),
        "closed": None if incident.closed is None else to_us(incident.closed),
        "status": incident.status.value,
        "severity": int(incident.severity),
        "label": None if incident.label is None else incident.label.value,
        "acknowledged": incident.acknowledged is not None,
        "peak": incident.peak.p,
        "data": incident_data(incident).model_dump_json(),
    }
    mine = incidents.c.id == incident.id
    if connection.execute(update(incidents).where(mine).values(row)).rowcount == 0:
        connection.execute(insert(incidents).values(id=incident.id, **row))


def load(connection: Connection, name: str) -> Incident | None:
    """Return an incident; None when there is none of this id."""
    row = connection.execute(select(incidents.c.data).where(incidents.c.id == name)).first()
    return None if row is None else _incident(row.data)


def left_open(connection: Connection) -> tuple[Incident, ...]:
    """Return the incidents that nobody has closed, oldest first."""
    query = select(incidents.c.data).where(incidents.c.status == IncidentStatus.OPEN.value)
    rows = connection.execute(query.order_by(incidents.c.opened))
    return tuple(_incident(row.data) for row in rows)


def search(
    connection: Connection,
    wanted: Wanted,
    limit: int,
    after: Cursor | None = None,
    without: Collection[str] = (),
) -> tuple[Incident, ...]:
    """Return incidents, newest first.

    Args:
        connection: to read with.
        wanted: which.
        limit: how many at most.
        after: where the list goes on.
        without: ids to leave out.
    """
    query = _where(select(incidents.c.data), wanted)
    if after is not None:
        same = and_(incidents.c.opened == after.opened, incidents.c.id < after.id)
        query = query.where(or_(incidents.c.opened < after.opened, same))
    if without:
        query = query.where(incidents.c.id.notin_(without))
    query = query.order_by(incidents.c.opened.desc(), incidents.c.id.desc()).limit(limit)
    return tuple(_incident(row.data) for row in connection.execute(query))


def _where(query: Select[tuple[str]], wanted: Wanted) -> Select[tuple[str]]:
    columns = incidents.c
    pairs = (
        (columns.stream, wanted.stream),
        (columns.status, wanted.status and wanted.status.value),
        (columns.severity, None if wanted.severity is None else int(wanted.severity)),
        (columns.label, wanted.label and wanted.label.value),
        (columns.acknowledged, wanted.acknowledged),
    )
    for column, value in pairs:
        if value is not None:
            query = query.where(column == value)
    if wanted.since is not None:
        query = query.where(columns.last_at >= to_us(wanted.since))
    if wanted.until is not None:
        query = query.where(columns.opened < to_us(wanted.until))
    return query


def add_note(connection: Connection, name: str, note: Note) -> None:
    """Write a comment on an incident that is there."""
    row = {"incident": name, "at": to_us(note.at), "by": note.by, "text": note.text}
    connection.execute(insert(incident_notes).values(row))


def notes(connection: Connection, name: str) -> tuple[Note, ...]:
    """Return the comments on an incident, oldest first."""
    table = incident_notes.c
    query = select(table.at, table.by, table.text).where(table.incident == name)
    rows = connection.execute(query.order_by(table.number))
    return tuple(Note(from_us(row.at), row.by, row.text) for row in rows)


def save_snooze(connection: Connection, snooze: Snooze) -> None:
    """Write a snooze in place of the stream's earlier one."""
    drop_snooze(connection, snooze.stream)
    connection.execute(
        insert(snoozes).values(
            stream=snooze.stream,
            reason=snooze.reason,
            by=snooze.set.by,
            at=to_us(snooze.set.at),
            until=to_us(snooze.until),
        )
    )


def drop_snooze(connection: Connection, stream: str) -> None:
    """Delete the snooze of a stream."""
    connection.execute(delete(snoozes).where(snoozes.c.stream == stream))


def load_snoozes(connection: Connection) -> tuple[Snooze, ...]:
    """Return every snooze, in the order in which they were set."""
    rows = connection.execute(select(snoozes).order_by(snoozes.c.at))
    return tuple(
        Snooze(row.stream, row.reason, Mark(row.by, from_us(row.at)), from_us(row.until))
        for row in rows
    )


def _incident(data: str) -> Incident:
    return incident_of(IncidentData.model_validate_json(data))
