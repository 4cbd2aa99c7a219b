"""Director: looks after workers, and has `Placement`'s orders carried out.

Theory of operation. `step` does everything that is due: it asks workers how they are (one question
to each at a time, so that one that hangs delays nobody), counts those as lost that have been silent
for too long, and starts the orders that are missing, a task each. Whatever ends wakes `run`, which
steps again. A director that begins learns from the workers what there is, and from its `Notes` who
was drained and how new the newest owners were; it gives no order before all have answered or had
the time to.

Belongs to one event loop. Everything that is waited for has an end: a question after
`cluster.lost_s`, an order after `ORDER_S`, whoever asks for a stream after `START_S`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import structlog

from stream.analyzer.streams import StreamSpec, StreamStatus
from stream.clock import Clock
from stream.cluster.estate import Estate
from stream.cluster.notes import NoteKeeper, Notes
from stream.cluster.orders import Order, Own
from stream.cluster.placement import Placement
from stream.cluster.protocol import Beat, Table, WorkerHandle
from stream.cluster.settings import ClusterSettings
from stream.engine.settings import EngineSettings
from stream.errors import Overloaded, StreamUnknown, TooManyStreams, WorkerGone
from stream.webrtc.calls import ANYBODY, Publisher
from styleflow.errors import StyleFlowError

log = structlog.get_logger(__name__)

FIND_S = 1.0
"""Pause between two looks at which workers there are."""

ORDER_S = 10.0
"""How long a worker may take to carry out an order."""

START_S = 15.0
"""How long whoever adds or changes a stream waits until a worker runs it."""

STARTING_S = 20.0
"""How long streams that were never run wait for workers that are there and do not answer yet.
Otherwise the worker that starts first would be given all of them."""

VERSION_BITS = 20
"""A director's versions begin at its number, shifted by this, so they rise from one to the next."""

Find = Callable[[], Awaitable[Mapping[str, WorkerHandle]]]


@dataclass(slots=True)
class _Question:
    """A question to a worker that is not answered yet."""

    task: asyncio.Task[None]
    asked: float


@dataclass(slots=True, eq=False)
class _Errand:
    """An order that is being carried out."""

    order: Order
    begun: float
    task: asyncio.Task[None] | None = None

    def cancel(self) -> None:
        """Give it up."""
        if self.task is not None:
            self.task.cancel()


@dataclass(slots=True)
class _Caller:
    """Somebody who waits until a worker runs a stream.

    Attributes:
        stream: which.
        until: when they are told that none does.
        adds: whether the stream is forgotten then.
        status: what they are told.
        fault: why it was not started the last time.
    """

    stream: str
    until: float
    adds: bool
    status: asyncio.Future[StreamStatus]
    fault: Exception | None = None


async def _no_restart(worker: str) -> None:
    """Leave a worker as it is."""


