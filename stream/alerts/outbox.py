"""Outbox: messages that wait for their channels, in memory and in the store.

At least once: a message is written to the store when it is made and when anything becomes of it,
and whatever still waits there is tried again after a restart. Receivers tell repeats by its id.
What the store cannot take is counted and sent all the same.

Every channel has a queue of its own, bounded: the oldest message gives way to a new one. Of one
incident and rule the messages stay in order; those of others do not wait for them. An attempt that
fails is repeated after a wait that doubles, of which the upper half is left to chance, until the
message is a day old and given up.
"""

from __future__ import annotations

import random
from collections.abc import Iterable
from concurrent.futures import Future
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial

from stream.alerts.messages import Message
from stream.alerts.records import Parcel, ParcelState, add_parcel, write_parcel
from stream.alerts.settings import OutboxSettings
from stream.store.access import StoreAccess, Write


@dataclass(slots=True)
class ChannelCounts:
    """Fate of a channel's messages; only grows.

    Attributes:
        delivered: messages that were taken.
        failed: attempts that failed.
        given_up: messages that were too old to be tried again.
        dropped: messages that gave way to newer ones.
    """

    delivered: int = 0
    failed: int = 0
    given_up: int = 0
    dropped: int = 0


class Outbox:
    """Messages on their way. Belongs to the event loop and never waits.

    Args:
        channels: names of all channels.
        store: where messages outlive the process; without one they do not.
        settings: bounds, and how often a message is tried.
        rng: draws the waits.
        worker: who sends them, where several share the store.

    Attributes:
        counts: what became of messages, by channel.
        errors: why the last attempt of a channel failed; empty after one that did not.
        tried: when a channel was tried last.
        unstored: writes that the store did not take.
    """

    def __init__(
        self,
        channels: Iterable[str],
        store: StoreAccess | None,
        settings: OutboxSettings,
        rng: random.Random,
        worker: str = "",
    ) -> None:
        self._queues: dict[str, dict[str, Parcel]] = {name: {} for name in channels}
        self.counts = {name: ChannelCounts() for name in self._queues}
        self.errors = dict.fromkeys(self._queues, "")
        self.tried: dict[str, datetime] = {}
        self.unstored = 0
        self._store = store
        self._settings = settings
        self._rng = rng
        self._worker = worker

    def restore(self, parcels: Iterable[Parcel]) -> None:
        """Go on with messages of before a restart, oldest first."""
        for parcel in parcels:
            self._keep(parcel)

    def post(self, message: Message, now: datetime) -> None:
        """Send a message as soon as its channel can; one that already waits is not sent twice."""
        queue = self._queues.get(message.channel)
        if queue is None or message.id in queue:
            return
        parcel = Parcel(message, now)
        self._write(partial(add_parcel, parcel=parcel, worker=self._worker))
        self._keep(parcel)

    def take(self, channel: str, now: datetime) -> Parcel | None:
        """Return the message that is to be tried now; it stays until its fate is told."""
        self._give_up_old(channel, now)
        ready = [parcel for parcel in self._first_of_each(channel) if parcel.due <= now]
        return min(ready, key=lambda parcel: parcel.due, default=None)

    def next_due(self, channel: str) -> datetime | None:
        """Return when the next message of a channel is to be tried; None when none waits."""
        return min((parcel.due for parcel in self._first_of_each(channel)), default=None)

    def waiting(self, channel: str) -> int:
        """Return how many messages of a channel wait."""
        return len(self._queues[channel])

    def delivered(self, parcel: Parcel, now: datetime) -> None:
        """Take note that a message was taken."""
        channel = parcel.message.channel
        self.counts[channel].delivered += 1
        self.errors[channel], self.tried[channel] = "", now
        self._finish(parcel.failed("", now), ParcelState.DELIVERED)

    def failed(
        self, parcel: Parcel, error: str, now: datetime, again_s: float | None = None
    ) -> None:
        """Take note that a message was not taken, and try it again later.

        Args:
            parcel: what was tried.
            error: why it failed, without any secret.
            now: when.
            again_s: seconds that the receiver asked to wait; at most `most_s` is obeyed.
        """
        channel = parcel.message.channel
        self.counts[channel].failed += 1
        self.errors[channel], self.tried[channel] = error, now
        wait = max(self.wait_s(parcel.attempts), min(again_s or 0.0, self._settings.most_s))
        later = parcel.failed(error, now + timedelta(seconds=wait))
        if parcel.message.id not in self._queues[channel]:
            return  # it gave way meanwhile
        self._queues[channel][parcel.message.id] = later
        self._write(self._fate(later, ParcelState.WAITING))
        self._give_up_old(channel, now)

    def wait_s(self, attempts: int) -> float:
        """Return how long to wait after a failure that so many failures came before."""
        doubled = self._settings.first_s * 2.0 ** min(attempts, 32)
        ceiling = min(doubled, self._settings.most_s)
        return self._rng.uniform(ceiling / 2, ceiling)

    def _first_of_each(self, channel: str) -> Iterable[Parcel]:
        """Return the oldest message of every rule and incident."""
        first: dict[tuple[str, str], Parcel] = {}
        for parcel in self._queues[channel].values():
            message = parcel.message
            first.setdefault((message.rule, message.incident or message.id), parcel)
        return first.values()

    def _keep(self, parcel: Parcel) -> None:
        queue = self._queues[parcel.message.channel]
        queue[parcel.message.id] = parcel
        while len(queue) > self._settings.waiting:
            oldest = next(iter(queue.values()))
            self.counts[parcel.message.channel].dropped += 1
            self._finish(oldest, ParcelState.GIVEN_UP)

    def _give_up_old(self, channel: str, now: datetime) -> None:
        limit = now - timedelta(seconds=self._settings.try_s)
        for parcel in list(self._queues[channel].values()):
            if parcel.message.created <= limit:
                self.counts[channel].given_up += 1
                self._finish(parcel, ParcelState.GIVEN_UP)

    def _finish(self, parcel: Parcel, state: ParcelState) -> None:
        self._queues[parcel.message.channel].pop(parcel.message.id, None)
        self._write(self._fate(parcel, state))

    def _fate(self, parcel: Parcel, state: ParcelState) -> Write[None]:
        """Return what writes what became of a message."""
        return partial(write_parcel, parcel=parcel, state=state, worker=self._worker)

    def _write(self, write: Write[None]) -> None:
        if self._store is not None:
            self._store.submit(write).add_done_callback(self._stored)

    def _stored(self, future: Future[None]) -> None:
        if future.cancelled() or future.exception() is not None:
            self.unstored += 1
