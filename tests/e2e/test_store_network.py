"""A PostgreSQL on a machine of its own, and machines that do not reach it any more."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from stream.store.database import open_database
from stream.store.owners import Ownership, highest_generation
from tests.support.databases import Postgres
from tests.support.namespaces import Namespaces, missing
from tests.support.store_holder import STREAM

if reason := missing():
    pytest.skip(reason, allow_module_level=True)

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(120)]

MACHINES = ("lost", "keeper")


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
