"""`/api/v1/events`, `/api/v1/audit` and `/api/v1/store`: what is kept beyond a restart."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Query, Response
from pydantic import BaseModel, Field
from sqlalchemy import Connection

from stream.clock import Clock
from stream.publish.schema import EventMessage
from stream.store import audit
from stream.store.errors import StoreUnavailable
from stream.store.figures import COUNTED_TO, StoreFigures, StoreState, figures
from stream.store.stored_events import EventFilter, Page, find
from web.past_queries import cursor_of, moment, place_of
from web.problem_responses import documented_problems
from web.routes.streams import StreamId
from web.security.auth import Scope
from web.security.scopes import ScopeCheck
from web.store_reads import StoreReads

COUNT_S = 60.0
"""How old the figures of the store may be."""

Cursor = Annotated[
    str | None,
    Query(max_length=64, description="`next` of the page before; the newest if left out"),
]
Limit = Annotated[int, Query(ge=1, le=500)]


class EventPage(BaseModel):
    """Events, newest first."""

    events: tuple[EventMessage, ...] = Field(description="as on the WebSocket")
    next: str | None = Field(description="`cursor` of the next page; null after the last")


class AuditEntryView(BaseModel):
    """One change. Its hash seals it and the one before."""

    number: int
    at: datetime
    by: str = Field(description="name of the token; `local` without any, `styleflow` by itself")
    action: str
    subject: str
    detail: dict[str, Any]
    previous: str
    hash: str


class AuditPage(BaseModel):
    """Entries of the audit log, newest first."""

    entries: tuple[AuditEntryView, ...]
    next: str | None = Field(description="`cursor` of the next page; null after the last")


class StoreView(BaseModel):
    """How the store is doing, and what it holds."""

    url: str = Field(description="without a password; empty when nothing is stored")
    state: Literal["ok", "failing", "off"]
    detail: str
    lost: int = Field(description="events that were never written since the analyzer started")
    since: datetime | None = Field(description="when it began to fail; null while it does not")
    waiting: int = Field(description="events in memory that are still to be written")
    bytes: int | None = Field(
        description="null when the store is off or cannot be read, or was not counted"
    )
    rows: dict[str, int] = Field(description=f"by table; {COUNTED_TO} means as many or more")
    oldest: datetime | None
    newest: datetime | None


def routes(
    reads: StoreReads, scopes: ScopeCheck, clock: Clock, state: Callable[[], StoreState]
) -> APIRouter:
    """Return the routes.

    Args:
        reads: the store.
        scopes: checks that the caller may read.
        clock: tells when figures are too old.
        state: says how the store is doing.
    """
    counted: list[tuple[float, StoreFigures]] = []  # the newest, and when they were read
    read = Depends(scopes.require(Scope.READ))
    router = APIRouter(prefix="/api/v1", tags=["past"])
    problems = documented_problems(401, 404, 422, 503)

    @router.get("/events", dependencies=[read], response_model=EventPage, responses=problems)
    async def list_events(
        stream: StreamId | None = None,
        kind: Annotated[str | None, Query(max_length=32, pattern="^[a-z_]+$")] = None,
        begin: Annotated[str | None, Query(alias="from", max_length=64)] = None,
        end: Annotated[str | None, Query(alias="to", max_length=64)] = None,
        cursor: Cursor = None,
        limit: Limit = 100,
    ) -> Response:
        """Return stored events, newest first; also of streams that are gone."""
        wanted = EventFilter(
            stream,
            kind,
            None if begin is None else moment(begin, "from"),
            None if end is None else moment(end, "to"),
        )
        below = None if cursor is None else place_of(cursor)
        page = await reads.read(lambda connection: find(connection, wanted, below, limit))
        return Response(_event_page(page), media_type="application/json")

    @router.get("/audit", dependencies=[read], responses=problems)
    async def list_audit_entries(
        subject: Annotated[
            str | None, Query(max_length=128, description="as stream/ID or incident/ID")
        ] = None,
        cursor: Cursor = None,
        limit: Limit = 100,
    ) -> AuditPage:
        """Return who changed what, newest first."""
        before = None if cursor is None else place_of(cursor)

        def query(connection: Connection) -> tuple[audit.AuditEntry, ...]:
            return audit.entries(connection, subject=subject, before=before, limit=limit + 1)

        found = await reads.read(query)
        more = cursor_of(found[limit - 1].number) if len(found) > limit else None
        return AuditPage(entries=tuple(map(_entry, found[:limit])), next=more)

    @router.get("/store", dependencies=[read], responses=documented_problems(401, 503))
    async def get_store(
        count: Annotated[  # noqa: FBT002 - a query
            bool, Query(description="count what it holds; false says how it is doing, at no cost")
        ] = True,
    ) -> StoreView:
        """Return how the store is doing, and what it holds; counted at most once a minute."""
        now = state()
        if now.state == "off" or not count:
            return _store(now, None)
        if not counted or clock.monotonic() - counted[-1][0] > COUNT_S:
            try:
                counted[:] = [(clock.monotonic(), await reads.read(figures))]
            except StoreUnavailable:
                return _store(now, None)
        return _store(now, counted[-1][1])

    return router


def _store(now: StoreState, found: StoreFigures | None) -> StoreView:
    return StoreView.model_validate(
        {
            "url": now.url,
            "state": now.state,
            "detail": now.detail,
            "lost": now.lost,
            "since": now.since,
            "waiting": now.waiting,
            "bytes": found.bytes if found else None,
            "rows": dict(found.rows) if found else {},
            "oldest": found.oldest if found else None,
            "newest": found.newest if found else None,
        }
    )


def _event_page(page: Page) -> str:
    """Return an `EventPage`, whose events are text already."""
    more = "null" if page.next is None else f'"{cursor_of(page.next)}"'
    return f'{{"events":[{",".join(page.messages)}],"next":{more}}}'


def _entry(entry: audit.AuditEntry) -> AuditEntryView:
    return AuditEntryView(
        number=entry.number,
        at=entry.at,
        by=entry.by,
        action=entry.action,
        subject=entry.subject,
        detail=dict(entry.detail),
        previous=entry.previous,
        hash=entry.hash,
    )
