"""The recorder: the video of every incident, from the packet logs to the evidence folder.

Theory of operation. A sink of the event log begins a gathering when an incident opens. Once a
second each gathering takes what its stream's packet log has got; the log holds a minute, so a
stream that is removed leaves what was taken last. When the suspicion is over and `after_s` has
passed, the gathering waits to be written: by one worker thread at a time, in order. Then the row
is stored and the incident told. What does not fit is not kept, which is counted by reason.
"""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import CancelledError, Future
from dataclasses import replace
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import structlog

from stream.clock import Clock
from stream.errors import ClipUnmade, StreamError
from stream.event_log.event_log import StampedEvent
from stream.events import IncidentChanged
from stream.evidence import records
from stream.evidence.files import EvidenceFiles, Which
from stream.evidence.gathering import Gathering
from stream.evidence.records import EvidenceRow, Shelved
from stream.evidence.settings import EvidenceSettings
from stream.evidence.shelf import Moment, Shelf
from stream.incident import Evidence, EvidenceState, Incident, IncidentStep
from stream.ingest.frame_log import FrameNote
from stream.ingest.source import Packet
from stream.store.access import StoreAccess
from stream.store.errors import StoreError

log = structlog.get_logger(__name__)

TICK_S = 1.0
PRUNE_S = 60.0
"""How often clips are looked through for those that are too old."""

SAVED_S = 30.0
"""How long it may take to store that clips give way; their files stay until then."""

ABANDONED_S = 600.0
"""How long after an incident was closed nobody can be writing its video any more."""

MAX_UNSAVED = 1024
"""Rows that may await their being stored; the oldest gives way."""

REASONS = ("busy", "queue", "no_packets", "unmade", "disk", "row")
"""Why a video was not kept: too many gathered or waiting, none there, no container, the disk, or
that its row was never stored."""

LEFT_OUT = ("before_keyframe", "other_codec", "too_large")
"""Why a packet is not in a clip: nothing to decode it with, not of the clip's codec, or no room."""

Packets = Callable[[str], Sequence[Packet]]
"""The newest packets of a stream, oldest first. Raises StreamError."""

Frames = Callable[[str], Sequence[FrameNote]]
"""The frames of a stream that were looked at lately, oldest first."""

Thresholds = Callable[[str], Mapping[str, Any]]
"""What a stream is judged by now, by name. Raises StreamError."""

Kind = Callable[[str], str]
"""Kind of a stream's source: `call`, `rtsp` or `file`. Raises StreamError."""

Told = Callable[[str, Evidence], None]
"""Takes note of what is kept of an incident."""


def _none(stream: str) -> Sequence[FrameNote]:
    return ()


def _unknown(stream: str) -> Mapping[str, Any]:
    return {}


