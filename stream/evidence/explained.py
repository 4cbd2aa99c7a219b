"""Explained moments: for every incident one frame, and what stood out to its detector in it.

Theory of operation. A detector explains only the frame that it has just rated, so the moment cannot
be made up for later: when an incident opens, and again when its score has risen a good deal, its
stream's explained view is watched, as by somebody who looks, until a frame comes in which the
incident's face was explained. That costs the detector one more rating or a few, and views are
rationed: who does not get one goes without, and says so. The moment is held in memory until the
incident's video is written, and lies beside that from then on; it goes with it, too.
"""

from __future__ import annotations

import asyncio
import json
import os
from collections import Counter, OrderedDict
from collections.abc import Awaitable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import structlog

from stream.clock import Clock
from stream.errors import OverlaysBusy, OverlayUnavailable, StreamError
from stream.event_log.event_log import StampedEvent
from stream.events import IncidentChanged
from stream.explain.stills import ExplainedFace, Overlay, Still
from stream.incident import EvidenceState, Incident, IncidentStep
from styleflow.faces.face import Box
from styleflow.overlay import Patch, PointsAt

log = structlog.get_logger(__name__)

WIDTH = 960
"""Of the picture, pixels at most."""

TICK_S = 0.25
WAIT_S = 12.0
"""How long an explained frame is waited for."""

MORE_S = 2.0
"""How long a frame is waited for in which something stands out, after one in which nothing did."""

RISE = 0.05
"""By how much the highest score must have risen for another look."""

MAX_LOOKS = 3
MAX_LOOKING = 8
MAX_HELD = 64
MAX_REASONS = 1024

OUTCOMES = ("kept", "busy", "unable", "unseen", "disk", "held")
"""What became of looks: kept; too many at a time; a detector that cannot explain; a face that was
not seen explained; the disk; and moments that gave way in memory to newer ones."""

REASONS = {
    "looking": "a frame of it is being waited for",
    "busy": "too many explanations were asked for at that moment",
    "unable": "this detector cannot explain its scores",
    "unseen": "the face was not seen again in time",
    "disk": "it could not be written",
    "held": "it gave way to newer incidents, for no video was kept of it",
    "none": "none was made when it happened",
}
"""Why there is no explained moment, for people."""

PICTURE, FACTS = "explained.jpg", "explained.json"


