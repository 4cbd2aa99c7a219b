"""MQTT: a broker that streams are shown on and alerts are sent through.

One connection is held and opened again after a wait that doubles. While there is none, alerts wait
in the outbox; what is shown of streams is shown anew on the next connection.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Collection
from contextlib import suppress
from typing import Protocol

import aiomqtt
import structlog

from stream.alerts.channels.channel import cancellations, heed_cancellation
from stream.alerts.channels.home_assistant import HomeAssistant, Publication, SnoozeCommand
from stream.alerts.channels.tls import tls_context
from stream.alerts.errors import AlertUndelivered
from stream.alerts.messages import Message
from stream.alerts.settings import MqttSettings
from stream.clock import Clock
from stream.event_log.event_log import StampedEvent

log = structlog.get_logger(__name__)

LOOK_S = 1.0
"""Seconds between two looks at what is to be shown."""

_FIRST_S, _MOST_S = 1.0, 60.0
_QUEUED = 256
_FAREWELL_S = 2.0


class SnoozeSwitch(Protocol):
    """Snoozes, as the switch of a stream needs them."""

    def snoozed(self) -> Collection[str]:
        """Return the ids of the streams that are snoozed."""
        ...

    async def switch(self, stream: str, minutes: int | None, by: str) -> None:
        """Snooze a stream for some minutes, or end that with None."""
        ...


class NoSnoozes:
    """A switch that does nothing, where there are no incidents to snooze."""

    def snoozed(self) -> Collection[str]:
        """Return none."""
        return ()

    async def switch(self, stream: str, minutes: int | None, by: str) -> None:
        """Do nothing."""


class Mqtt:
    """A broker.

    Args:
        settings: where it is, how to log in, and what is shown there.
        clock: where time comes from.
        version: of this program, which devices name.
        snoozes: what the switches steer.
        rng: draws the waits between connections.
        brief: connect for every message alone, and show nothing; for commands beside the analyzer.

    Attributes:
        trouble: why there is no connection; empty while there is one.
        connections: how often one was made.
    """

    kind = "mqtt"

    def __init__(
        self,
        settings: MqttSettings,
        clock: Clock,
        version: str,
        snoozes: SnoozeSwitch | None = None,
        rng: random.Random | None = None,
        *,
        brief: bool = False,
    ) -> None:
        self.name = settings.name
        self.timeout_s = settings.timeout_s
        self.trouble = ""
        self.connections = 0
        self._settings = settings
        self._clock = clock
        self._snoozes = snoozes or NoSnoozes()
        self._rng = rng or random.Random()
        self._brief = brief
        self._shown = HomeAssistant(settings, version)
        self._wake = asyncio.Event()
        self._live: aiomqtt.Client | None = None

    def follow(self, stamped: StampedEvent) -> None:
        """Take note of the next event."""
        if self._shown.follow(stamped.event):
            self._wake.set()

    async def deliver(self, message: Message) -> str:
        """Publish a message and wait until the broker has taken it."""
        said = self._shown.alert(message)
        try:
            if self._brief:
                async with self._client(with_will=False) as client:
                    await self._publish(client, said)
            elif self._live is None:
                raise AlertUndelivered(f"there is no connection: {self.trouble or 'not yet'}")
            else:
                await self._publish(self._live, said)
        except aiomqtt.MqttError as error:
            raise AlertUndelivered(_reason(error)) from None
        return f"the broker took it on {said.topic}"

    async def run(self) -> None:
        """Hold a connection until cancelled."""
        failures = 0
        while True:
            before = self.connections
            try:
                await self._connected()
            except* (aiomqtt.MqttError, AlertUndelivered, OSError) as group:
                self.trouble = _reason(group.exceptions[0])
                log.warning("no connection to the broker", channel=self.name, why=self.trouble)
            failures = 0 if self.connections > before else failures + 1
            ceiling = min(_FIRST_S * 2.0 ** min(failures, 16), _MOST_S)
            await self._clock.sleep(self._rng.uniform(ceiling / 2, ceiling))

    async def _connected(self) -> None:
        known = cancellations()
        async with self._client(with_will=True) as client:
            heed_cancellation(known)
            try:
                async with asyncio.TaskGroup() as tasks:
                    tasks.create_task(self._listen(client))
                    tasks.create_task(self._show(client))
            except asyncio.CancelledError:  # a broker tells the last will of those who vanish only
                with suppress(aiomqtt.MqttError):
                    await client.publish(
                        self._shown.status_topic, "offline", qos=1, retain=True, timeout=_FAREWELL_S
                    )
                raise
            finally:
                self._live = None

    async def _listen(self, client: aiomqtt.Client) -> None:
        async for message in client.messages:
            payload = message.payload if isinstance(message.payload, bytes) else b""
            text = payload[:64].decode("utf-8", "replace")
            command = self._shown.heard(str(message.topic), text, self._clock.monotonic())
            if command is not None and not message.retain:
                await self._switch(command)
            self._wake.set()

    async def _switch(self, command: SnoozeCommand) -> None:
        minutes = self._settings.snooze_min if command.on else None
        try:
            await self._snoozes.switch(command.stream, minutes, f"mqtt {self.name}")
        except Exception:  # whatever stands behind the switch; the broker is not to blame
            log.exception("a stream was not snoozed", stream=command.stream)

    async def _show(self, client: aiomqtt.Client) -> None:
        for topic in self._shown.subscriptions:
            await client.subscribe(topic, qos=1)
        await self._publish(client, Publication(self._shown.status_topic, "online"))
        self._shown.announce()
        self._live, self.trouble = client, ""
        self.connections += 1
        log.info("connected to the broker", channel=self.name)
        while True:
            self._wake.clear()
            now, snoozed = self._clock.monotonic(), self._snoozes.snoozed()
            for publication in self._shown.pending(now, snoozed):
                await self._publish(client, publication)
            try:
                async with asyncio.timeout(LOOK_S):
                    await self._wake.wait()
            except TimeoutError:
                continue

    async def _publish(self, client: aiomqtt.Client, said: Publication) -> None:
        await client.publish(
            said.topic, said.payload, qos=said.qos, retain=said.retain, timeout=self.timeout_s
        )
        heed_cancellation()

    def _client(self, *, with_will: bool) -> aiomqtt.Client:
        own = self._settings
        will = aiomqtt.Will(self._shown.status_topic, "offline", qos=1, retain=True)
        return aiomqtt.Client(
            own.host,
            own.port,
            username=own.username or None,
            password=own.password.get_secret_value() or None,
            will=will if with_will else None,
            timeout=own.timeout_s,
            keepalive=30,
            tls_context=tls_context(own.tls_ca_file) if own.tls else None,
            max_queued_incoming_messages=_QUEUED,
            max_queued_outgoing_messages=_QUEUED,
        )


def _reason(error: BaseException) -> str:
    """Return why the broker cannot be spoken to; the library's words hold no secrets."""
    return f"the broker: {' '.join(str(error).split())[:200] or type(error).__name__}"
