"""The web application: wires routes, guard and sockets together. Decides nothing by itself."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from importlib.metadata import version
from typing import Any, Protocol

from fastapi import APIRouter, Depends, FastAPI, WebSocket
from fastapi.responses import JSONResponse, Response
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest

from stream.analyzer.streams import StreamControl
from stream.clock import Clock
from stream.offline.analysis import Predictor
from stream.publish.asyncapi import document
from stream.publish.history import StreamHistories
from stream.publish.hub import Hub
from stream.publish.schema import SUBPROTOCOL
from stream.webrtc.calls import CallControl, IceServer
from web import problem_responses as answers
from web.errors import refuse
from web.routes import history, pages, pictures, streams, thresholds
from web.routes import whip as signalling
from web.routes.predict import DetectorQuery, PredictDesk, Prediction, PredictRequest
from web.security.access import Guardian
from web.security.auth import Access, Scope
from web.security.fetch import Fetcher, Resolver, system_resolver
from web.security.guard import Guard
from web.settings import WebSettings
from web.sockets import Session


class Control(StreamControl, CallControl, Protocol):
    """What the web asks of the analyzer, all of it."""


Lifespan = Callable[[FastAPI], AbstractAsyncContextManager[None]]


def create_app(
    control: Control,
    hub: Hub,
    histories: StreamHistories,
    predictor: Predictor,
    settings: WebSettings,
    clock: Clock,
    registry: CollectorRegistry,
    lifespan: Lifespan | None = None,
    resolve: Resolver = system_resolver,
    ice_servers: Sequence[IceServer] = (),
) -> FastAPI:
    """Return the application.

    Args:
        control: what the API steers.
        hub: what subscribers are told.
        histories: the last minutes of every stream.
        predictor: analyses files for `/predict`.
        settings: where, whom, and how much.
        clock: where time comes from.
        registry: what `/metrics` shows.
        lifespan: what begins and ends with the application.
        resolve: finds the addresses of hosts that requests name.
        ice_servers: STUN and TURN servers that WebRTC peers are told about.
    """
    access = Access(settings.tokens)
    guardian = Guardian(access, clock)
    app = FastAPI(
        title="StyleFlow Live",
        version=version("styleflow-live"),
        description="Says, while a video call is still going on, whether a face in it is being "
        "synthesised. A score is evidence, not proof; read `notice` first. Live scores come over "
        "the WebSocket /api/v1/scores, which /asyncapi.json describes.",
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
    )
    answers.install(app)
    fetcher = Fetcher(settings.fetch, resolve)
    desk = PredictDesk(predictor, fetcher, settings.predict_roots, settings.predict)
    app.include_router(_health(control))
    app.include_router(
        streams.routes(control, hub, guardian, clock, settings.source_roots, resolve)
    )
    app.include_router(pictures.routes(control, guardian, clock))
    app.include_router(history.routes(hub, histories, guardian, clock))
    app.include_router(thresholds.routes(control, guardian))
    app.include_router(signalling.routes(control, guardian, ice_servers, settings.allowed_origins))
    app.include_router(_prediction(desk, guardian))
    app.include_router(_descriptions(registry, guardian))
    app.include_router(_scores(hub, access, settings, clock))
    app.include_router(pages.routes())
    app.add_middleware(
        Guard,
        host=settings.host,
        allowed_hosts=settings.allowed_hosts,
        allowed_origins=settings.allowed_origins,
    )
    return app


def _health(control: StreamControl) -> APIRouter:
    router = APIRouter(tags=["health"])

    @router.get("/healthcheck")
    async def healthcheck() -> dict[str, bool]:
        """Say whether the process is healthy; 503 when it should be restarted."""
        if not control.health().live:
            raise refuse(503, "not_live", "The analyzer is not healthy", "see /livez", retry=True)
        return {"healthy": True}

    @router.get("/livez")
    async def livez() -> Response:
        """Say whether the process should be kept; 503 means: restart it."""
        health = control.health()
        return JSONResponse(
            {"live": health.live, "details": dict(health.details)}, 200 if health.live else 503
        )

    @router.get("/readyz")
    @router.get("/healthz", include_in_schema=False)
    async def readyz() -> Response:
        """Say whether work may be sent here; 503 means: not now. Cameras do not count."""
        health = control.health()
        return JSONResponse(
            {"ready": health.ready, "details": dict(health.details)}, 200 if health.ready else 503
        )

    return router


def _prediction(desk: PredictDesk, guardian: Guardian) -> APIRouter:
    router = APIRouter(tags=["predict"])

    @router.post(
        "/predict",
        dependencies=[Depends(guardian.needs(Scope.CONTROL))],
        responses=answers.responses(400, 401, 403, 404, 413, 415, 422, 429, 502, 504),
    )
    async def predict(request: PredictRequest, detector: DetectorQuery = None) -> Prediction:
        """Analyse one video: its score, its verdict and the timeline of every face."""
        return await desk.predict(request, detector)

    return router


def _descriptions(registry: CollectorRegistry, guardian: Guardian) -> APIRouter:
    router = APIRouter(tags=["descriptions"])
    described = document(version("styleflow-live"))

    @router.get("/asyncapi.json")
    async def asyncapi() -> dict[str, Any]:
        """Describe the WebSocket protocol, with the JSON Schema of every message."""
        return described

    @router.get("/metrics", dependencies=[Depends(guardian.needs(Scope.READ))])
    async def metrics() -> Response:
        """Return Prometheus metrics."""
        return Response(generate_latest(registry), media_type=CONTENT_TYPE_LATEST)

    return router


def _scores(hub: Hub, access: Access, settings: WebSettings, clock: Clock) -> APIRouter:
    router = APIRouter()

    @router.websocket("/api/v1/scores")
    async def scores(socket: WebSocket) -> None:
        """Hold one subscriber's conversation."""
        offered = socket.scope.get("subprotocols", ())
        if offered and SUBPROTOCOL not in offered:
            problem = refuse(
                400,
                "subprotocol",
                "This server speaks another protocol",
                "none of the offered subprotocols is known",
                f"Offer {SUBPROTOCOL}",
            ).problem
            await socket.send_denial_response(answers.answer(problem))
            return
        await Session(socket, hub, access, settings.sockets, clock).run()

    return router
