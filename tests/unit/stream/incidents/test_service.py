"""Incidents as operators and the store see them: nothing is lost, and everything is signed for."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import AbstractContextManager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection

from stream.clock import ManualClock
from stream.errors import IncidentFull, IncidentUnknown, TooManySnoozes
from stream.event_log.event_log import EventLog
from stream.event_log.ids import EventIds
from stream.events import IncidentChanged, StreamRemoved, Verdict
from stream.incident import (
    Evidence,
    EvidenceState,
    IncidentStatus,
    IncidentStep,
    Label,
    Snooze,
)
from stream.incidents import records
from stream.incidents.records import Wanted
from stream.incidents.service import Change, Incidents
from stream.incidents.settings import IncidentSettings
from stream.store import audit
from stream.store.access import DirectStore, StoreAccess
from stream.store.database import Database
from stream.store.errors import StoreUnavailable
from tests.support.incidents import NIGHT, MachineRig, watched

KEPT = Evidence(EvidenceState.KEPT, NIGHT, NIGHT, 9, "ab" * 32)


class FailingStore:
    """A store that can be switched off; what it refuses is not written."""

    def __init__(self, store: DirectStore) -> None:
        self.away = False
        self._store = store

    def submit(self, write: Callable[[Connection], Any]) -> Future[Any]:
        """Write, or fail."""
        if not self.away:
            return self._store.submit(write)
        future: Future[Any] = Future()
        future.set_exception(StoreUnavailable("sqlite:///", "database or disk is full"))
        return future

    def reading(self) -> AbstractContextManager[Connection]:
        """Read, or fail."""
        if self.away:
            raise StoreUnavailable("sqlite:///", "database or disk is full")
        return self._store.reading()


class House(MachineRig):
    """Incidents of one process, in the test's hands."""

    def __init__(
        self,
        store: StoreAccess | None,
        settings: IncidentSettings | None = None,
        ids: EventIds | None = None,
        clock: ManualClock | None = None,
        *,
        alone: bool = True,
    ) -> None:
        self.clock = clock or ManualClock(100.0, NIGHT)
        self.log = EventLog(self.clock, ids)
        self.incidents = Incidents(self.log, self.clock, settings, store, alone=alone)
        self.machine = self.incidents.machine
        self.changes = []
        self.incidents.attach()
        self.log.attach(self)
        self.log.append(watched())

    def accept(self, stamped: Any) -> None:
        """Keep what was told."""
        if isinstance(stamped.event, IncidentChanged):
            self.changes.append(stamped.event)

    def wait(self, seconds: float) -> list[IncidentChanged]:
        """Let time pass."""
        before = len(self.changes)
        self.clock.advance(seconds)
        self.incidents.tick()
        return self.changes[before:]

    def open_one(self) -> str:
        """Have a face be suspect, and return the incident's id."""
        self.suspect(1.0)
        return self.machine.open()[-1].id

    def one(self) -> str:
        """Have an incident come and go, and return its id."""
        name = self.open_one()
        self.tell(self.turn(Verdict.CLEAR))
        self.wait(31.0)
        self.incidents.tick()  # takes note of what was written
        return name


@pytest.fixture
def store(database: Database) -> FailingStore:
    return FailingStore(DirectStore(database.engine))


def stored(store: FailingStore, name: str) -> Any:
    with store.reading() as connection:
        return records.load(connection, name)


async def test_everybody_on_the_log_hears_of_an_incident_and_it_is_stored(
    store: FailingStore,
) -> None:
    house = House(store)
    name = house.one()
    assert [change.step for change in house.changes] == [IncidentStep.OPENED, IncidentStep.CLOSED]
    assert stored(store, name) == house.changes[-1].incident
    assert house.incidents.recorder is not None
    assert house.incidents.recorder.unsaved == {}


async def test_what_operators_do_is_told_stored_and_signed_for(store: FailingStore) -> None:
    house = House(store)
    name = house.one()
    told = await house.incidents.change(
        name, Change(acknowledged=True, label=Label.FALSE, note="a poster"), "ann"
    )
    assert told.acknowledged is not None
    assert (told.acknowledged.by, told.label, told.notes) == ("ann", Label.FALSE, 1)
    assert [(c.step, c.by) for c in house.changes[-3:]] == [
        (IncidentStep.ACKNOWLEDGED, "ann"),
        (IncidentStep.LABELLED, "ann"),
        (IncidentStep.COMMENTED, "ann"),
    ]
    story = await house.incidents.story(name)
    assert story.incident == told == stored(store, name)
    assert [note.text for note in story.notes] == ["a poster"]
    assert [(entry.action, entry.by) for entry in story.audit] == [
        ("incident.acknowledged", "ann"),
        ("incident.labelled", "ann"),
        ("incident.commented", "ann"),
    ]
    with store.reading() as connection:
        assert audit.verify(connection).intact
    taken_back = await house.incidents.change(name, Change(acknowledged=False, label=""), "bob")
    assert (taken_back.acknowledged, taken_back.label, taken_back.labelled) == (None, None, None)


