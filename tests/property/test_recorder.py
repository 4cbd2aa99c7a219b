"""The recorder, whatever the store does: nothing newer is undone, nothing said is written twice."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, Engine, create_engine
from sqlalchemy.pool import StaticPool

from stream.clock import ManualClock
from stream.event_log.event_log import EventLog
from stream.events import IncidentChanged
from stream.incident import Incident, IncidentStep
from stream.incidents import records
from stream.incidents.recorder import Recorder
from stream.store import audit
from stream.store.errors import StoreUnavailable
from stream.store.tables import metadata
from tests.support.incidents import incident

NAMES = ("i-1", "i-2")


class SlowStore:
    """A store that writes when it is told to, in order, or refuses what comes next."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._waiting: deque[tuple[Callable[[Connection], Any], Future[Any]]] = deque()

    def submit(self, write: Callable[[Connection], Any]) -> Future[Any]:
        """Queue a write."""
        future: Future[Any] = Future()
        self._waiting.append((write, future))
        return future

    def reading(self) -> AbstractContextManager[Connection]:
        """Return a connection."""
        return self._engine.connect()

    def turn(self, *, well: bool) -> None:
        """Do the next write, or refuse it."""
        if not self._waiting:
            return
        write, future = self._waiting.popleft()
        if not well:
            future.set_exception(StoreUnavailable("store", "disk full"))
            return
        try:
            with self._engine.begin() as connection:
                connection.exec_driver_sql("PRAGMA foreign_keys=ON")
                result = write(connection)
        except Exception as error:
            future.set_exception(error)
        else:
            future.set_result(result)

    def finish(self) -> None:
        """Do all that waits."""
        while self._waiting:
            self.turn(well=True)


happening = st.one_of(
    st.tuples(st.just("extend"), st.sampled_from(NAMES)),
    st.tuples(st.just("comment"), st.sampled_from(NAMES)),
    st.tuples(st.just("written"), st.booleans()),
    st.tuples(st.just("settle")),
)


BACK_TOO_SOON = [
    ("comment", "i-1"),
    ("written", False),
    ("settle",),
    ("written", False),
    ("written", True),
]
"""The store is back between an incident's state and the comment on it."""

OLDER_FIRST = [
    ("extend", "i-1"),
    ("extend", "i-1"),
    ("written", True),
    ("settle",),
    ("written", False),
]
"""The store takes an older state and refuses the newer one."""


@settings(deadline=None)
@example(BACK_TOO_SOON)
@example(OLDER_FIRST)
@given(st.lists(happening, max_size=40))
def test_a_store_that_comes_and_goes_ends_with_the_newest_of_everything(
    script: list[tuple[Any, ...]],
) -> None:
    engine = create_engine("sqlite://", poolclass=StaticPool)
    with engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA foreign_keys=ON")
    metadata.create_all(engine)
    store, log = SlowStore(engine), EventLog(ManualClock())
    recorder = Recorder(store)
    log.attach(recorder)
    newest: dict[str, Incident] = {}
    said: dict[str, list[str]] = {name: [] for name in NAMES}

    def tell(name: str, step: IncidentStep) -> None:
        known = newest.get(name) or incident(name)
        text = f"word {len(said[name])}" if step is IncidentStep.COMMENTED else ""
        newest[name] = changed = replace(
            known, suspect_s=known.suspect_s + 1.0, notes=known.notes + bool(text)
        )
        if text:
            said[name].append(text)
        log.append(IncidentChanged("lobby", 1, changed, step, "ann" if text else "", text))

    for what in script:
        match what:
            case ("extend", name):
                tell(name, IncidentStep.EXTENDED)
            case ("comment", name):
                tell(name, IncidentStep.COMMENTED)
            case ("written", well):
                store.turn(well=well)
            case _:
                recorder.settle()
    for _ in range(3):
        store.finish()
        recorder.settle()
    with store.reading() as connection:
        for name, last in newest.items():
            assert records.load(connection, name) == last
            assert sorted(n.text for n in records.notes(connection, name)) == sorted(said[name])
        assert audit.verify(connection).intact
        assert audit.verify(connection).entries == sum(map(len, said.values()))
    assert recorder.unsaved == {}
    assert recorder.lost == 0
    engine.dispose()
