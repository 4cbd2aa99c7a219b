"""Audit log: who changed what, in entries that are only added and each seal the one before.

An entry's hash is SHA-256 over its canonical JSON, which holds the hash of the entry before; the
first one's is that of nothing (`GENESIS`). `audit_head` holds where the log ends. An entry that is
changed, removed, added or put elsewhere is found by `verify`, the last ones included.

Limits. Whoever may write the database and knows this can make all hashes anew. What was signed
outside of it (every evidence bundle carries a head of this log) tells that as well: `verify` takes
such heads as `known`.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from contextvars import ContextVar
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, Select, func, insert, select, update

from stream.store.access import from_us, to_us
from stream.store.tables import audit, audit_head

NOBODY = "styleflow"
"""Who did what nobody asked for."""

asked_by: ContextVar[str] = ContextVar("asked_by", default=NOBODY)
"""Who asked for what is being done now: set by whoever admits a caller, for the caller's task."""

GENESIS = "0" * 64
"""What the first entry carries in place of a hash before it."""

_MAX_BY, _MAX_ACTION, _MAX_SUBJECT = 128, 64, 128
_READ_AT_ONCE = 1000


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """One change.

    Attributes:
        number: 1 for the first, and one more for each further one.
        at: wall clock, UTC.
        by: name of the token; `local` where no tokens are configured; `styleflow` when nobody
            asked for it.
        action: what was done, as `stream.added`.
        subject: to what: `stream/ID`, `incident/ID`, `store`.
        detail: JSON object; never a secret.
        previous: hash of the entry before.
        hash: SHA-256 over `sealed()`, in hexadecimal.
    """

    number: int
    at: datetime
    by: str
    action: str
    subject: str
    detail: Mapping[str, Any]
    previous: str
    hash: str

    def sealed(self) -> bytes:
        """Return what the hash is made of: canonical JSON, `at` in microseconds since 1970."""
        return canonical(
            {
                "number": self.number,
                "at": to_us(self.at),
                "by": self.by,
                "action": self.action,
                "subject": self.subject,
                "detail": self.detail,
                "previous": self.previous,
            }
        ).encode("ascii")


@dataclass(frozen=True, slots=True)
class AuditHead:
    """Where the log ends: the newest entry's number and hash; 0 and `GENESIS` without any."""

    number: int = 0
    hash: str = GENESIS


@dataclass(frozen=True, slots=True)
class AuditCheck:
    """What `verify` found.

    Attributes:
        entries: how many were read; all of them when there is no fault.
        head: the newest entry of those that are intact.
        fault: the first thing that is wrong, in one sentence; empty when the log is intact.
    """

    entries: int
    head: AuditHead
    fault: str = ""

    @property
    def intact(self) -> bool:
        """Whether nothing was changed, removed, added or put elsewhere."""
        return not self.fault


def canonical(value: Mapping[str, Any]) -> str:
    """Return JSON of which there is one form: sorted keys, no spaces, ASCII, no NaN.

    Raises:
        ValueError: a number is none that JSON has.
        TypeError: a value is none that JSON has.
    """
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)


def sha256(entry: AuditEntry) -> str:
    """Return the hash that an entry should have."""
    return hashlib.sha256(entry.sealed()).hexdigest()


def append(
    connection: Connection,
    at: datetime,
    by: str,
    action: str,
    subject: str,
    detail: Mapping[str, Any] | None = None,
) -> AuditEntry:
    """Add an entry, as part of the write that it tells of.

    Names that are too long for their column are cut. Writers in other processes wait at the head.

    Args:
        connection: in a transaction.
        at: wall clock.
        by: who did it.
        action: what was done.
        subject: to what.
        detail: more, as a JSON object; no secrets.
    """
    before = _advance(connection)
    text = canonical(detail or {})
    unsealed = AuditEntry(
        number=before.number + 1,
        at=from_us(to_us(at)),
        by=_text(by, _MAX_BY),
        action=_text(action, _MAX_ACTION),
        subject=_text(subject, _MAX_SUBJECT),
        detail=json.loads(text),
        previous=before.hash,
        hash="",
    )
    entry = replace(unsealed, hash=sha256(unsealed))
    connection.execute(
        insert(audit).values(
            number=entry.number,
            at=to_us(entry.at),
            by=entry.by,
            action=entry.action,
            subject=entry.subject,
            detail=text,
            previous=entry.previous,
            hash=entry.hash,
        )
    )
    connection.execute(update(audit_head).values(hash=entry.hash))
    return entry


