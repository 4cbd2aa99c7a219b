"""Wiring of alerts: configured channels behind the event log, for as long as it serves."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from importlib.metadata import version

from stream.alerts.alerts import Alerts
from stream.alerts.channels.build import build_channels
from stream.alerts.settings import AlertsSettings
from stream.clock import Clock
from stream.event_log.event_log import EventLog
from stream.incidents.service import Incidents
from stream.store.access import StoreAccess


class IncidentSnoozes:
    """The snoozes of incidents, as a switch of MQTT steers them.

    Args:
        incidents: keep them.
    """

    def __init__(self, incidents: Incidents) -> None:
        self._incidents = incidents

    def snoozed(self) -> Collection[str]:
        """Return the ids of the streams that are snoozed."""
        return {snooze.stream for snooze in self._incidents.snoozes}

    async def switch(self, stream: str, minutes: int | None, by: str) -> None:
        """Snooze a stream for some minutes, or end that with None."""
        if minutes is None:
            self._incidents.wake(stream, by)
        else:
            self._incidents.snooze(stream, "switched off in Home Assistant", minutes, by)


@asynccontextmanager
async def alerting(
    settings: AlertsSettings,
    events: EventLog,
    clock: Clock,
    store: StoreAccess | None,
    incidents: Incidents,
    worker: str = "",
) -> AsyncIterator[Alerts]:
    """Have alerts follow the events and be delivered, from the first stream to the last.

    Args:
        settings: channels and rules.
        events: are followed.
        clock: where time comes from.
        store: remembers messages.
        incidents: are snoozed by switches.
        worker: its name, where several processes share the store.

    Raises:
        AlertChannelMissing: a channel needs a library that is not here.
    """
    program = version("styleflow-live")
    channels = build_channels(settings.channels, clock, program, IncidentSnoozes(incidents))
    alerts = Alerts(channels, settings, store, clock, worker=worker)
    await alerts.load()
    events.attach(alerts)
    task = asyncio.create_task(alerts.run(), name="alerts")
    try:
        yield alerts
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
