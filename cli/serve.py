"""`styleflow serve` and `styleflow demo`: one process, one port, until it is interrupted."""

from __future__ import annotations

import asyncio
import faulthandler
import resource
import signal
import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from importlib.metadata import version

import structlog
import uvicorn
from prometheus_client import disable_created_metrics
from rich.console import Console

from cli import logs, wiring
from cli.evidence import bundle_source
from cli.front import MakeFront, alone
from cli.log_sink import QuietStream
from cli.settings import Settings
from cli.station import exempt_from_collection
from cli.validation import validate
from stream.analyzer.streams import StreamSpec
from stream.clock import SystemClock
from stream.problems import notice
from stream.publish.hub import Hub
from styleflow.cards import ModelCard
from web.app import create_app
from web.connection_figures import connection_figures
from web.connection_limits import ConnectionLimits
from web.routes.pages import NOT_BUILT, is_built
from web.store_reads import ReadPlaces
from web.transport import LISTEN_QUEUE, server_options
from web.waiting_room import WaitingRoom

log = structlog.get_logger(__name__)

MAX_DESCRIPTORS = 65536
"""Open files and sockets that the process may ask the system for."""


def run(
    settings: Settings,
    console: Console,
    *,
    untrained: bool = False,
    origin: str = "configuration",
    remember: bool = True,
) -> None:
    """Serve until interrupted.

    Args:
        settings: what to serve, where and to whom.
        console: where the address is told.
        untrained: give detectors without weights random ones.
        origin: file that the settings come from.
        remember: start stored streams again, and store those that are added.

    Raises:
        ConfigInvalid: what `config check` refuses, too.
        OSError: the port is taken.
    """
    validate(settings, origin, untrained=untrained)
    logs.configure(settings.log.level, settings.log.format)
    console.file = QuietStream(console.file)  # type: ignore[assignment]  # nobody may read it
    disable_created_metrics()  # type: ignore[no-untyped-call]  # twice the series, for nobody
    _tell_native_crashes()
    specs = [stream.spec() for stream in settings.streams]
    with _bind(settings.web.host, settings.web.port) as listener, front_of(settings) as front:
        _raise_descriptor_limit()
        served = partial(_serve, untrained=untrained, remember=remember, front=front)
        asyncio.run(served(settings, specs, listener, console))


@contextmanager
def front_of(settings: Settings) -> Iterator[MakeFront]:
    """Return what makes the front; where workers are wanted, Ray is imported and runs here."""
    if settings.cluster.workers != 0 or settings.cluster.address:
        from cli.gateway import behind_gateway, cluster

        with cluster(settings) as ray:
            yield partial(behind_gateway, ray)
    else:
        yield alone


def _raise_descriptor_limit() -> None:
    """Allow as many open files as the system lets us; shells allow few, for old programs' sake."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MAX_DESCRIPTORS if hard == resource.RLIM_INFINITY else min(hard, MAX_DESCRIPTORS)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    log.info("open files", at_most=resource.getrlimit(resource.RLIMIT_NOFILE)[0], before=soft)


def _tell_native_crashes() -> None:
    """Have a fault in a native library told on standard error, with the stack of every thread."""
    if not faulthandler.is_enabled():
        with suppress(OSError, RuntimeError, ValueError):  # closed, or no file
            faulthandler.enable()


def _bind(host: str, port: int) -> socket.socket:
    """Return a listening socket, so that a busy port is an error before anything is loaded."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(128)
    except BaseException:
        listener.close()
        raise
    return listener


class _Server(uvicorn.Server):
    """A server that leaves signals to us.

    uvicorn catches SIGTERM and raises it again once it has stopped serving, which would end the
    process before the streams are closed.
    """

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin; the event loop takes one number for its turns and for the kernel's queue."""
        await super().startup(sockets=sockets)
        for listener in sockets or ():
            listener.listen(LISTEN_QUEUE)

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Capture nothing."""
        yield


def stop_on_signals(server: uvicorn.Server, hub: Hub) -> None:
    """Stop politely at the first SIGINT or SIGTERM, at once at the second."""

    def stop(number: int) -> None:
        server.handle_exit(number, None)
        hub.stop()
        log.info("stopping", signal=signal.Signals(number).name)

    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop, number)


async def _serve(
    settings: Settings,
    specs: list[StreamSpec],
    listener: socket.socket,
    console: Console,
    *,
    untrained: bool,
    remember: bool,
    front: MakeFront,
) -> None:
    clock = SystemClock()
    running = front(settings, specs, clock, console.status, untrained=untrained, remember=remember)
    async with running as parts:
        memory = parts.memory
        limits = ConnectionLimits(settings.web.connections)
        strangers = WaitingRoom(settings.web.sockets.before_hello)
        read_places = ReadPlaces.of(memory.store)
        parts.metrics.scraped.attach(lambda: connection_figures(limits, strangers))
        parts.metrics.scraped.attach(read_places.figures)
        app = create_app(
            control=parts.control,
            hub=parts.hub,
            histories=parts.histories,
            predictor=wiring.predictor(settings, clock, untrained=untrained),
            settings=settings.web,
            clock=clock,
            registry=parts.metrics.registry,
            ice_servers=settings.webrtc.ice_servers,
            strangers=strangers,
            editor=parts.editor,
            store=memory.store,
            read_places=read_places,
            store_state=memory.state,
            bundles=bundle_source(settings) if memory.store is not None else None,
            detectors=parts.detectors,
            **parts.services,
        )
        server = _Server(
            uvicorn.Config(
                app,
                log_config=None,
                log_level="warning",
                **server_options(limits),
            )
        )
        stop_on_signals(server, parts.hub)
        exempt_from_collection()
        async with parts.streams():
            _greet(console, settings, listener.getsockname()[1], _notices(parts.detectors()))
            await server.serve(sockets=[listener])


def _notices(cards: Sequence[ModelCard]) -> str:
    """Return what must be said about the models before any score; empty when nothing must."""
    said = {card.name: notice(card, demo=False) for card in cards}
    if len(said) == 1:
        return said[cards[0].name]
    return "; ".join(f"{name}: {text}" for name, text in said.items() if text)


def _greet(console: Console, settings: Settings, port: int, warning: str) -> None:
    host = settings.web.host
    at = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    at += settings.web.root_path
    lines = [
        f"StyleFlow Live {version('styleflow-live')}",
        f"  page    http://{at}/",
        f"  scores  ws://{at}/api/v1/scores   (subprotocol styleflow.v1.json)",
        f"  API     http://{at}/docs",
    ]
    for line in lines:
        console.print(line, markup=False, highlight=False)
    if not is_built():
        console.print(f"  note    {NOT_BUILT}", style="yellow", markup=False, highlight=False)
    if warning:
        console.print(f"  note    {warning}", style="yellow", markup=False, highlight=False)
    if not settings.streams:
        console.print(
            "  no streams yet: add one with POST /api/v1/streams, or in a --config file",
            markup=False,
            highlight=False,
        )
