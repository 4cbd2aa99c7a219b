"""Ray, which workers and the director run on: nobody else imports it, and this only when asked.

Workers and the director are named actors: processes that Ray starts again when they die. A handle
finds its actor by that name, so it goes on with the next process. Every call has a time limit of
its own, because one to a machine that cannot be reached never ends by itself. Errors of this
program cross as themselves; those of Ray mean that the worker is gone.

How an actor is made of the settings is somebody else's knowledge: `Plan` and `DirectorPlan` are
values that cross to its process and make it there.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import socket
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractAsyncContextManager, AsyncExitStack, suppress
from dataclasses import dataclass
from functools import cache
from types import ModuleType
from typing import Any, Protocol, TypeVar

import structlog

from stream.analyzer.streams import StreamSpec, StreamStatus
from stream.cluster.errors import ClusterUnreachable, RayMissing
from stream.cluster.protocol import Table
from stream.cluster.worker_calls import BEAT_S, CALL_S, WorkerCalls
from stream.engine.settings import EngineSettings
from stream.errors import WorkerGone
from stream.webrtc.calls import ANYBODY, Publisher

log = structlog.get_logger(__name__)

NAMESPACE = "styleflow"
DIRECTOR = "styleflow-director"

STOP_S = 20.0

STARTED_S = 180.0
"""How long an actor may take to be built: a worker loads its models."""

FREE_S = 0.1
"""Pause between two looks whether the name of an actor that was ended is free."""

AGAIN_S = 10.0
"""Pause after building something in vain, such as without the store's server."""

OBJECT_STORE = 80 * 1024 * 1024
"""Bytes of shared memory for values that cross, the least that Ray takes: no video crosses."""

ENVIRONMENT = {
    "RAY_USAGE_STATS_ENABLED": "0",  # nobody is told that this runs
    "RAY_worker_niceness": "0",  # else every score comes behind everything else on the machine
    "RAY_memory_monitor_refresh_ms": "0",  # the kernel decides who goes, as for any process
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "RAY_DEDUP_LOGS": "0",
}
"""Settings of Ray that it reads from the environment before it starts."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Whereabouts:
    """What a worker's process knows of itself.

    Attributes:
        name: of the worker.
        node: name of the machine.
        labels: of the machine, as whoever started Ray there gave them.
        incarnation: unguessable.
        gpus: numbers of the GPUs that Ray has given it; no others are visible to its process.
    """

    name: str
    node: str
    labels: Mapping[str, str]
    incarnation: str
    gpus: tuple[str, ...] = ()


class RunningWorker(Protocol):
    """A worker and its log lines, in its own process."""

    @property
    def worker(self) -> Any:
        """The `WorkerHandle`."""
        ...

    async def lines(self, position: int, wait_s: float) -> tuple[int, tuple[str, ...]]:
        """Return log lines from a position on, and where to go on."""
        ...


class Plan(Protocol):
    """How a worker is made; crosses to its process."""

    def __call__(
        self, at: Whereabouts, director: RayDirectorHandle
    ) -> AbstractAsyncContextManager[RunningWorker]:
        """Return what runs a worker."""
        ...


class DirectorPlan(Protocol):
    """How the director is made; crosses to its process."""

    def __call__(
        self,
        workers: Callable[[], Awaitable[Mapping[str, RayWorkerHandle]]],
        restart: Callable[[str], Awaitable[None]],
    ) -> AbstractAsyncContextManager[Any]:
        """Return what runs the director."""
        ...


def _ray() -> ModuleType:
    """Return Ray. Raises RayMissing."""
    os.environ.update({key: os.environ.get(key, value) for key, value in ENVIRONMENT.items()})
    try:
        import ray
    except ImportError:
        raise RayMissing from None
    return ray


# --- in the actors' processes ---------------------------------------------------------------------


class _Actor(ABC):
    """Something that is built on the actor's event loop, once, and then asked."""

    def __init__(self) -> None:
        self._stack = AsyncExitStack()
        self._made: asyncio.Task[Any] | None = None
        self._stopped = False

    @abstractmethod
    async def _build(self) -> Any:
        """Return what answers, ready to be asked."""

    async def ready(self) -> None:
        """Wait until it is built. Raises what building raised; later it is tried again."""
        if self._made is None:
            self._made = asyncio.create_task(self._build(), name="build")
            self._made.add_done_callback(self._built)
        await asyncio.shield(self._made)

    def _built(self, made: asyncio.Task[Any]) -> None:
        """Have building tried again after a while, unless it went well."""
        if not made.cancelled() and (error := made.exception()) is not None:
            log.error("not built", what=repr(self), error=repr(error))
            asyncio.get_running_loop().call_later(AGAIN_S, self._forget)

    def _forget(self) -> None:
        self._made = None

    async def stop(self) -> None:
        """End everything that it runs; the process is ended by whoever asked for that."""
        self._stopped = True
        if self._made is not None:
            await asyncio.gather(self._made, return_exceptions=True)
        await self._stack.aclose()


