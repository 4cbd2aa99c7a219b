"""Evidence of incidents for tests: a recorder with a store, a folder and packets of its own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import create_engine, select

from stream.clock import ManualClock
from stream.errors import StreamUnknown
from stream.event_log.event_log import EventLog
from stream.events import IncidentChanged
from stream.evidence.recorder import EvidenceRecorder
from stream.evidence.settings import EvidenceSettings
from stream.evidence.shelf import Shelf
from stream.incident import Evidence, EvidenceState, Incident, IncidentStatus, IncidentStep, Peak
from stream.incidents import records as incident_records
from stream.ingest.frame_log import FrameNote
from stream.ingest.source import Packet
from stream.store.access import DirectStore
from stream.store.tables import evidence, metadata
from tests.support.incidents import NIGHT, incident


def evidence_store(path: Path) -> DirectStore:
    """Return a store in an SQLite file."""
    engine = create_engine(f"sqlite:///{path}")
    metadata.create_all(engine)
    return DirectStore(engine)


class EvidenceRig:
    """A recorder whose streams have the packets that a test gives them.

    Args:
        folder: of the store and of the evidence.
        settings: what is kept.
        store: one of its own if None.
    """

    def __init__(
        self,
        folder: Path,
        settings: EvidenceSettings | None = None,
        store: DirectStore | None = None,
    ) -> None:
        self.clock = ManualClock(100.0, NIGHT)
        self.store = store or evidence_store(folder / "store.sqlite")
        self.folder = folder / "evidence"
        self.shelf = Shelf(self.folder)
        self.held: dict[str, Sequence[Packet]] = {}
        self.looked_at: dict[str, Sequence[FrameNote]] = {}
        self.told: list[tuple[str, Evidence]] = []
        self.log = EventLog(self.clock)
        self.recorder = EvidenceRecorder(
            self._packets,
            lambda stream: "rtsp",
            lambda name, evidence: self.told.append((name, evidence)),
            self.store,
            self.shelf,
            self.clock,
            settings or EvidenceSettings(before_s=1.0, after_s=1.0, max_s=20.0),
            self._notes,
            lambda stream: {"hop_s": 0.5},
        )
        self.log.attach(self.recorder)

    def _packets(self, stream: str) -> Sequence[Packet]:
        if stream not in self.held:
            raise StreamUnknown(stream)
        return [p for p in self.held[stream] if p.arrived <= self.clock.monotonic()]

    def _notes(self, stream: str) -> Sequence[FrameNote]:
        now = self.clock.monotonic()
        return [note for note in self.looked_at.get(stream, ()) if note.arrived <= now]

    def open(self, name: str = "20260301-023000-1", **changes: Any) -> Incident:
        """Have an incident open now."""
        now = self.clock.utc()
        opened = incident(
            name,
            opened=now,
            last_at=now,
            closed=None,
            status=IncidentStatus.OPEN,
            peak=Peak(0.9, 0.8, 0.95, now),
            **changes,
        )
        self.keep(opened)
        self.log.append(IncidentChanged(opened.stream, 1, opened, IncidentStep.OPENED))
        return opened

    def close(self, opened: Incident, suspect_s: float) -> Incident:
        """Have an incident close that was suspect for so long."""
        last = opened.opened + timedelta(seconds=suspect_s)
        now = self.clock.utc()
        closed = replace(opened, last_at=last, closed=now, status=IncidentStatus.CLOSED)
        self.keep(closed)
        self.log.append(IncidentChanged(closed.stream, 1, closed, IncidentStep.CLOSED))
        return closed

    def keep(self, known: Incident) -> None:
        """Have the store know an incident."""
        self.store.submit(lambda c: incident_records.save(c, known)).result()

    def wait(self, seconds: float) -> None:
        """Let time pass, with a tick each second."""
        for _ in range(round(seconds)):
            self.clock.advance(1.0)
            self.recorder.tick()

    async def whole(self, name: str, suspect_s: float = 0.0, **changes: Any) -> Incident:
        """Have an incident open, close and be written."""
        opened = self.open(name, **changes)
        self.wait(suspect_s + 2)
        closed = self.close(opened, suspect_s)
        self.recorder.tick()
        await self.recorder.work()
        self.recorder.tick()
        return closed

    def states(self) -> dict[str, EvidenceState]:
        """Return what the store says of each incident."""
        with self.store.reading() as connection:
            rows = connection.execute(select(evidence.c.incident, evidence.c.state)).all()
        return {row.incident: EvidenceState(row.state) for row in rows}
