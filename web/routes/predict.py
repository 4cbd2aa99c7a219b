"""`POST /predict`: the score, verdict and timeline of one video.

A score is `p` with its interval `lo` to `hi` and a `state`, as on the WebSocket. The keys `score`,
`low`, `high` and `verdict` say the same in the words of earlier versions and are kept beside them.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Annotated

import structlog
from fastapi import APIRouter, Depends, Query, Request
from pydantic import BaseModel, ConfigDict, Field

from stream.errors import SourceError
from stream.events import AbstainReason, Notice, ReasonCode, Score, TrackEnd, Verdict
from stream.offline.analysis import Analysis, Predictor, TrackTimeline
from stream.problems import notice
from stream.publish.encode import final_state, model_data, state_of, summary
from stream.publish.schema import Model, Number, Share, State
from styleflow.errors import StyleFlowError
from web.errors import (
    AnalysisTooSlow,
    ClientLeft,
    DetectorTwice,
    NoFace,
    NotAVideo,
    ReadingTooSlow,
    TooManyVideos,
)
from web.problem_responses import documented_problems
from web.security.access_policy import permitted_file
from web.security.auth import Scope
from web.security.fetch import Fetcher
from web.security.scopes import ScopeCheck
from web.settings import PredictSettings

log = structlog.get_logger(__name__)

RETRY_AFTER_S = 30

_NO_VIDEO = frozenset(
    {ReasonCode.CODEC, ReasonCode.CORRUPT, ReasonCode.ENDED, ReasonCode.NOT_FOUND}
)


class PredictRequest(BaseModel):
    """A video to analyse, and the detector for it."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"examples": [{"file_path": "https://example.org/interview.mp4"}]},
    )

    file_path: Annotated[
        str,
        Field(
            min_length=1,
            max_length=4096,
            description="http(s) URL, or a path below one of web.predict_roots",
        ),
    ]
    detector: Annotated[str, Field(min_length=1, max_length=64)] | None = None


DetectorQuery = Annotated[
    str | None,
    Query(min_length=1, max_length=64, description="which detector; the first one when left out"),
]


class Point(BaseModel):
    """One score on a face's timeline."""

    at: Number = Field(description="media seconds")
    p: Share
    lo: Share
    hi: Share
    state: State
    reasons: tuple[AbstainReason, ...]


_KEPT = "the same as `{}`, kept for compatibility"
_P = "smoothed probability that it is fake; null when there was not enough evidence"
_LO, _HI = "lower end of the interval around p", "upper end of the interval around p"


class Track(BaseModel):
    """One face and its score as a whole."""

    track: int
    start: Number
    end: Number
    end_reason: TrackEnd | None
    p: Share = Field(description=_P)
    lo: Share = Field(description=_LO)
    hi: Share = Field(description=_HI)
    state: State
    score: Share = Field(description=_KEPT.format("p"))
    verdict: Verdict = Field(description="the state in the engine's word")
    scores: tuple[Point, ...]


class BrokeOff(BaseModel):
    """Early end of a source, before all of it was read: why, and where."""

    code: ReasonCode = Field(description="why, as in `status`")
    at_s: Number = Field(description="media second of the last frame that was read")
    detail: str = Field(description="what happened, in words")
    hint: str = Field(description="what to do about it")


class Prediction(BaseModel):
    """Score of a video: 1 leans fake. Evidence, not proof; read `notice` first."""

    p: Share = Field(description=_P)
    lo: Share = Field(description=_LO)
    hi: Share = Field(description=_HI)
    state: State
    score: Share = Field(description=_KEPT.format("p"))
    low: Share = Field(description=_KEPT.format("lo"))
    high: Share = Field(description=_KEPT.format("hi"))
    verdict: Verdict = Field(description="the state in the engine's word")
    reasons: tuple[AbstainReason, ...]
    summary: str
    notice: str = Field(description="what must stand beside the score; empty when nothing")
    demo: bool
    notices: tuple[Notice, ...] = Field(
        default=(), description="what is worth knowing of the video and takes away no verdict"
    )
    model: Model
    source: str
    duration_s: Number
    frames: int
    faces_waiting: int = Field(
        description="most faces at once that were not looked at; with any, the video is never `ok`"
    )
    broke_off: BrokeOff | None = Field(
        default=None,
        description="why the source was not read to its end, and where it broke off; then the rest "
        "is about what was read, and never `ok`. null when all was read",
    )
    tracks: tuple[Track, ...]


