"""`/api/v1/workers`: the processes that analyze streams, and draining them."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Annotated

import structlog
from fastapi import APIRouter, Depends, Path, Query
from pydantic import BaseModel, Field

from stream.clock import Clock
from stream.cluster.machines import Machines
from stream.cluster.protocol import WorkerView
from stream.errors import WorkerUnknown
from stream.events import DegradationLevel
from stream.publish.encode import model_data
from stream.publish.schema import Model
from stream.store import audit
from stream.store.access import StoreAccess
from web.problem_responses import documented_problems
from web.security.auth import Scope
from web.security.scopes import ScopeCheck

log = structlog.get_logger(__name__)

NOTED_S = 2.0
"""How long an answer waits for the audit log to be on disk."""

WorkerName = Annotated[str, Path(min_length=1, max_length=128)]


Force = Annotated[
    bool,
    Query(description="also move configured streams that are being called: that ends the calls"),
]


class WorkerEntry(BaseModel):
    """One process that analyzes streams, and how it is doing."""

    name: str
    node: str = Field(description="name of its machine")
    pid: int
    version: str = Field(description="of the program; differs while an upgrade rolls on")
    labels: dict[str, str] = Field(description="what streams may be pinned to")
    device: str = Field(description="what it computes on")
    models: tuple[Model, ...] = Field(description="that score its streams, the first one first")
    streams: tuple[str, ...] = Field(description="ids, in order")
    max_streams: int = Field(description="how many it takes at most; 0 when that is not known")
    busy: float = Field(
        ge=0, le=1, description="share of time that its device thread computed lately"
    )
    overload: str = Field(description="what it leaves out, as in a stream's status")
    full: bool = Field(description="it takes no further stream")
    draining: bool = Field(description="its streams are moved away, and it gets no others")
    outdated: bool = Field(
        description="it was started with other settings, or of another version, than this gateway"
    )
    alive: bool = Field(description="it answers")
    quiet_s: float = Field(description="seconds since it answered last")
    health: dict[str, str] = Field(description="one sentence per check")


class WaitingStream(BaseModel):
    """A stream that no worker has."""

    id: str
    why: str


class WorkersView(BaseModel):
    """Every worker, ordered by machine and name, and what was done with them."""

    several: bool = Field(description="false where one process does everything")
    workers: tuple[WorkerEntry, ...]
    waiting: tuple[WaitingStream, ...] = Field(description="streams that no worker has")
    counts: dict[str, int] = Field(
        description="what the director has done: moves, deaths, adoptions, refusals, inherited"
    )


def routes(
    machines: Machines, scopes: ScopeCheck, clock: Clock, store: StoreAccess | None
) -> APIRouter:
    """Return the routes.

    Args:
        machines: the workers.
        scopes: checks what the caller may do.
        clock: says when something was done.
        store: has the audit log; None when nothing is kept.
    """
    read = Depends(scopes.require(Scope.READ))
    steer = Depends(scopes.require(Scope.CONTROL))
    router = APIRouter(prefix="/api/v1/workers", tags=["workers"])
    refusals = documented_problems(401, 403, 404, 409, 422, 503)

    async def steered(name: str, *, draining: bool, force: bool = False) -> WorkerEntry:
        await machines.drain(name, draining=draining, force=force)
        action = "worker.drained" if draining else "worker.undrained"
        log.info(action, worker=name)
        if store is not None:
            at, by, subject = clock.utc(), audit.asked_by.get(), f"worker/{name}"
            write = partial(audit.append, at=at, by=by, action=action, subject=subject)
            await _noted(store, write)
        found = machines.table().workers.get(name)
        if found is None:
            raise WorkerUnknown(name)
        return _entry(found, machines).model_copy(update={"draining": draining})

    @router.get("", dependencies=[read], responses=documented_problems(401))
    async def list_workers() -> WorkersView:
        """List every worker with its streams and how busy it is."""
        return _view(machines)

    @router.put("/{name}/drain", dependencies=[steer], responses=refusals)
    async def drain_worker(name: WorkerName, *, force: Force = False) -> WorkerEntry:
        """Move a worker's streams to others, and give it no more.

        Streams that are being called stay until their calls are over.
        """
        return await steered(name, draining=True, force=force)

    @router.delete("/{name}/drain", dependencies=[steer], responses=refusals)
    async def undrain_worker(name: WorkerName) -> WorkerEntry:
        """Give a worker streams again. Those that were moved away stay where they are."""
        return await steered(name, draining=False)

    return router


async def _noted(store: StoreAccess, write: partial[audit.AuditEntry]) -> None:
    """Have it noted who did that, and wait a moment for the note to be on disk."""
    waiting = asyncio.wrap_future(store.submit(write))
    done, _ = await asyncio.wait([waiting], timeout=NOTED_S)
    if not done or waiting.exception() is not None:
        log.warning("draining a worker is not in the audit log yet")


def _view(machines: Machines) -> WorkersView:
    table = machines.table()
    workers = sorted(table.workers.values(), key=lambda one: (one.card.node, one.card.name))
    waiting = sorted(name for name, owned in table.streams.items() if not owned.worker)
    return WorkersView(
        several=machines.several,
        workers=tuple(_entry(worker, machines) for worker in workers),
        waiting=tuple(WaitingStream(id=id, why=table.streams[id].waiting) for id in waiting),
        counts=dict(table.counts),
    )


def _entry(worker: WorkerView, machines: Machines) -> WorkerEntry:
    card = worker.card
    return WorkerEntry(
        name=card.name,
        node=card.node,
        pid=card.pid,
        version=card.version,
        labels=dict(card.labels),
        device=card.device,
        models=tuple(map(model_data, card.models)),
        streams=worker.streams,
        max_streams=card.max_streams,
        busy=min(max(worker.busy, 0.0), 1.0),
        overload=DegradationLevel(worker.degradation).word,
        full=worker.full,
        draining=worker.draining,
        outdated=machines.outdated(worker),
        alive=worker.alive,
        quiet_s=worker.quiet_s,
        health=dict(worker.details),
    )
