"""Streams, verdicts and incidents for tests of the incident rooms."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from stream.clock import ManualClock
from stream.event_log.event_log import EventLog
from stream.events import (
    Event,
    IncidentChanged,
    ScoringModel,
    StreamAdded,
    TrackEnd,
    TrackEnded,
    TrackStarted,
    Verdict,
    VerdictChanged,
)
from stream.incident import (
    Incident,
    IncidentStatus,
    Peak,
    ScoredBy,
    Severity,
)
from stream.incidents.machine import IncidentMachine
from stream.incidents.settings import IncidentSettings
from styleflow.cards import ModelCard, TrainingStatus
from tests.support.wire import CARD, score

EXPERIMENTAL = replace(CARD, name="gend-pe-l", status=TrainingStatus.EXPERIMENTAL)
NIGHT = datetime(2026, 3, 1, 2, 30, tzinfo=UTC)


def watched(
    stream: str = "lobby",
    models: Sequence[ModelCard] = (CARD,),
    *,
    demo: bool = False,
    second: ModelCard | None = None,
) -> StreamAdded:
    """Return a stream that some models look at, and perhaps a heavier one now and then."""
    scoring = tuple(ScoringModel(model, calibrated=True) for model in models)
    heavier = None if second is None else ScoringModel(second, calibrated=True)
    return StreamAdded(stream, 0, stream.title(), scoring, demo, second_look=heavier)


def incident(name: str = "20260301-023000-1", **changes: Any) -> Incident:
    """Return a closed incident of low severity."""
    made = Incident(
        id=name,
        stream="lobby",
        name="Lobby",
        epoch=1,
        tracks=(1,),
        scored_by=ScoredBy(CARD.name, CARD.version, CARD.mode.value, CARD.status.value, "ab" * 32),
        severity=Severity.LOW,
        status=IncidentStatus.CLOSED,
        opened=NIGHT,
        last_at=NIGHT,
        closed=NIGHT,
        suspect_s=0.0,
        peak=Peak(0.8, 0.6, 0.9, NIGHT),
    )
    return replace(made, **changes)


class MachineRig:
    """A machine that is fed through an event log, and keeps what it says."""

    def __init__(self, settings: IncidentSettings | None = None) -> None:
        self.clock = ManualClock(100.0, NIGHT)
        self.log = EventLog(self.clock)
        self.machine = IncidentMachine(settings or IncidentSettings())
        self.changes: list[IncidentChanged] = []
        self.log.attach(self)

    def accept(self, stamped: Any) -> None:
        """Feed the machine."""
        self.changes += self.machine.take(stamped)

    def tell(self, *events: Event) -> list[IncidentChanged]:
        """Log events, and return what the machine made of them."""
        before = len(self.changes)
        for event in events:
            self.log.append(event)
        return self.changes[before:]

    def wait(self, seconds: float) -> list[IncidentChanged]:
        """Let time pass."""
        self.clock.advance(seconds)
        made = list(self.machine.tick(self.clock.monotonic()))
        self.changes += made
        return made

    def score(self, p: float = 0.95, lo: float = 0.9, track: int = 1, **changes: Any) -> Event:
        """Return a suspect score of now."""
        said = {"verdict": Verdict.SUSPECT, "low": lo, "high": 0.99, **changes}
        return score(track=track, value=p, arrived=self.clock.monotonic(), **said)

    def turn(
        self, verdict: Verdict = Verdict.SUSPECT, track: int = 1, detector: str = CARD.name
    ) -> Event:
        """Return a verdict that turns."""
        before = Verdict.CLEAR if verdict is Verdict.SUSPECT else Verdict.SUSPECT
        return VerdictChanged("lobby", 1, track, 1.0, before, verdict, 0.9, detector)

    def suspect(self, seconds: float, step_s: float = 1.0, **said: Any) -> list[IncidentChanged]:
        """Have a face be suspect for some seconds, from its verdict on."""
        track, detector = said.get("track", 1), said.get("detector", CARD.name)
        made = self.tell(self.score(**said), self.turn(track=track, detector=detector))
        for _ in range(round(seconds / step_s)):
            made += self.wait(step_s)
            made += self.tell(self.score(**said))
        return made

    def begin(self, track: int) -> Event:
        """Return a face that appears."""
        return TrackStarted("lobby", 1, track, 0.0)

    def end(self, track: int) -> Event:
        """Return a face that is lost."""
        return TrackEnded("lobby", 1, track, 0.0, TrackEnd.LOST)