class PredictionQueue:
    """Bounded queue of requests, of which one video is analysed at a time.

    Args:
        predictor: analyses files.
        fetcher: gets those that are elsewhere.
        roots: folders from which files may be read.
        settings: limits.
    """

    def __init__(
        self,
        predictor: Predictor,
        fetcher: Fetcher,
        roots: tuple[Path, ...],
        settings: PredictSettings,
    ) -> None:
        self._predictor = predictor
        self._fetcher = fetcher
        self._roots = roots
        self._settings = settings
        self._admitted_count = 0
        self._turn = asyncio.Semaphore(1)

    async def predict(self, request: PredictRequest, detector: str | None = None) -> Prediction:
        """Return what a video scores.

        Args:
            request: which video, and by which detector.
            detector: the same, from the query; it may repeat the request's, not contradict it.

        Raises:
            Refusal: it cannot be had, is no video, shows no face, or takes too long.
            DetectorUnknown: there is no such detector.
        """
        named = {name for name in (detector, request.detector) if name is not None}
        if len(named) > 1:
            raise DetectorTwice(f"{detector!r} in the query and {request.detector!r} in the body")
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(self._admitted())
            path, shown = await self._video(request.file_path, stack)
            await stack.enter_async_context(self._turn)
            analysis = await self._analyse(path, shown, next(iter(named), None))
        if not analysis.tracks:
            raise NoFace(f"{analysis.frames} frames were analysed")
        return prediction(analysis)

    @asynccontextmanager
    async def _admitted(self) -> AsyncIterator[None]:
        if self._admitted_count > self._settings.waiting:
            raise TooManyVideos(
                f"one is being analysed and {self._settings.waiting} are waiting", RETRY_AFTER_S
            )
        self._admitted_count += 1
        try:
            yield
        finally:
            self._admitted_count -= 1

    async def _video(self, text: str, stack: AsyncExitStack) -> tuple[Path, str]:
        """Return the file, and what it may be called in the answer."""
        scheme, separator, rest = text.partition("://")
        if not separator:
            path = permitted_file(text, self._roots, "web.predict_roots")
            return path, path.name
        if scheme.lower() == "file":
            path = permitted_file(rest, self._roots, "web.predict_roots")
            return path, path.name
        path = await stack.enter_async_context(self._fetcher.fetched(text))
        return path, text.partition("?")[0].partition("#")[0]

    async def _analyse(self, path: Path, shown: str, detector: str | None) -> Analysis:
        try:
            async with asyncio.timeout(self._settings.timeout_s):
                return await self._predictor(path, shown=shown, detector=detector)
        except TimeoutError:
            raise AnalysisTooSlow(f"one video may take {self._settings.timeout_s:g} s") from None
        except SourceError as error:
            raise _unreadable(error) from None


def routes(queue: PredictionQueue, scopes: ScopeCheck) -> APIRouter:
    """Return the route.

    Args:
        queue: has videos analysed.
        scopes: checks that the caller may have work done.
    """
    router = APIRouter(tags=["predict"])

    @router.post(
        "/predict",
        dependencies=[Depends(scopes.require(Scope.CONTROL))],
        responses=documented_problems(400, 401, 403, 404, 413, 415, 422, 429, 502, 504, 507),
    )
    async def predict(
        request: PredictRequest, http: Request, detector: DetectorQuery = None
    ) -> Prediction:
        """Analyse one video: its score, its verdict and the timeline of every face."""
        return await _while_connected(http, queue.predict(request, detector))

    return router


async def _while_connected(http: Request, work: Coroutine[None, None, Prediction]) -> Prediction:
    """Return what some work comes to; when its client leaves, the work is cancelled."""
    working = asyncio.create_task(work)
    leaving = asyncio.create_task(_left(http))
    try:
        await asyncio.wait((working, leaving), return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            log.info("a client left before its video was analysed")
            raise ClientLeft("nobody waits for the answer")
        return working.result()
    finally:
        working.cancel()
        leaving.cancel()
        await asyncio.gather(working, leaving, return_exceptions=True)


async def _left(http: Request) -> None:
    """Return when the client is gone."""
    while (await http.receive())["type"] != "http.disconnect":
        pass


def prediction(analysis: Analysis) -> Prediction:
    """Return an analysis in the shape of the API."""
    state = final_state(analysis.score, analysis.verdict)
    return Prediction(
        p=analysis.score,
        lo=analysis.low,
        hi=analysis.high,
        state=state,
        score=analysis.score,
        low=analysis.low,
        high=analysis.high,
        verdict=analysis.verdict,
        reasons=analysis.reasons,
        summary=summary(state, analysis.reasons),
        notice=notice(analysis.model, demo=analysis.demo),
        demo=analysis.demo,
        notices=analysis.notices,
        model=model_data(analysis.model),
        source=analysis.source,
        duration_s=analysis.duration_s,
        frames=analysis.frames,
        faces_waiting=analysis.faces_waiting,
        broke_off=_broke_off(analysis),
        tracks=tuple(_track(track) for track in analysis.tracks),
    )


def _broke_off(analysis: Analysis) -> BrokeOff | None:
    failure = analysis.failure
    if failure is None:
        return None
    return BrokeOff(
        code=failure.code, at_s=analysis.duration_s, detail=failure.detail, hint=failure.hint
    )


def _track(track: TrackTimeline) -> Track:
    return Track(
        track=track.track,
        start=track.start,
        end=track.end,
        end_reason=track.end_reason,
        p=track.score,
        lo=track.low,
        hi=track.high,
        state=final_state(track.score, track.verdict),
        score=track.score,
        verdict=track.verdict,
        scores=tuple(_point(score) for score in track.scores),
    )


def _point(score: Score) -> Point:
    return Point(
        at=score.end,
        p=score.score,
        lo=score.low,
        hi=score.high,
        state=state_of(score),
        reasons=score.reasons,
    )


def _unreadable(error: SourceError) -> StyleFlowError:
    if error.code in _NO_VIDEO:
        return NotAVideo(error.detail)
    if error.code is ReasonCode.TIMEOUT:
        return ReadingTooSlow(error.detail)
    return error
