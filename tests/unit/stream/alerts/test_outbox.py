"""The outbox: at least once, in order, for a day, bounded, and beyond a restart."""

from __future__ import annotations

import random
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine, select

from stream.alerts import records
from stream.alerts.messages import Message, messages_of
from stream.alerts.outbox import Outbox
from stream.alerts.rules import Alert, AlertKind
from stream.alerts.settings import OutboxSettings
from stream.store.access import DirectStore
from stream.store.tables import outbox as table
from tests.support.alerts import BEGAN, incident, rule, store

SETTINGS = OutboxSettings()


def at(seconds: float) -> datetime:
    return BEGAN + timedelta(seconds=seconds)


def message(id: str = "i1", kind: AlertKind = AlertKind.OPENED, seconds: float = 0) -> Message:
    (made,) = messages_of(Alert(rule(), kind, incident(id), at(seconds)), "")
    return made


def outbox(kept: DirectStore, settings: OutboxSettings = SETTINGS) -> Outbox:
    return Outbox(["hook", "other"], kept, settings, random.Random(7))


def rows(kept: DirectStore) -> list[Any]:
    with kept.reading() as connection:
        return list(connection.execute(select(table).order_by(table.c.created)))


@pytest.fixture
def kept(tmp_path: Path) -> DirectStore:
    return store(tmp_path / "store.sqlite")


def test_a_delivered_message_is_not_tried_again(kept: DirectStore) -> None:
    box = outbox(kept)
    box.post(message(), at(0))
    parcel = box.take("hook", at(0))
    assert parcel is not None
    box.delivered(parcel, at(1))
    assert box.take("hook", at(9e4)) is None
    assert [(row.state, row.attempts) for row in rows(kept)] == [("delivered", 1)]
    assert box.counts["hook"].delivered == 1


def test_the_waits_double_and_their_upper_half_is_chance(kept: DirectStore) -> None:
    box = outbox(kept)
    for attempts, ceiling in enumerate([2, 4, 8, 16, 32, 64, 128, 256, 512, 900, 900, 900]):
        waits = [box.wait_s(attempts) for _ in range(50)]
        assert all(ceiling / 2 <= wait <= ceiling for wait in waits)
        assert max(waits) - min(waits) > ceiling / 8, "all would come back together"


def test_a_failure_is_tried_again_after_its_wait(kept: DirectStore) -> None:
    box = outbox(kept)
    box.post(message(), at(0))
    parcel = box.take("hook", at(0))
    assert parcel is not None
    box.failed(parcel, "nobody is there", at(0))
    due = box.next_due("hook")
    assert due is not None
    assert at(1) <= due <= at(2)
    assert box.take("hook", at(0.9)) is None
    again = box.take("hook", due)
    assert again is not None
    assert again.attempts == 1
    assert box.errors["hook"] == "nobody is there"


@pytest.mark.parametrize(("asked", "obeyed"), [(60.0, 60.0), (1e9, 900.0)])
def test_a_receiver_may_ask_for_a_longer_wait(
    kept: DirectStore, asked: float, obeyed: float
) -> None:
    box = outbox(kept)
    box.post(message(), at(0))
    parcel = box.take("hook", at(0))
    assert parcel is not None
    box.failed(parcel, "busy", at(0), asked)
    assert box.next_due("hook") == at(obeyed)


def test_a_message_is_given_up_after_a_day(kept: DirectStore) -> None:
    box, now, attempts = outbox(kept), 0.0, 0
    box.post(message(), at(0))
    while parcel := box.take("hook", at(now)):
        box.failed(parcel, "dead", at(now))
        attempts += 1
        due = box.next_due("hook")
        now = (due - BEGAN).total_seconds() if due else 86400.0
    assert 96 < attempts < 250, "every 450 to 900 s, once the waits have grown"
    assert box.counts["hook"].given_up == 1
    assert box.waiting("hook") == 0
    assert [row.state for row in rows(kept)] == ["given_up"]


def test_the_end_of_an_incident_does_not_overtake_its_beginning(kept: DirectStore) -> None:
    box = outbox(kept)
    box.post(message("a"), at(0))
    parcel = box.take("hook", at(0))
    assert parcel is not None
    box.failed(parcel, "down", at(0))
    box.post(message("a", AlertKind.CLOSED, 1), at(1))
    box.post(message("b", seconds=1), at(1))
    other = box.take("hook", at(1))
    assert other is not None
    assert other.message.incident == "b", "other incidents do not wait for it"


def test_a_full_queue_drops_the_oldest_and_counts_it(kept: DirectStore) -> None:
    box = outbox(kept, OutboxSettings(waiting=2))
    for number in range(3):
        box.post(message(f"i{number}", seconds=number), at(number))
    assert box.waiting("hook") == 2
    assert box.counts["hook"].dropped == 1
    first = box.take("hook", at(9))
    assert first is not None
    assert first.message.incident == "i1"
    assert [row.state for row in rows(kept)] == ["given_up", "waiting", "waiting"]


def test_the_same_message_is_not_posted_twice(kept: DirectStore) -> None:
    box = outbox(kept)
    box.post(message(), at(0))
    box.post(message(), at(1))
    assert box.waiting("hook") == 1


def test_what_waited_before_a_restart_is_sent_after_it(tmp_path: Path) -> None:
    kept = store(tmp_path / "store.sqlite")
    box = outbox(kept)
    box.post(message("a"), at(0))
    parcel = box.take("hook", at(0))
    assert parcel is not None
    box.failed(parcel, "down", at(0))
    again = outbox(store(tmp_path / "store.sqlite"))
    with kept.reading() as connection:
        again.restore(records.waiting(connection, ["hook"]))
    assert again.next_due("hook") == box.next_due("hook")
    found = again.take("hook", at(60))
    assert found is not None
    assert found.message == parcel.message
    assert found.attempts == 1


def test_a_store_that_takes_nothing_stops_no_message(tmp_path: Path) -> None:
    """A full disk costs the promise of a restart, not the alert."""
    box = outbox(DirectStore(create_engine(f"sqlite:///{tmp_path}/no/folder")))
    box.post(message(), at(0))
    parcel = box.take("hook", at(0))
    assert parcel is not None
    box.delivered(parcel, at(0))
    assert box.unstored == 2


def test_old_messages_are_removed_some_at_a_time(kept: DirectStore) -> None:
    box = outbox(kept)
    for number in range(records.PRUNED_AT_ONCE + 5):
        box.post(message(f"i{number}"), at(0))
        parcel = box.take("hook", at(0))
        assert parcel is not None
        box.delivered(parcel, at(0))
    box.post(message("waits"), at(0))

    def prune(before: float) -> int:
        return kept.submit(lambda c: records.prune(c, at(before), at(-1))).result()

    assert [prune(0), prune(1), prune(1), prune(1)] == [0, records.PRUNED_AT_ONCE, 5, 0]
    assert [row.incident for row in rows(kept)] == ["waits"]
