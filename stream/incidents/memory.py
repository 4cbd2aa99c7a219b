"""Incidents and comments in memory, where there is no store. Bounded; the oldest gives way."""

from __future__ import annotations

from datetime import datetime

from stream.events import IncidentChanged
from stream.incident import Incident, IncidentStep
from stream.incidents.records import Note


class Memory:
    """The newest incidents that are over, and what was said of them and of open ones.

    Args:
        limit: how many.

    Attributes:
        incidents: by id, the one that changed last at the end.
    """

    def __init__(self, limit: int) -> None:
        self.incidents: dict[str, Incident] = {}
        self._limit = limit
        self._notes: dict[str, list[Note]] = {}

    def keep(self, event: IncidentChanged, utc: datetime) -> None:
        """Take note of a change."""
        incident = event.incident
        self.incidents.pop(incident.id, None)
        self.incidents[incident.id] = incident
        if event.step is IncidentStep.COMMENTED:
            self._notes.setdefault(incident.id, []).append(Note(utc, event.by, event.text))
        while len(self.incidents) > self._limit:
            gone = next(iter(self.incidents))
            del self.incidents[gone]
            self._notes.pop(gone, None)

    def notes(self, name: str) -> tuple[Note, ...]:
        """Return the comments on an incident, oldest first."""
        return tuple(self._notes.get(name, ()))
