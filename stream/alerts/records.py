"""Rows of alerts in the store: messages on their way, and rules that were made on the page."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Any

from pydantic import TypeAdapter, ValidationError
from sqlalchemy import Connection, Row, Select, delete, insert, select, update

from stream.alerts.messages import Message
from stream.alerts.rules import AlertKind, Told
from stream.alerts.settings import Rule
from stream.errors import SettingInvalid
from stream.store.access import from_us, to_us
from stream.store.tables import alert_rules, outbox

INHERITED_AT_ONCE = 200
"""Messages of workers that are gone that are taken in one transaction."""

PRUNED_AT_ONCE = 500
"""Old rows that are removed in one transaction."""

_RULE = TypeAdapter(Rule)


class ParcelState(StrEnum):
    """What became of a message."""

    WAITING = "waiting"
    DELIVERED = "delivered"
    GIVEN_UP = "given_up"


@dataclass(frozen=True, slots=True)
class Parcel:
    """A message on its way.

    Attributes:
        message: what is sent.
        due: when it is tried next.
        attempts: how often it was tried.
        error: why the last attempt failed.
    """

    message: Message
    due: datetime
    attempts: int = 0
    error: str = ""

    def failed(self, error: str, due: datetime) -> Parcel:
        """Return it after one more failure."""
        return replace(self, attempts=self.attempts + 1, error=error, due=due)


def add_parcel(connection: Connection, parcel: Parcel, worker: str = "") -> None:
    """Write a message that is new, and who sends it; one that is there already stays as it is."""
    message = parcel.message
    if connection.scalar(select(outbox.c.id).where(outbox.c.id == message.id)) is not None:
        return
    connection.execute(
        insert(outbox).values(
            id=message.id,
            rule=message.rule,
            channel=message.channel,
            incident=message.incident,
            payload=message.text,
            created=to_us(message.created),
            due=to_us(parcel.due),
            attempts=parcel.attempts,
            state=ParcelState.WAITING,
            error=parcel.error,
            worker=worker,
        )
    )


def write_parcel(
    connection: Connection, parcel: Parcel, state: ParcelState, worker: str = ""
) -> None:
    """Write what became of a message."""
    add_parcel(connection, parcel, worker)
    connection.execute(
        update(outbox)
        .where(outbox.c.id == parcel.message.id)
        .values(
            due=to_us(parcel.due), attempts=parcel.attempts, state=state, error=parcel.error[:500]
        )
    )


def waiting(connection: Connection, channels: Iterable[str], worker: str = "") -> Iterator[Parcel]:
    """Yield the messages of some channels that are still on their way, oldest first.

    Those of one worker, where several share the store.
    """
    query = _waiting(channels)
    if worker:
        query = query.where(outbox.c.worker == worker)
    yield from map(_parcel, connection.execute(query))


def inherit(
    connection: Connection, channels: Iterable[str], heir: str, living: Collection[str]
) -> list[Parcel]:
    """Have a worker send what others were to send that live no more, and return it, oldest first.

    So many at a time; the rest is taken the next time.
    """
    query = _waiting(channels).where(outbox.c.worker.not_in([heir, *living]))
    taken = [_parcel(row) for row in connection.execute(query.limit(INHERITED_AT_ONCE))]
    ids = [parcel.message.id for parcel in taken]
    connection.execute(update(outbox).where(outbox.c.id.in_(ids)).values(worker=heir))
    return taken


def _waiting(channels: Iterable[str]) -> Select[Any]:
    return (
        select(outbox)
        .where(outbox.c.state == ParcelState.WAITING, outbox.c.channel.in_(list(channels)))
        .order_by(outbox.c.created, outbox.c.id)
    )


def _parcel(row: Row[Any]) -> Parcel:
    message = Message(
        row.id, row.rule, row.channel, row.incident, from_us(row.created), json.loads(row.payload)
    )
    return Parcel(message, from_us(row.due), row.attempts, row.error)


def told(connection: Connection, most: int) -> list[Told]:
    """Return the alerts that were sent or are on their way, oldest first; the newest `most`."""
    rows = connection.execute(
        select(outbox.c.rule, outbox.c.incident, outbox.c.created, outbox.c.payload)
        .where(outbox.c.incident != "")
        .order_by(outbox.c.created.desc(), outbox.c.id.desc())
        .limit(most)
    )
    found: dict[tuple[str, str, AlertKind], Told] = {}
    for row in rows:
        body = json.loads(row.payload)
        kind, stream = AlertKind(body["kind"]), body["incident"]["stream"]
        one = Told(row.rule, row.incident, stream, kind, from_us(row.created))
        found.setdefault((one.rule, one.incident, one.kind), one)
        if kind is AlertKind.OPENED and body["incident"]["closed"] is not None:
            both = replace(one, kind=AlertKind.CLOSED)  # one message said both
            found.setdefault((both.rule, both.incident, both.kind), both)
    return list(reversed(found.values()))


def prune(connection: Connection, before: datetime, gone: datetime) -> int:
    """Remove old messages, some at a time, and return how many.

    Args:
        connection: to the store.
        before: messages that were delivered or given up, and are older, are removed.
        gone: messages that still wait, and are older, are removed: their channel is gone.
    """
    old = (outbox.c.state != ParcelState.WAITING) & (outbox.c.created < to_us(before))
    lost = (outbox.c.state == ParcelState.WAITING) & (outbox.c.created < to_us(gone))
    ids = list(connection.scalars(select(outbox.c.id).where(old | lost).limit(PRUNED_AT_ONCE)))
    connection.execute(delete(outbox).where(outbox.c.id.in_(ids)))
    return len(ids)


def read_rules(connection: Connection) -> list[Rule]:
    """Return the rules that were made on the page; unreadable ones are left out."""
    found = []
    for text in connection.scalars(select(alert_rules.c.settings).order_by(alert_rules.c.name)):
        try:
            found.append(_RULE.validate_json(text))
        except (ValidationError, SettingInvalid):
            continue
    return found


def plain(rule: Rule) -> dict[str, Any]:
    """Return a rule as JSON has it."""
    values: dict[str, Any] = _RULE.dump_python(rule, mode="json")
    return values


def write_rule(connection: Connection, rule: Rule, now: datetime) -> None:
    """Write a rule, in place of one of the same name."""
    remove_rule(connection, rule.name)
    settings = _RULE.dump_json(rule).decode()
    connection.execute(
        insert(alert_rules).values(name=rule.name, settings=settings, changed=to_us(now))
    )


def remove_rule(connection: Connection, name: str) -> None:
    """Remove a rule."""
    connection.execute(delete(alert_rules).where(alert_rules.c.name == name))
