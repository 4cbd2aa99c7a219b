"""Serving in front of workers: the gateway's parts, and the processes that stand behind it."""

from __future__ import annotations

import asyncio
import io
import re
import sys
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager, redirect_stdout

import structlog
from prometheus_client import CollectorRegistry

from cli import logs
from cli.cluster import ControlPlan, WorkerPlan, cores, digest, on_gpu
from cli.director_notes import notes_of
from cli.front import Front, Loading
from cli.incidents import evidence_folder
from cli.memory import Memory
from cli.settings import Settings
from stream.analyzer.streams import StreamSpec
from stream.clock import Clock
from stream.cluster.crew import Crew, crew
from stream.cluster.figures import relay_figures
from stream.cluster.gateway import Gateway
from stream.cluster.incidents import GatewayIncidents
from stream.cluster.machines import Cluster
from stream.cluster.ray_cluster import RayCluster, RayWorkerHandle
from stream.cluster.services import (
    AskedAlerts,
    AskedBaselines,
    AskedCanaries,
    AskedChallenges,
    AskedDrift,
    AskedExplained,
)
from stream.errors import WorkerGone
from stream.event_log.event_log import EventLog
from stream.evidence.files import EvidenceFiles
from stream.evidence.shelf import Shelf
from stream.monitoring.figures import subscriber_figures
from stream.monitoring.metrics import Metrics
from stream.publish.history import StreamHistories
from stream.publish.hub import Hub, HubSettings
from stream.store.errors import StoreError

log = structlog.get_logger(__name__)

START_S = 180.0
"""How long workers may take to start: each loads its models."""

LINES_S = 5.0
PAUSE_S = 0.5

LAST_LINES_S = 0.3
"""How long the last lines of workers that end are waited for."""

KNOWN_S = 5.0
"""How long it may take until the first worker is heard of."""

_COLORS = re.compile(r"\x1b\[[0-9;]*m")


@contextmanager
def cluster(settings: Settings) -> Iterator[RayCluster]:
    """Start Ray or join one until this is left; on the main thread, before any event loop.

    Raises:
        RayMissing: the extra is not installed.
        ClusterUnreachable: it cannot be started, or nobody answers.
    """
    address = settings.cluster.address
    own = Crew(0) if address else _crew(settings)
    made = RayCluster(address, own.workers, own.gpus)
    try:
        with redirect_stdout(_RayLines()):
            yield made
    finally:
        made.close()


def _crew(settings: Settings) -> Crew:
    """Return the workers of this machine, which has a Ray of its own."""
    gpu = on_gpu(settings)
    return crew(settings.cluster.workers, cores(), _gpus() if gpu else 0, on_gpu=gpu)


def _joining(ray: RayCluster, settings: Settings) -> Crew:
    """Return the workers that join a cluster: one for each GPU, or core, if nobody says."""
    wanted, gpu = settings.cluster.workers, on_gpu(settings)
    return Crew(ray.room(gpu=gpu) if wanted is None else wanted, gpu=1.0 if gpu else 0.0)


def _gpus() -> int:
    """Return how many GPUs this machine has."""
    import torch  # here: whoever runs on processors does not wait for it

    return torch.cuda.device_count()


class _RayLines(io.TextIOBase):
    """Standard output while Ray runs: what it says there is logged; nobody else prints."""

    def write(self, text: str) -> int:
        """Log what is said."""
        for line in text.splitlines():
            if said := _COLORS.sub("", line).strip():
                log.info("ray says", line=said.partition(". ")[0][:200])
        return len(text)


