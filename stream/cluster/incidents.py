"""Incidents as a gateway tells of them: read from the store, and changed by the worker in charge.

What the store does not have yet is remembered from the events that the gateway relays: the newest
`incidents.kept`. Without a store that is all there is, and comments from before are not known.
"""

from __future__ import annotations

from datetime import timedelta

from stream.clock import Clock
from stream.cluster.gateway import Gateway
from stream.cluster.services import SnoozesAndChanges
from stream.errors import IncidentUnknown
from stream.event_log.event_log import EventLog, StampedEvent
from stream.events import IncidentChanged
from stream.incident import Incident, Snooze
from stream.incidents.labels import Manifest
from stream.incidents.memory import Memory
from stream.incidents.records import Cursor, Wanted
from stream.incidents.service import Change, Incidents, Page, Story
from stream.incidents.settings import IncidentSettings
from stream.store.access import StoreAccess
from stream.store.errors import StoreOff

UNWRITTEN_S = 30.0
"""Age up to which an incident may be missing in the store."""


class GatewayIncidents:
    """Every incident of all workers; a sink of the gateway's event log.

    Args:
        gateway: asks workers.
        clock: where time comes from.
        settings: how many are remembered.
        store: where workers write them; None where they do not.
    """

    def __init__(
        self,
        gateway: Gateway,
        clock: Clock,
        settings: IncidentSettings | None = None,
        store: StoreAccess | None = None,
    ) -> None:
        settings = settings or IncidentSettings()
        self._asked = SnoozesAndChanges(gateway)
        self._clock = clock
        self._heard = Memory(settings.kept)
        self._stored = Incidents(EventLog(clock), clock, settings, store) if store else None
        gateway.events.attach(self)

    def accept(self, stamped: StampedEvent) -> None:
        """Remember an incident as it is now."""
        if isinstance(stamped.event, IncidentChanged):
            self._heard.keep(stamped.event, stamped.utc)

    # --- reading ----------------------------------------------------------------------------

    async def page(self, wanted: Wanted, limit: int, after: Cursor | None = None) -> Page:
        """Return incidents, newest first."""
        heard = self._heard.incidents
        found: dict[str, Incident] = {}
        stored, following = False, None
        if self._stored is not None:
            read = await self._stored.page(wanted, limit, after)
            found = {incident.id: incident for incident in read.incidents}
            stored, following = read.stored, read.next
        unwritten = self._clock.utc() - timedelta(seconds=UNWRITTEN_S)
        for incident in heard.values():
            if incident.id in found or not stored or incident.opened > unwritten:
                found[incident.id] = incident
        shown = sorted(
            (i for i in found.values() if wanted.matches(i) and _is_behind(i, after)),
            key=lambda each: (each.opened, each.id),
            reverse=True,
        )
        if len(shown) > limit:
            following = Cursor.behind(shown[limit - 1])
        return Page(tuple(shown[:limit]), following, stored)

    async def find(self, name: str) -> Incident:
        """Return an incident. Raises IncidentUnknown or StoreUnavailable."""
        known = self._heard.incidents.get(name)
        if known is not None:
            return known
        if self._stored is None:
            return await self._asked.find(name)
        try:
            return await self._stored.find(name)
        except IncidentUnknown:
            return await self._asked.find(name)  # it is not written yet, and was not heard here

    async def story(self, name: str) -> Story:
        """Return an incident with comments and audit. Raises as `find` does."""
        incident = await self.find(name)
        if self._stored is None:
            return Story(incident, self._heard.notes(name), ())
        try:
            told = await self._stored.story(name)
        except IncidentUnknown:
            return Story(incident, self._heard.notes(name), ())
        return Story(incident, told.notes, told.audit)

    async def labels(self, split: str = "") -> Manifest:
        """Return what operators found, as a manifest. Raises StoreOff or StoreUnavailable."""
        if self._stored is None:
            raise StoreOff
        return await self._stored.labels(split)

    # --- what operators do ------------------------------------------------------------------

    async def change(self, name: str, change: Change, by: str) -> Incident:
        """Have an incident changed; see `Incidents.change`."""
        return await self._asked.change(await self.find(name), change, by)

    @property
    async def snoozes(self) -> tuple[Snooze, ...]:
        """Streams that open no incidents now."""
        return await self._asked.snoozes()

    async def snooze(self, stream: str, reason: str, minutes: float, by: str) -> Snooze:
        """Have a stream open no incidents for a while."""
        return await self._asked.snooze(stream, reason, minutes, by)

    async def wake(self, stream: str, by: str) -> None:
        """End a stream's snooze before its time."""
        await self._asked.wake(stream, by)


def _is_behind(incident: Incident, cursor: Cursor | None) -> bool:
    if cursor is None:
        return True
    mine = Cursor.behind(incident)
    return (mine.opened, mine.id) < (cursor.opened, cursor.id)