def head(connection: Connection) -> AuditHead:
    """Return where the log says that it ends."""
    row = connection.execute(select(audit_head.c.number, audit_head.c.hash)).first()
    return AuditHead() if row is None else AuditHead(row.number, row.hash)


def entries(
    connection: Connection,
    *,
    subject: str | None = None,
    before: int | None = None,
    limit: int = 100,
) -> tuple[AuditEntry, ...]:
    """Return entries, newest first.

    Args:
        connection: to read with.
        subject: only those about it.
        before: only those with a smaller number.
        limit: how many at most.
    """
    query = select(audit).order_by(audit.c.number.desc()).limit(limit)
    if subject is not None:
        query = query.where(audit.c.subject == subject)
    if before is not None:
        query = query.where(audit.c.number < before)
    return tuple(_entry(row) for row in connection.execute(query))


def count(connection: Connection, subject: str) -> int:
    """Return how many entries there are about something."""
    query = select(func.count()).select_from(audit).where(audit.c.subject == subject)
    return int(connection.execute(query).scalar_one())


def verify(connection: Connection, known: Mapping[int, str] | None = None) -> AuditCheck:
    """Read the whole log and say whether it is as it was written.

    Args:
        connection: to read with.
        known: hashes of entries by number that are known from elsewhere, as from a signed bundle.
    """
    at = AuditHead()
    read = 0
    for row in _rows(connection, select(audit).order_by(audit.c.number)):
        read += 1
        fault = _fault(row, at, known or {})
        if fault:
            return AuditCheck(read, at, fault)
        at = AuditHead(row.number, row.hash)
    return AuditCheck(read, at, _end_fault(at, head(connection), known or {}))


def _fault(row: Row[Any], before: AuditHead, known: Mapping[int, str]) -> str:
    if row.number != before.number + 1:
        return f"entry {before.number + 1} is missing: {row.number} is next"
    if row.previous != before.hash:
        return f"entry {row.number} does not follow the one before it"
    try:
        entry = _entry(row)
        if canonical(entry.detail) != row.detail:
            return f"entry {row.number} was changed: its detail is not canonical"
        whole = sha256(entry) == row.hash
    except (ValueError, TypeError, OverflowError):
        return f"entry {row.number} was changed: it cannot be read"
    if not whole:
        return f"entry {row.number} was changed: its hash is of something else"
    if known.get(row.number, row.hash) != row.hash:
        return f"entry {row.number} is not the one that is known from elsewhere"
    return ""


def _end_fault(at: AuditHead, said: AuditHead, known: Mapping[int, str]) -> str:
    if said != at:
        return f"the log ends at entry {at.number}, and should end at {said.number}"
    if known and max(known) > at.number:
        return f"the log ends at entry {at.number}, and entry {max(known)} is known from elsewhere"
    return ""


def _advance(connection: Connection) -> AuditHead:
    """Return where the log ended, and claim the next number.

    The head's row is written first, so a second writer waits here, on either database.
    """
    moved = connection.execute(
        update(audit_head)
        .values(number=audit_head.c.number + 1)
        .returning(audit_head.c.number, audit_head.c.hash)
    ).first()
    if moved is not None:
        return AuditHead(moved.number - 1, moved.hash)
    connection.execute(insert(audit_head).values(one=1, number=1, hash=GENESIS))
    return AuditHead()


def _rows(connection: Connection, query: Select[Any]) -> Iterator[Row[Any]]:
    yield from connection.execution_options(yield_per=_READ_AT_ONCE).execute(query)


def _entry(row: Row[Any]) -> AuditEntry:
    return AuditEntry(
        number=row.number,
        at=from_us(row.at),
        by=row.by,
        action=row.action,
        subject=row.subject,
        detail=json.loads(row.detail),
        previous=row.previous,
        hash=row.hash,
    )


def _text(value: str, limit: int) -> str:
    """Return text as both databases can hold it."""
    return value.encode("utf-8", "replace").decode().replace("\0", "\ufffd")[:limit]