class WorkerActor(_Actor):
    """A worker as an actor; its methods are those of `WorkerHandle`.

    Args:
        plan: makes the worker.
        name: of the worker.
    """

    def __init__(self, plan: Plan, name: str) -> None:
        super().__init__()
        self._plan = plan
        self._name = name

    def __repr__(self) -> str:
        return self._name

    async def _build(self) -> RunningWorker:
        context = _ray().get_runtime_context()
        labels = {
            key: value
            for key, value in context.get_node_labels().items()
            if not key.startswith("ray.io/")
        }
        gpus = tuple(context.get_accelerator_ids().get("GPU", ()))
        unguessable = secrets.token_urlsafe(12)
        at = Whereabouts(self._name, socket.gethostname(), labels, unguessable, gpus)
        return await self._stack.enter_async_context(self._plan(at, RayDirectorHandle()))

    def _running(self) -> RunningWorker:
        """Return the worker; one that is still being built does not answer yet."""
        made = self._made
        if made is not None and made.done() and made.exception() is None:
            running: RunningWorker = made.result()
            return running
        if not self._stopped:
            building = asyncio.create_task(self.ready())
            building.add_done_callback(lambda done: done.cancelled() or done.exception())
        raise WorkerGone(self._name)

    async def call(self, method: str, *args: Any, **named: Any) -> Any:
        """Call a method of `WorkerHandle`."""
        running = self._running()
        if self._stopped:
            raise WorkerGone(self._name)
        return await getattr(running.worker, method)(*args, **named)

    async def lines(self, position: int, wait_s: float) -> tuple[int, tuple[str, ...]]:
        """Return log lines from a position on, and where to go on; after the end, too."""
        return await self._running().lines(position, wait_s)


class DirectorActor(_Actor):
    """The director as an actor; its methods are those of `DirectorHandle`.

    Args:
        plan: makes the director.
    """

    def __init__(self, plan: DirectorPlan) -> None:
        super().__init__()
        self._plan = plan
        self._workers: dict[str, RayWorkerHandle] = {}

    def __repr__(self) -> str:
        return "director"

    async def _build(self) -> Any:
        return await self._stack.enter_async_context(self._plan(self.workers, _restart))

    async def workers(self) -> Mapping[str, RayWorkerHandle]:
        """Return every worker that Ray knows of, whether it answers or not."""
        loop = asyncio.get_running_loop()
        names = await loop.run_in_executor(_finder(), _worker_names)
        for name in names:
            self._workers.setdefault(name, RayWorkerHandle(name))
        return {name: self._workers[name] for name in names}

    async def call(self, method: str, *args: Any, **named: Any) -> Any:
        """Call a method of `DirectorHandle`."""
        await self.ready()
        assert self._made is not None
        return await getattr(self._made.result(), method)(*args, **named)


def _worker_names() -> list[str]:
    from ray.util import list_named_actors

    return sorted(name for name in list_named_actors() if name != DIRECTOR)


async def _restart(name: str) -> None:
    """End a worker's process; Ray starts another one."""
    with suppress(ValueError):  # it is gone
        actor = await _found(name)
        _ray().kill(actor, no_restart=False)


