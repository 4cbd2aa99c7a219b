"""A watch over drift beside a store, on a clock that is told the time."""

from __future__ import annotations

from stream.drift.settings import DriftSettings
from stream.drift.watch import DriftWatch
from stream.events import Event
from stream.store.access import DirectStore
from stream.store.database import Database
from stream.store.settings import StoreSettings
from styleflow.faces.face import FaceQuality
from tests.support.store import StoreRig
from tests.support.wire import added, score

HOUR = 3600.0
SETTINGS = DriftSettings(least_ratings=40)


class DriftRig(StoreRig):
    """A watch beside a store."""

    def __init__(self, database: Database, settings: DriftSettings = SETTINGS) -> None:
        super().__init__(database, StoreSettings(drift_days=9))
        self.start(settings)
        self.publish(added("lobby"), added("hall"))
        self.turn()

    def start(self, settings: DriftSettings = SETTINGS) -> None:
        """Begin anew, as after a restart."""
        self.watch = DriftWatch(settings, self.clock, DirectStore(self.database.engine))

    def publish(self, *events: Event) -> list[int]:
        """Publish events, to the watch too."""
        numbers = []
        for event in events:
            stamped = self.log.append(event)
            self.watch.accept(stamped)
            numbers.append(stamped.id)
        return numbers

    async def hours(self, count: int, brightness: float = 130.0, stream: str = "lobby") -> None:
        """Let hours pass, with two ratings in each."""
        for _ in range(count):
            quality = FaceQuality(140.0, 90.0, brightness, 0.0)
            self.publish(*(score(stream, quality=quality) for _ in range(2)))
            await self.watch.save()
            self.clock.advance(HOUR)
