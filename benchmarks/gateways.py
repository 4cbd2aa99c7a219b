"""Many clients at two gateways: how old scores are when they come, and what that costs.

    python -m benchmarks.gateways [--clients N] [--streams N] [--slow N] [--seconds S] [--hop-s S]

Two `styleflow serve --cluster` processes run on a machine of a test network (a network namespace),
beside a Ray node with two workers. The workers look at no video: they make up the events of all
streams at the cadence of the default detector, see `benchmarks.scripted_workers`, because one
machine could not analyze so many. Everything behind them is real, and so are the clients here:
WebSockets that follow one stream each, spread evenly over both gateways.

A score's age is from the arrival of the newest packet behind it until a client has read it; the
workers give scores out `--computed-s` after that. Some further clients follow every stream and
never read: they have to be cut off. The gateways' memory is looked at all the while.
"""

from __future__ import annotations

import asyncio
import json
import multiprocessing
import os
import re
import resource
import socket
import tempfile
import threading
from array import array
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict, dataclass
from datetime import datetime
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit

import httpx
import numpy as np
import typer
import websockets.asyncio.client
import websockets.sync.client
import yaml
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

from benchmarks.cluster_program import Gateway, end_on_signals, play
from benchmarks.hardware import hardware
from benchmarks.result import write_result
from benchmarks.scripted_workers import COMPUTED_S, HOP_S
from benchmarks.soak import total
from stream.clock import Clock, SystemClock
from stream.publish.schema import SUBPROTOCOL
from tests.support.namespaces import Namespaces, missing
from tests.support.ray_nodes import RayNodes

RESULTS = Path(__file__).parent / "results"
PORTS = (8001, 8002)
WORKERS = 2
PROCESSES = 2
"""Of clients."""

AT_ONCE = 16
"""Clients of one process that connect at the same time."""

CONNECT_S = 180.0
WARM_UP_S = 15.0
SAMPLE_EVERY_S = 2.0
TARGET_S = 0.5
FLAT = 0.05
"""Share by which memory may be above its beginning at the end, and still count as flat."""


# --- clients, in processes of their own -----------------------------------------------------------


@dataclass(slots=True)
class Ages:
    """What the clients of one process have read.

    Attributes:
        seconds: ages of scores.
        read: messages.
        lost: connections that ended although they were read.
        connected: clients that got through.
    """

    seconds: array[float]
    read: int = 0
    lost: int = 0
    connected: int = 0
    counting: bool = False


def clients(pipe: Connection, urls: Sequence[str], streams: Sequence[str]) -> None:
    """Run clients, the n-th at the n-th address with the n-th stream, until told to stop.

    Says `connected` with their number, counts from the word `count` on, and answers `stop` with
    what they have read.
    """
    raise_limit(len(urls) + 256)
    ages = Ages(array("d"))
    asyncio.run(_clients(pipe, urls, streams, ages))


async def _clients(
    pipe: Connection, urls: Sequence[str], streams: Sequence[str], ages: Ages
) -> None:
    gate, ready = asyncio.Semaphore(AT_ONCE), asyncio.Semaphore(0)
    tasks = [
        asyncio.create_task(_client(url, stream, ages, gate, ready))
        for url, stream in zip(urls, streams, strict=True)
    ]
    with suppress(TimeoutError):
        async with asyncio.timeout(CONNECT_S):
            for _ in tasks:
                await ready.acquire()
    pipe.send(ages.connected)
    await asyncio.to_thread(pipe.recv)
    ages.counting = True
    await asyncio.to_thread(pipe.recv)
    ages.counting = False
    pipe.send((ages.seconds, ages.read, ages.lost))
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def _client(
    url: str, stream: str, ages: Ages, gate: asyncio.Semaphore, ready: asyncio.Semaphore
) -> None:
    clock = SystemClock()
    try:
        async with gate:
            connection = await websockets.asyncio.client.connect(
                _socket_url(url),
                subprotocols=[Subprotocol(SUBPROTOCOL)],
                compression=None,
                ping_interval=None,
                open_timeout=60,
                close_timeout=1,
            )
            await connection.send(json.dumps({"type": "hello", "client": "gateways"}))
            await connection.send(
                json.dumps({"type": "subscribe", "id": "one", "streams": [stream]})
            )
            await connection.recv()
        ages.connected += 1
        ready.release()
        async for text in connection:
            if ages.counting:
                _take(json.loads(text), clock, ages)
    except (OSError, ConnectionClosed, TimeoutError):
        ages.lost += 1
        ready.release()