@cache
def _finder() -> ThreadPoolExecutor:
    """Return the threads that ask which actors there are.

    They hang while there is no head node, so they are none of those that everybody else uses.
    """
    return ThreadPoolExecutor(2, "actors")


async def _found(name: str) -> Any:
    """Return the actor of a name. Raises ValueError."""
    asked = asyncio.get_running_loop().run_in_executor(_finder(), _ray().get_actor, name, NAMESPACE)
    return await asked


# --- handles --------------------------------------------------------------------------------------


class _Handle:
    """A way to an actor by its name."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._actor: Any = None

    async def ready(self, within_s: float) -> None:
        """Wait until it is built. Raises what building raised, or WorkerGone."""
        await self._remote("ready", within_s)

    async def stop(self, within_s: float = STOP_S) -> None:
        """Have it end what it runs. Raises WorkerGone."""
        await self._remote("stop", within_s)

    async def call(self, method: str, limit_s: float, *args: Any, **named: Any) -> Any:
        """Call a method of what the actor runs. Raises WorkerGone, and what the method raises."""
        return await self._remote("call", limit_s, method, *args, **named)

    async def _remote(self, method: str, limit_s: float, *args: Any, **named: Any) -> Any:
        ray = _ray()
        try:
            async with asyncio.timeout(limit_s):
                if self._actor is None:
                    self._actor = await _found(self.name)
                answer = getattr(self._actor, method).remote(*args, **named)
                return await answer
        except ray.exceptions.RayTaskError as error:
            cause = error.cause
            raise (cause if isinstance(cause, Exception) else error) from None
        except (ray.exceptions.RayError, ValueError, TimeoutError) as error:
            if isinstance(error, ray.exceptions.ActorDiedError):
                self._actor = None  # for good; one that is restarted keeps its handle
            log.debug("no answer", actor=self.name, method=method, reason=str(error))
            raise WorkerGone(self.name) from None

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.name,)


class RayWorkerHandle(_Handle, WorkerCalls):
    """A worker in a process of its own; implements `WorkerHandle`.

    Args:
        name: of its actor.
    """

    async def lines(self, position: int, wait_s: float) -> tuple[int, tuple[str, ...]]:
        """Return log lines from a position on, and where to go on."""
        lines: tuple[int, tuple[str, ...]]
        lines = await self._remote("lines", wait_s + BEAT_S, position, wait_s)
        return lines


class RayDirectorHandle(_Handle):
    """The director in a process of its own; implements `DirectorHandle`."""

    def __init__(self, name: str = DIRECTOR) -> None:
        super().__init__(name)

    async def table(self, version: int, wait_s: float) -> Table:
        """Return the table once it is newer."""
        table: Table = await self.call("table", wait_s + BEAT_S, version, wait_s)
        return table

    async def add(self, spec: StreamSpec) -> StreamStatus:
        """Give a stream to a worker."""
        status: StreamStatus = await self.call("add", CALL_S, spec)
        return status

    async def change(self, spec: StreamSpec) -> StreamStatus:
        """Give a stream other settings."""
        status: StreamStatus = await self.call("change", CALL_S, spec)
        return status

    async def remove(self, stream: str) -> None:
        """Stop and forget a stream."""
        await self.call("remove", CALL_S, stream)

    async def claim(self, stream: str, publisher: Publisher = ANYBODY) -> str:
        """Return the worker for a call."""
        worker: str = await self.call("claim", CALL_S, stream, publisher)
        return worker

    async def drain(
        self, worker: str, *, draining: bool, why: str = "", force: bool = False
    ) -> None:
        """Move a worker's streams away, or take that back."""
        await self.call("drain", CALL_S, worker, draining=draining, why=why, force=force)

    async def fill(self, worker: str) -> int:
        """Give a worker its share of the others' streams."""
        moved: int = await self.call("fill", CALL_S, worker)
        return moved

    async def block(self) -> int:
        """Return the number of a block that nobody has had."""
        block: int = await self.call("block", CALL_S)
        return block

    async def want(self, specs: Sequence[StreamSpec]) -> None:
        """Have streams placed that are not there yet."""
        await self.call("want", CALL_S, specs)

    async def retune(self, settings: EngineSettings, stream: str | None = None) -> None:
        """Judge one stream, or all, by other thresholds."""
        await self.call("retune", CALL_S, settings, stream)