class EvidenceRecorder:
    """Video of incidents; a sink of the event log. Belongs to the event loop's thread.

    Args:
        packets: see `Packets`.
        kind: see `Kind`.
        told: see `Told`.
        store: where the rows go.
        shelf: where the files go.
        clock: where time comes from.
        settings: how much is kept, and for how long.
        frames: see `Frames`; without it a bundle cannot be replayed.
        thresholds: see `Thresholds`.
        alone: whether no other process keeps evidence in the same store and folder: then what
            somebody was about to keep at the start was an earlier run's.

    Attributes:
        kept: clips written since the start.
        pruned: clips that gave way since the start.
        lost: videos that were not kept, by one of `REASONS`.
        left_out: packets left out of clips, by reason.
        shelved: clips that were there at the last look.
        shelved_bytes: bytes of them.
    """

    def __init__(
        self,
        packets: Packets,
        kind: Kind,
        told: Told,
        store: StoreAccess,
        shelf: Shelf,
        clock: Clock,
        settings: EvidenceSettings,
        frames: Frames = _none,
        thresholds: Thresholds = _unknown,
        *,
        alone: bool = True,
    ) -> None:
        self._alone = alone
        self.kept = 0
        self.pruned = 0
        self.lost: Counter[str] = Counter(dict.fromkeys(REASONS, 0))
        self.left_out: Counter[str] = Counter(dict.fromkeys(LEFT_OUT, 0))
        self.shelved = 0
        self.shelved_bytes = 0
        self._packets = packets
        self._frames = frames
        self._thresholds = thresholds
        self._kind = kind
        self._told = told
        self._store = store
        self._shelf = shelf
        self._files = EvidenceFiles(store, shelf)
        self._clock = clock
        self._settings = settings
        self._started = False
        self._prune_at = 0.0
        self._gathering: dict[str, Gathering] = {}
        self._waiting: deque[Gathering] = deque()
        self._writing: asyncio.Task[None] | None = None
        self._unsaved: dict[str, EvidenceRow] = {}
        self._refused: set[str] = set()
        self._settled: deque[tuple[EvidenceRow, BaseException | None]] = deque()  # by any thread

    @property
    def gathering(self) -> int:
        """Incidents whose packets are gathered now."""
        return len(self._gathering)

    @property
    def waiting(self) -> int:
        """Videos that wait to be written."""
        return len(self._waiting) + (self._writing is not None)

    # --- the event loop -------------------------------------------------------------------------

    def accept(self, stamped: StampedEvent) -> None:
        """Begin, go on with, or end the gathering of an incident."""
        event = stamped.event
        if not isinstance(event, IncidentChanged):
            return
        moment = Moment(stamped.now, stamped.utc)
        incident = event.incident
        if event.step is IncidentStep.OPENED:
            self._begin(incident, moment)
            return
        gathering = self._gathering.get(incident.id)
        if gathering is not None:
            gathering.move(incident, moment.seconds(incident.last_at), self._settings)
            gathering.closed = incident.closed is not None

    def _begin(self, incident: Incident, moment: Moment) -> None:
        if len(self._gathering) >= self._settings.max_recording:
            self._lose(incident.id, "busy")
            return
        try:
            kind = self._kind(incident.stream)
            engine = self._thresholds(incident.stream)
        except StreamError:
            kind, engine = "", {}
        opened = moment.seconds(incident.opened)
        gathering = Gathering.begin(incident, kind, opened, self._settings)
        gathering.engine = engine
        self._gathering[incident.id] = gathering
        self._take(gathering)
        self._tell(EvidenceRow(incident.id, Evidence(EvidenceState.PENDING)))

    def tick(self) -> None:
        """Take new packets, and have written what is over."""
        self._take_note()
        now = self._clock.monotonic()
        for name, gathering in list(self._gathering.items()):
            self._take(gathering)
            if gathering.is_over(now):
                del self._gathering[name]
                self._queue(gathering)

    def _take(self, gathering: Gathering) -> None:
        try:
            held = self._packets(gathering.incident.stream)
        except StreamError:  # removed: what was taken last is all there is
            return
        gathering.take(held, self._settings.max_clip_bytes)
        gathering.note(self._frames(gathering.incident.stream))

    def _queue(self, gathering: Gathering) -> None:
        if len(self._waiting) >= self._settings.max_waiting:
            self._lose(gathering.incident.id, "queue")
            return
        self._waiting.append(gathering)

    def _lose(self, name: str, reason: str) -> None:
        self.lost[reason] += 1
        log.warning("no video of an incident is kept", incident=name, reason=reason)
        self._tell(EvidenceRow(name))

    def _tell(self, row: EvidenceRow) -> None:
        self._save(row)
        self._told(row.incident, row.evidence)

    # --- life -----------------------------------------------------------------------------------

    async def run(self) -> None:
        """Gather and write until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._repeat(self._tick_once), name="evidence-gathering")
            group.create_task(self._repeat(self.work), name="evidence-writing")

    async def _tick_once(self) -> None:
        self.tick()

    async def _repeat(self, step: Callable[[], Any]) -> None:
        while True:
            try:
                await step()
            except Exception:
                log.exception("evidence is not looked after")  # and is again at the next turn
            await self._clock.sleep(TICK_S)

    async def close(self) -> None:
        """Write what was gathered so far, for the analyzer stops; after `run` was cancelled."""
        if self._writing is not None:
            await asyncio.gather(self._writing, return_exceptions=True)
        self.tick()
        await self._write_all()
        while self._gathering:
            _, gathering = self._gathering.popitem()
            gathering.ends = min(gathering.ends, self._clock.monotonic())
            self._queue(gathering)
            await self._write_all()

    async def work(self) -> None:
        """Write what waits, and let go what is too much."""
        if not self._started:
            await self._start()
        wrote = bool(self._waiting)
        await self._write_all()
        now = self._clock.monotonic()
        if self._started and (wrote or now >= self._prune_at):
            self._prune_at = now + PRUNE_S
            await self._prune()

    async def _start(self) -> None:
        """Take over from an earlier run: what it was about to keep is not there."""
        if not self._alone:
            self._started = True
            return
        try:
            left, untold = await asyncio.to_thread(self._take_over, self._mine())
        except StoreError as error:
            log.warning("earlier evidence cannot be read yet", error=str(error))
            return
        self._started = True
        mine = self._mine()
        for row in left:
            if row.incident not in mine:
                self._save(EvidenceRow(row.incident))
        over = {row.incident: Evidence() for row in left}
        for row in untold:
            over.setdefault(row.incident, row.evidence)
        for name, evidence in over.items():
            if name not in mine:
                self._told(name, evidence)

    def give_up(self, incident: str) -> None:
        """Note that nobody keeps an incident's video any more: its process has ended."""
        if incident not in self._mine():
            self._save(EvidenceRow(incident))
            self._told(incident, Evidence())

    async def inherit(self) -> int:
        """Give up the videos that workers which are gone were about to keep.

        Those of incidents that were closed so long ago that nobody can be writing them still.

        Returns:
            How many were given up. Raises StoreError.
        """
        before = self._clock.utc() - timedelta(seconds=ABANDONED_S)

        def read() -> list[EvidenceRow]:
            with self._store.reading() as connection:
                return records.abandoned(connection, before)

        mine = self._mine()
        left = [row.incident for row in await asyncio.to_thread(read) if row.incident not in mine]
        for name in left:
            self.give_up(name)
        return len(left)

    def _mine(self) -> set[str]:
        """Return the incidents that this run is about to keep video of, or has."""
        return {*self._gathering, *self._unsaved, *(g.incident.id for g in self._waiting)}

    def _take_over(self, mine: set[str]) -> tuple[list[EvidenceRow], list[EvidenceRow]]:
        with self._store.reading() as connection:
            left, untold = records.left_over(connection), list(records.untold(connection))
            names = [name for name in self._shelf.names() if name not in mine]
            states = records.states(connection, names)
        try:
            self._shelf.sweep(states)
        except OSError as error:
            log.warning("evidence folder cannot be swept", error=str(error))
        return left, untold

    # --- writing --------------------------------------------------------------------------------

    async def _write_all(self) -> None:
        while self._waiting:
            writing = asyncio.create_task(self._write(self._waiting.popleft()))
            self._writing = writing
            try:
                # A worker thread cannot be stopped: it is waited for in `close`.
                await asyncio.shield(writing)
            finally:
                if writing.done():
                    self._writing = None

    async def _write(self, gathering: Gathering) -> None:
        name = gathering.incident.id
        now = Moment(self._clock.monotonic(), self._clock.utc())
        try:
            row = await asyncio.to_thread(self._shelf.keep, gathering, now)
        except ClipUnmade as error:
            log.warning("packets make no video", incident=name, error=str(error))
            self._lose(name, "unmade")
            return
        except OSError as error:
            log.warning("a video cannot be written", incident=name, error=str(error))
            self._lose(name, "disk")
            return
        except Exception:
            self._lose(name, "unmade")
            raise
        if row is None:
            self._lose(name, "no_packets")
            return
        self.kept += 1
        self.left_out.update(row.details["left_out"])
        self._tell(row)

    # --- pruning --------------------------------------------------------------------------------

    async def _prune(self) -> None:
        try:
            gone = await asyncio.to_thread(self._let_go)
        except (StoreError, OSError) as error:
            log.warning("evidence cannot be pruned", error=str(error))
            return
        for row in gone:
            self.pruned += 1
            self._told(row.incident, replace(row.evidence, state=EvidenceState.PRUNED))

    def _let_go(self) -> list[EvidenceRow]:
        """Delete the clips that are too many, too large or too old; in a worker thread."""
        with self._store.reading() as connection:
            shelved = records.shelved(connection)
        gone = self._victims(shelved)
        names = {each.row.incident for each in gone}
        if gone:
            pruned = self._store.submit(lambda connection: records.mark_pruned(connection, names))
            pruned.result(SAVED_S)
        for name in names:
            self._shelf.delete(name)
        self.shelved = len(shelved) - len(gone)
        self.shelved_bytes = sum(map(_size, shelved)) - sum(map(_size, gone))
        return [each.row for each in gone]

    def _victims(self, shelved: Sequence[Shelved]) -> list[Shelved]:
        settings = self._settings
        too_old = self._clock.utc() - timedelta(days=settings.max_age_days)
        count, size = len(shelved), sum(map(_size, shelved))
        gone = []
        for each in shelved:
            over = count > settings.max_count or size > settings.max_bytes
            if over or (each.opened < too_old and not each.is_true):
                gone.append(each)
                count, size = count - 1, size - _size(each)
        return gone

    # --- rows -----------------------------------------------------------------------------------

    def _save(self, row: EvidenceRow) -> None:
        self._unsaved.pop(row.incident, None)
        self._unsaved[row.incident] = row
        if len(self._unsaved) > MAX_UNSAVED:
            del self._unsaved[next(iter(self._unsaved))]
            self.lost["row"] += 1
        self._submit(row)

    def _submit(self, row: EvidenceRow) -> None:
        future = self._store.submit(partial(records.save, row=row))
        future.add_done_callback(lambda done: self._settled.append((row, _error_of(done))))

    def _take_note(self) -> None:
        """Take note of what was stored, and try again what was not."""
        while self._settled:
            row, error = self._settled.popleft()
            if self._unsaved.get(row.incident) is not row:
                continue  # a later state is on its way
            if error is None:
                del self._unsaved[row.incident]
            else:
                self._refused.add(row.incident)
        refused, self._refused = self._refused, set()
        for name in refused & self._unsaved.keys():
            self._submit(self._unsaved[name])

    # --- asking ---------------------------------------------------------------------------------

    async def row(self, incident: str) -> EvidenceRow:
        """Return what is kept of an incident. Raises EvidenceMissing, StoreUnavailable."""
        return self._unsaved.get(incident) or await self._files.row(incident)

    async def file(self, incident: str, which: Which) -> Path:
        """Return the clip of an incident, or the picture of its peak.

        Raises:
            EvidenceMissing: there is none.
            StoreUnavailable: nobody knows now.
        """
        return await self._files.path(await self.row(incident), which)


def _size(each: Shelved) -> int:
    """Return the bytes of a clip's folder."""
    return int(each.row.details.get("bytes_all", each.row.evidence.bytes))


def _error_of(done: Future[Any]) -> BaseException | None:
    return CancelledError() if done.cancelled() else done.exception()