def _take(message: dict[str, Any], clock: Clock, ages: Ages) -> None:
    ages.read += 1
    if message["type"] == "score":
        captured = datetime.fromisoformat(message["ts_capture"])
        ages.seconds.append((clock.utc() - captured).total_seconds())


def _socket_url(url: str) -> str:
    return f"ws://{urlsplit(url).netloc}/api/v1/scores"


class Lazy:
    """A client that follows every stream and never reads; a context manager.

    Args:
        url: of a gateway.
    """

    def __init__(self, url: str) -> None:
        there = urlsplit(url)
        self._connection = socket.create_connection((there.hostname, there.port))
        # Small buffers: a reader that has stopped is felt in seconds rather than in hours.
        self._connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        self._stack = ExitStack()
        opened = self._stack.enter_context(
            websockets.sync.client.connect(
                _socket_url(url),
                sock=self._connection,
                subprotocols=[Subprotocol(SUBPROTOCOL)],
                max_queue=1,
                compression=None,
                ping_interval=None,
                close_timeout=1,
            )
        )
        opened.send(json.dumps({"type": "hello", "client": "lazy"}))
        opened.send(json.dumps({"type": "subscribe", "id": "all", "streams": ["*"]}))

    def close(self) -> None:
        """Leave without waiting for the other side."""
        with suppress(OSError):
            self._connection.shutdown(socket.SHUT_RDWR)
        self._stack.close()


