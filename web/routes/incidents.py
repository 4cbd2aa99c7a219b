"""`/api/v1/incidents` and snoozes: what was found suspect, and what operators say of it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Response
from pydantic import BaseModel, ConfigDict, Field

from stream.analyzer.streams import StreamControl
from stream.incident import IncidentStatus, Label, Severity, Snooze
from stream.incidents.records import Cursor, Wanted
from stream.incidents.service import Change, Story
from stream.publish.client_messages import IncidentId, Words
from stream.publish.incidents import incident_data
from stream.publish.schema import IncidentData, SeverityWord
from web.problem_responses import documented_problems
from web.routes.streams import StreamId
from web.security.auth import Caller, Scope
from web.security.scopes import ScopeCheck
from web.services import IncidentService, settled

MAX_LIMIT = 500
MAX_SNOOZE_MINUTES = 7 * 24 * 60


class _Request(BaseModel):
    model_config = ConfigDict(extra="forbid")


class IncidentList(BaseModel):
    """Part of the list of incidents, newest first."""

    incidents: tuple[IncidentData, ...]
    next: str | None = Field(description="cursor of what follows; null at the end")
    stored: bool = Field(description="false: no store answers, these are only the newest")


class NoteView(BaseModel):
    """A comment on an incident."""

    at: datetime
    by: str
    text: str


class AuditView(BaseModel):
    """An entry of the audit log about an incident."""

    number: int
    at: datetime
    by: str
    action: str
    detail: dict[str, str | int | bool | None]
    hash: str


class IncidentView(BaseModel):
    """An incident, the comments on it, and who did what."""

    incident: IncidentData
    notes: tuple[NoteView, ...]
    audit: tuple[AuditView, ...]


class IncidentChange(_Request):
    """What to change of an incident; what is left out stays."""

    acknowledged: bool | None = Field(default=None, description="false takes it back")
    label: Label | None = Field(default=None, description="null takes an earlier one back")
    note: Words | None = Field(default=None, description="a comment to add")


class SnoozeBody(_Request):
    """A snooze to set."""

    reason: Annotated[str, Field(min_length=1, max_length=500, pattern=r"^[^\x00]*$")]
    minutes: Annotated[float, Field(ge=1, le=MAX_SNOOZE_MINUTES, allow_inf_nan=False)]


class SnoozeView(BaseModel):
    """A stream whose suspect verdicts open no incidents for a while."""

    stream: str
    reason: str
    by: str
    at: datetime
    until: datetime


class SnoozeList(BaseModel):
    """Every snooze, in the order in which they were set."""

    snoozes: tuple[SnoozeView, ...]


class IncidentQuery(_Request):
    """Which incidents to list."""

    stream: StreamId | None = None
    status: IncidentStatus | None = None
    severity: SeverityWord | None = None
    label: Label | None = None
    acknowledged: bool | None = None
    since: datetime | None = Field(
        default=None, alias="from", description="suspect then or later; ISO 8601 or unix seconds"
    )
    until: datetime | None = Field(default=None, alias="to", description="opened before")
    cursor: Annotated[str, Field(max_length=256)] | None = None
    limit: Annotated[int, Field(ge=1, le=MAX_LIMIT)] = 50

    def wanted(self) -> Wanted:
        """Return it as the incidents know it."""
        return Wanted(
            stream=self.stream,
            status=self.status,
            severity=None if self.severity is None else Severity[self.severity.upper()],
            label=self.label,
            acknowledged=self.acknowledged,
            since=_utc(self.since),
            until=_utc(self.until),
        )


def routes(control: StreamControl, incidents: IncidentService, scopes: ScopeCheck) -> APIRouter:
    """Return the routes.

    Args:
        control: knows which streams there are.
        incidents: what they list and change.
        scopes: checks what the caller may do.
    """
    router = APIRouter(prefix="/api/v1", tags=["incidents"])
    read = Depends(scopes.require(Scope.READ))
    operator = Depends(scopes.require(Scope.CONTROL))

    @router.get("/incidents", dependencies=[read], responses=documented_problems(401, 422))
    async def list_incidents(asked: Annotated[IncidentQuery, Query()]) -> IncidentList:
        """List incidents, newest first, page by page."""
        after = None if asked.cursor is None else Cursor.parse(asked.cursor)
        page = await incidents.page(asked.wanted(), asked.limit, after)
        return IncidentList(
            incidents=tuple(incident_data(each) for each in page.incidents),
            next=None if page.next is None else page.next.text,
            stored=page.stored,
        )

    @router.get(
        "/incidents/labels.csv",
        dependencies=[read],
        responses={200: {"content": {"text/csv": {}}}, **documented_problems(401, 404, 503)},
        response_class=Response,
    )
    async def list_incident_labels(
        split: Annotated[str, Query(pattern=r"^[a-z_]{0,32}$")] = "",
    ) -> Response:
        """Return labelled clips as a manifest; paths are relative to the evidence folder."""
        made = await incidents.labels(split)
        left_out = ", ".join(f"{why}={count}" for why, count in made.left_out.items())
        return Response(made.text, media_type="text/csv", headers={"X-Labels-Left-Out": left_out})

    @router.get(
        "/incidents/{id}", dependencies=[read], responses=documented_problems(401, 404, 503)
    )
    async def get_incident(id: IncidentId) -> IncidentView:
        """Return one incident with its comments and its audit entries."""
        return _view(await incidents.story(id))

    @router.patch("/incidents/{id}", responses=documented_problems(401, 403, 404, 409, 422, 503))
    async def change_incident(
        id: IncidentId, body: IncidentChange, caller: Caller = operator
    ) -> IncidentData:
        """Acknowledge an incident, say what it was, or comment on it."""
        change = Change.of(body.model_dump(exclude_unset=True))
        return incident_data(await incidents.change(id, change, caller.name))

    @router.get("/snoozes", dependencies=[read], responses=documented_problems(401))
    async def list_snoozes() -> SnoozeList:
        """List the streams that open no incidents now."""
        found = await settled(incidents.snoozes)
        return SnoozeList(snoozes=tuple(_snooze(each) for each in found))

    @router.put("/streams/{id}/snooze", responses=documented_problems(401, 403, 404, 422, 429))
    async def snooze_stream(
        id: StreamId, body: SnoozeBody, caller: Caller = operator
    ) -> SnoozeView:
        """Have a stream open no incidents for a while; it ends by itself."""
        control.spec(id)  # there must be such a stream
        return _snooze(await settled(incidents.snooze(id, body.reason, body.minutes, caller.name)))

    @router.delete("/streams/{id}/snooze", status_code=204, responses=documented_problems(401, 403))
    async def wake_stream(id: StreamId, caller: Caller = operator) -> None:
        """End a snooze before its time; a stream that has none is fine."""
        await settled(incidents.wake(id, caller.name))

    return router


def _view(story: Story) -> IncidentView:
    return IncidentView(
        incident=incident_data(story.incident),
        notes=tuple(NoteView(at=n.at, by=n.by, text=n.text) for n in story.notes),
        audit=tuple(
            AuditView(
                number=entry.number,
                at=entry.at,
                by=entry.by,
                action=entry.action,
                detail=dict(entry.detail),
                hash=entry.hash,
            )
            for entry in story.audit
        ),
    )


def _snooze(snooze: Snooze) -> SnoozeView:
    return SnoozeView(
        stream=snooze.stream,
        reason=snooze.reason,
        by=snooze.set.by,
        at=snooze.set.at,
        until=snooze.until,
    )


def _utc(moment: datetime | None) -> datetime | None:
    """Return a moment with a zone; one without is taken for UTC."""
    return moment if moment is None or moment.tzinfo else moment.replace(tzinfo=UTC)
