"""An owner of a stream that has got as far as the middle of a commit, and no further.

    python -m tests.support.store_holder URL FOLDER

Prints a line once the database has its rows and waits for the commit, which never comes.
"""

from __future__ import annotations

import os
import sys
import threading
from pathlib import Path

from pydantic import SecretStr
from sqlalchemy import Connection

from stream.clock import SystemClock
from stream.event_log.event_log import EventLog
from stream.event_log.ids import EventIds
from stream.events import ScoringModel, StreamAdded, TrackStarted
from stream.store.database import open_database
from stream.store.owners import EPOCHS_PER_GENERATION
from stream.store.settings import StoreSettings
from stream.store.writer import StoreWriter
from tests.support.store_child import CARD

STREAM = "lobby"


def main() -> None:
    """Begin to commit, and never end."""
    url, folder = sys.argv[1], Path(sys.argv[2])
    clock = SystemClock()
    writer = StoreWriter(open_database(url, folder), StoreSettings(url=SecretStr(url)), clock)
    log = EventLog(clock, EventIds())
    log.attach(writer)
    writer.ownership.owns(STREAM, 1)
    models = (ScoringModel(CARD, calibrated=True),)
    log.append(StreamAdded(STREAM, EPOCHS_PER_GENERATION, "Lobby", models))
    log.append(TrackStarted(STREAM, EPOCHS_PER_GENERATION + 1, 1, 0.5))

    def hold(connection: Connection) -> None:
        os.write(1, b"holds\n")
        threading.Event().wait()

    writer.submit(hold)
    writer.turn()


if __name__ == "__main__":
    main()
