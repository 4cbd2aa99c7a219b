"""`/api/v1/streams/{id}/challenges`: have the person in a stream asked for something, and see."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import Connection

from stream.analyzer.streams import StreamControl
from stream.compliance import Phase, Task
from stream.publish.challenge_schema import ChallengeChangedData, ChallengeData
from stream.publish.challenges import challenge_data
from stream.publish.schema import EventMessage
from stream.store.access import to_us
from stream.store.errors import StoreError
from stream.store.stored_events import EventFilter, find
from web.errors import StoreBusy
from web.past_queries import moment
from web.problem_responses import documented_problems
from web.routes.streams import StreamId
from web.security.auth import Caller, Scope
from web.security.scopes import ScopeCheck
from web.services import ChallengeService, settled
from web.store_reads import StoreReads

MAX_LIMIT = 100
_EVENTS = 8
"""Events of one challenge at most that are read to find its last."""

ChallengeId = Annotated[str, Path(pattern=r"^[0-9a-f]{1,32}$")]


class ChallengeBody(BaseModel):
    """What to ask for."""

    model_config = ConfigDict(extra="forbid")

    task: Task = Field(
        default=Task.RANDOM,
        description="`random` draws; another one is among what is asked, with something random",
    )


class ChallengeList(BaseModel):
    """Challenges of a stream, newest first."""

    challenges: tuple[ChallengeData, ...]
    running: bool = Field(description="the first one is still on its way")
    page: bool = Field(description="the caller has a page of ours open, which shows prompts")
    stored: bool = Field(description="false: no store answers, these are only the newest")


def routes(
    control: StreamControl, challenges: ChallengeService, reads: StoreReads, scopes: ScopeCheck
) -> APIRouter:
    """Return the routes.

    Args:
        control: knows which streams there are.
        challenges: what they ask and list.
        reads: earlier ones.
        scopes: checks what the caller may do.
    """
    router = APIRouter(prefix="/api/v1/streams/{id}/challenges", tags=["challenges"])
    read = Depends(scopes.require(Scope.READ))
    operator = Depends(scopes.require(Scope.CONTROL))

    @router.post("", status_code=201, responses=documented_problems(401, 403, 404, 409, 422, 429))
    async def ask_challenge(
        id: StreamId, body: ChallengeBody | None = None, caller: Caller = operator
    ) -> ChallengeData:
        """Have the person in a stream asked for something that a recording cannot know.

        The answer comes at once; `challenge_changed` events say what to read out and what was seen.
        """
        task = body.task if body is not None else Task.RANDOM
        return challenge_data(await settled(challenges.ask(id, task, caller.name)))

    @router.get("", dependencies=[read], responses=documented_problems(401, 404, 422))
    async def list_challenges(
        id: StreamId,
        begin: Annotated[str | None, Query(alias="from", max_length=64)] = None,
        end: Annotated[str | None, Query(alias="to", max_length=64)] = None,
        limit: Annotated[int, Query(ge=1, le=MAX_LIMIT)] = 20,
    ) -> ChallengeList:
        """List the challenges of a stream, newest first; also of one that is gone."""
        since = None if begin is None else moment(begin, "from")
        until = None if end is None else moment(end, "to")
        known = await settled(challenges.of(id))
        wanted = EventFilter(id, "challenge_changed", since, until)
        earlier: tuple[ChallengeData, ...] = ()
        stored = True
        try:
            earlier = await reads.read(lambda connection: _stored(connection, wanted, limit))
        except (StoreError, StoreBusy):
            stored = False
        if not known and not earlier:
            control.spec(id)  # there must be such a stream
        found = {each.id: each for each in earlier}
        found |= {
            each.id: challenge_data(each) for each in known if _within(each.started, since, until)
        }
        ordered = sorted(found.values(), key=lambda each: each.started, reverse=True)
        return ChallengeList(
            challenges=tuple(ordered[:limit]),
            running=bool(known) and known[0].phase is not Phase.DONE,
            page=await settled(challenges.has_page(id)),
            stored=stored,
        )

    @router.get("/{challenge}", dependencies=[read], responses=documented_problems(401, 404))
    async def get_challenge(id: StreamId, challenge: ChallengeId) -> ChallengeData:
        """Return a challenge that is in memory, as it stands now."""
        return challenge_data(await settled(challenges.find(id, challenge)))

    return router


def _stored(connection: Connection, wanted: EventFilter, limit: int) -> tuple[ChallengeData, ...]:
    """Return the challenges that ended, of stored events; newest first."""
    page = find(connection, wanted, None, limit * _EVENTS)
    found = []
    for text in page.messages:
        data = EventMessage.model_validate_json(text).data
        if isinstance(data, ChallengeChangedData) and data.challenge.phase is Phase.DONE:
            found.append(data.challenge)
    return tuple(found[:limit])


def _within(at: datetime, since: int | None, until: int | None) -> bool:
    us = to_us(at)
    return (since is None or us >= since) and (until is None or us < until)
