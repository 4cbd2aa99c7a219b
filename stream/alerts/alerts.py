"""Alerts at work: events in, messages to every channel of the rules that they concern.

A sink of the event log. Deciding is pure (`RuleEngine`), waiting messages are the outbox's; here is
one task per channel, so that a dead one delays only itself, and one that follows the time. Nothing
of this is waited for by whoever scores.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import TypeVar

import structlog
from sqlalchemy import Connection

from stream.alerts import records
from stream.alerts.channels.channel import Channel, LiveChannel, heed_cancellation
from stream.alerts.errors import (
    AlertChannelMissing,
    AlertRuleFixed,
    AlertRulesFull,
    AlertRuleUnknown,
    AlertUndelivered,
)
from stream.alerts.messages import Message, messages_of, trial_message
from stream.alerts.outbox import ChannelCounts, Outbox
from stream.alerts.rules import Alert, HeldBack, RuleEngine
from stream.alerts.settings import AlertsSettings, Rule
from stream.clock import Clock
from stream.event_log.event_log import StampedEvent
from stream.store.access import StoreAccess, Write
from stream.store.audit import append

T = TypeVar("T")

log = structlog.get_logger(__name__)

MAX_PAGE_RULES = 100
"""Rules that may be made on the page."""

REMEMBERED = 10_000
"""Messages of the past that are read at the start, so that none is sent twice."""

TICK_S = 1.0
"""Seconds between two looks at what time alone has brought due."""

PRUNE_S = 3600.0
"""Seconds between two removals of old messages."""


@dataclass(frozen=True, slots=True)
class RuleStatus:
    """A rule, and how it fares.

    Attributes:
        rule: the rule.
        configured: it is in the configuration, not made on the page.
        held_quiet: incidents that quiet hours held back.
        held_rate: incidents that the rate limit held back.
    """

    rule: Rule
    configured: bool
    held_quiet: int
    held_rate: int


@dataclass(frozen=True, slots=True)
class ChannelStatus:
    """A channel, and how it fares.

    Attributes:
        name: of the channel.
        kind: webhook, mqtt, email or apprise.
        waiting: messages on their way.
        counts: what became of the others since the start.
        last_error: why the last attempt failed, or why there is no connection; empty when all is
            well.
        last_at: when the last attempt was; None before the first.
    """

    name: str
    kind: str
    waiting: int
    counts: ChannelCounts
    last_error: str
    last_at: datetime | None

    @property
    def state(self) -> str:
        """`idle` before the first attempt, else `ok` or `failing`."""
        if self.last_error:
            return "failing"
        return "idle" if self.last_at is None else "ok"


@dataclass(frozen=True, slots=True)
class TrialResult:
    """What came back when a test message was sent through a channel."""

    channel: str
    ok: bool
    detail: str


class Alerts:
    """Rules, channels and the outbox between them. Belongs to the event loop.

    Args:
        channels: all that are configured.
        settings: rules of the configuration, and bounds.
        store: where messages and the page's rules outlive the process; without one they do not.
        clock: where time comes from.
        rng: draws the waits between attempts.
        worker: its name, where several processes share the store; each sends its own messages.

    Attributes:
        outbox: messages on their way.
        faults: times that a part failed in a way that nobody expects.
    """

    def __init__(
        self,
        channels: Sequence[Channel],
        settings: AlertsSettings,
        store: StoreAccess | None,
        clock: Clock,
        rng: random.Random | None = None,
        worker: str = "",
    ) -> None:
        self.faults = 0
        self._channels = {channel.name: channel for channel in channels}
        self._settings = settings
        self._store = store
        self._clock = clock
        self._configured = {rule.name: rule for rule in settings.rules}
        self._made: dict[str, Rule] = {}
        self._engine = RuleEngine(settings.rules)
        self._wake = {name: asyncio.Event() for name in self._channels}
        self._worker = worker
        rng = rng or random.Random()
        self.outbox = Outbox(self._channels, store, settings.outbox, rng, worker)

    async def load(self) -> None:
        """Go on where the last process stopped. What cannot be read is logged and left behind."""
        try:
            if self._store is not None:
                await asyncio.to_thread(self._read, self._store)
        except Exception:
            log.exception("alerts of before cannot be read from the store")
        self._engine.replace(self._rules())

    def _read(self, store: StoreAccess) -> None:
        with store.reading() as connection:
            for rule in records.read_rules(connection):
                if rule.name not in self._configured:
                    self._made[rule.name] = rule
            self._engine.restore(records.told(connection, REMEMBERED))
            self.outbox.restore(records.waiting(connection, self._channels, self._worker))

    async def inherit(self, living: Collection[str]) -> int:
        """Send what was to be sent by workers that live no more, some of it at a time.

        Returns:
            How many messages were taken over.

        Raises StoreUnavailable.
        """
        names, heir = tuple(self._channels), self._worker
        taken = await self._write(lambda c: records.inherit(c, names, heir, living)) or []
        self.outbox.restore(taken)
        for channel in {parcel.message.channel for parcel in taken}:
            self._wake[channel].set()
        if taken:
            log.info("alerts of workers that are gone are sent", messages=len(taken))
        return len(taken)

    def accept(self, stamped: StampedEvent) -> None:
        """Take the next event."""
        self._post(self._engine.accept(stamped.event, stamped.utc))
        for channel in self._channels.values():
            if isinstance(channel, LiveChannel):
                channel.follow(stamped)

    def tick(self) -> None:
        """Send what time alone has brought due."""
        self._post(self._engine.tick(self._clock.utc()))

    async def step(self, name: str) -> bool:
        """Try the next message of a channel; return False when none is due."""
        channel = self._channels[name]
        parcel = self.outbox.take(name, self._clock.utc())
        if parcel is None:
            return False
        try:
            await self._deliver(channel, parcel.message)
        except AlertUndelivered as error:
            now = self._clock.utc()
            self.outbox.failed(parcel, str(error), now, error.again_s)
            log.warning(
                "an alert was not delivered",
                channel=name,
                id=parcel.message.id,
                attempts=parcel.attempts + 1,
                why=str(error),
            )
        else:
            self.outbox.delivered(parcel, self._clock.utc())
            log.info("an alert was delivered", channel=name, id=parcel.message.id)
        return True

    async def run(self) -> None:
        """Deliver until it is cancelled."""
        async with asyncio.TaskGroup() as tasks:
            for name, channel in self._channels.items():
                tasks.create_task(self._lasting(partial(self._work, name)), name=f"alerts {name}")
                if isinstance(channel, LiveChannel):
                    tasks.create_task(self._lasting(channel.run), name=f"alerts {name} live")
            tasks.create_task(self._lasting(self._keep_time), name="alerts time")

    async def test(self, name: str) -> list[TrialResult]:
        """Send a test message through every channel of a rule, once, and say what came back.

        Raises:
            AlertRuleUnknown: there is no such rule.
        """
        rule = self.rule(name).rule
        return list(await asyncio.gather(*(self._try(name, one) for one in rule.channels)))

    def rules(self) -> list[RuleStatus]:
        """Return every rule: those of the configuration first."""
        held = self._engine.held_back
        return [
            RuleStatus(
                rule,
                rule.name in self._configured,
                held[rule.name, HeldBack.QUIET],
                held[rule.name, HeldBack.RATE],
            )
            for rule in self._rules()
        ]

    def rule(self, name: str) -> RuleStatus:
        """Return a rule.

        Raises:
            AlertRuleUnknown: there is no such rule.
        """
        for status in self.rules():
            if status.rule.name == name:
                return status
        raise AlertRuleUnknown(name)

    def held_back(self) -> dict[HeldBack, int]:
        """Return how many incidents were not told at once, by why; removed rules count, too."""
        found = dict.fromkeys(HeldBack, 0)
        for (_, why), count in self._engine.held_back.items():
            found[why] += count
        return found

    def channels(self) -> list[ChannelStatus]:
        """Return every channel."""
        box = self.outbox
        return [
            ChannelStatus(
                name,
                channel.kind,
                box.waiting(name),
                box.counts[name],
                box.errors[name] or _trouble(channel),
                box.tried.get(name),
            )
            for name, channel in self._channels.items()
        ]

    async def put_rule(self, rule: Rule, by: str) -> RuleStatus:
        """Make or replace a rule of the page; it holds from now on, and after a restart.

        Raises:
            AlertRuleFixed: a rule of the configuration has this name.
            AlertRulesFull: there are as many as there may be.
            AlertChannelMissing: it names a channel that is not configured.
            StoreUnavailable: it cannot be written.
        """
        self._check(rule)
        now = self._clock.utc()

        def write(connection: Connection) -> None:
            records.write_rule(connection, rule, now)
            detail = records.plain(rule)
            append(connection, now, by, "alert_rule.set", f"rule/{rule.name}", detail)

        await self._write(write)
        self._made[rule.name] = rule
        self._engine.replace(self._rules())
        return self.rule(rule.name)

    async def reread(self) -> bool:
        """Take the page's rules from the store, where another process may have written them.

        Returns:
            Whether they were read; without a store there is nothing to read.

        Raises StoreUnavailable.
        """
        if self._store is None:
            return False
        store = self._store

        def read() -> dict[str, Rule]:
            with store.reading() as connection:
                return {rule.name: rule for rule in records.read_rules(connection)}

        made = await asyncio.to_thread(read)
        self._made = {n: rule for n, rule in made.items() if n not in self._configured}
        self._engine.replace(self._rules())
        return True

    async def remove_rule(self, name: str, by: str) -> None:
        """Remove a rule of the page.

        Raises:
            AlertRuleUnknown: there is no such rule.
            AlertRuleFixed: it is in the configuration.
            StoreUnavailable: it cannot be removed.
        """
        if self.rule(name).configured:
            raise AlertRuleFixed(name)
        now = self._clock.utc()

        def write(connection: Connection) -> None:
            records.remove_rule(connection, name)
            append(connection, now, by, "alert_rule.removed", f"rule/{name}", {})

        await self._write(write)
        self._made.pop(name, None)
        self._engine.replace(self._rules())

    async def _write(self, write: Write[T]) -> T | None:
        """Have the store do something, and wait for it; without a store nothing is done."""
        if self._store is None:
            return None
        return await asyncio.wrap_future(self._store.submit(write))

    def _check(self, rule: Rule) -> None:
        if rule.name in self._configured:
            raise AlertRuleFixed(rule.name)
        if rule.name not in self._made and len(self._made) >= MAX_PAGE_RULES:
            raise AlertRulesFull(MAX_PAGE_RULES)
        for name in rule.channels:
            if name not in self._channels:
                raise AlertChannelMissing(name, "it is not configured")

    def _rules(self) -> list[Rule]:
        return [*self._configured.values(), *sorted(self._made.values(), key=lambda r: r.name)]

    def _post(self, alerts: Sequence[Alert]) -> None:
        now = self._clock.utc()
        for alert in alerts:
            for message in messages_of(alert, self._settings.page):
                self.outbox.post(message, now)
                if message.channel in self._wake:
                    self._wake[message.channel].set()

    async def _deliver(self, channel: Channel, message: Message) -> str:
        """Deliver, with every failure as AlertUndelivered; foreign texts may hold secrets."""
        try:
            async with asyncio.timeout(channel.timeout_s):
                return await channel.deliver(message)
        except AlertUndelivered:
            raise
        except TimeoutError:
            raise AlertUndelivered(f"it took longer than {channel.timeout_s:g} s") from None
        except Exception as error:
            log.warning("a channel failed", channel=channel.name, error=type(error).__name__)
            raise AlertUndelivered(f"unexpected: {type(error).__name__}") from None

    async def _try(self, rule: str, name: str) -> TrialResult:
        channel = self._channels.get(name)
        if channel is None:
            return TrialResult(name, ok=False, detail="it is not configured")
        try:
            detail = await self._deliver(channel, trial_message(rule, name, self._clock.utc()))
        except AlertUndelivered as error:
            return TrialResult(name, ok=False, detail=str(error))
        return TrialResult(name, ok=True, detail=detail)

    async def _lasting(self, work: Callable[[], Awaitable[None]]) -> None:
        """Have a fault of one part end neither itself for good nor the others."""
        while True:
            try:
                await work()
            except Exception:
                self.faults += 1
                log.exception("a part of the alerts failed and begins again")
            await self._clock.sleep(TICK_S)

    async def _work(self, name: str) -> None:
        """Deliver one message after the other, and wait when none is due."""
        wake = self._wake[name]
        while True:
            wake.clear()
            tried = await self.step(name)
            heed_cancellation()
            if tried:
                continue
            due = self.outbox.next_due(name)
            wait = (due - self._clock.utc()).total_seconds() if due is not None else None
            try:
                async with asyncio.timeout(None if wait is None else max(wait, 0.0)):
                    await wake.wait()
            except TimeoutError:
                continue

    async def _keep_time(self) -> None:
        pruned = float("-inf")
        while True:
            self.tick()
            if self._clock.monotonic() - pruned >= PRUNE_S:
                pruned = self._clock.monotonic()
                await self._prune()
            await self._clock.sleep(TICK_S)

    async def _prune(self) -> None:
        """Remove old messages from the store, a few at a time."""
        now, box = self._clock.utc(), self._settings.outbox
        before = now - timedelta(days=box.keep_days)
        gone = now - timedelta(seconds=2 * box.try_s)
        try:
            while await self._write(lambda c: records.prune(c, before, gone)):
                await self._clock.sleep(TICK_S)
        except Exception as error:
            log.warning("old alerts stay in the store", error=type(error).__name__)


def _trouble(channel: Channel) -> str:
    return channel.trouble if isinstance(channel, LiveChannel) else ""
