"""`/api/v1/alerts`: rules and channels of alerts; rules of the page are made, changed and tried."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Path
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from stream.alerts.alerts import ChannelStatus, RuleStatus
from stream.alerts.settings import NAME, Glob, Name, QuietHours, Rule, Seconds, SeverityName
from stream.errors import SettingInvalid
from web.errors import RequestInvalid
from web.problem_responses import documented_problems
from web.security.auth import Caller, Scope
from web.security.scopes import ScopeCheck
from web.services import AlertService, settled

RuleName = Annotated[str, Path(pattern=NAME, max_length=64)]


class QuietBody(BaseModel):
    """Hours of the day in which a rule sends nothing."""

    model_config = ConfigDict(extra="forbid")

    start: Annotated[str, Field(max_length=5, description='as in "22:00"')]
    end: Annotated[str, Field(max_length=5, description="earlier than start means the next day")]
    zone: Annotated[str, Field(max_length=64, description="as in Europe/Berlin")] = "UTC"
    days: tuple[Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"], ...] = Field(
        default=(), description="weekdays on which they begin; empty means every day"
    )


class RuleBody(BaseModel):
    """A rule: which incidents are told through which channels."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [{"channels": ["control-room"], "streams": ["door-*"], "min_s": 3}]
        },
    )

    channels: Annotated[tuple[Name, ...], Field(min_length=1, max_length=64)]
    streams: Annotated[tuple[Glob, ...], Field(min_length=1, max_length=64)] = ("*",)
    severity: SeverityName = "low"
    min_s: Seconds = 0.0
    quiet: Annotated[tuple[QuietBody, ...], Field(max_length=32)] = ()
    most: Annotated[int, Field(ge=1, le=1000)] = 6
    per_s: Annotated[float, Field(ge=1, le=604_800)] = 3600.0
    updates: bool = True
    enabled: bool = True

    def rule(self, name: str) -> Rule:
        """Return the rule. Raises RequestInvalid."""
        try:
            values = {key: getattr(self, key) for key in type(self).model_fields if key != "quiet"}
            quiet = tuple(QuietHours(**hours.model_dump()) for hours in self.quiet)
            return Rule(name=name, quiet=quiet, **values)
        except (SettingInvalid, ValidationError) as error:
            raise RequestInvalid(str(error)) from None


class RuleView(RuleBody):
    """A rule, and how it fares."""

    name: str
    origin: Literal["configuration", "page"] = Field(
        description="rules of the configuration are changed there"
    )
    held_quiet: int = Field(description="incidents that quiet hours held back since the start")
    held_rate: int = Field(description="incidents that the rate limit held back since the start")


class ChannelView(BaseModel):
    """A channel, and how it fares since the start."""

    name: str
    kind: Literal["webhook", "mqtt", "email", "apprise"]
    state: Literal["idle", "ok", "failing"] = Field(description="idle: nothing was sent yet")
    waiting: int = Field(description="messages on their way")
    delivered: int
    failed: int = Field(description="attempts; each is repeated")
    given_up: int = Field(description="messages that were too old to be tried again")
    dropped: int = Field(description="messages that gave way to newer ones")
    last_error: str = Field(description="why the last attempt failed; empty when it did not")
    last_at: datetime | None


class AlertsView(BaseModel):
    """Rules and channels."""

    rules: tuple[RuleView, ...]
    channels: tuple[ChannelView, ...]


class TrialResultView(BaseModel):
    """What came back when a test message was sent through a channel."""

    channel: str
    ok: bool
    detail: str


class TrialView(BaseModel):
    """What came back from every channel of a rule."""

    rule: str
    results: tuple[TrialResultView, ...]


def routes(alerts: AlertService, scopes: ScopeCheck) -> APIRouter:
    """Return the routes.

    Args:
        alerts: what they show and change.
        scopes: checks what the caller may do.
    """
    read = Depends(scopes.require(Scope.READ))
    steer = Depends(scopes.require(Scope.CONTROL))
    router = APIRouter(prefix="/api/v1/alerts", tags=["alerts"])

    @router.get("", dependencies=[read], responses=documented_problems(401))
    async def list_alerts() -> AlertsView:
        """List rules and channels, with what became of their messages."""
        return AlertsView(
            rules=tuple(_rule(status) for status in await settled(alerts.rules())),
            channels=tuple(_channel(status) for status in await settled(alerts.channels())),
        )

    @router.put("/rules/{name}", responses=documented_problems(401, 403, 409, 422, 429))
    async def put_alert_rule(name: RuleName, body: RuleBody, caller: Caller = steer) -> RuleView:
        """Make or replace a rule. It holds at once, and after a restart."""
        return _rule(await alerts.put_rule(body.rule(name), caller.name))

    @router.delete(
        "/rules/{name}", status_code=204, responses=documented_problems(401, 403, 404, 409)
    )
    async def remove_alert_rule(name: RuleName, caller: Caller = steer) -> None:
        """Remove a rule that was made on the page."""
        await alerts.remove_rule(name, caller.name)

    @router.post(
        "/rules/{name}/test", dependencies=[steer], responses=documented_problems(401, 403, 404)
    )
    async def test_alert_rule(name: RuleName) -> TrialView:
        """Send a message that is marked as a test through every channel of a rule, once."""
        results = await alerts.test(name)
        return TrialView(rule=name, results=tuple(TrialResultView(**asdict(r)) for r in results))

    return router


def _rule(status: RuleStatus) -> RuleView:
    return RuleView(
        **asdict(status.rule),
        origin="configuration" if status.configured else "page",
        held_quiet=status.held_quiet,
        held_rate=status.held_rate,
    )


def _channel(status: ChannelStatus) -> ChannelView:
    return ChannelView(
        name=status.name,
        kind=status.kind,
        state=status.state,
        waiting=status.waiting,
        **asdict(status.counts),
        last_error=status.last_error,
        last_at=status.last_at,
    )
