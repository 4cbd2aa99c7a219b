"""The relay: follows the feeds of workers and tells their events here, each once and in order.

Theory of operation. One task per worker asks for its newest events and waits for them at the other
end, so an event is here as soon as the way takes. What the fence lets pass goes into the event log
of this process under the number that the worker gave it, so every gateway tells the same.

A stream that moves is told by its old owner to the end, and then by its new one. Their feeds come
by different ways, so when the new owner is heard of first it is *held* until the old one has been
read up to where it is now. A worker that does not answer is not waited for.

A feed begins, or begins anew after a loss, with a recap of every stream. What a recap says is new
only where its number is; subscribers of a stream of which events are missing are asked to connect
again, and find these in the store.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace

import structlog

from stream.canary import is_canary
from stream.clock import Clock
from stream.cluster.fence import Fence
from stream.cluster.protocol import Batch, Told, WorkerHandle
from stream.cluster.time_shift import TimeShift
from stream.errors import StreamError
from stream.event_log.event_log import EventLog, StampedEvent
from stream.events import IncidentChanged, Score, StreamAdded, StreamRemoved

log = structlog.get_logger(__name__)

POLL_S = 0.5
"""How long a worker is asked to wait for an event."""

ANSWER_S = 3.0
"""How long a worker has beyond that before it counts as silent."""

BACKOFF_S = (0.1, 2.0)
"""First and longest pause before a worker that did not answer is asked again."""

HOLD_S = 1.0
"""Longest time for which a new owner is held until the old one has been heard to the end."""

MAX_HELD = 4096
"""Events of one stream that are held; what is more ends the holding."""


@dataclass(slots=True)
class RelayCounts:
    """What has been done so far; only grows.

    Attributes:
        relayed: events that were told here.
        lost: events that a worker's feed had lost before they were read.
        strays: events of streams that were never announced, or had been told before.
        failures: questions to workers that failed.
    """

    relayed: int = 0
    lost: int = 0
    strays: int = 0
    failures: int = 0


@dataclass(slots=True, eq=False)
class Reader:
    """One worker's feed, as far as it has been read.

    Attributes:
        name: of the worker.
        handle: how it is asked.
        incarnation: of the process that answered last.
        position: where to go on; None before the first answer.
        answers: whether its last question was answered.
        details: what it is about, for people.
    """

    name: str
    handle: WorkerHandle
    incarnation: str = ""
    position: int | None = None
    answers: bool = False
    details: str = "was not asked yet"
    shift: TimeShift = field(default_factory=TimeShift)


@dataclass(slots=True, eq=False)
class _Hold:
    """A stream whose new owner waits until the old one was heard to the end.

    Attributes:
        generation: of the new owner.
        old: the old owner's feed.
        until: position in it from which on nothing of the stream comes; None before it is known.
        told: what the new owner has said, with its feed.
        over: set when nobody waits any more.
    """

    generation: int
    old: Reader
    until: int | None = None
    told: list[tuple[Told, Reader]] = field(default_factory=list)
    over: asyncio.Event = field(default_factory=asyncio.Event)


@dataclass(slots=True)
class _Place:
    """Where a stream has got to: who spoke last, with which generation, and its newest number."""

    generation: int
    reader: Reader
    newest: int


class Relay:
    """Tells the events of all workers; belongs to the event loop.

    Args:
        events: is told what passes.
        clock: where time comes from.
        settle: called for a stream after a recap of it, with the number of events that are missing
            before it, 0 of a stream that was not known.
        fence: decides who may speak.

    Attributes:
        counts: what has been done so far.
        fence: see above.
    """

    def __init__(
        self,
        events: EventLog,
        clock: Clock,
        settle: Callable[[str, int], None],
        fence: Fence | None = None,
    ) -> None:
        self.counts = RelayCounts()
        self.fence = fence or Fence()
        self._events = events
        self._clock = clock
        self._settle = settle
        self._readers: dict[str, Reader] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._places: dict[str, _Place] = {}
        self._holds: dict[str, _Hold] = {}
        self._heard_out: set[str] = set()
        self._helpers: set[asyncio.Task[None]] = set()

    # --- whom it follows --------------------------------------------------------------------

    @property
    def readers(self) -> tuple[Reader, ...]:
        """The workers that are followed now, in the order in which they were."""
        return tuple(self._readers[name] for name in self._tasks)

    def follow(self, name: str, handle: WorkerHandle, born: str = "") -> None:
        """Follow a worker from now on, where it was left off if it was followed before.

        Args:
            name: of the worker.
            handle: how it is asked.
            born: incarnation of one that was not there a moment ago: it is read from its first
                event on. Of any other one a recap comes first.
        """
        if name in self._tasks:
            return
        reader = self._readers.setdefault(name, Reader(name, handle))
        reader.handle = handle
        if born and reader.position is None:
            reader.position, reader.incarnation = 0, born
        self._tasks[name] = asyncio.create_task(self._read(reader), name=f"feed of {name}")

    def leave(self, name: str, *, forget: bool = False) -> None:
        """Follow a worker no longer; its place is kept unless it is forgotten."""
        task = self._tasks.pop(name, None)
        if task is not None:
            task.cancel()
            self._helpers.add(task)
            task.add_done_callback(self._helpers.discard)
        reader = self._readers.get(name)
        if reader is not None:
            reader.answers = False
            self._release_for(reader)
            if forget:
                del self._readers[name]

    async def close(self) -> None:
        """Follow nobody any more."""
        for name in list(self._tasks):
            self.leave(name)
        helpers = tuple(self._helpers)
        for task in helpers:
            task.cancel()
        await asyncio.gather(*helpers, return_exceptions=True)

    # --- what the table says ----------------------------------------------------------------

    def announce(self, stream: str, generation: int) -> None:
        """Take note of a stream's owner; the old one may be heard to the end first."""
        if generation > self.fence.of(stream) and not self._must_hold(stream, generation, None):
            self.fence.hear(stream, generation)

    def correct(self, stream: str, generation: int) -> None:
        """Take a new director's word for a stream's generation, unless a higher one has spoken."""
        hold = self._holds.get(stream)
        if hold is not None and not hold.told and hold.generation > generation:
            del self._holds[stream]
            hold.over.set()
        if stream not in self._holds:
            self.fence.reset(stream, max(generation, self.generation(stream)))

    def end(self, stream: str) -> None:
        """Tell that a stream is gone whose owner cannot say so, unless that was told already."""
        place = self._places.get(stream)
        if place is None:
            return
        self._release(stream)
        self.fence.close(stream, max(place.generation, self.fence.of(stream)))
        removed = StreamRemoved(stream, 0)
        number = place.newest + 1  # of no other event of this stream, and the same everywhere
        del self._places[stream]
        self._heard_out.discard(stream)
        self._events.relay(
            StampedEvent(number, self._clock.monotonic(), self._clock.utc(), removed)
        )

    def tells(self, stream: str) -> bool:
        """Return whether a stream is told here now."""
        return stream in self._places

    def generation(self, stream: str) -> int:
        """Return the generation that spoke of a stream last; 0 when none has."""
        place = self._places.get(stream)
        return place.generation if place is not None else 0

    def here(self, worker: str, there: float) -> float:
        """Return monotonic seconds of a worker as this process's, at the latest now."""
        reader = self._readers.get(worker)
        now = self._clock.monotonic()
        return min(reader.shift.known(there, now), now) if reader is not None else now

    # --- feeds ------------------------------------------------------------------------------

    async def _read(self, reader: Reader) -> None:
        pause = BACKOFF_S[0]
        while not is_ending():
            try:
                async with asyncio.timeout(POLL_S + ANSWER_S):
                    batch = await reader.handle.feed(reader.position, reader.incarnation, POLL_S)
            except (StreamError, TimeoutError, OSError) as error:
                self.counts.failures += 1
                reader.answers = False
                reader.details = f"does not answer: {str(error) or 'it takes too long'}"
                self._release_for(reader)
                await asyncio.sleep(pause)
                pause = min(pause * 2, BACKOFF_S[1])
                continue
            pause = BACKOFF_S[0]
            try:
                self.take(batch, reader)
            except Exception:
                log.exception("events of a worker cannot be told", worker=reader.name)
            reader.answers, reader.details = True, "answers"

    def take(self, batch: Batch, reader: Reader) -> None:
        """Tell what a worker has sent.

        Args:
            batch: what it sent.
            reader: its feed; goes on behind the batch.
        """
        reader.position, reader.incarnation = batch.position, batch.incarnation
        if batch.fresh:
            self.counts.lost += batch.lost
            reader.shift = TimeShift()
            self._recap(batch.told, reader, batch.lost)
        else:
            if batch.told and reader.answers:
                reader.shift.hear(self._clock.monotonic(), batch.told[-1].stamped.now)
            for told in batch.told:
                self._take(told, reader)
        for stream in [s for s, hold in self._holds.items() if _is_heard(hold)]:
            self._release(stream)

    def _recap(self, recap: Iterable[Told], reader: Reader, lost: int) -> None:
        by_stream: dict[str, list[Told]] = {}
        for told in recap:
            by_stream.setdefault(told.stamped.event.stream, []).append(told)
        for stream, of_it in by_stream.items():
            known = self._places.get(stream)
            if known is not None and known.newest >= of_it[-1].stamped.id:
                continue
            for told in of_it:
                self._take(told, reader)
            if stream in self._places and self._places[stream].reader is reader:
                self._settle(stream, max(lost, 1) if known is not None else 0)

    def _take(self, told: Told, reader: Reader) -> None:
        """Tell an event, hold it, or drop it."""
        event = told.stamped.event
        stream = event.stream
        if is_canary(stream):
            return
        if told.generation == 0:  # of a stream that the worker does not own
            if isinstance(event, IncidentChanged):
                self._tell(told, reader)
            else:
                self.fence.fenced += 1
            return
        if self._must_hold(stream, told.generation, reader):
            held = self._holds[stream].told
            held.append((told, reader))
            if len(held) > MAX_HELD:
                self._release(stream)
            return
        if self.fence.passes(stream, told.generation):
            self._pass(told, reader)

    def _pass(self, told: Told, reader: Reader) -> None:
        """Tell an event that the fence lets pass, if it is one of a stream that is known."""
        event, number = told.stamped.event, told.stamped.id
        stream = event.stream
        place = self._places.get(stream)
        if isinstance(event, StreamAdded):
            if place is None or number >= place.newest or told.generation > place.generation:
                self._places[stream] = _Place(told.generation, reader, number)
                self._tell(told, reader)
                if self._is_cut_short(stream, told.generation, reader, place):
                    self._settle(stream, 1)
            else:
                self.counts.strays += 1
        elif isinstance(event, IncidentChanged) and place is None:
            self._tell(told, reader)
        elif place is None or number < place.newest:
            self.counts.strays += 1
        else:
            place.generation, place.reader, place.newest = told.generation, reader, number
            if isinstance(event, StreamRemoved):
                del self._places[stream]
            self._tell(told, reader)

    def _tell(self, told: Told, reader: Reader) -> None:
        stamped, event = told.stamped, told.stamped.event
        if isinstance(event, Score):
            arrived = reader.shift.here(event.arrived, stamped, self._clock)
            stamped = replace(stamped, event=replace(event, arrived=arrived))
        self.counts.relayed += 1
        self._events.relay(stamped)

    def _is_cut_short(
        self, stream: str, generation: int, reader: Reader, old: _Place | None
    ) -> bool:
        """Return whether a new owner speaks before the old one was heard to the end.

        What it said then is in the store, up to where the new one began, and nowhere else.
        """
        heard_out = stream in self._heard_out
        self._heard_out.discard(stream)
        if old is None or old.generation == generation or old.reader is reader:
            return False
        return not heard_out

    # --- moves ------------------------------------------------------------------------------

    def _must_hold(self, stream: str, generation: int, reader: Reader | None) -> bool:
        """Return whether a new owner has to wait for the old one; begin to wait if so."""
        place = self._places.get(stream)
        if stream in self._holds:
            return generation >= self._holds[stream].generation
        if place is None or place.reader is reader:
            return False
        if generation <= max(place.generation, self.fence.of(stream)):
            return False  # the old owner is not heard any more, or it is the same one
        if not place.reader.answers:
            return False
        self._holds[stream] = hold = _Hold(generation, place.reader)
        task = asyncio.create_task(self._find_end(stream, hold), name=f"hold of {stream}")
        self._helpers.add(task)
        task.add_done_callback(self._helpers.discard)
        return True

    async def _find_end(self, stream: str, hold: _Hold) -> None:
        """Find out up to where the old owner has to be heard, and end the wait in any case."""
        try:
            async with asyncio.timeout(HOLD_S):
                beat = await hold.old.handle.beat()
                if beat.incarnation == hold.old.incarnation:
                    hold.until = beat.sent
                    if not _is_heard(hold):
                        await hold.over.wait()
        except (StreamError, TimeoutError, OSError):
            pass
        if self._holds.get(stream) is hold:
            self._release(stream)

    def _release_for(self, reader: Reader) -> None:
        for stream in [s for s, hold in self._holds.items() if hold.old is reader]:
            self._release(stream)

    def _release(self, stream: str) -> None:
        """Hear the new owner from now on, and the old one no more."""
        hold = self._holds.pop(stream, None)
        if hold is None:
            return
        if _is_heard(hold):
            self._heard_out.add(stream)
        hold.over.set()
        self.fence.hear(stream, hold.generation)
        for told, reader in hold.told:
            self._take(told, reader)


def is_ending() -> bool:
    """Return whether the running task was cancelled, also where a handle has swallowed that."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


def _is_heard(hold: _Hold) -> bool:
    """Return whether the old owner has been heard to the end."""
    return hold.until is not None and (hold.old.position or 0) >= hold.until
