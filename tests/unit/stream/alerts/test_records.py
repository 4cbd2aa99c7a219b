"""Rows of alerts, on SQLite and PostgreSQL alike."""

from __future__ import annotations

import random
from datetime import datetime, timedelta

from sqlalchemy import update

from stream.alerts import records
from stream.alerts.messages import Message, messages_of
from stream.alerts.outbox import Outbox
from stream.alerts.records import Parcel, ParcelState
from stream.alerts.rules import Alert, AlertKind, Told
from stream.alerts.settings import OutboxSettings, QuietHours
from stream.incident import IncidentStatus
from stream.store.access import DirectStore
from stream.store.database import Database
from stream.store.tables import alert_rules
from tests.support.alerts import BEGAN, incident, rule

OPENED, CLOSED = AlertKind.OPENED, AlertKind.CLOSED


def at(seconds: float) -> datetime:
    return BEGAN + timedelta(seconds=seconds)


def message(
    id: str, kind: AlertKind = OPENED, seconds: float = 0, *, over: bool = False
) -> Message:
    changes = {"status": IncidentStatus.CLOSED, "closed": BEGAN} if over else {}
    alert = Alert(rule(), kind, incident(id, **changes), at(seconds))
    return messages_of(alert, "")[0]


def test_a_message_comes_back_as_it_was(database: Database) -> None:
    sent = Parcel(message("i1", seconds=1.5), at(7), 3, "down")
    with database.engine.begin() as connection:
        records.add_parcel(connection, sent)
        records.add_parcel(connection, Parcel(sent.message, at(99)))
        assert list(records.waiting(connection, ["hook"])) == [sent]
        assert list(records.waiting(connection, ["other"])) == []
        records.write_parcel(connection, sent, ParcelState.DELIVERED)
        assert list(records.waiting(connection, ["hook"])) == []


def test_what_was_told_is_known_oldest_first(database: Database) -> None:
    with database.engine.begin() as connection:
        for parcel in (
            Parcel(message("b", seconds=2), at(2)),
            Parcel(message("a", seconds=1), at(1)),
            Parcel(message("a", CLOSED, 3), at(3)),
        ):
            records.add_parcel(connection, parcel)
        assert records.told(connection, 10) == [
            Told("all", "a", "lobby", OPENED, at(1)),
            Told("all", "b", "lobby", OPENED, at(2)),
            Told("all", "a", "lobby", CLOSED, at(3)),
        ]
        assert len(records.told(connection, 2)) == 2


def test_one_message_that_said_both_is_known_as_both(database: Database) -> None:
    with database.engine.begin() as connection:
        records.add_parcel(connection, Parcel(message("a", over=True), at(0)))
        assert {told.kind for told in records.told(connection, 10)} == {OPENED, CLOSED}


def test_rules_come_back_as_they_were_and_broken_ones_do_not(database: Database) -> None:
    made = rule(name="night", quiet=(QuietHours("22:00", "06:00", "Europe/Berlin", ("sat",)),))
    with database.engine.begin() as connection:
        records.write_rule(connection, rule(name="a"), BEGAN)
        records.write_rule(connection, made, BEGAN)
        records.write_rule(connection, made, BEGAN)
        assert records.read_rules(connection) == [rule(name="a"), made]
        broken = update(alert_rules).where(alert_rules.c.name == "a")
        connection.execute(broken.values(settings='{"name": "a", "channels": []}'))
        assert records.read_rules(connection) == [made]
        records.remove_rule(connection, "night")
        assert records.read_rules(connection) == []


def test_an_outbox_goes_on_after_a_restart(database: Database) -> None:
    def outbox() -> Outbox:
        store = DirectStore(database.engine)
        return Outbox(["hook"], store, OutboxSettings(), random.Random(1))

    box = outbox()
    for name in ("a", "b"):
        box.post(message(name), at(0))
    parcel = box.take("hook", at(0))
    assert parcel is not None
    box.delivered(parcel, at(0))
    again = outbox()
    with database.engine.connect() as connection:
        again.restore(records.waiting(connection, ["hook"]))
    assert again.waiting("hook") == 1
    assert box.unstored == 0
