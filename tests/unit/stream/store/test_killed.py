"""A process that is killed at any moment loses what it told last, and never the file."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from sqlalchemy import select

from stream.store.database import Database, open_database
from stream.store.tables import events, scores
from tests.support.databases import EmptyDatabase
from tests.support.store_child import STEP_S

ROOT = Path(__file__).resolve().parents[4]
STEPS = round(1 / STEP_S)
"""What the child hands over in a second of its own, which a slow machine's may be longer than."""

Told = list[tuple[str, int]]


def killed(url: str, folder: Path, first: int, after_s: float) -> Told:
    """Run a process that stores, kill it a while after its first commit; return what it told."""
    command = [sys.executable, "-m", "tests.support.store_child", url, str(folder), str(first)]
    child = subprocess.Popen(command, stdout=subprocess.PIPE, cwd=ROOT, text=True)
    assert child.stdout is not None
    told: Told = []
    for line in child.stdout:
        what, id = line.split()
        told.append((what, int(id)))
        if what == "kept":
            break
    threading.Event().wait(after_s)
    os.kill(child.pid, signal.SIGKILL)
    rest = child.stdout.read().splitlines()
    child.wait(20)
    child.stdout.close()
    return told + [(what, int(id)) for what, id in (line.split() for line in rest)]


def check(database: Database, told: Told, first: int) -> int:
    """Check what is there after a kill; return how many steps were lost.

    Those made while the writer waited for the disk are left out.
    """
    with database.reading() as connection:
        if database.file is not None:
            assert connection.exec_driver_sql("PRAGMA integrity_check").scalar() == "ok"
        found = set(connection.execute(select(scores.c.seq).where(scores.c.seq >= first)).scalars())
        found |= set(
            connection.execute(select(events.c.seq).where(events.c.seq >= first)).scalars()
        )
    kept = max(id for what, id in told if what == "kept")
    assert set(range(first, kept + 1)) <= found, "what was committed is there without a hole"
    newest = max(found)
    assert found == set(range(first, newest + 1))
    lost, writes = 0, False
    for what, id in told:
        writes = what == "begun" or (writes and what != "ended")
        lost += what == "sent" and id > newest and not writes
    return lost


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_fifty_kills_cost_the_last_second_and_never_the_file(
    empty_database: EmptyDatabase, tmp_path: Path
) -> None:
    """PostgreSQL's files are its own business: a few kills of its client will do."""
    dice = random.Random(7)
    url, worst = empty_database.url, 0
    for round in range(50 if url.startswith("sqlite") else 5):
        first = 1 + (round << 32)
        told = killed(url, tmp_path, first, dice.uniform(0.0, 0.6))
        database = open_database(url, tmp_path)
        worst = max(worst, check(database, told, first))
        database.close()
    assert worst <= STEPS
