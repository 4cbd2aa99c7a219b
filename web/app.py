"""The web application: routes, request guard and error responses wired together."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from importlib.metadata import version
from typing import Protocol

from fastapi import FastAPI
from prometheus_client import CollectorRegistry

from stream.analyzer.streams import StreamControl
from stream.clock import Clock
from stream.offline.analysis import Predictor
from stream.publish.history import StreamHistories
from stream.publish.hub import Hub
from stream.webrtc.calls import CallControl, IceServer
from web.problem_responses import install_handlers
from web.root_path import RootPath
from web.routes import (
    asyncapi,
    caller,
    health,
    history,
    metrics,
    pages,
    pictures,
    predict,
    scores,
    streams,
    thresholds,
    whip,
)
from web.security.auth import Authenticator
from web.security.fetch import Fetcher, Resolver, system_resolver
from web.security.guard import Guard
from web.security.scopes import ScopeCheck
from web.settings import WebSettings
from web.waiting_room import WaitingRoom


class Control(StreamControl, CallControl, Protocol):
    """Control of streams and calls: everything that the web asks of the analyzer."""


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
    strangers: WaitingRoom | None = None,
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
        strangers: places for WebSockets that have not said hello; some of its own if None.
    """
    if strangers is None:  # an empty one is false
        strangers = WaitingRoom(settings.sockets.before_hello)
    program = version("styleflow-live")
    authenticator = Authenticator(settings.tokens)
    scopes = ScopeCheck(authenticator, clock)
    fetcher = Fetcher(settings.fetch, resolve)
    predictions = predict.PredictionQueue(
        predictor, fetcher, settings.predict_roots, settings.predict
    )
    app = FastAPI(
        title="StyleFlow Live",
        version=program,
        description="Says, while a video call is still going on, whether a face in it is being "
        "synthesised. A score is evidence, not proof; read `notice` first. Live scores come over "
        "the WebSocket /api/v1/scores, which /asyncapi.json describes.",
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
    )
    for router in (
        health.routes(control),
        streams.routes(control, hub, scopes, clock, settings.source_roots, resolve),
        pictures.routes(control, scopes, clock),
        history.routes(hub, histories, scopes, clock),
        thresholds.routes(control, scopes),
        caller.routes(scopes),
        whip.routes(control, scopes, ice_servers, settings.allowed_origins),
        predict.routes(predictions, scopes),
        asyncapi.routes(program, settings.root_path),
        metrics.routes(registry, scopes),
        scores.routes(
            hub,
            authenticator,
            settings.sockets,
            clock,
            strangers,
        ),
        pages.routes(root_path=settings.root_path),
    ):
        app.include_router(router)
    install_handlers(app)
    if settings.root_path:
        app.add_middleware(RootPath, root_path=settings.root_path)
    app.add_middleware(
        Guard,
        host=settings.host,
        allowed_hosts=settings.allowed_hosts,
        allowed_origins=settings.allowed_origins,
        local_only=not settings.tokens and not settings.insecure,
    )
    return app