class Director:
    """Gives streams to workers; implements `DirectorHandle`.

    Args:
        find: returns all workers that there are, by name, dead or not.
        settings: when workers are lost, and streams move.
        clock: where time comes from.
        numbers: returns a start epoch of event numbers that nobody else has; see
            `stream.event_log.ids`. Generations are such numbers.
        restart: ends a worker's process, so that another one comes in its place.
        notes: what outlives the director.
        made_of: digest of what it was started with.
    """

    def __init__(
        self,
        find: Find,
        settings: ClusterSettings,
        clock: Clock,
        numbers: Callable[[], int],
        restart: Callable[[str], Awaitable[None]] = _no_restart,
        notes: Notes | None = None,
        made_of: str = "",
    ) -> None:
        self._find = find
        self._settings = settings
        self._clock = clock
        self._restart = restart
        self._placement = Placement(settings, numbers)
        self._number = self._placement.number()
        self._notes = NoteKeeper(notes, self._placement, clock, self._start)
        self._made_of = made_of
        self._estate = Estate(clock, self._start, self._placement.inherited)
        self._handles: dict[str, WorkerHandle] = {}
        self._seen: dict[str, float] = {}
        self._found = False
        self._looked: float | None = None
        self._looking: asyncio.Task[None] | None = None
        self._questions: dict[str, _Question] = {}
        self._asked: dict[str, float] = {}
        self._heard: set[str] = set()
        self._joined: set[str] = set()
        self._errands: set[_Errand] = set()
        self._callers: list[_Caller] = []
        self._restarted: dict[str, str] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._began = clock.monotonic()
        self._ready = asyncio.Event()
        self._woken = asyncio.Event()
        self._news = asyncio.Event()
        self._told = -1

    # --- life -----------------------------------------------------------------------------------

    async def run(self) -> None:
        """Look after the cluster until cancelled."""
        try:
            while True:
                self.step()
                await self._pause()
        finally:
            tasks = tuple(self._tasks)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _pause(self) -> None:
        """Wait until something has ended, or it is time for the next question."""
        sleep = asyncio.ensure_future(self._clock.sleep(self._settings.beat_s))
        woken = asyncio.ensure_future(self._woken.wait())
        try:
            await asyncio.wait((sleep, woken), return_when=asyncio.FIRST_COMPLETED)
        finally:
            sleep.cancel()
            woken.cancel()
        self._woken.clear()

    def step(self) -> None:
        """Do everything that is due now; waits for nothing."""
        now = self._clock.monotonic()
        self._look_for_workers(now)
        self._notes.step(now)
        self._ask_workers(now)
        self._give_up(now)
        if self._has_heard_everybody(now):
            self._ready.set()
            for order in self._placement.decide(now, hold=self._awaits_workers(now)):
                self._send(order, now)
            self._estate.step(now, self._living())
        self._answer_callers(now)
        if self._placement.version != self._told:
            self._told = self._placement.version
            self._news.set()
            self._news = asyncio.Event()

    def _living(self) -> dict[str, WorkerHandle]:
        """Return the workers that live, those that are drained last."""
        names = sorted(self._placement.living(), key=lambda name: name in self._placement.drained)
        return {name: self._handles[name] for name in names if name in self._handles}

    def _start(self, what: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(what)
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        self._woken.set()
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("the director failed at something", error=repr(error))

    # --- workers --------------------------------------------------------------------------------

    def _look_for_workers(self, now: float) -> None:
        due = self._looked is None or now - self._looked >= FIND_S
        if due and (self._looking is None or self._looking.done()):
            self._looked = now
            self._looking = self._start(self._look())

    async def _look(self) -> None:
        try:
            found = await self._find()
        except Exception as error:  # whatever the cluster raises: those known go on
            log.warning("workers cannot be listed", error=str(error))
            return
        now = self._clock.monotonic()
        self._found = True
        self._handles |= found
        self._seen = {name: self._seen.get(name, now) for name in self._handles}
        for name in set(self._handles) - set(found) - set(self._placement.quiet(now)):
            del self._handles[name]
            if (question := self._questions.pop(name, None)) is not None:
                question.task.cancel()
            if name in self._joined:
                self._placement.left(name)
                self._joined.discard(name)

    def _has_heard_everybody(self, now: float) -> bool:
        """Say whether every worker has answered or had the time to; once true, it stays so."""
        if self._ready.is_set() or now - self._began >= self._settings.lost_s:
            return True
        return self._found and self._notes.recalled and set(self._handles) <= self._heard

    def _awaits_workers(self, now: float) -> bool:
        """Say whether workers are still starting, so that the first one is not given everything."""
        return any(
            name not in self._joined and now - self._seen[name] < STARTING_S
            for name in self._handles
        )

    def _ask_workers(self, now: float) -> None:
        for name, handle in self._handles.items():
            question = self._questions.get(name)
            if question is not None and not question.task.done():
                if now - question.asked < self._settings.lost_s:
                    continue
                question.task.cancel()
            elif now - self._asked.get(name, now - 3600.0) < self._settings.beat_s:
                continue
            self._asked[name] = now
            self._questions[name] = _Question(self._start(self._ask(name, handle, now)), now)

    async def _ask(self, name: str, handle: WorkerHandle, asked: float) -> None:
        """Ask a worker how it is, and take in what it says."""
        try:
            beat = await handle.beat()
            if not self._placement.knows(name, beat.incarnation):
                card = await handle.card()
                if card.incarnation != beat.incarnation:
                    return  # restarted between the two; it is asked again
                await self._tune(handle)
                self._placement.joined(card, self._clock.monotonic())
                self._joined.add(name)
                log.info("worker joins", worker=name, node=card.node, pid=card.pid)
            if not beat.health.live:
                self._tend(name, beat)
            now = self._clock.monotonic()
            if strangers := self._placement.beat(name, beat, asked, now):
                await self._learn(name, handle, strangers)
        except WorkerGone:
            self._lose(name, "is gone")
        except StyleFlowError as error:
            log.warning("worker does not say how it is", worker=name, error=str(error))
        finally:
            self._heard.add(name)

    async def _tune(self, handle: WorkerHandle) -> None:
        if self._placement.thresholds is not None:
            await handle.ask("control", "retune", self._placement.thresholds, None)

    async def _learn(self, name: str, handle: WorkerHandle, strangers: frozenset[str]) -> None:
        """Take in streams that a worker runs and nobody knew here, as a new director does."""
        specs: Sequence[StreamSpec] = await handle.ask("control", "specs")
        general: EngineSettings = await handle.ask("control", "thresholds")
        if self._placement.thresholds is None:
            self._placement.thresholds = general
        thresholds = {}
        for spec in specs:
            if spec.id in strangers:
                own: EngineSettings = await handle.ask("control", "thresholds", spec.id)
                if own != general:
                    thresholds[spec.id] = own
        self._placement.learn(name, specs, thresholds, self._clock.monotonic())
        log.info("streams found at a worker", worker=name, streams=sorted(strangers))

    def _tend(self, name: str, beat: Beat) -> None:
        """Have a worker's process replaced, once, because its device hangs."""
        self._drop(name)
        if self._restarted.get(name) == beat.incarnation:
            return
        self._restarted[name] = beat.incarnation
        log.error("worker's device hangs; it is restarted", worker=name)
        self._start(self._have_restarted(name))

    async def _have_restarted(self, name: str) -> None:
        try:
            await self._restart(name)
        except Exception as error:  # whatever the cluster raises: its streams have moved anyway
            log.error("worker cannot be restarted", worker=name, error=str(error))

    def _lose(self, name: str, why: str) -> None:
        """Count a worker as lost, if it has ever joined and is not lost already."""
        now = self._clock.monotonic()
        if name not in self._placement.quiet(now):
            return
        log.warning("worker is lost", worker=name, reason=why)
        self._placement.lost(name, why, now)
        self._drop(name)

    def _drop(self, name: str) -> None:
        """Give up what a worker is being told."""
        for errand in self._errands:
            if errand.order.worker == name:
                errand.cancel()
                self._blame(errand.order, WorkerGone(name))

    def _give_up(self, now: float) -> None:
        """Count silent workers as lost, and end orders that take too long."""
        for name, quiet in self._placement.quiet(now).items():
            if quiet >= self._settings.lost_s:
                self._lose(name, f"has been silent for {quiet:.1f} s")
        for errand in self._errands:
            if now - errand.begun >= ORDER_S:
                errand.cancel()

    # --- orders ---------------------------------------------------------------------------------

    def _send(self, order: Order, now: float) -> None:
        """Begin to have an order carried out."""
        errand = _Errand(order, now)
        errand.task = self._start(self._carry_out(order, self._handles[order.worker]))
        self._errands.add(errand)
        errand.task.add_done_callback(lambda task: self._sent(errand))

    def _sent(self, errand: _Errand) -> None:
        """Note that an order has ended, however it did; one that was given up has failed."""
        self._errands.discard(errand)
        self._fail(errand.order, f"took longer than {ORDER_S:g} s")

    async def _carry_out(self, order: Order, handle: WorkerHandle) -> None:
        """Have a worker carry out an order, and note how that ended."""
        try:
            if isinstance(order, Own):
                await self._own(order, handle)
            else:
                await handle.disown(order.stream, order.generation, moved=order.moved)
                self._placement.done(order, self._clock.monotonic())
        except WorkerGone as error:
            self._lose(order.worker, "is gone")
            self._blame(order, error)
        except (Overloaded, TooManyStreams) as error:
            self._blame(order, error)
            self._fail(order, str(error), refused=True)
        except Exception as error:  # whatever a worker raises: it is told again, after a pause
            log.warning(
                "worker does not do as told",
                worker=order.worker,
                stream=order.stream,
                reason=str(error),
            )
            self._blame(order, error)
            self._fail(order, str(error))

    def _fail(self, order: Order, why: str, *, refused: bool = False) -> None:
        self._placement.failed(order, why, self._clock.monotonic(), refused=refused)

    async def _own(self, order: Own, handle: WorkerHandle) -> None:
        status = await handle.own(order.spec, order.generation)
        self._placement.done(order, self._clock.monotonic())
        log.info("stream given", stream=order.stream, worker=order.worker)
        thresholds = self._placement.tuned(order.stream)
        if thresholds is not None:
            await handle.ask("control", "retune", thresholds, order.stream)
        for caller in self._callers:
            newest = self._placement.newest(order.stream) == order.generation
            if caller.stream == order.stream and newest and not caller.status.done():
                caller.status.set_result(status)

    def _blame(self, order: Order, error: Exception) -> None:
        """Keep for those who wait for a stream why it was not started."""
        for caller in self._callers:
            if caller.stream == order.stream and isinstance(order, Own):
                caller.fault = error

    # --- callers --------------------------------------------------------------------------------

    async def _running(self, stream: str, *, adds: bool) -> StreamStatus:
        """Wait until a worker has started a stream; forget one that is new and is not started."""
        until = self._clock.monotonic() + START_S
        future: asyncio.Future[StreamStatus] = asyncio.get_running_loop().create_future()
        caller = _Caller(stream, until, adds, future)
        self._callers.append(caller)
        self._woken.set()
        try:
            return await future
        finally:
            self._callers.remove(caller)

    def _answer_callers(self, now: float) -> None:
        """Tell those who wait in vain."""
        for caller in tuple(self._callers):
            if caller.status.done():
                continue
            try:
                waits = not self._placement.owner(caller.stream)
            except StreamUnknown as error:
                caller.status.set_exception(error)
                continue
            if (waits and caller.fault is not None) or now >= caller.until:
                caller.status.set_exception(caller.fault or WorkerGone(""))
                if caller.adds:
                    self._placement.remove(caller.stream)

    async def add(self, spec: StreamSpec) -> StreamStatus:
        """Give a stream to a worker; see `DirectorHandle.add`."""
        await self._ready.wait()
        self._placement.add(spec, self._clock.monotonic())
        return await self._running(spec.id, adds=True)

    async def want(self, specs: Sequence[StreamSpec]) -> None:
        """Have streams that are configured or were stored; see `DirectorHandle.want`."""
        await self._ready.wait()
        for spec in specs:
            self._placement.want(spec)
        self._woken.set()

    async def change(self, spec: StreamSpec) -> StreamStatus:
        """Give a stream other settings; see `DirectorHandle.change`."""
        await self._ready.wait()
        before = self._placement.spec(spec.id)
        worker = self._placement.change(spec)
        if not worker:
            return await self._running(spec.id, adds=False)
        try:
            async with asyncio.timeout(ORDER_S):
                status: StreamStatus = await self._handles[worker].ask("control", "change", spec)
        except (WorkerGone, TimeoutError):
            self._lose(worker, "is gone")
            return await self._running(spec.id, adds=False)
        except StyleFlowError:
            self._placement.change(before)
            raise
        return status

    async def retune(self, settings: EngineSettings, stream: str | None) -> None:
        """Judge one stream, or all, by other thresholds; see `DirectorHandle.retune`."""
        await self._ready.wait()
        told = self._placement.retune(settings, stream)
        self._woken.set()
        await asyncio.gather(*(self._have_retuned(name, settings, stream) for name in told))

    async def _have_retuned(self, name: str, settings: EngineSettings, stream: str | None) -> None:
        try:
            async with asyncio.timeout(ORDER_S):
                await self._handles[name].ask("control", "retune", settings, stream)
        except (WorkerGone, TimeoutError):
            self._lose(name, "is gone")
        except StreamUnknown:
            pass  # it is being moved; the next owner is told

    async def remove(self, stream: str) -> None:
        """Stop and forget a stream; waits until its worker has stopped it, but not for long."""
        await self._ready.wait()
        self._placement.remove(stream)
        self.step()
        while running := [
            errand.task
            for errand in self._errands
            if errand.order.stream == stream and errand.task is not None
        ]:
            await asyncio.wait(running)
            self.step()

    async def claim(self, stream: str, publisher: Publisher = ANYBODY) -> str:
        """Return the worker for a call; see `DirectorHandle.claim`."""
        await self._ready.wait()
        return self._placement.claim(stream, self._clock.monotonic(), publisher)

    async def drain(
        self, worker: str, *, draining: bool, why: str = "", force: bool = False
    ) -> None:
        """Move a worker's streams away, or take that back; see `DirectorHandle.drain`."""
        await self._ready.wait()
        self._placement.drain(worker, draining=draining, why=why, force=force)
        self._woken.set()
        await self._notes.kept()

    async def fill(self, worker: str) -> int:
        """Give a worker its share of the others' streams; see `DirectorHandle.fill`."""
        await self._ready.wait()
        moved = self._placement.fill(worker, self._clock.monotonic())
        self._woken.set()
        return moved

    async def block(self) -> int:
        """Return a start epoch that nobody else has; see `DirectorHandle.block`."""
        return self._placement.number()

    # --- views ----------------------------------------------------------------------------------

    async def table(self, version: int, wait_s: float) -> Table:
        """Return the table once it is newer; see `DirectorHandle.table`."""
        await self._ready.wait()
        news = self._news
        if version == self._version:
            try:
                async with asyncio.timeout(wait_s):
                    await news.wait()
            except TimeoutError:
                pass
        table = self._placement.table(self._clock.monotonic())
        return replace(table, version=self._version, director=self._number, made_of=self._made_of)

    @property
    def _version(self) -> int:
        return (self._number << VERSION_BITS) + self._placement.version