def raise_limit(descriptors: int) -> None:
    """Allow so many open files, as far as this account may."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = descriptors if hard == resource.RLIM_INFINITY else min(descriptors, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


# --- what is seen ---------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Sample:
    """One gateway's process at one moment.

    Attributes:
        at: seconds since counting began.
        gateway: which.
        rss_mb: resident memory in units of 10^6 bytes.
        cpu_s: used since it began.
        clients: subscribers, as it counts them.
        cut: subscribers that it has cut because they read too slowly.
    """

    at: float
    gateway: int
    rss_mb: float
    cpu_s: float
    clients: int
    cut: int


def sample(number: int, gateway: Gateway, at: float) -> Sample:
    """Look at a gateway."""
    text = httpx.get(f"{gateway.url}/metrics", timeout=30).text
    process = Path(f"/proc/{gateway.pid}")
    status = (process / "status").read_text()
    resident = re.search(r"VmRSS:\s+(\d+)", status)
    times = (process / "stat").read_text().rpartition(")")[2].split()
    return Sample(
        at=round(at, 1),
        gateway=number,
        rss_mb=round(int(resident[1]) * 1024 / 1e6, 2) if resident else 0.0,
        cpu_s=(int(times[11]) + int(times[12])) / os.sysconf("SC_CLK_TCK"),
        clients=total(text, "ws_clients"),
        cut=total(text, "ws_disconnects_total", 'code="1013"'),
    )


@dataclass(frozen=True, slots=True)
class Memory:
    """Whether a gateway's memory is flat.

    Attributes:
        first_mb: mean of the first third of the time.
        last_mb: mean of the last third.
        flat: whether the last is above the first by no more than `FLAT`.
    """

    first_mb: float
    last_mb: float
    flat: bool


def memory(samples: Sequence[Sample]) -> Memory | None:
    """Return whether memory is flat; None of fewer than six samples."""
    if len(samples) < 6:
        return None
    third = len(samples) // 3
    first = float(np.mean([each.rss_mb for each in samples[:third]]))
    last = float(np.mean([each.rss_mb for each in samples[-third:]]))
    return Memory(round(first, 1), round(last, 1), last <= first * (1 + FLAT))


def quantiles(seconds: Sequence[float]) -> dict[str, float | None]:
    """Return how old scores were."""
    if not len(seconds):
        return dict.fromkeys(("p50", "p95", "p99", "max"))
    values = np.quantile(np.asarray(seconds), [0.5, 0.95, 0.99, 1.0])
    return dict(zip(("p50", "p95", "p99", "max"), map(float, values.round(4)), strict=True))


# --- the run --------------------------------------------------------------------------------------


@contextmanager
def gateways(streams: int, hop_s: float, computed_s: float) -> Iterator[tuple[Gateway, ...]]:
    """Run two gateways of a cluster of scripted workers, with so many streams."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="sfg-")))
        config = folder / "styleflow.yaml"
        most = {"most": 4096, "per_address": 4096}
        document = {
            "web": {"insecure": True, "connections": most, "sockets": {"subscribers": 2048}},
            "store": {"url": f"sqlite:///{folder}/styleflow.db"},
            "analyzer": {"max_streams": max(streams, 16)},
            "streams": [
                {"id": stream, "source": {"url": "demo://authentic"}} for stream in _ids(streams)
            ],
        }
        config.write_text(yaml.safe_dump(document), encoding="utf-8")
        machines = stack.enter_context(Namespaces(("head", "spare")))
        nodes = stack.enter_context(RayNodes(machines, env={"XDG_DATA_HOME": str(folder)}))
        nodes.start("head", WORKERS)
        under, address = machines.under("head"), machines.address("head")
        options = ["--hop-s", str(hop_s), "--computed-s", str(computed_s)]
        play(under, nodes.address, nodes.env, options)
        words = ["serve", "--config", str(config), "--host", "0.0.0.0", "--cluster", nodes.address]
        made = tuple(
            stack.enter_context(Gateway(under, address, port, words, nodes.env, folder))
            for port in PORTS
        )
        for gateway in made:
            gateway.start()
        for gateway in made:
            gateway.wait()
        yield made


def _ids(streams: int) -> list[str]:
    return [f"stream-{number:02}" for number in range(streams)]


@dataclass(slots=True)
class Seen:
    """What a run has shown.

    Attributes:
        seconds: ages of scores.
        samples: of the gateways.
        read: messages.
        connected: clients that got through.
        lost: clients that were cut although they read.
        counted_s: for how long.
        lazy: clients that never read.
        cut: those of them that were cut.
        ended: why it ended early.
    """

    seconds: list[float]
    samples: list[Sample]
    read: int = 0
    connected: int = 0
    lost: int = 0
    counted_s: float = 0.0
    lazy: int = 0
    cut: int = 0
    ended: str = ""


def run(
    count: int, streams: int, lazy: int, seconds: float, hop_s: float, computed_s: float
) -> Seen:
    """Connect clients, and let them read for a while."""
    clock, seen, pause = SystemClock(), Seen([], []), threading.Event()
    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True)) as progress, ExitStack() as stack:
        task = progress.add_task("starting a cluster")
        made = stack.enter_context(gateways(streams, hop_s, computed_s))
        progress.update(task, description=f"connecting {count} clients")
        pipes = [stack.enter_context(_process(part)) for part in parts(count, streams, made)]
        seen.connected = sum(pipe.recv() for pipe in pipes)
        idle = [Lazy(made[number % len(made)].url) for number in range(lazy)]
        for each in idle:
            stack.callback(each.close)
        seen.lazy = len(idle)
        progress.update(task, description=f"{seen.connected} clients, warming up")
        pause.wait(WARM_UP_S)
        begun = clock.monotonic()
        for pipe in pipes:
            pipe.send("count")
        try:
            while (passed := clock.monotonic() - begun) < seconds:
                seen.samples += [sample(n, each, passed) for n, each in enumerate(made)]
                newest = seen.samples[-len(made) :]
                said = ", ".join(f"{s.clients} clients {s.rss_mb:.0f} MB" for s in newest)
                progress.update(task, description=f"{passed:.0f} of {seconds:.0f} s: {said}")
                pause.wait(SAMPLE_EVERY_S)
        except KeyboardInterrupt:
            seen.ended = "interrupted"
        seen.counted_s = clock.monotonic() - begun
        seen.cut = sum(each.cut for each in seen.samples[-len(made) :])
        for pipe in pipes:
            pipe.send("stop")
            ages, read, lost = pipe.recv()
            seen.seconds.extend(ages)
            seen.read += read
            seen.lost += lost
    return seen


