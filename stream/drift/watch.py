"""The watch over drift: gathers figures of ratings, stores them by hour, and compares.

A sink of the event log. Ratings of a stream's first detector go into a sketch of the hour; what has
gathered is added to the stored hour every `save_s`, and every `every_s` the last 24 hours are
compared with the seven days before them. What changed is a notice: it raises no alarm and changes
no score. Demo streams are left out.

While the store is away, at most `MAX_UNSAVED` sketches wait; the oldest gives way and is counted.
Without a store there is nothing to compare with, which is said once.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial

import structlog

from stream.clock import Clock
from stream.drift import records
from stream.drift.comparison import Comparison, compare
from stream.drift.records import HourKey, PastDays
from stream.drift.settings import DriftSettings
from stream.drift.sketch import Figure, Sketch
from stream.drift.words import sentence
from stream.event_log.event_log import StampedEvent
from stream.events import Score, StreamAdded, StreamRemoved
from stream.store.access import StoreAccess
from stream.store.errors import StoreError

log = structlog.get_logger(__name__)

MAX_UNSAVED = 4096
"""Sketches of one stream's hour that may wait to be written."""

NO_STORE = "nothing is stored, so there is no past to compare with"
NOT_YET = "not compared yet"
TURNED_OFF = "turned off"


@dataclass(slots=True)
class _Watched:
    """What is known of a stream.

    Attributes:
        detector: name of the one whose ratings count.
        model: SHA-256 of its weights.
        latest: what was compared last.
        at: when that was.
    """

    detector: str
    model: str
    latest: Comparison | None = None
    at: datetime | None = None

    @property
    def held(self) -> frozenset[Figure]:
        """Figures that count as changed."""
        return (
            frozenset(each.figure for each in self.latest.changed) if self.latest else frozenset()
        )


@dataclass(frozen=True, slots=True)
class DriftState:
    """What is known of one stream's drift.

    Attributes:
        compared_at: when its last day was compared; None before.
        comparison: what came of it; None before.
        missing: why there is none; empty otherwise.
    """

    compared_at: datetime | None
    comparison: Comparison | None
    missing: str = ""


@dataclass(slots=True)
class DriftCounts:
    """What was done; only grows.

    Attributes:
        compared: comparisons that had enough to compare.
        noticed: times that a stream was found changed that had not been.
        failed: writes and reads that the store did not do.
        lost: sketches that were given up.
    """

    compared: int = 0
    noticed: int = 0
    failed: int = 0
    lost: int = 0


