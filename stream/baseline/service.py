"""Baselines of this analyzer: made of what was seen, kept on disk, and put where engines look.

Belongs to the event loop; whatever waits for a disk or the store runs in a worker thread. Commands
may change the folder meanwhile, so it is looked at every `LOOK_S`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any

import structlog
from sqlalchemy import Connection

from stream.baseline.baseline import Baseline
from stream.baseline.book import BaselineBook, Kept
from stream.baseline.making import Rated, Said, advice, made_of, minutes_of
from stream.baseline.recent import RecentTrials
from stream.baseline.settings import BaselineSettings
from stream.baseline.shelf import BaselineShelf
from stream.baseline.stored import stored_trials
from stream.baseline.trials import RealTrial
from stream.clock import Clock
from stream.store import audit
from stream.store.access import StoreAccess, Write, to_us
from stream.store.errors import StoreError, StoreOff
from stream.store.history import Span

log = structlog.get_logger(__name__)

LOOK_S = 2.0
"""Seconds between two looks at the folder and the calendar."""

SAVED_S = 2.0
"""How long an answer waits for its audit entry to be on disk."""


@dataclass(frozen=True, slots=True)
class Stretch:
    """A stored stretch of video that somebody says was real.

    Attributes:
        stream: id of the stream then.
        begin: wall clock, UTC.
        end: likewise.
    """

    stream: str
    begin: datetime
    end: datetime

    @property
    def words(self) -> str:
        """The same for people."""
        return f"{self.stream}, {self.begin:%Y-%m-%d %H:%M} to {self.end:%Y-%m-%d %H:%M} UTC"


class Baselines:
    """Every baseline of this analyzer.

    Args:
        book: where engines look.
        shelf: where they are kept.
        rated: whose ratings count.
        clock: where time comes from.
        settings: how much makes one, and for how long it holds.
        store: has earlier ratings and the audit log; None without one.

    Attributes:
        recent: the last minutes of every stream; to be attached to the event log.
        settings: see above.
    """

    def __init__(
        self,
        book: BaselineBook,
        shelf: BaselineShelf,
        rated: Rated,
        clock: Clock,
        settings: BaselineSettings,
        store: StoreAccess | None = None,
    ) -> None:
        self.settings = settings
        self.recent = RecentTrials(rated.detector, rated.horizon)
        self._book = book
        self._shelf = shelf
        self._rated = rated
        self._clock = clock
        self._store = store
        self._changing = asyncio.Lock()

    # --- life -----------------------------------------------------------------------------

    async def run(self) -> None:
        """Look at the folder until cancelled."""
        while True:
            try:
                await self.look()
            except Exception:
                log.exception("baselines are not looked after")  # and are again at the next turn
            await self._clock.sleep(LOOK_S)

    async def look(self) -> None:
        """Take in what is in the folder, and what has expired."""
        async with self._changing:
            found = await asyncio.to_thread(self._shelf.all)
            now = self._clock.utc()
            kept = {stream: Kept(one, one.expires <= now) for stream, one in found.items()}
            if kept != {one.baseline.stream: one for one in self._book.all()}:
                self._book.replace(kept)

    # --- reading --------------------------------------------------------------------------

    def all(self) -> tuple[Kept, ...]:
        """Return every baseline, ordered by stream."""
        return self._book.all()

    def get(self, stream: str) -> Kept | None:
        """Return a stream's baseline; None without one."""
        return self._book.get(stream)

    def advice(self, baseline: Baseline) -> str:
        """Return what is worth a second look in a baseline; empty when nothing is."""
        return advice(baseline.statistics, self._rated.table)

    @property
    def decides(self) -> bool:
        """Whether verdicts come of a budget, so that baselines are used."""
        return self._book.decides

    def recent_minutes(self, stream: str, minutes: float) -> float:
        """Return how many minutes of evidence there are in a stream's last so many minutes."""
        return minutes_of(self._last(stream, minutes))

    # --- what operators do ------------------------------------------------------------------

    async def add_recent(self, said: Said, minutes: float) -> Baseline:
        """Keep a stream's last minutes as its baseline.

        Of an analyzer that was started meanwhile, the store's ratings are taken where they tell
        of more evidence than what is in memory.

        Raises:
            BaselineTooShort: too little evidence is in them.
            BaselinesFull: as many as may be are kept.
            OSError: it cannot be written.
        """
        trials: Sequence[RealTrial] = self._last(said.stream, minutes)
        if minutes_of(trials) < self.settings.least_minutes and self._store is not None:
            end = to_us(said.at)
            span = Span(end - round(minutes * 60e6), end)
            try:
                stored = await self._stored(said.stream, span)
            except StoreError as error:
                log.warning("stored ratings cannot be read", stream=said.stream, error=str(error))
                stored = ()
            trials = max(trials, stored, key=minutes_of)
        return await self._add(trials, said)

    async def add_stretch(self, said: Said, stretch: Stretch) -> Baseline:
        """Keep a stored stretch, such as an earlier call, as a stream's baseline.

        Raises:
            StoreOff: nothing is stored.
            StreamUnknown: nothing was ever stored of the stream.
            StoreUnavailable: it cannot be read.
            BaselineSpanTooLong: the stretch has too many scores.
            BaselineTooShort: too little evidence is in it.
            BaselinesFull: as many as may be are kept.
            OSError: it cannot be written.
        """
        span = Span(to_us(stretch.begin), to_us(stretch.end))
        return await self._add(await self._stored(stretch.stream, span), said)

    async def remove(self, stream: str, by: str) -> None:
        """Forget a stream's baseline.

        Raises:
            BaselineUnknown: it has none.
            OSError: it cannot be removed.
        """
        async with self._changing:
            await asyncio.to_thread(self._shelf.remove, stream)
            self._book.put(stream, None)
        log.info("baseline.removed", stream=stream, by=by)
        await self._audited(partial(note_removed, at=self._clock.utc(), by=by, stream=stream))

    # --- inside -----------------------------------------------------------------------------

    def _last(self, stream: str, minutes: float) -> tuple[RealTrial, ...]:
        return self.recent.since(stream, self._clock.monotonic(), minutes * 60.0)

    async def _stored(self, stream: str, span: Span) -> tuple[RealTrial, ...]:
        store, rated = self._store, self._rated
        if store is None:
            raise StoreOff

        def read() -> tuple[RealTrial, ...]:
            with store.reading() as connection:
                return stored_trials(
                    connection, stream, span, rated.detector, rated.digest, rated.horizon
                )

        return await asyncio.to_thread(read)

    async def _add(self, trials: Sequence[RealTrial], said: Said) -> Baseline:
        made = await asyncio.to_thread(made_of, trials, self._rated, said, self.settings)
        async with self._changing:
            await asyncio.to_thread(self._shelf.put, made)
            self._book.put(made.stream, Kept(made))
        log.info("baseline.added", stream=made.stream, by=made.by, minutes=round(made.minutes, 1))
        await self._audited(partial(note_added, baseline=made))
        return made

    async def _audited(self, write: Write[None]) -> None:
        """Have it noted who did that, and wait a moment for the note to be on disk."""
        if self._store is None:
            return
        waiting = asyncio.wrap_future(self._store.submit(write))
        done, _ = await asyncio.wait([waiting], timeout=SAVED_S)
        if not done or waiting.exception() is not None:
            log.warning("a change of a baseline is not in the audit log yet")


def note_added(connection: Connection, baseline: Baseline) -> None:
    """Note in the audit log who says that which video was real."""
    detail: dict[str, Any] = {
        "name": baseline.name,
        "source": baseline.source,
        "minutes": round(baseline.minutes, 1),
        "expires": baseline.expires.isoformat(),
        "detector": baseline.detector,
    }
    subject = f"stream/{baseline.stream}"
    audit.append(connection, baseline.made, baseline.by, "baseline.added", subject, detail)


def note_removed(connection: Connection, at: datetime, by: str, stream: str) -> None:
    """Note in the audit log who has a stream's baseline forgotten."""
    audit.append(connection, at, by, "baseline.removed", f"stream/{stream}")