def parts(count: int, streams: int, made: Sequence[Gateway]) -> list[tuple[list[str], list[str]]]:
    """Divide clients among processes, each with its gateway and its stream."""
    ids = _ids(streams)
    urls = [made[number % len(made)].url for number in range(count)]
    followed = [ids[number // len(made) % streams] for number in range(count)]
    return [(urls[n::PROCESSES], followed[n::PROCESSES]) for n in range(PROCESSES)]


@contextmanager
def _process(part: tuple[list[str], list[str]]) -> Iterator[Connection]:
    """Run clients in a process of their own, and end it."""
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    process = context.Process(target=clients, args=(there, *part), daemon=True)
    process.start()
    try:
        yield here
    finally:
        process.join(5)
        process.kill()


def main(
    out: Annotated[Path, typer.Option(help="Folder for the JSON.")] = RESULTS,
    *,
    count: Annotated[int, typer.Option("--clients", min=1, max=20_000, help="That read.")] = 1000,
    streams: Annotated[int, typer.Option(min=1, max=500, help="How many.")] = 64,
    slow: Annotated[int, typer.Option(min=0, max=500, help="Clients that never read.")] = 20,
    seconds: Annotated[float, typer.Option(min=5, help="How long they are counted.")] = 120.0,
    hop_s: Annotated[float, typer.Option(min=0.05, help="Between two scores of a face.")] = HOP_S,
    computed_s: Annotated[float, typer.Option(min=0, help="Age of a new score.")] = COMPUTED_S,
) -> None:
    """Measure how old scores are at many clients of two gateways."""
    if reason := missing():
        raise SystemExit(reason)
    end_on_signals()
    raise_limit(4096)
    where = hardware()
    seen = run(count, streams, slow, seconds, hop_s, computed_s)
    ages = quantiles(seen.seconds)
    kept = [memory([s for s in seen.samples if s.gateway == n]) for n in range(len(PORTS))]
    document = {
        "benchmark": "gateways",
        "hardware": where.to_json(),
        "scripted": "events of all streams are made up by the workers; nothing is analyzed",
        "clients": count,
        "connected": seen.connected,
        "streams": streams,
        "hop_s": hop_s,
        "computed_s": computed_s,
        "counted_s": round(seen.counted_s, 1),
        "ended_early": seen.ended,
        "age_s": ages,
        "scores_per_s": round(len(seen.seconds) / max(seen.counted_s, 1e-9), 1),
        "messages_per_s": round(seen.read / max(seen.counted_s, 1e-9), 1),
        "readers_lost": seen.lost,
        "slow": seen.lazy,
        "slow_cut": seen.cut,
        "memory": [asdict(each) if each else None for each in kept],
        "samples": [asdict(each) for each in seen.samples],
        "load_1m_at_end": round(os.getloadavg()[0], 2),
    }
    path = out / f"gateways-{where.commit.rstrip('+')}.json"
    write_result(document, path)
    console = Console()
    console.print(
        f"{seen.connected} of {count} clients, {streams} scripted streams: age "
        f"p50 {ages['p50']} s, p99 {ages['p99']} s (aim: {TARGET_S} s), "
        f"{document['scores_per_s']} scores/s"
    )
    console.print(f"{seen.cut} of {seen.lazy} slow clients cut, {seen.lost} readers lost; {kept}")
    console.print(f"{path}", soft_wrap=True)


if __name__ == "__main__":
    typer.run(main)