class Look(Protocol):
    """Whoever has pictures and their explanations: the analyzer."""

    def picture(
        self, stream: str, width: int, overlay: str | None = None, *, drawn: bool = False
    ) -> Awaitable[Still | None]:
        """Return the newest picture; see `StreamControl`."""
        ...

    def pointers(self, stream: str) -> Awaitable[Mapping[str, PointsAt | None]]:
        """Return what each detector of a stream can point at; see `StreamControl`."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class ExplainedMoment:
    """One frame of an incident, and its detector's explanation of the incident's face.

    Attributes:
        points_at: what the detector can point at.
        captured: when the frame arrived.
        width: of the source, px; corners and boxes are in its pixels.
        height: of the source, px.
        score: of the face in this very frame; None when it was not rated.
        boxes: where the incident's faces are.
        overlay: the explanation.
        jpeg: the picture, `WIDTH` wide at most.
    """

    points_at: PointsAt | None
    captured: datetime
    width: int
    height: int
    score: float | None
    boxes: tuple[Box, ...]
    overlay: Overlay
    jpeg: bytes

    @property
    def points(self) -> bool:
        """Whether anything stands out."""
        return any(face.regions for face in self.overlay.faces)

    def facts(self) -> bytes:
        """Return everything but the picture, as JSON."""
        plain = {
            "version": 1,
            "detector": self.overlay.detector,
            "points_at": None if self.points_at is None else self.points_at.value,
            "captured": self.captured.isoformat(),
            "size": [self.width, self.height],
            "score": self.score,
            "boxes": [[b.x0, b.y0, b.x1, b.y1] for b in self.boxes],
            "left_out": self.overlay.left_out,
            "faces": [
                {
                    "track": face.track,
                    "corners": np.asarray(face.corners).tolist(),
                    "regions": [[p.x0, p.y0, p.x1, p.y1, p.strength, p.kind] for p in face.regions],
                }
                for face in self.overlay.faces
            ],
        }
        return json.dumps(plain).encode()

    @classmethod
    def read(cls, facts: bytes, jpeg: bytes) -> ExplainedMoment:
        """Return the moment that was written. Raises ValueError, KeyError or TypeError."""
        plain: dict[str, Any] = json.loads(facts)
        faces = tuple(
            ExplainedFace(
                int(face["track"]),
                np.array(face["corners"], float).reshape(4, 2),
                tuple(Patch(*region) for region in face["regions"]),
            )
            for face in plain["faces"]
        )
        width, height = plain["size"]
        return cls(
            None if plain["points_at"] is None else PointsAt(plain["points_at"]),
            datetime.fromisoformat(plain["captured"]),
            int(width),
            int(height),
            plain["score"],
            tuple(Box(*box) for box in plain["boxes"]),
            Overlay(plain["detector"], explained=True, faces=faces, left_out=plain["left_out"]),
            jpeg,
        )


@dataclass(slots=True, eq=False)
class _Looking:
    """An incident whose face is waited for."""

    incident: Incident
    began: float
    busy: bool = False
    found: ExplainedMoment | None = None


class ExplainedMoments:
    """Explained moments of incidents; a sink of the event log. Belongs to the event loop's thread.

    Args:
        look: has the pictures.
        clock: where time comes from.
        folder: of the evidence; None when none is kept, and moments are in memory only.

    Attributes:
        outcomes: what became of looks since the start, by one of `OUTCOMES`.
    """

    def __init__(self, look: Look, clock: Clock, folder: Path | None) -> None:
        self.outcomes: Counter[str] = Counter(dict.fromkeys(OUTCOMES, 0))
        self._look = look
        self._clock = clock
        self._folder = folder
        self._looking: dict[str, _Looking] = {}
        self._looks: OrderedDict[str, tuple[int, float]] = OrderedDict()
        self._held: OrderedDict[str, ExplainedMoment] = OrderedDict()
        self._reasons: OrderedDict[str, str] = OrderedDict()
        self._to_write: set[str] = set()
        self._wake = asyncio.Event()

    @property
    def looking(self) -> int:
        """Incidents whose face is waited for now."""
        return len(self._looking)

    def accept(self, stamped: StampedEvent) -> None:
        """Take note of what becomes of an incident."""
        event = stamped.event
        if not isinstance(event, IncidentChanged):
            return
        incident = event.incident
        if event.step is IncidentStep.OPENED or (
            event.step is IncidentStep.EXTENDED and self._rose(incident)
        ):
            self._begin(incident)
        elif event.step is IncidentStep.EVIDENCE:
            state = incident.evidence.state
            if state is EvidenceState.KEPT and incident.id in self._held:
                self._to_write.add(incident.id)
            elif state is EvidenceState.PRUNED:
                self._held.pop(incident.id, None)
        self._wake.set()

    def _rose(self, incident: Incident) -> bool:
        looks, score = self._looks.get(incident.id, (MAX_LOOKS, 1.0))
        return looks < MAX_LOOKS and incident.peak.p >= score + RISE

    def _begin(self, incident: Incident) -> None:
        looks, _ = self._looks.pop(incident.id, (0, 0.0))
        self._looks[incident.id] = (looks + 1, incident.peak.p)
        if len(self._looks) > MAX_REASONS:
            self._looks.popitem(last=False)
        if incident.id in self._looking:
            return
        if len(self._looking) >= MAX_LOOKING:
            self._miss(incident.id, "busy")
            return
        self._looking[incident.id] = _Looking(incident, self._clock.monotonic())

    async def run(self) -> None:
        """Look and write until cancelled."""
        while True:
            try:
                await self.step()
            except Exception:
                log.exception("explained moments are not looked after")  # but at the next turn
            if self._looking or self._to_write:
                await self._clock.sleep(TICK_S)
            else:
                await self._wake.wait()
            self._wake.clear()

    async def step(self) -> None:
        """Look once for every incident, and write what can be written."""
        for looking in list(self._looking.values()):
            await self._try(looking)
        for name in list(self._to_write):
            await self._write(name)

    async def close(self) -> None:
        """Write what can be written; after `run` was cancelled, and the videos are written."""
        for name in list(self._held):
            await self._write(name)

    async def _try(self, looking: _Looking) -> None:
        incident = looking.incident
        detector = incident.scored_by.name
        try:
            still = await self._look.picture(incident.stream, WIDTH, detector)
            points_at = (await self._look.pointers(incident.stream))[detector]
        except OverlayUnavailable:
            self._end(looking, "unable")
            return
        except OverlaysBusy:
            looking.busy, still, points_at = True, None, None
        except (StreamError, KeyError):  # it was removed, or its detector was
            self._end(looking, "unseen")
            return
        moment = self._moment(incident, still, points_at)
        if moment is not None and (looking.found is None or moment.points):
            looking.found = moment
        waited = self._clock.monotonic() - looking.began
        if looking.found is not None and (looking.found.points or waited >= MORE_S):
            self._end(looking, "kept")
        elif waited >= WAIT_S:
            self._end(looking, "busy" if looking.busy else "unseen")

    def _moment(
        self, incident: Incident, still: Still | None, points_at: PointsAt | None
    ) -> ExplainedMoment | None:
        """Return the moment that a picture is; None when the incident's face is not explained."""
        if still is None or still.overlay is None or not still.overlay.explained:
            return None
        if still.epoch != incident.epoch:
            return None
        faces = tuple(face for face in still.overlay.faces if face.track in incident.tracks)
        if not faces:
            return None
        shown = [face for face in still.faces if face.track in incident.tracks]
        scores = [
            score.score
            for face in shown
            for score in face.scores
            if score.detector == still.overlay.detector
        ]
        age = max(self._clock.monotonic() - still.arrived, 0.0)
        return ExplainedMoment(
            points_at,
            self._clock.utc() - timedelta(seconds=age),
            still.width,
            still.height,
            max(scores, default=None),
            tuple(face.box for face in shown),
            replace(still.overlay, faces=faces),
            still.jpeg,
        )

    def _end(self, looking: _Looking, outcome: str) -> None:
        name = looking.incident.id
        self._looking.pop(name, None)
        if outcome != "kept" or looking.found is None:
            self._miss(name, outcome)
            return
        self.outcomes["kept"] += 1
        self._reasons.pop(name, None)
        self._held.pop(name, None)
        self._held[name] = looking.found
        self._to_write.add(name)
        if len(self._held) > MAX_HELD:
            old, _ = self._held.popitem(last=False)
            self._to_write.discard(old)
            self._miss(old, "held")

    def _miss(self, name: str, outcome: str) -> None:
        self.outcomes[outcome] += 1
        self._reasons[name] = outcome
        if len(self._reasons) > MAX_REASONS:
            self._reasons.popitem(last=False)

    async def _write(self, name: str) -> None:
        """Put a moment beside the video, once that is there; until then it stays in memory."""
        self._to_write.discard(name)
        moment = self._held.get(name)
        if moment is None or self._folder is None:
            return
        try:
            written = await asyncio.to_thread(_write, self._folder / name, moment)
        except OSError as error:
            log.warning("an explained moment cannot be written", incident=name, error=str(error))
            self.outcomes["disk"] += 1
            return
        if written and self._held.get(name) is moment:
            del self._held[name]

    async def find(self, incident: Incident) -> ExplainedMoment | str:
        """Return the explained moment of an incident, or why there is none: one of `REASONS`."""
        held = self._held.get(incident.id)
        if held is not None:
            return held
        if self._folder is not None and incident.evidence.state is EvidenceState.KEPT:
            found = await asyncio.to_thread(_read, self._folder / incident.id)
            if found is not None:
                return found
        if incident.id in self._looking:
            return "looking"
        return self._reasons.get(incident.id, "none")

    def __iter__(self) -> Iterator[str]:
        """Yield the incidents whose moment is in memory."""
        return iter(self._held)


def _write(folder: Path, moment: ExplainedMoment) -> bool:
    """Write the two files of a moment; return whether there is a folder to write them to."""
    if not folder.is_dir():
        return False
    for name, content in ((PICTURE, moment.jpeg), (FACTS, moment.facts())):
        part = folder / f"{name}.part"
        with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        part.replace(folder / name)
    return True


def _read(folder: Path) -> ExplainedMoment | None:
    try:
        return ExplainedMoment.read((folder / FACTS).read_bytes(), (folder / PICTURE).read_bytes())
    except (OSError, ValueError, KeyError, TypeError):
        return None
