"""Rows of evidence as the store keeps them. Every function is given a connection."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, case, delete, func, insert, select, update

from stream.incident import Evidence, EvidenceState, Label
from stream.store.access import from_us, to_us
from stream.store.tables import evidence, incidents

MAX_RECONCILED = 1000
"""Newest incidents whose evidence is compared with what they say of it, at a start."""


@dataclass(frozen=True, slots=True)
class EvidenceRow:
    """What is kept of one incident, and where.

    Attributes:
        incident: its id.
        evidence: what is told of it.
        file: the clip, below the evidence folder; empty without one.
        details: names of the other files beside it, packets, codec, what is left out.
    """

    incident: str
    evidence: Evidence = field(default_factory=Evidence)
    file: str = ""
    details: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Shelved:
    """A clip that is kept, as pruning sees it.

    Attributes:
        row: see there.
        opened: when its incident began.
        is_true: somebody found the incident true.
    """

    row: EvidenceRow
    opened: datetime
    is_true: bool


def save(connection: Connection, row: EvidenceRow) -> None:
    """Write what is kept of an incident, in place of what was."""
    connection.execute(delete(evidence).where(evidence.c.incident == row.incident))
    told = row.evidence
    connection.execute(
        insert(evidence).values(
            incident=row.incident,
            state=told.state.value,
            start=None if told.start is None else to_us(told.start),
            end=None if told.end is None else to_us(told.end),
            bytes=told.bytes,
            sha256=told.sha256,
            file=row.file,
            details=json.dumps(row.details, separators=(",", ":"), sort_keys=True),
        )
    )


def find(connection: Connection, incident: str) -> EvidenceRow | None:
    """Return what is kept of an incident; None if nothing is known of it."""
    found = connection.execute(select(evidence).where(evidence.c.incident == incident)).first()
    return None if found is None else _row(found)


def shelved(connection: Connection) -> list[Shelved]:
    """Return every clip that is kept, the first to give way first."""
    is_true = case((incidents.c.label == Label.TRUE.value, 1), else_=0)
    opened = func.coalesce(incidents.c.opened, evidence.c.start, 0)
    query = (
        select(evidence, opened.label("opened"), is_true.label("is_true"))
        .join(incidents, incidents.c.id == evidence.c.incident, isouter=True)
        .where(evidence.c.state == EvidenceState.KEPT.value)
        .order_by(is_true, opened, evidence.c.incident)
    )
    return [
        Shelved(_row(found), from_us(found.opened), bool(found.is_true))
        for found in connection.execute(query)
    ]


def mark_pruned(connection: Connection, names: Collection[str]) -> None:
    """Write that clips have given way; the times and the digest of each stay known."""
    for name in names:
        connection.execute(
            update(evidence)
            .where(evidence.c.incident == name)
            .values(state=EvidenceState.PRUNED.value, file="")
        )


def left_over(connection: Connection) -> list[EvidenceRow]:
    """Return what an earlier run was about to keep."""
    query = select(evidence).where(evidence.c.state == EvidenceState.PENDING.value)
    return [_row(found) for found in connection.execute(query)]


def abandoned(connection: Connection, before: datetime) -> list[EvidenceRow]:
    """Return what somebody was about to keep of incidents that were closed long ago, oldest first.

    So many at a time; the rest is found the next time.
    """
    query = (
        select(evidence)
        .join(incidents, incidents.c.id == evidence.c.incident)
        .where(evidence.c.state == EvidenceState.PENDING.value)
        .where(incidents.c.closed.is_not(None), incidents.c.closed < to_us(before))
        .order_by(incidents.c.closed)
        .limit(MAX_RECONCILED)
    )
    return [_row(found) for found in connection.execute(query)]


def untold(connection: Connection) -> Iterator[EvidenceRow]:
    """Yield what is kept of incidents that say something else of it; of the newest ones."""
    query = (
        select(incidents.c.id, incidents.c.data)
        .order_by(incidents.c.opened.desc(), incidents.c.id.desc())
        .limit(MAX_RECONCILED)
    )
    said = {row.id: json.loads(row.data)["evidence"]["state"] for row in connection.execute(query)}
    for name, state in said.items():
        row = find(connection, name) if state != EvidenceState.NONE.value else None
        if row is None and state == EvidenceState.PENDING.value:
            yield EvidenceRow(name)
        elif row is not None and row.evidence.state.value != state:
            yield row


def states(connection: Connection, names: Collection[str]) -> dict[str, str]:
    """Return the states of incidents' evidence, of those that are known."""
    query = select(evidence.c.incident, evidence.c.state).where(evidence.c.incident.in_(names))
    return {row.incident: row.state for row in connection.execute(query)}


def _row(found: Row[Any]) -> EvidenceRow:
    told = Evidence(
        EvidenceState(found.state),
        None if found.start is None else from_us(found.start),
        None if found.end is None else from_us(found.end),
        found.bytes,
        found.sha256,
    )
    return EvidenceRow(found.incident, told, found.file, json.loads(found.details))
