"""A PostgreSQL on a machine of its own, and machines that do not reach it any more."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from pydantic import SecretStr
from sqlalchemy import func, select

from stream.clock import SystemClock
from stream.event_log.event_log import EventLog
from stream.event_log.ids import EventIds
from stream.events import ScoringModel, StreamAdded, TrackStarted
from stream.store.database import Database, open_database
from stream.store.owners import Ownership, highest_generation
from stream.store.settings import StoreSettings
from stream.store.tables import scores
from stream.store.writer import MAX_BATCH, StoreWriter
from tests.support.databases import Postgres
from tests.support.namespaces import Namespaces, missing
from tests.support.store_child import CARD, score
from tests.support.store_holder import STREAM

if reason := missing():
    pytest.skip(reason, allow_module_level=True)

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(120)]

MACHINES = ("lost", "keeper")
AWAY, EVERY_S = 4000, 0.02
"""Most scores during a cut, and the pause between two."""


@pytest.fixture(scope="module")
def machines() -> Iterator[Namespaces]:
    with Namespaces(MACHINES) as made:
        yield made


@pytest.fixture(scope="module")
def server(machines: Namespaces) -> Iterator[Postgres]:
    with Postgres(machines.under("keeper"), machines.address("keeper")) as made:
        yield made


@pytest.mark.parametrize("fault", ["lost", "paused"])
def test_a_stream_is_stored_by_its_next_owner_though_the_last_one_never_ends_its_commit(
    fault: str, machines: Namespaces, server: Postgres, tmp_path: Path
) -> None:
    """It holds a lock on the stream's owner, and is gone without a word, or does nothing more."""
    url = server.migrated()
    module = ("-m", "tests.support.store_holder", url, str(tmp_path))
    with ExitStack() as stack:
        holder = stack.enter_context(
            subprocess.Popen(
                [*machines.under("lost"), sys.executable, *module], stdout=subprocess.PIPE
            )
        )
        stack.callback(holder.kill)
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"holds\n"
        if fault == "lost":
            machines.part("lost", "keeper")
            stack.callback(machines.part, "lost", "keeper", cut=False)
            holder.kill()
        database = open_database(url, tmp_path)
        stack.callback(database.close)
        mine = Ownership()
        mine.owns(STREAM, 2)
        mine.tell(database)
        assert highest_generation(database) == 2


@pytest.mark.parametrize(("queue", "loses"), [(16_384, False), (256, True)])
def test_scores_of_a_cut_are_stored_once_after_it_and_those_without_room_are_counted(
    queue: int, loses: bool, machines: Namespaces, server: Postgres, tmp_path: Path
) -> None:
    clock, pause = SystemClock(), threading.Event()
    database = open_database(server.migrated(), tmp_path)
    settings = StoreSettings(url=SecretStr(str(database.engine.url)), queue=queue)
    writer, log = StoreWriter(database, settings, clock), EventLog(clock, EventIds())
    log.attach(writer)
    thread = threading.Thread(target=writer.run)
    thread.start()
    try:
        log.append(StreamAdded("lobby", 0, "Lobby", (ScoringModel(CARD, calibrated=True),)))
        log.append(TrackStarted("lobby", 1, 1, 0.5))
        log.append(score(1, clock.monotonic()))
        until(lambda: stored(database) == 1)
        machines.cut("keeper")
        told = 1
        while not writer.failing and told < AWAY:
            log.append(score(1, clock.monotonic()))
            told += 1
            pause.wait(EVERY_S)
        assert writer.failing
        assert writer.waiting <= queue + MAX_BATCH
        machines.cut("keeper", cut=False)
        until(lambda: not writer.failing and not writer.waiting)
    finally:
        machines.cut("keeper", cut=False)
        writer.stop()
        thread.join(60)
    assert stored(database) + writer.lost == told
    assert bool(writer.lost) == loses
    assert writer.collisions == 0
    database.close()


def stored(database: Database) -> int:
    """Return how many scores are stored."""
    with database.reading() as connection:
        return int(connection.execute(select(func.count()).select_from(scores)).scalar_one())


def until(holds: Callable[[], bool]) -> None:
    """Wait until something holds."""
    pause = threading.Event()
    for _ in range(600):
        if holds():
            return
        pause.wait(0.1)
    raise AssertionError("it never holds")