@dataclass(slots=True)
class DriftWatch:
    """Watches all streams; belongs to the event loop.

    Args:
        settings: when a stream counts as changed.
        clock: where time comes from.
        store: where the past is; None without one.

    Attributes:
        counts: what was done.
    """

    settings: DriftSettings
    clock: Clock
    store: StoreAccess | None
    counts: DriftCounts = field(default_factory=DriftCounts)
    _streams: dict[str, _Watched] = field(default_factory=dict)
    _unsaved: dict[HourKey, Sketch] = field(default_factory=dict)

    @property
    def active(self) -> bool:
        """Whether anything is gathered."""
        return self.settings.enabled and self.store is not None

    @property
    def waiting(self) -> int:
        """Sketches that wait to be written."""
        return len(self._unsaved)

    @property
    def drifted(self) -> tuple[str, ...]:
        """Ids of the streams that have changed."""
        return tuple(stream for stream, known in self._streams.items() if known.held)

    @property
    def streams(self) -> tuple[str, ...]:
        """Ids of the streams that are watched."""
        return tuple(self._streams)

    # --- events -------------------------------------------------------------------------------

    def accept(self, stamped: StampedEvent) -> None:
        """Take note of an event; never waits."""
        match stamped.event:
            case StreamAdded() as added:
                self._begin(added)
            case StreamRemoved(stream=stream):
                self._streams.pop(stream, None)
            case Score() as score if self.active:
                known = self._streams.get(score.stream)
                if known is not None and known.detector == score.detector:
                    key = HourKey(score.stream, _hour(stamped.utc), known.model)
                    self._sketch(key).add(score)
            case _:
                pass

    def _begin(self, added: StreamAdded) -> None:
        """Watch a stream; what is known of it stays while the same model rates it."""
        known = self._streams.pop(added.stream, None)
        model = added.models[0].model
        if added.demo:
            return
        if known is None or (known.detector, known.model) != (model.name, model.sha256):
            known = _Watched(model.name, model.sha256)
        self._streams[added.stream] = known

    def _sketch(self, key: HourKey) -> Sketch:
        sketch = self._unsaved.get(key)
        if sketch is None:
            sketch = self._unsaved[key] = Sketch()
            while len(self._unsaved) > MAX_UNSAVED:
                del self._unsaved[next(iter(self._unsaved))]
                self.counts.lost += 1
        return sketch

    # --- what is said -------------------------------------------------------------------------

    def sentences(self, stream: str) -> tuple[str, ...]:
        """Return what has changed of a stream, a sentence each; nothing when nothing has."""
        known = self._streams.get(stream)
        changed = known.latest.changed if known is not None and known.latest else ()
        return tuple(sentence(each) for each in changed)

    def state(self, stream: str) -> DriftState:
        """Return what is known of a stream's drift."""
        known = self._streams.get(stream)
        if not self.settings.enabled:
            return DriftState(None, None, TURNED_OFF)
        if self.store is None:
            return DriftState(None, None, NO_STORE)
        if known is None or known.latest is None:
            return DriftState(None, None, NOT_YET)
        return DriftState(known.at, known.latest, known.latest.missing)

    # --- turns --------------------------------------------------------------------------------

    async def run(self) -> None:
        """Save and compare until cancelled."""
        if not self.settings.enabled:
            return
        if self.store is None:
            log.info("drift of streams is not noticed", reason=NO_STORE)
            return
        compare_at = self.clock.monotonic() + self.settings.save_s
        while True:
            await self.clock.sleep(self.settings.save_s)
            try:
                await self.save()
                if self.clock.monotonic() >= compare_at:
                    compare_at = self.clock.monotonic() + self.settings.every_s
                    await self.compare()
            except Exception:  # whatever it is, the streams go on, and the next turn is tried
                self.counts.failed += 1
                log.exception("drift cannot be watched")

    async def save(self) -> None:
        """Add what has gathered to the stored hours; what cannot be written waits."""
        if self.store is None or not self._unsaved:
            return
        sent, self._unsaved = self._unsaved, {}
        try:
            unknown = await asyncio.wrap_future(
                self.store.submit(partial(records.add, sketches=sent))
            )
        except StoreError:
            self.counts.failed += 1
            unknown = tuple(sent)
        for key in unknown:
            if key.stream in self._streams:
                self._put_back(key, sent[key])

    def _put_back(self, key: HourKey, sketch: Sketch) -> None:
        """Keep what could not be written; it may have gone on meanwhile."""
        self._sketch(key).merge(sketch)

    async def compare(self) -> None:
        """Compare the last 24 hours of every stream with the days before."""
        store, wanted = self.store, [(id, known.model) for id, known in self._streams.items()]
        if store is None or not wanted:
            return
        utc = self.clock.utc()

        def work() -> dict[str, PastDays]:
            with store.reading() as connection:
                return records.read(connection, wanted, _hour(utc))

        try:
            found = await asyncio.to_thread(work)
        except StoreError:
            self.counts.failed += 1
            return
        for stream, model in wanted:
            known = self._streams.get(stream)
            if known is not None and known.model == model:
                self._judge(stream, known, found[stream], utc)

    def _judge(self, stream: str, known: _Watched, past: PastDays, utc: datetime) -> None:
        held = known.held
        known.latest = compare(past.today, past.days, self.settings, held)
        known.at = utc
        self.counts.compared += not known.latest.missing
        if known.held and not held:
            self.counts.noticed += 1
            log.info("a stream has changed", stream=stream, what=self.sentences(stream))
        elif held and not known.held:
            log.info("a stream is as it was, or has been so for days", stream=stream)


def _hour(utc: datetime) -> int:
    return int(utc.timestamp()) // 3600
