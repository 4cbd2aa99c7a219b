"""The web application: routes, request guard and error responses wired together."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from importlib.metadata import version
from typing import Protocol

from fastapi import FastAPI
from fastapi.routing import APIRoute
from prometheus_client import CollectorRegistry

from stream.analyzer.streams import StreamControl, StreamEditor
from stream.clock import Clock
from stream.cluster.machines import Machines, OneProcess
from stream.offline.analysis import Predictor
from stream.outbound import Resolver, system_resolver
from stream.publish.history import StreamHistories
from stream.publish.hub import Hub
from stream.store.access import StoreAccess
from stream.store.figures import StoreState
from stream.webrtc.calls import CallControl, IceServer
from styleflow.cards import ModelCard
from web.head import HeadAsGet
from web.problem_responses import install_handlers
from web.root_path import RootPath
from web.routes import (
    alerts,
    asyncapi,
    caller,
    health,
    history,
    metrics,
    models,
    pages,
    pictures,
    predict,
    scores,
    stored,
    streams,
    thresholds,
    whip,
    workers,
)
from web.routes.baselines import routes as baseline_routes
from web.routes.canaries import routes as canary_routes
from web.routes.challenges import routes as challenge_routes
from web.routes.drift import routes as drift_routes
from web.routes.evidence import routes as evidence_routes
from web.routes.evidence_bundle import BundleSource
from web.routes.evidence_bundle import routes as bundle_routes
from web.routes.explained import routes as explained_routes
from web.routes.incidents import routes as incident_routes
from web.security.auth import Authenticator
from web.security.fetch import Fetcher
from web.security.guard import Guard
from web.security.scopes import ScopeCheck
from web.services import (
    AlertService,
    BaselineService,
    CanaryService,
    ChallengeService,
    DriftService,
    EvidenceService,
    ExplainedService,
    IncidentService,
)
from web.settings import WebSettings
from web.store_reads import ReadPlaces
from web.stored_past import StoredPast
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
    editor: StreamEditor | None = None,
    store: StoreAccess | None = None,
    store_state: Callable[[], StoreState] = lambda: StoreState("", "off", "off", 0),
    incidents: IncidentService | None = None,
    alerting: AlertService | None = None,
    evidence: EvidenceService | None = None,
    explained: ExplainedService | None = None,
    bundles: BundleSource | None = None,
    detectors: Callable[[], Sequence[ModelCard]] = tuple,
    baselines: BaselineService | None = None,
    drift: DriftService | None = None,
    canaries: CanaryService | None = None,
    challenges: ChallengeService | None = None,
    machines: Machines | None = None,
    read_places: ReadPlaces | None = None,
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
        editor: through what the API adds, changes and removes streams; `control` if None.
        store: what is kept beyond a restart; None when nothing is.
        store_state: says how it is doing.
        incidents: what operators judge; without them there are no such routes.
        evidence: video of incidents; without it there are no routes for it.
        explained: what stood out to detectors in incidents; without it there are no such routes.
        bundles: what bundles and reports are made of; without it there are no routes for them.
        detectors: tells which models score streams.
        canaries: know how the detector fares with known clips; None where none are sent.
        alerting: rules and channels; without them there are no routes for them.
        baselines: known-real video of streams; without them there are no routes for it.
        drift: tells how streams have changed; without it there is no route for it.
        challenges: what people in streams are asked; without them there are no such routes.
        machines: the workers that streams are given to; this process alone if None.
        read_places: the places for reads of the store; those of `store` if None.
    """
    editor = editor or control
    read_places = read_places or ReadPlaces.of(store)
    reads = read_places.requests
    past = StoredPast(store, read_places.resuming) if store else None
    if strangers is None:  # an empty one is false
        strangers = WaitingRoom(settings.sockets.before_hello)
    program = version("styleflow-live")
    machines = machines or OneProcess(control, detectors, program)
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
        generate_unique_id_function=_operation_id,
    )
    for router in (
        health.routes(control),
        streams.routes(
            editor, hub, scopes, clock, settings.source_roots, resolve, machines.worker_of
        ),
        pictures.routes(control, scopes, clock),
        history.routes(hub, histories, reads, scopes, clock),
        stored.routes(reads, scopes, clock, store_state),
        thresholds.routes(editor, scopes),
        canary_routes(canaries, scopes),
        caller.routes(scopes),
        models.routes(detectors, scopes),
        whip.routes(control, scopes, ice_servers, settings.allowed_origins),
        predict.routes(predictions, scopes),
        asyncapi.routes(program, settings.root_path),
        metrics.routes(registry, machines, scopes),
        workers.routes(machines, scopes, clock, store),
        scores.routes(
            hub,
            authenticator,
            settings.sockets,
            clock,
            strangers,
            past,
            incidents,
        ),
        *((incident_routes(control, incidents, scopes),) if incidents is not None else ()),
        pages.routes(root_path=settings.root_path),
    ):
        app.include_router(router)
    if evidence is not None:
        app.include_router(evidence_routes(evidence, scopes))
    if explained is not None and incidents is not None:
        app.include_router(explained_routes(explained, incidents, scopes))
    if bundles is not None:
        app.include_router(bundle_routes(bundles, reads, clock, scopes))
    if baselines is not None:
        app.include_router(baseline_routes(editor, baselines, scopes, clock))
    if challenges is not None:
        app.include_router(challenge_routes(control, challenges, reads, scopes))
    if alerting is not None:
        app.include_router(alerts.routes(alerting, scopes))
    if drift is not None:
        app.include_router(drift_routes(control, drift, scopes))
    install_handlers(app)
    app.add_middleware(HeadAsGet)
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


def _operation_id(route: APIRoute) -> str:
    """Return what clients call an operation: its function's name, as in `listStreams`.

    FastAPI's own ids contain the path and the method, which makes poor names of functions.
    """
    first, *others = route.name.split("_")
    return first + "".join(word.capitalize() for word in others)
