"""`POST /predict`: one video in, its score, verdict and timeline out."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Annotated

from fastapi import Query
from pydantic import BaseModel, ConfigDict, Field

from stream.errors import SourceError
from stream.events import AbstainReason, ReasonCode, Score, TrackEnd, Verdict
from stream.offline.analysis import Analysis, Predictor, TrackTimeline
from stream.problems import notice
from stream.publish.encode import model_data, state_of, summary
from stream.publish.schema import Model, Number, Share, State
from styleflow.errors import StyleFlowError
from web.errors import (
    AnalysisTooSlow,
    DetectorTwice,
    NoFace,
    NotAVideo,
    ReadingTooSlow,
    TooManyVideos,
)
from web.security.access_policy import permitted_file
from web.security.fetch import Fetcher
from web.settings import PredictSettings

RETRY_AFTER_S = 30

_NO_VIDEO = frozenset(
    {ReasonCode.CODEC, ReasonCode.CORRUPT, ReasonCode.ENDED, ReasonCode.NOT_FOUND}
)


class PredictRequest(BaseModel):
    """Which video to look at."""

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


class Track(BaseModel):
    """One face."""

    track: int
    start: Number
    end: Number
    end_reason: TrackEnd | None
    score: Share
    verdict: Verdict
    scores: tuple[Point, ...]


class Prediction(BaseModel):
    """What a video scores: 1 leans fake. Evidence, not proof; read `notice` first."""

    score: Share = Field(description="null when there was not enough evidence")
    low: Share
    high: Share
    verdict: Verdict
    reasons: tuple[AbstainReason, ...]
    summary: str
    notice: str = Field(description="what must stand beside the score; empty when nothing")
    demo: bool
    model: Model
    source: str
    duration_s: Number
    frames: int
    tracks: tuple[Track, ...]


class PredictDesk:
    """Takes requests in, a bounded number at a time, and has them worked off one by one.

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
        self._inside = 0
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
        with_place = self._place()
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(with_place)
            path, shown = await self._video(request.file_path, stack)
            await stack.enter_async_context(self._turn)
            analysis = await self._analyse(path, shown, next(iter(named), None))
        if not analysis.tracks:
            raise NoFace(f"{analysis.frames} frames were looked at")
        return prediction(analysis)

    @asynccontextmanager
    async def _place(self) -> AsyncIterator[None]:
        if self._inside > self._settings.waiting:
            raise TooManyVideos(
                f"one is being analysed and {self._settings.waiting} are waiting", RETRY_AFTER_S
            )
        self._inside += 1
        try:
            yield
        finally:
            self._inside -= 1

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


def prediction(analysis: Analysis) -> Prediction:
    """Return what the API says about an analysis."""
    return Prediction(
        score=analysis.score,
        low=analysis.low,
        high=analysis.high,
        verdict=analysis.verdict,
        reasons=analysis.reasons,
        summary=summary(_state(analysis), analysis.reasons),
        notice=notice(analysis.model, demo=analysis.demo),
        demo=analysis.demo,
        model=model_data(analysis.model),
        source=analysis.source,
        duration_s=analysis.duration_s,
        frames=analysis.frames,
        tracks=tuple(_track(track) for track in analysis.tracks),
    )


def _state(analysis: Analysis) -> State:
    if analysis.score is None or not math.isfinite(analysis.score):
        return "abstain"
    if analysis.verdict is Verdict.PENDING:
        return "abstain"
    return "suspect" if analysis.verdict is Verdict.SUSPECT else "ok"


def _track(track: TrackTimeline) -> Track:
    return Track(
        track=track.track,
        start=track.start,
        end=track.end,
        end_reason=track.end_reason,
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
