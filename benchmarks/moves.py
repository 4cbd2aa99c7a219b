"""Drain of a worker: for how long the scores of each stream that moves pause, and what is lost.

    python -m benchmarks.moves [--streams N] [--rounds R] [--out DIR]

Two workers, a director and a gateway in one process, whose values cross as pickles; cameras over
RTSP that begin every connection with a key frame, so the wait for one comes on top where a camera
does not. Nothing is stored. One worker is drained until it is empty, then the other
one, and so on. A pause is the longest time between two scores of a stream, as the gateway tells
them, from three seconds before a drain until its streams are scored again; without a drain it is
one hop. Events count as lost where a worker's feed had dropped them before the gateway read them.
"""

from __future__ import annotations

import asyncio
import itertools
import tempfile
from collections import defaultdict
from collections.abc import Mapping
from contextlib import AsyncExitStack
from dataclasses import asdict, dataclass
from importlib.metadata import version
from itertools import pairwise
from pathlib import Path
from typing import Annotated

import typer
from prometheus_client import CollectorRegistry
from rich.console import Console
from rich.table import Table

from benchmarks.cameras import Cameras, render
from benchmarks.hardware import hardware
from benchmarks.result import write_result
from cli import logs, wiring
from cli.settings import Settings, load
from stream.analyzer.analyzer import Analyzer
from stream.analyzer.streams import StreamSpec
from stream.clock import Clock, SystemClock
from stream.cluster.director import Director
from stream.cluster.gateway import Gateway
from stream.cluster.protocol import WorkerCard, WorkerHandle
from stream.cluster.services import ASKABLE
from stream.cluster.worker import StreamWorker
from stream.event_log.event_log import EventLog, StampedEvent
from stream.event_log.ids import EventIds
from stream.events import Score
from stream.ingest.source import SourceSettings, SourceUrl, Transport
from stream.monitoring.metrics import Metrics
from stream.publish.hub import Hub
from tests.support.cluster import LocalHandle

RESULTS = Path(__file__).parent / "results"
WARM_UP_S = 12.0
BEFORE_S = 3.0
AFTER_S = 10.0


@dataclass(frozen=True, slots=True)
class Drained:
    """One drain of a worker.

    Attributes:
        streams: how many were moved.
        pauses_s: the longest time between two scores of each of them, ascending.
        usual_s: the same of the streams that were not moved, or of an undisturbed time before.
        emptied_s: until the drained worker had none.
        lost: events that no gateway told.
        fenced: events of old owners that were dropped, because the new one had spoken.
    """

    streams: int
    pauses_s: tuple[float, ...]
    usual_s: float
    emptied_s: float
    lost: int
    fenced: int


class Scores:
    """When each stream was scored, as a gateway tells it; a sink of its event log."""

    def __init__(self, clock: Clock) -> None:
        self.at: dict[str, list[float]] = defaultdict(list)
        self._clock = clock

    def accept(self, stamped: StampedEvent) -> None:
        """Note a score."""
        if isinstance(stamped.event, Score):
            self.at[stamped.event.stream].append(self._clock.monotonic())

    def longest(self, stream: str, since: float, until: float) -> float:
        """Return the longest time without a score."""
        inside = [at for at in self.at[stream] if since <= at <= until]
        ends = [since, *inside, until]
        return max(after - before for before, after in pairwise(ends))


@dataclass(frozen=True, slots=True)
class Bench:
    """What is measured: everything runs."""

    clock: Clock
    director: Director
    gateway: Gateway
    scores: Scores


async def _bench(stack: AsyncExitStack, settings: Settings, streams: int) -> Bench:
    """Start two workers, a director and a gateway."""
    clock, numbers = SystemClock(), itertools.count(1024)
    handles: dict[str, LocalHandle] = {}
    for name in ("worker-1", "worker-2"):
        handles[name] = LocalHandle(await _worker(stack, name, settings, clock, streams), name)

    async def find() -> Mapping[str, WorkerHandle]:
        return dict(handles)

    director = Director(find, settings.cluster, clock, lambda: next(numbers))
    running = asyncio.create_task(director.run())
    stack.callback(running.cancel)
    events, scores = EventLog(clock), Scores(clock)
    events.attach(scores)
    gateway = Gateway(
        director, lambda name: handles[name], events, Hub(clock), clock, settings.engine
    )
    await stack.enter_async_context(gateway)
    return Bench(clock, director, gateway, scores)


