"""A process that stores scores as fast as it may, and says which are on disk; it is killed.

    python -m tests.support.store_child URL FOLDER FIRST

Prints a line each time: `sent ID` every `STEP_S`, when events have been handed over; `kept ID` when
they are committed; `begun 0` and `ended 0` around a transaction.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pydantic import SecretStr
from sqlalchemy import Connection

from stream.clock import SystemClock
from stream.event_log.event_log import EventLog
from stream.event_log.ids import EventIds
from stream.events import Score, ScoringModel, StreamAdded, TrackStarted, Verdict
from stream.store.database import Database, open_database
from stream.store.settings import StoreSettings
from stream.store.writer import StoreWriter
from styleflow.cards import ModelCard, TemporalMode, TrainingStatus
from styleflow.faces.face import Box, FaceQuality

CARD = ModelCard("toy", "1", TemporalMode.CAUSAL, TrainingStatus.TRAINED, "ab" * 32)
STEP_S = 0.01
QUALITY, BOX = FaceQuality(140.0, 90.0, 120.0, 4.0), Box(10.0, 20.0, 150.0, 160.0)


def score(track: int, arrived: float) -> Score:
    """Return a score; written here because what else makes them takes long to load."""
    verdict, p = Verdict.CLEAR, 0.25
    return Score(
        "lobby", 1, track, 0.0, 1.28, 32, 0, -1.1, p, p, p / 2, 0.6, verdict, (), QUALITY, BOX,
        arrived, CARD.name,
    )  # fmt: skip


def tell(what: str, id: int = 0) -> None:
    """Say something at once, whichever thread it is."""
    os.write(1, f"{what} {id}\n".encode())


class ToldDatabase(Database):
    """A database whose writer says when it waits for it."""

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """Return a connection in a transaction."""
        tell("begun")
        try:
            with super().writing() as connection:
                yield connection
        finally:
            tell("ended")


def main() -> None:
    """Store until the end."""
    url, folder, first = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])
    clock = SystemClock()
    opened = open_database(url, folder)
    database = ToldDatabase(opened.engine, opened.shown, opened.file)
    settings = StoreSettings(url=SecretStr(url))
    writer = StoreWriter(database, settings, clock, committed=lambda id: tell("kept", id))
    log = EventLog(clock, EventIds(lambda: range(first, first + (1 << 32))))
    log.attach(writer)
    threading.Thread(target=writer.run, daemon=True).start()
    pause = threading.Event()
    log.append(StreamAdded("lobby", 0, "Lobby", (ScoringModel(CARD, calibrated=True),)))
    log.append(TrackStarted("lobby", 1, 1, 0.5))
    tell("sent", first)
    while True:
        for track in range(10):
            stamped = log.append(score(track, clock.monotonic()))
        tell("sent", stamped.id)
        pause.wait(STEP_S)


if __name__ == "__main__":
    main()