async def test_what_is_said_of_an_open_incident_stays_while_it_goes_on(store: FailingStore) -> None:
    house = House(store)
    name = house.open_one()
    await house.incidents.change(name, Change(label=Label.TRUE), "ann")
    house.suspect(6.0)
    assert house.machine.open()[0].label is Label.TRUE
    house.tell(StreamRemoved("lobby", 1))
    assert stored(store, name).label is Label.TRUE
    assert stored(store, name).status is IncidentStatus.CLOSED


async def test_a_restart_closes_what_was_left_open_and_keeps_snoozes(store: FailingStore) -> None:
    before = House(store, ids=EventIds())
    name = before.open_one()
    before.incidents.snooze("lobby", "cleaning", 60, "ann")

    after = House(store, clock=ManualClock(5.0, NIGHT + timedelta(minutes=5)))
    await after.incidents.start()
    (change,) = after.changes
    assert (change.incident.id, change.step) == (name, IncidentStep.CLOSED)
    assert change.incident.closed == change.incident.last_at
    assert stored(store, name).status is IncidentStatus.CLOSED
    assert [snooze.reason for snooze in after.incidents.snoozes] == ["cleaning"]


async def test_one_of_several_processes_closes_only_what_it_takes_over(store: FailingStore) -> None:
    before = House(store, ids=EventIds())
    name = before.open_one()
    before.incidents.snooze("lobby", "cleaning", 60, "ann")

    later = ManualClock(5.0, NIGHT + timedelta(minutes=5))
    after = House(store, clock=later, alone=False)
    await after.incidents.start()
    assert await after.incidents.take_over("gate") == ()
    assert after.changes == []
    assert stored(store, name).status is IncidentStatus.OPEN

    after.incidents.machine.snoozes.clear()
    (closed,) = await after.incidents.take_over("lobby")
    assert closed.id == name
    assert [change.step for change in after.changes] == [IncidentStep.CLOSED]
    assert stored(store, name).status is IncidentStatus.CLOSED
    assert [snooze.reason for snooze in after.incidents.snoozes] == ["cleaning"]
    assert await after.incidents.take_over("lobby") == ()


async def test_a_snooze_of_another_process_is_heeded_and_not_written_again(
    store: FailingStore,
) -> None:
    one, other = House(store), House(store)
    heard: list[tuple[str, Snooze | None]] = []
    other.incidents.on_snooze(lambda stream, snooze: heard.append((stream, snooze)))
    snooze = one.incidents.snooze("lobby", "cleaning", 60, "ann")
    other.incidents.heed("lobby", snooze)
    other.incidents.heed("lobby", snooze)
    assert other.incidents.snoozes == (snooze,)
    other.incidents.heed("lobby", None)
    assert other.incidents.snoozes == ()
    assert heard == [("lobby", snooze), ("lobby", None)]


async def test_a_store_that_is_away_at_the_start_is_asked_again(store: FailingStore) -> None:
    before = House(store)
    name = before.open_one()
    store.away = True
    after = House(store, clock=ManualClock(5.0, NIGHT + timedelta(minutes=5)))
    await after.incidents.start()
    assert after.changes == []
    store.away = False
    await after.incidents.tend()
    assert [change.incident.id for change in after.changes] == [name]
    await after.incidents.tend()
    assert len(after.changes) == 1


async def test_a_full_disk_loses_nothing_that_was_said(store: FailingStore) -> None:
    house = House(store)
    name = house.open_one()
    store.away = True
    house.tell(house.turn(Verdict.CLEAR))
    house.wait(31.0)
    await house.incidents.change(name, Change(label=Label.TRUE, note="looked"), "ann")
    page = await house.incidents.page(Wanted(), 10)
    assert ([each.id for each in page.incidents], page.stored) == ([name], False)
    for _ in range(3):
        house.wait(1.0)
    store.away = False
    house.wait(1.0)
    house.wait(1.0)
    assert stored(store, name).label is Label.TRUE
    assert stored(store, name).status is IncidentStatus.CLOSED
    story = await house.incidents.story(name)
    assert [note.text for note in story.notes] == ["looked"]
    assert [entry.action for entry in story.audit] == ["incident.labelled", "incident.commented"]
    assert house.incidents.recorder is not None
    assert house.incidents.recorder.lost == 0
    assert house.incidents.recorder.failures > 0