@asynccontextmanager
async def behind_gateway(
    ray: RayCluster,
    settings: Settings,
    specs: Sequence[StreamSpec],
    clock: Clock,
    loading: Loading,
    *,
    untrained: bool,
    remember: bool,
) -> AsyncIterator[Front]:
    """Run a gateway, and the workers that are wanted; see `cli.front.alone`."""
    metrics, histories = Metrics(CollectorRegistry()), StreamHistories()
    hub = Hub(clock, HubSettings(max_clients=settings.web.sockets.subscribers))
    events = EventLog(clock)
    events.attach(histories)
    async with _workers(ray, settings, loading, untrained=untrained):
        memory = await asyncio.to_thread(Memory.open, settings.store, clock)
        metrics.scraped.attach(memory.figures)
        metrics.scraped.attach(lambda: subscriber_figures(hub))

        async def start(spec: StreamSpec) -> None:
            await ray.director.want((spec,))

        async def wanted() -> None:
            await ray.director.want(tuple(specs))
            if editor is not None:
                await editor.restore()

        gateway = Gateway(
            ray.director, RayWorkerHandle, events, hub, clock, settings.engine, wanted
        )
        gateway.remark(memory.health)
        made_of = digest(settings, untrained=untrained)
        machines = Cluster(
            lambda: gateway.table,
            ray.director,
            RayWorkerHandle,
            made_of=made_of,
            named=settings.cluster.name,
        )
        metrics.scraped.attach(machines.figures)
        relay = gateway.relay
        metrics.scraped.attach(lambda: relay_figures(relay.counts, relay.fence.fenced))
        configured = [spec.id for spec in specs]
        editor = memory.editor(gateway, clock, configured, start) if remember else None
        async with memory, gateway:
            await _until_known(gateway)
            yield Front(
                control=gateway,
                hub=hub,
                histories=histories,
                metrics=metrics,
                memory=memory,
                editor=editor,
                detectors=lambda: gateway.models,
                services=_services(settings, gateway, memory, clock, machines),
            )


def _services(
    settings: Settings, gateway: Gateway, memory: Memory, clock: Clock, machines: Cluster
) -> dict[str, object]:
    """Return the other parts, as `create_app` calls them: workers are asked for what they know."""
    store, kept = memory.store, settings.evidence.enabled
    budget = settings.decision.by == "budget"
    files = EvidenceFiles(store, Shelf(evidence_folder(settings.evidence))) if store else None
    return {
        "incidents": GatewayIncidents(gateway, clock, settings.incidents, store),
        "evidence": files if kept else None,
        "explained": AskedExplained(gateway),
        "alerting": AskedAlerts(gateway),
        "baselines": AskedBaselines(gateway, settings.baseline, decides=budget),
        "drift": AskedDrift(gateway),
        "canaries": AskedCanaries(gateway) if settings.canaries.enabled else None,
        "challenges": AskedChallenges(gateway) if settings.challenges.enabled else None,
        "machines": machines,
    }


@asynccontextmanager
async def _workers(
    ray: RayCluster, settings: Settings, loading: Loading, *, untrained: bool
) -> AsyncIterator[None]:
    """Start the director and the workers that are wanted, unless they are there.

    Those of a cluster of our own are asked to end when this is left; others go on.
    """
    wanted = settings.cluster
    own = _joining(ray, settings) if wanted.address else _crew(settings)
    count = own.workers
    if not wanted.address:
        await asyncio.to_thread(_forget_drains, settings)
    ray.start_director(ControlPlan(settings))
    share = count if not wanted.address else 1
    plan = WorkerPlan(settings, max(share, 1), untrained, sys.stderr.isatty())
    names = [f"{wanted.name}-{number}" for number in range(1, count + 1)]
    handles = [ray.start_worker(name, plan, gpu=own.gpu) for name in names]
    lines = [asyncio.create_task(_relay_lines(handle)) for handle in handles]
    try:
        with loading(f"starting {count} workers"):
            await ray.director.ready(START_S)
            await asyncio.gather(*(handle.ready(START_S) for handle in handles))
        yield
    finally:
        if not wanted.address:
            await asyncio.gather(*(handle.stop() for handle in handles), return_exceptions=True)
            await asyncio.sleep(LAST_LINES_S)
        for task in lines:
            task.cancel()
        await asyncio.gather(*lines, return_exceptions=True)


def _forget_drains(settings: Settings) -> None:
    """Have none of the workers drained that were before: they end with this process."""
    notes = notes_of(settings.store)
    if notes is None:
        return
    try:
        notes.forget()
    except StoreError as error:
        log.warning("workers that were drained before may be drained again", reason=str(error))


async def _relay_lines(worker: RayWorkerHandle) -> None:
    """Write a worker's log lines where this process's are, until cancelled."""
    position = 0
    while True:
        try:
            position, lines = await worker.lines(position, LINES_S)
        except WorkerGone:
            await asyncio.sleep(PAUSE_S)
            continue
        for line in lines:
            logs.relay(line)


async def _until_known(gateway: Gateway) -> None:
    """Wait until a worker has said which models it has, but not for long."""
    try:
        async with asyncio.timeout(KNOWN_S):
            while not gateway.models:  # noqa: ASYNC110 - nobody tells of it
                await asyncio.sleep(0.05)
    except TimeoutError:
        log.warning("no worker answers yet")