async def _worker(
    stack: AsyncExitStack, name: str, settings: Settings, clock: Clock, streams: int
) -> StreamWorker:
    """Start a worker."""
    ids, metrics = EventIds(), Metrics(CollectorRegistry())
    analyzer = Analyzer(
        await asyncio.to_thread(wiring.pipeline, settings, clock),
        Hub(clock),
        metrics,
        clock,
        settings.analyzer,
        settings.batching,
        seed=0,
        overload=settings.overload,
        events=EventLog(clock, ids),
    )
    await stack.enter_async_context(analyzer)
    card = WorkerCard(
        name,
        "here",
        0,
        version("styleflow-live"),
        {},
        settings.model.device,
        streams,
        analyzer.models,
        name,
    )
    return StreamWorker(card, analyzer, {}, ASKABLE, ids=ids)


async def measure(streams: int, rounds: int, settings: Settings, clip: Path) -> list[Drained]:
    """Drain one worker after the other."""
    async with AsyncExitStack() as stack:
        bench = await _bench(stack, settings, streams)
        urls = stack.enter_context(Cameras(clip, streams)).urls
        sources = [SourceSettings(SourceUrl.parse(url), transport=Transport.TCP) for url in urls]
        specs = [StreamSpec(f"camera-{number}", source) for number, source in enumerate(sources)]
        await bench.director.want(specs)
        while len(bench.scores.at) < streams:
            await bench.clock.sleep(1.0)
        await bench.clock.sleep(WARM_UP_S)
        return [await _drained(bench, f"worker-{turn % 2 + 1}") for turn in range(rounds)]


async def _drained(bench: Bench, worker: str) -> Drained:
    """Drain a worker, take that back, and return what it cost."""
    clock, relay = bench.clock, bench.gateway.relay
    lost, fenced = relay.counts.lost, relay.fence.fenced
    usual_since = clock.monotonic()
    await clock.sleep(BEFORE_S)
    begun = clock.monotonic()
    table = await bench.director.table(0, 0.0)
    moved = table.workers[worker].streams
    usual = max((bench.scores.longest(s, usual_since, begun) for s in moved), default=0.0)
    await bench.director.drain(worker, draining=True)
    while table.workers[worker].streams:
        table = await bench.director.table(table.version, 1.0)
    emptied = clock.monotonic() - begun
    await clock.sleep(AFTER_S)
    now = clock.monotonic()
    await bench.director.drain(worker, draining=False)
    return Drained(
        len(moved),
        tuple(sorted(round(bench.scores.longest(s, begun - 1, now), 2) for s in moved)),
        round(usual, 2),
        round(emptied, 2),
        relay.counts.lost - lost,
        relay.fence.fenced - fenced,
    )


def table(drains: list[Drained]) -> Table:
    """Return the drains for a terminal."""
    shown = Table("streams", "pauses s", "usual s", "emptied s", "lost", "fenced")
    for one in drains:
        shown.add_row(
            str(one.streams),
            ", ".join(f"{pause:.2f}" for pause in one.pauses_s),
            f"{one.usual_s:.2f}",
            f"{one.emptied_s:.2f}",
            str(one.lost),
            str(one.fenced),
        )
    return shown


def main(
    streams: Annotated[int, typer.Option(min=1, help="Cameras.")] = 4,
    rounds: Annotated[int, typer.Option(min=1, help="Drains, one worker after the other.")] = 4,
    out: Annotated[Path, typer.Option(help="Folder for the result.")] = RESULTS,
) -> None:
    """Measure how long the scores of streams pause that are moved to another worker."""
    logs.configure("error", "console")
    console, settings = Console(), load(None, {})
    with tempfile.TemporaryDirectory() as folder:
        clip = render(Path(folder) / "camera.mp4")
        drains = asyncio.run(measure(streams, rounds, settings, clip))
    console.print(table(drains))
    machine = hardware()
    document = {
        "benchmark": "moves",
        "hardware": machine.to_json(),
        "streams": streams,
        "drains": [asdict(one) for one in drains],
    }
    path = out / f"moves-{machine.commit.rstrip('+')}.json"
    write_result(document, path)
    console.print(f"{path}", soft_wrap=True)


if __name__ == "__main__":
    typer.run(main)