async def test_an_incident_that_is_only_in_a_store_that_is_away_is_a_503(
    store: FailingStore,
) -> None:
    house = House(store)
    name = house.one()
    store.away = True
    with pytest.raises(StoreUnavailable):
        await house.incidents.find(name)


async def test_pages_join_memory_and_store_without_repeats(store: FailingStore) -> None:
    house = House(store)
    names = [house.one() for _ in range(4)] + [house.open_one()]
    seen, after = [], None
    for _ in range(4):
        page = await house.incidents.page(Wanted(), 2, after)
        seen += [each.id for each in page.incidents]
        after = page.next
        if after is None:
            break
    assert seen == names[::-1]
    assert page.stored


async def test_evidence_of_open_and_of_old_incidents_is_told(store: FailingStore) -> None:
    house = House(store)
    old, new = house.one(), house.open_one()
    house.incidents.evidence_changed(new, KEPT)
    assert house.changes[-1].step is IncidentStep.EVIDENCE
    assert house.machine.open()[0].evidence == KEPT
    house.incidents.evidence_changed(old, KEPT)
    house.incidents.evidence_changed("nobody", KEPT)
    await house.incidents.tend()
    assert stored(store, old).evidence == KEPT
    assert house.incidents.forgotten == 1


async def test_a_snooze_is_signed_for_and_ends_by_itself(store: FailingStore) -> None:
    house = House(store)
    told: list[tuple[str, Snooze | None]] = []
    house.incidents.on_snooze(lambda stream, snooze: told.append((stream, snooze)))
    snooze = house.incidents.snooze("lobby", "cleaning", 1, "ann")
    assert house.incidents.snoozes == (snooze,)
    assert house.suspect(5.0) == []
    house.wait(60.0)
    assert house.incidents.snoozes == ()
    assert told == [("lobby", snooze), ("lobby", None)]
    house.incidents.snooze("lobby", "again", 1, "ann")
    house.incidents.wake("lobby", "bob")
    house.incidents.wake("lobby", "bob")
    with store.reading() as connection:
        entries = audit.entries(connection, subject="stream/lobby")
        assert records.load_snoozes(connection) == ()
    assert [(entry.action, entry.by) for entry in entries[::-1]] == [
        ("snooze.set", "ann"),
        ("snooze.ended", "styleflow"),
        ("snooze.set", "ann"),
        ("snooze.removed", "bob"),
    ]


async def test_bounds_are_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    house = House(None, IncidentSettings(max_notes=1))
    name = house.one()
    await house.incidents.change(name, Change(note="one"), "ann")
    with pytest.raises(IncidentFull):
        await house.incidents.change(name, Change(note="two"), "ann")
    with pytest.raises(IncidentUnknown):
        await house.incidents.change("nobody", Change(note="one"), "ann")
    monkeypatch.setattr("stream.incidents.service.MAX_SNOOZES", 1)
    house.incidents.snooze("lobby", "x", 1, "ann")
    house.incidents.snooze("lobby", "y", 1, "ann")
    with pytest.raises(TooManySnoozes):
        house.incidents.snooze("yard", "x", 1, "ann")


async def test_without_a_store_the_newest_are_kept_in_memory() -> None:
    house = House(None, IncidentSettings(kept=2))
    await house.incidents.start()
    names = [house.one() for _ in range(3)]
    await house.incidents.change(names[2], Change(note="mine"), "ann")
    page = await house.incidents.page(Wanted(), 10)
    assert ([each.id for each in page.incidents], page.stored) == (names[:0:-1], False)
    assert [note.text for note in (await house.incidents.story(names[2])).notes] == ["mine"]
    with pytest.raises(IncidentUnknown):
        await house.incidents.find(names[0])


async def test_what_always_fails_is_given_up_and_counted(
    store: FailingStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    house = House(store)
    name = house.one()

    def refuse(*anything: Any) -> None:
        raise ValueError("no such thing")

    monkeypatch.setattr("stream.incidents.records.add_note", refuse)
    await house.incidents.change(name, Change(note="x"), "ann")
    house.wait(1.0)
    house.wait(1.0)
    assert house.incidents.recorder is not None
    assert house.incidents.recorder.lost == 1
    assert stored(store, name).notes == 1, "its state is written all the same"


async def test_two_operators_at_once_do_not_undo_each_other(store: FailingStore) -> None:
    house = House(store)
    name = house.one()
    await asyncio.gather(
        house.incidents.change(name, Change(label=Label.TRUE), "ann"),
        house.incidents.change(name, Change(acknowledged=True), "bob"),
        house.incidents.change(name, Change(note="x"), "cy"),
    )
    told = stored(store, name)
    assert (told.label, told.acknowledged.by, told.notes) == (Label.TRUE, "bob", 1)
