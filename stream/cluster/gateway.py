"""The gateway: workers and their director as one analyzer, for whoever speaks to people.

Implements `web.app.Control`. It follows the director's table and the feeds of all workers that
live, folds every stream's events into its state, and so answers at once what an analyzer answers at
once. Everything that changes something, and every picture, is asked of the director or of the
worker that owns the stream. Belongs to the event loop; owns no stream, so its end harms none.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Any, TypeVar

import structlog

from stream.analyzer.status import status_of
from stream.analyzer.streams import Health, StreamSpec, StreamStatus
from stream.canary import is_canary
from stream.clock import Clock
from stream.cluster.calls import Calls, portable
from stream.cluster.protocol import DirectorHandle, Owned, Table, WorkerHandle
from stream.cluster.relay import Relay, is_ending
from stream.engine.settings import EngineSettings
from stream.errors import StreamError, StreamIdReserved, StreamUnknown, WorkerGone
from stream.event_log.event_log import EventLog, StampedEvent
from stream.events import ConnectionState, StreamAdded, StreamRemoved
from stream.explain.stills import Still
from stream.publish.hub import Hub
from stream.stream_state import StreamState
from stream.webrtc.calls import CallAnswer, Publisher
from stream.webrtc.sdp import check_offer
from styleflow.cards import ModelCard
from styleflow.overlay import PointsAt

T = TypeVar("T")

log = structlog.get_logger(__name__)

TABLE_S = 0.5
"""How long the director is asked to wait for a change."""

ANSWER_S = 20.0
"""Longest time for which a worker or the director is waited for."""

SEEN_S = 2.0
"""How long an answer waits until what was done is seen here, too. Then it is given all the same."""

GRACE_S = 2.0
"""How long a living worker has to say itself that a stream is gone."""

ANEW_S = 10.0
"""How long a director that begins has to learn of the streams that another one knew."""

BACKOFF_S = (0.1, 2.0)
"""First and longest pause before the director is asked again."""

NO_DIRECTOR = (
    "streams are scored and stored on where they are, and none is placed or moved; if that lasts, "
    "the head of the cluster is gone: start it again, or all that needs it ends"
)


@dataclass(slots=True)
class Board:
    """What every stream's events amount to; a sink of the event log.

    Attributes:
        states: by stream.
    """

    states: dict[str, StreamState]

    def accept(self, stamped: StampedEvent) -> None:
        """Take the next event."""
        event = stamped.event
        if isinstance(event, StreamAdded):
            self.states.setdefault(event.stream, StreamState(event.stream))
        if isinstance(event, StreamRemoved):
            self.states.pop(event.stream, None)
        elif event.stream in self.states:
            self.states[event.stream].apply(event, stamped.now)


async def _nothing() -> None:
    """Do nothing."""


class Gateway:
    """Control of streams that workers own; an async context manager.

    Args:
        director: gives streams to workers.
        worker: returns how a worker is reached, by its name.
        events: is told what workers tell; the hub and this gateway are attached to it here.
        hub: tells subscribers.
        clock: where time comes from.
        engine: thresholds of the configuration.
        wanted: called when there is a director, and again when there is another one that knows
            nothing of what was wanted.

    Attributes:
        relay: follows the workers.
        table: what the director said last; None before it has said anything.
    """

    def __init__(
        self,
        director: DirectorHandle,
        worker: Callable[[str], WorkerHandle],
        events: EventLog,
        hub: Hub,
        clock: Clock,
        engine: EngineSettings,
        wanted: Callable[[], Awaitable[None]] = _nothing,
    ) -> None:
        self.director = director
        self.events = events
        self.table: Table | None = None
        self.relay = Relay(events, clock, hub.settle)
        self._worker = worker
        self._clock = clock
        self._engine = engine
        self._wanted = wanted
        self._board = Board({})
        self._calls = Calls(clock)
        self._remarks: list[Callable[[], Mapping[str, str]]] = []
        self._quiet_since: float | None = clock.monotonic()
        self._leaving: dict[str, float] = {}
        self._changed = asyncio.Event()
        self._tasks: tuple[asyncio.Task[None], ...] = ()
        self._wanting: asyncio.Task[None]
        events.attach(hub)
        events.attach(self._board)
        events.attach(self)

    # --- life -------------------------------------------------------------------------------

    async def __aenter__(self) -> Gateway:
        self._wanting = asyncio.create_task(_nothing(), name="nothing wanted yet")
        self._tasks = (
            asyncio.create_task(self._follow(), name="table"),
            asyncio.create_task(self._calls.watch(self._end_call), name="calls of publishers"),
        )
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._wanting.cancel()
        await asyncio.gather(self._wanting, return_exceptions=True)
        await self.relay.close()

    def accept(self, stamped: StampedEvent) -> None:
        """Take note that something was told: somebody may wait for it."""
        if isinstance(stamped.event, StreamAdded | StreamRemoved):
            self._wake()

    # --- the table --------------------------------------------------------------------------

    async def _follow(self) -> None:
        pause = BACKOFF_S[0]
        while not is_ending():
            version = self.table.version if self.table is not None else -1
            try:
                async with asyncio.timeout(TABLE_S + ANSWER_S):
                    table = await self.director.table(version, TABLE_S)
            except (StreamError, TimeoutError, OSError) as error:
                if self._quiet_since is None:
                    self._quiet_since = self._clock.monotonic()
                    log.warning("the director does not answer", reason=str(error), hint=NO_DIRECTOR)
                await asyncio.sleep(pause)
                pause = min(pause * 2, BACKOFF_S[1])
                continue
            pause, self._quiet_since = BACKOFF_S[0], None
            try:
                self.take(table)
            except Exception:
                log.exception("the director's table cannot be followed")
                await asyncio.sleep(pause)

    def take(self, table: Table) -> None:
        """Follow what the director says: its workers, their streams, and those that are gone."""
        before, self.table = self.table, table
        anew = before is None or before.director != table.director
        for stream, owned in table.streams.items():
            self._leaving.pop(stream, None)
            if anew and owned.generation:
                self.relay.correct(stream, owned.generation)
            elif owned.generation:
                self.relay.announce(stream, owned.generation)
        self._follow_workers(table, first=before is None)
        now = self._clock.monotonic()
        for stream, owned in before.streams.items() if before is not None else ():
            if stream not in table.streams:
                alive = owned.worker in table.workers and table.workers[owned.worker].alive
                grace = ANEW_S if anew else GRACE_S if alive else 0.0
                self._leaving[stream] = now + grace
        for stream in [s for s, until in self._leaving.items() if until <= now]:
            del self._leaving[stream]
            self.relay.end(stream)
        if anew:
            self._wanting.cancel()
            self._wanting = asyncio.create_task(self._want(), name="wanted streams")
        self._wake()

    async def _want(self) -> None:
        """Have what is wanted told to a director that has just begun, until it has heard."""
        pause = BACKOFF_S[0]
        while not is_ending():
            try:
                await self._wanted()
            except (StreamError, TimeoutError, OSError) as error:
                log.warning("the director does not hear what is wanted", reason=str(error))
                await asyncio.sleep(pause)
                pause = min(pause * 2, BACKOFF_S[1])
            else:
                return

    def _follow_workers(self, table: Table, *, first: bool) -> None:
        for reader in self.relay.readers:
            view = table.workers.get(reader.name)
            if view is None or not view.alive:
                self.relay.leave(reader.name, forget=view is None)
        for name, view in table.workers.items():
            if view.alive:
                born = "" if first else view.card.incarnation
                self.relay.follow(name, self._worker(name), born)

    def _wake(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()

    async def _seen(self, is_seen: Callable[[], bool]) -> None:
        """Wait until something is seen here, but not for long."""
        try:
            async with asyncio.timeout(SEEN_S):
                while not is_seen():
                    await self._changed.wait()
        except TimeoutError:
            log.warning("what was done is not seen yet by this gateway")

    @property
    def alive(self) -> tuple[str, ...]:
        """Names of the workers that are alive, in order."""
        workers = self.table.workers if self.table is not None else {}
        return tuple(sorted(name for name, view in workers.items() if view.alive))

    @property
    def models(self) -> tuple[ModelCard, ...]:
        """The models that score streams anywhere, the first one first."""
        workers = self.table.workers if self.table is not None else {}
        return tuple(
            dict.fromkeys(m for _, view in sorted(workers.items()) for m in view.card.models)
        )

    # --- streams ----------------------------------------------------------------------------

    async def add(self, spec: StreamSpec) -> StreamStatus:
        """Have a stream started; see `DirectorHandle.add`."""
        if is_canary(spec.id):
            raise StreamIdReserved(spec.id)
        status = await self._ask_director(self.director.add(spec))
        await self._seen(lambda: self._owned(spec.id) is not None and self.relay.tells(spec.id))
        return status

    async def change(self, spec: StreamSpec) -> StreamStatus:
        """Give a stream other settings. Raises StreamUnknown."""
        self.spec(spec.id)
        status = await self._ask_director(self.director.change(spec))
        await self._seen(lambda: (known := self._owned(spec.id)) is None or known.spec == spec)
        return status

    async def remove(self, stream: str) -> None:
        """Stop and forget a stream, whether or not its worker lives. Raises StreamUnknown."""
        self.spec(stream)
        await self._ask_director(self.director.remove(stream))
        await self._seen(lambda: self._owned(stream) is None and not self.relay.tells(stream))

    def spec(self, stream: str) -> StreamSpec:
        """Return a stream's settings as they were given. Raises StreamUnknown."""
        return self._known(stream).spec

    def status(self, stream: str) -> StreamStatus:
        """Return how one stream stands. Raises StreamUnknown."""
        owned = self._known(stream)
        state = self._board.states.get(stream) or StreamState(stream)
        status = status_of(owned.spec, state, self._models(owned, state), state.report.overload)
        if owned.worker:
            return status
        return replace(
            status, state=ConnectionState.CONNECTING, code=None, detail=owned.waiting, scores=()
        )

    def statuses(self) -> tuple[StreamStatus, ...]:
        """Return how every stream stands, ordered by id."""
        return tuple(self.status(stream) for stream in sorted(self._streams))

    def _models(self, owned: Owned, state: StreamState) -> tuple[ModelCard, ...]:
        if state.added is not None:
            return tuple(scoring.model for scoring in state.added.models)
        view = self.table.workers.get(owned.worker) if self.table is not None else None
        return view.card.models if view is not None else self.models

    async def thresholds(self, stream: str | None = None) -> EngineSettings:
        """Return what one stream is judged by, or what holds for the others."""
        own = self._known(stream).thresholds if stream is not None else None
        common = self.table.thresholds if self.table is not None else None
        return own or common or self._engine

    async def retune(self, settings: EngineSettings, stream: str | None = None) -> None:
        """Judge one stream, or all, by other thresholds from now on. Raises StreamUnknown."""
        if stream is not None:
            self.spec(stream)
        await self._ask_director(self.director.retune(settings, stream))

        def is_seen() -> bool:
            known = self.table if stream is None else self._owned(stream)
            return known is None or known.thresholds == settings

        await self._seen(is_seen)

    async def picture(
        self, stream: str, width: int, overlay: str | None = None, *, drawn: bool = False
    ) -> Still | None:
        """Return the newest picture of a stream; see `StreamControl.picture`."""
        still: Still | None = await self.ask_owner(
            stream, "control", "picture", stream, width, overlay, drawn=drawn
        )
        if still is None:
            return None
        return replace(still, arrived=self.relay.here(self._known(stream).worker, still.arrived))

    async def pointers(self, stream: str) -> Mapping[str, PointsAt | None]:
        """Return what each of a stream's detectors can point at; see `StreamControl.pointers`."""
        pointers: Mapping[str, PointsAt | None] = await self.ask_owner(
            stream, "control", "pointers", stream
        )
        return pointers

    # --- calls ------------------------------------------------------------------------------

    async def call(self, stream: str, offer: str, publisher: Publisher | None = None) -> CallAnswer:
        """Have a peer answered by the worker that owns the stream; see `CallControl.call`."""
        if is_canary(stream):
            raise StreamIdReserved(stream)
        check_offer(offer)
        publisher = publisher or Publisher()
        worker = await self._ask_director(self.director.claim(stream, portable(publisher)))
        answer: CallAnswer = await self.ask(
            worker, "control", "call", stream, offer, portable(publisher)
        )
        self._calls.began(stream, answer.session, worker, publisher)
        await self._seen(lambda: self._owned(stream) is not None)
        return answer

    async def etag(self, stream: str, session: str, publisher: Publisher) -> str:
        """Return the entity tag of a call's ICE session."""
        etag: str = await self._ask_call(stream, session, "etag", portable(publisher))
        return etag

    async def trickle(self, stream: str, session: str, fragment: str, publisher: Publisher) -> None:
        """Take further ICE candidates of a peer."""
        await self._ask_call(stream, session, "trickle", fragment, portable(publisher))

    async def hang_up(self, stream: str, session: str, publisher: Publisher) -> None:
        """End a call because its peer wishes so."""
        await self._ask_call(stream, session, "hang_up", portable(publisher))
        self._calls.ended(session)

    async def _ask_call(self, stream: str, session: str, method: str, *args: Any) -> Any:
        """Ask the worker that answered a call; of another gateway's call, the stream's owner."""
        worker = self._calls.worker(stream, session) or self._owner(stream)
        return await self.ask(worker, "control", method, stream, session, *args)

    async def _end_call(self, stream: str, session: str, publisher: Publisher) -> None:
        await self.hang_up(stream, session, publisher)

    # --- asking -----------------------------------------------------------------------------

    async def ask(self, worker: str, service: str, method: str, *args: Any, **named: Any) -> Any:
        """Ask a worker. Raises WorkerGone, and what the method raises."""
        try:
            async with asyncio.timeout(ANSWER_S):
                return await self._worker(worker).ask(service, method, *args, **named)
        except TimeoutError:
            raise WorkerGone(worker) from None

    async def ask_owner(
        self, stream: str, service: str, method: str, *args: Any, **named: Any
    ) -> Any:
        """Ask the worker that owns a stream; once more if the stream has moved meanwhile.

        Raises StreamUnknown, WorkerGone, and what the method raises.
        """
        owned = self._known(stream)
        try:
            return await self.ask(self._owner(stream), service, method, *args, **named)
        except (StreamUnknown, WorkerGone):
            if self._known(stream).generation == owned.generation:
                raise
            return await self.ask(self._owner(stream), service, method, *args, **named)

    async def ask_all(self, service: str, method: str, *args: Any, **named: Any) -> dict[str, Any]:
        """Ask every worker that lives; return the answers of those that gave one, by name.

        Raises WorkerGone if there is no answer at all, and what the method raises.
        """
        names = self.alive
        answers = await asyncio.gather(
            *(self.ask(name, service, method, *args, **named) for name in names),
            return_exceptions=True,
        )
        found: dict[str, Any] = {}
        for name, answer in zip(names, answers, strict=True):
            if isinstance(answer, BaseException) and not isinstance(answer, WorkerGone):
                raise answer
            if not isinstance(answer, WorkerGone):
                found[name] = answer
        if not found:
            raise WorkerGone(names[0] if names else "any")
        return found

    async def _ask_director(self, asked: Awaitable[T]) -> T:
        try:
            async with asyncio.timeout(ANSWER_S):
                return await asked
        except TimeoutError:
            raise WorkerGone("director") from None

    @property
    def _streams(self) -> Mapping[str, Owned]:
        return self.table.streams if self.table is not None else {}

    def _owned(self, stream: str) -> Owned | None:
        return self._streams.get(stream)

    def _known(self, stream: str) -> Owned:
        owned = self._streams.get(stream)
        if owned is None:
            raise StreamUnknown(stream)
        return owned

    def _owner(self, stream: str) -> str:
        """Return the name of a stream's owner. Raises StreamUnknown or WorkerGone."""
        owned = self._known(stream)
        if not owned.worker:
            raise WorkerGone("any")
        return owned.worker

    # --- health -----------------------------------------------------------------------------

    def remark(self, read: Callable[[], Mapping[str, str]]) -> None:
        """Have a part beside the gateway say how it is doing in the details of its health."""
        self._remarks.append(read)

    def health(self) -> Health:
        """Return whether work may be sent here: a worker is alive, and somebody answers."""
        details = {"director": self._director_words(), "workers": self._worker_words()}
        for name, view in sorted(self.table.workers.items() if self.table is not None else ()):
            details[f"worker {name}"] = _view_words(view.alive, view.draining, view.quiet_s)
        silent = [r.name for r in self.relay.readers if not r.answers]
        if silent:
            details["feeds"] = f"no events come from {', '.join(sorted(silent))}"
        for read in self._remarks:
            details |= read()
        readers = self.relay.readers
        deaf = self._quiet_since is not None and len(silent) == len(readers)
        return Health(live=True, ready=bool(self.alive) and not deaf, details=details)

    def _director_words(self) -> str:
        if self._quiet_since is None:
            return "answers"
        quiet = self._clock.monotonic() - self._quiet_since
        if self.table is None:
            return "was not heard of yet"
        return f"does not answer for {quiet:.1f} s; streams are scored all the same"

    def _worker_words(self) -> str:
        known = len(self.table.workers) if self.table is not None else 0
        return f"{len(self.alive)} of {known} alive"


def _view_words(alive: bool, draining: bool, quiet_s: float) -> str:  # noqa: FBT001 - three facts
    if not alive:
        return f"does not answer for {quiet_s:.1f} s"
    return "is being drained" if draining else "answers"