# --- the cluster ----------------------------------------------------------------------------------


class RayCluster:
    """Ray, started here or joined; to be made on the main thread, which outlives it.

    What is started here ends with this process, however it ends: Ray's own processes ask the
    kernel for that, and they ask for the end of the thread that started them. Only this process and
    those that it starts know the token without which nobody may speak with them.

    Args:
        address: of a cluster to join; empty starts one that serves this process alone.
        workers: how many a cluster that is started here has room for.
        gpus: how many GPUs a cluster that is started here hands out.

    Raises:
        RayMissing: the extra is not installed.
        ClusterUnreachable: nobody answers at the address.
    """

    def __init__(self, address: str = "", workers: int = 1, gpus: int = 0) -> None:
        if not address:
            os.environ.update(RAY_AUTH_MODE="token", RAY_AUTH_TOKEN=secrets.token_hex(32))
        self._ray = _ray()
        started = {"num_cpus": workers, "object_store_memory": OBJECT_STORE}
        started |= {"num_gpus": gpus} if gpus else {}
        try:
            self._ray.init(
                address=address or "local",
                namespace=NAMESPACE,
                log_to_driver=False,
                configure_logging=False,
                **({} if address else {"include_dashboard": False, **started}),
            )
        except (ConnectionError, self._ray.exceptions.RayError, RuntimeError) as error:
            raise ClusterUnreachable(address or "this machine", str(error)) from None
        self.director = RayDirectorHandle()

    def room(self, *, gpu: bool = False) -> int:
        """Return how many workers it has room for: one for each CPU, or GPU, that Ray knows."""
        return int(self._ray.cluster_resources().get("GPU" if gpu else "CPU", 0))

    def start_director(self, plan: DirectorPlan) -> None:
        """Start the director, unless there is one."""
        self._start(DirectorActor, DIRECTOR, plan, num_cpus=0, resources=self._at_head())

    def start_worker(self, name: str, plan: Plan, *, gpu: float = 0.0) -> RayWorkerHandle:
        """Start a worker, unless there is one of this name.

        Args:
            name: of the worker.
            plan: makes it.
            gpu: share of a GPU that it is given, 0..1; Ray shows its process that one alone.
        """
        self._start(WorkerActor, name, plan, name, num_cpus=1, num_gpus=gpu)
        return RayWorkerHandle(name)

    async def replace_director(self, plan: DirectorPlan) -> None:
        """End the director and start another one in its place."""
        await self._end(self.director)
        self.start_director(plan)
        await RayDirectorHandle().ready(STARTED_S)  # one that knows nothing of the old process

    async def replace_worker(self, name: str, plan: Plan, *, gpu: float = 0.0) -> None:
        """End a worker, if there is one, and start another in its place; wait until it is built.

        Raises WorkerGone, or what building it raised.
        """
        await self._end(RayWorkerHandle(name))
        await self.start_worker(name, plan, gpu=gpu).ready(STARTED_S)

    async def _end(self, handle: _Handle) -> None:
        """End an actor for good, and wait until its name is free."""
        with suppress(WorkerGone):
            await handle.stop()
        async with asyncio.timeout(STOP_S):
            with suppress(ValueError):  # it is gone
                while True:
                    self._ray.kill(await _found(handle.name), no_restart=True)
                    await asyncio.sleep(FREE_S)

    def _start(self, actor: type, name: str, *args: Any, **options: Any) -> None:
        made = self._ray.remote(actor).options(
            name=name,
            namespace=NAMESPACE,
            get_if_exists=True,
            lifetime="detached",
            max_restarts=-1,
            max_task_retries=0,
            scheduling_strategy="SPREAD",
            **options,
        )
        made.remote(*args)

    def _at_head(self) -> Mapping[str, float]:
        """Return what binds an actor to the machine that the others find each other by."""
        head = "node:__internal_head__"
        return {head: 0.001} if head in self._ray.cluster_resources() else {}

    def close(self) -> None:
        """Leave the cluster; one that was started here ends."""
        self._ray.shutdown()
