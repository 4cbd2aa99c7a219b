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

ROOT = Path(__file__).resolve().parents[4]


def killed(url: str, folder: Path, first: int, after_s: float) -> list[tuple[str, int, float]]:
    """Run a process that stores, kill it a while after its first commit; return what it told."""
    command = [sys.executable, "-m", "tests.support.store_child", url, str(folder), str(first)]
    child = subprocess.Popen(command, stdout=subprocess.PIPE, cwd=ROOT, text=True)
    assert child.stdout is not None
    told: list[tuple[str, int, float]] = []
    for line in child.stdout:
        what, id, at = line.split()
        told.append((what, int(id), float(at)))
        if what == "kept":
            break
    threading.Event().wait(after_s)
    os.kill(child.pid, signal.SIGKILL)
    rest = child.stdout.read().splitlines()
    child.wait(20)
    child.stdout.close()
    complete = (line.split() for line in rest if len(line.split()) == 3)
    return told + [(what, int(id), float(at)) for what, id, at in complete]


def check(database: Database, told: list[tuple[str, int, float]], first: int) -> float:
    """Check what is there after a kill; return how many seconds were lost."""
    with database.reading() as connection:
        if database.file is not None:
            assert connection.exec_driver_sql("PRAGMA integrity_check").scalar() == "ok"
        found = set(connection.execute(select(scores.c.seq).where(scores.c.seq >= first)).scalars())
        found |= set(
            connection.execute(select(events.c.seq).where(events.c.seq >= first)).scalars()
        )
    kept = max(id for what, id, _ in told if what == "kept")
    assert set(range(first, kept + 1)) <= found, "what was committed is there without a hole"
    newest = max(found)
    assert found == set(range(first, newest + 1))
    end = max(at for _, _, at in told)
    lost = [at for what, id, at in told if what == "sent" and id > newest]
    return end - min(lost) if lost else 0.0


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_fifty_kills_cost_the_last_second_and_never_the_file(
    empty_database: EmptyDatabase, tmp_path: Path
) -> None:
    """PostgreSQL's files are its own business: a few kills of its client will do."""
    dice = random.Random(7)
    url, worst = empty_database.url, 0.0
    for round in range(50 if url.startswith("sqlite") else 5):
        first = 1 + (round << 32)
        told = killed(url, tmp_path, first, dice.uniform(0.0, 0.6))
        database = open_database(url, tmp_path)
        worst = max(worst, check(database, told, first))
        database.close()
    assert worst <= 1.0
