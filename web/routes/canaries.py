"""`/api/v1/canaries`: how the detector fares with clips that are known to be real or fake."""

from __future__ import annotations

from datetime import datetime

from fastapi import APIRouter, Depends
from pydantic import BaseModel, Field

from stream.canaries.judge import GAP, LOGIT
from stream.canaries.records import (
    NOTHING_SENT,
    Canary,
    FindingKind,
    Report,
    Role,
    RoundResult,
    Sight,
    State,
)
from web.problem_responses import documented_problems
from web.security.auth import Scope
from web.security.scopes import ScopeCheck
from web.services import CanaryService, settled


class OpinionView(BaseModel):
    """What one detector said of a canary in the last round."""

    detector: str
    logit: float = Field(description="mean of its ratings after warming up")
    score: float = Field(description="the last smoothed score")
    ratings: int


class ExpectedView(BaseModel):
    """A range in which a figure of a canary is expected."""

    figure: str = Field(description="fps, face_px, brightness, sharpness or logit")
    detector: str = Field(description="whose figure it is; empty when it is the path's")
    low: float
    high: float


class CanaryView(BaseModel):
    """One known clip, and what was seen of it in the last round."""

    id: str = Field(description="of its stream, which is there while it is sent")
    name: str
    pair: str
    role: Role
    opinions: tuple[OpinionView, ...]
    fps: float | None
    face_px: float | None
    brightness: float | None
    sharpness: float | None
    latency_s: float | None
    failure: str
    expected: tuple[ExpectedView, ...] = Field(description="empty while it is learned")


class FindingView(BaseModel):
    """One thing that was wrong in the last round."""

    kind: FindingKind
    canary: str
    detector: str
    text: str
    hint: str


class CanariesView(BaseModel):
    """How the detector fares with its canaries."""

    state: State
    checked_at: datetime | None = Field(description="when the last round ended")
    age_s: float = Field(description="seconds since then, or since the start")
    every_s: float
    latency_s: float = Field(description="bound of the latency")
    findings: tuple[FindingView, ...] = Field(description="of the last round, the gravest first")
    canaries: tuple[CanaryView, ...] = Field(description="in the order in which they are sent")
    sending: str = Field(description="id of the one that is on its way; empty between rounds")
    rounds: dict[RoundResult, int]
    learned: int = Field(description="rounds that were learned from")
    learn_rounds: int
    anew: str = Field(description="why it learns anew; empty when it does not")
    skipped: str = Field(description="why the last round was skipped; empty when it was not")


def routes(canaries: CanaryService | None, scopes: ScopeCheck) -> APIRouter:
    """Return the routes.

    Args:
        canaries: knows how the detector fares; None where none are sent.
        scopes: checks what the caller may do.
    """
    read = Depends(scopes.require(Scope.READ))
    steer = Depends(scopes.require(Scope.CONTROL))
    router = APIRouter(prefix="/api/v1/canaries", tags=["canaries"])

    async def said() -> CanariesView:
        if canaries is None:
            return _view(NOTHING_SENT, 0.0)
        report = await settled(canaries.report())
        return _view(report, await settled(canaries.age_s))

    @router.get("", dependencies=[read], responses=documented_problems(401))
    async def get_canaries() -> CanariesView:
        """Say how the detector fares with clips that are known to be real or fake."""
        return await said()

    @router.post("/learn", dependencies=[steer], responses=documented_problems(401, 403))
    async def learn_canaries() -> CanariesView:
        """Forget what is expected; the next rounds say what is, from then on."""
        if canaries is not None:
            await settled(canaries.learn_anew())
        return await said()

    return router


def _view(report: Report, age_s: float) -> CanariesView:
    return CanariesView(
        state=report.state,
        checked_at=report.checked_at,
        age_s=age_s,
        every_s=report.every_s,
        latency_s=report.latency_s,
        findings=tuple(
            FindingView(kind=f.kind, canary=f.canary, detector=f.detector, text=f.text, hint=f.hint)
            for f in report.findings
        ),
        canaries=tuple(_canary(canary, report) for canary in report.canaries),
        sending=report.sending,
        rounds=dict(report.rounds),
        learned=report.learned,
        learn_rounds=report.learn_rounds,
        anew=report.anew,
        skipped=report.skipped,
    )


def _canary(canary: Canary, report: Report) -> CanaryView:
    seen = {sight.canary: sight for sight in report.sights}
    sight = seen.get(canary, Sight(canary))
    return CanaryView(
        id=canary.id,
        name=canary.name,
        pair=canary.pair,
        role=canary.role,
        opinions=tuple(
            OpinionView(detector=name, logit=said.logit, score=said.score, ratings=said.ratings)
            for name, said in sight.opinions.items()
        ),
        fps=sight.fps,
        face_px=sight.face_px,
        brightness=sight.brightness,
        sharpness=sight.sharpness,
        latency_s=sight.latency_s,
        failure=sight.failure,
        expected=tuple(
            ExpectedView(
                figure=LOGIT.strip() if name.startswith(LOGIT) else name,
                detector=name.removeprefix(LOGIT) if name.startswith(LOGIT) else "",
                low=known.low,
                high=known.high,
            )
            for name, known in report.expected.get(canary.id, {}).items()
            if not name.startswith(GAP)
        ),
    )
