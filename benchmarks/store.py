"""Store: its cost beside 64 streams, how fast it can write, and whether scores notice it.

    python -m benchmarks.store [--seconds S] [--url URL] [--alternate S] [--out DIR]

Three parts, each in this process:

- load: 64 streams with 2 faces each, 4 scores a second (512 rows/s), a report a second. CPU of the
  writer's thread and of handing events over, as a share of one core; milliseconds from the logging
  of an event until it is committed.
- flood: rows per second of the writer when it is given as many as it takes.
- alternate: an analyzer with a real camera. Its events and those of 64 made-up streams, as above,
  go to the store in every second part of the time; latency of the camera's scores, from packet to
  published, with and without, and their ratio. Left out when 0 s.
"""

from __future__ import annotations

import asyncio
import tempfile
import threading
import time
from collections import deque
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Annotated, Any

import typer
from prometheus_client import CollectorRegistry
from rich.console import Console
from rich.progress import Progress

from benchmarks.cameras import Cameras, render
from benchmarks.hardware import hardware
from benchmarks.latency import END_TO_END, Reader, Recorder, RecordingHub, Spread
from benchmarks.result import write_result
from cli import logs, wiring
from cli.settings import Settings, load
from stream.analyzer.analyzer import Analyzer
from stream.analyzer.streams import StreamSpec
from stream.clock import Clock, SystemClock
from stream.event_log.event_log import EventLog, StampedEvent
from stream.event_log.ids import FIRST_EPOCH, EventIds, block_of
from stream.events import Score, ScoringModel, StreamAdded, StreamReport, Verdict
from stream.ingest.source import SourceSettings, SourceUrl, Transport
from stream.monitoring.metrics import Metrics
from stream.store.database import Database, open_database
from stream.store.settings import StoreSettings
from stream.store.writer import StoreWriter
from styleflow.cards import ModelCard, TemporalMode, TrainingStatus
from styleflow.faces.face import Box, FaceQuality

RESULTS = Path(__file__).parent / "results"
STREAMS, FACES, RATE_HZ = 64, 2, 4
FLOOD = 100_000
TICK_S = 0.0625
_TICKS = round(1 / RATE_HZ / TICK_S)
PART_S = 10.0
WARM_UP_S = 10.0
CAMERAS = 1

CARD = ModelCard("toy", "1", TemporalMode.CAUSAL, TrainingStatus.TRAINED, "ab" * 32)
QUALITY, BOX = FaceQuality(140.0, 90.0, 120.0, 4.0), Box(10.0, 20.0, 150.0, 160.0)


@dataclass(frozen=True, slots=True)
class Cost:
    """What storing costs at a load.

    Attributes:
        rows_s: score rows per second.
        seconds: how long was measured.
        writer_cpu: CPU of the writer's thread, as a share of one core.
        handing_cpu: CPU of handing events over on the log's thread, likewise.
        to_disk: from the logging of an event until it is committed.
        commit_ms: the last commit.
        lost: events that were not stored.
        bytes_row: growth of the database per score row.
    """

    rows_s: float
    seconds: float
    writer_cpu: float
    handing_cpu: float
    to_disk: Spread
    commit_ms: float
    lost: int
    bytes_row: float


class Timed:
    """A sink before the writer that takes the time which handing over takes, and when it was."""

    def __init__(self, writer: StoreWriter) -> None:
        self.cpu_s = 0.0
        self.sent: deque[tuple[int, float]] = deque()
        self._writer = writer

    def accept(self, stamped: StampedEvent) -> None:
        """Hand an event over."""
        self.sent.append((stamped.id, stamped.now))
        began = time.thread_time()
        self._writer.accept(stamped)
        self.cpu_s += time.thread_time() - began


class Way:
    """An event's way to disk: told by the writer what is committed."""

    def __init__(self, clock: Clock) -> None:
        self.seconds: list[float] = []
        self.cpu_s = 0.0
        self.sent: deque[tuple[int, float]] = deque()
        self._clock = clock

    def committed(self, newest: int) -> None:
        """Take the time of every event up to a number; on the writer's thread."""
        now = self._clock.monotonic()
        while self.sent and self.sent[0][0] <= newest:
            self.seconds.append(now - self.sent.popleft()[1])
        self.cpu_s = time.thread_time()


def score(stream: int, track: int, arrived: float) -> Score:
    """Return a score of a face."""
    p = (stream * 7 + track * 13) % 100 / 100
    return Score(
        f"camera-{stream}", 1, track, 0.0, 1.28, 32, 0, -1.1, p, p, p / 2, (1 + p) / 2,
        Verdict.CLEAR, (), QUALITY, BOX, arrived, CARD.name,
    )  # fmt: skip


def announce(log: EventLog, kind: str = "camera") -> None:
    """Add all streams."""
    for stream in range(STREAMS):
        name = f"{kind}-{stream}"
        log.append(StreamAdded(name, 0, name, (ScoringModel(CARD, calibrated=True),)))


def under_load(database: Database, seconds: float) -> Cost:
    """Store what 64 streams tell, at their pace."""
    clock = SystemClock()
    way = Way(clock)
    writer = StoreWriter(database, StoreSettings(), clock, committed=way.committed)
    timed, log = Timed(writer), EventLog(clock)
    way.sent = timed.sent
    log.attach(timed)
    thread = threading.Thread(target=writer.run)
    thread.start()
    announce(log)
    threading.Event().wait(2.0)
    before, cpu, handed = database.size(), way.cpu_s, timed.cpu_s
    way.seconds.clear()
    began = clock.monotonic()
    sent = _feed(log, clock, seconds)
    took = clock.monotonic() - began
    threading.Event().wait(1.0)
    writer_s, handing_s = way.cpu_s - cpu, timed.cpu_s - handed
    writer.stop()
    thread.join()
    return Cost(
        rows_s=round(sent / took, 1),
        seconds=round(took, 1),
        writer_cpu=round(writer_s / took, 4),
        handing_cpu=round(handing_s / took, 4),
        to_disk=Spread.of(way.seconds),
        commit_ms=round(writer.commit_s * 1e3, 2),
        lost=writer.lost,
        bytes_row=round((database.size() - before) / sent, 1),
    )


def _feed(log: EventLog, clock: Clock, seconds: float) -> int:
    """Append scores and reports evenly; return how many scores."""
    pause, sent, ticks = threading.Event(), 0, _TICKS
    began = clock.monotonic()
    for tick in range(round(seconds / TICK_S)):
        for stream in range(tick % ticks, STREAMS, ticks):
            now = clock.monotonic()
            for track in range(FACES):
                log.append(score(stream, track, now - 0.2))
                sent += 1
            if tick % (ticks * RATE_HZ) < ticks:
                log.append(StreamReport(f"camera-{stream}", 1, 25.0, 0.0, FACES, (), 0.04))
        pause.wait(max(began + (tick + 1) * TICK_S - clock.monotonic(), 0.0))
    return sent


def flood(database: Database) -> float:
    """Return how many score rows a second the writer puts away, all it does included."""
    clock = SystemClock()
    writer = StoreWriter(database, StoreSettings(queue=FLOOD + 1000), clock)
    log = EventLog(clock)
    log.attach(writer)
    announce(log)
    writer.turn()
    now = clock.monotonic()
    for number in range(FLOOD):
        log.append(score(number % STREAMS, number % FACES, now - (FLOOD - number) / 512))
    began = clock.monotonic()
    writer.turn()
    took = clock.monotonic() - began
    assert writer.written["scores"] == FLOOD
    return round(FLOOD / took)


class Gate:
    """A sink that hands events on while it is open; streams are announced all the same."""

    def __init__(self, writer: StoreWriter) -> None:
        self.open = False
        self._writer = writer

    def accept(self, stamped: StampedEvent) -> None:
        """Hand an event on, or not."""
        if self.open or isinstance(stamped.event, StreamAdded):
            self._writer.accept(stamped)


async def feed(gate: Gate, clock: Clock) -> None:
    """Tell what 64 streams would, until it is cancelled; made alike whether the gate is open."""
    log, ticks = EventLog(clock, EventIds(lambda: block_of(2 * FIRST_EPOCH))), _TICKS
    log.attach(gate)
    announce(log, "other")
    tick = 0
    while True:
        for stream in range(tick % ticks, STREAMS, ticks):
            for track in range(FACES):
                made = score(stream, track, clock.monotonic() - 0.2)
                log.append(replace(made, stream=f"other-{stream}"))
        tick += 1
        await clock.sleep(TICK_S)


async def alternate(
    database: Database, settings: Settings, clip: Path, seconds: float
) -> dict[str, Any]:
    """Measure packet to score with the store and without, in turns."""
    clock, recorder = SystemClock(), Recorder()
    metrics, hub = Metrics(CollectorRegistry()), RecordingHub(clock, recorder)
    writer, events = StoreWriter(database, settings.store, clock), EventLog(clock)
    gate = Gate(writer)
    events.attach(gate)
    thread = threading.Thread(target=writer.run)
    thread.start()
    pipeline = wiring.pipeline(settings, clock, recorder)
    analyzer = Analyzer(pipeline, hub, metrics, clock, settings.analyzer, events=events, seed=0)
    found: dict[bool, list[float]] = {False: [], True: []}
    with Cameras(clip, CAMERAS) as cameras:
        async with analyzer:
            for number, url in enumerate(cameras.urls):
                source = SourceSettings(SourceUrl.parse(url), transport=Transport.TCP)
                await analyzer.add(StreamSpec(f"camera-{number}", source))
            reading = asyncio.create_task(Reader(hub, clock).run())
            feeding = asyncio.create_task(feed(gate, clock))
            await clock.sleep(WARM_UP_S)
            recorder.open = True
            for part in range(max(round(seconds / PART_S), 2)):
                gate.open = part % 2 == 1
                recorder.found[END_TO_END].clear()
                await clock.sleep(PART_S)
                found[gate.open] += recorder.found[END_TO_END]
            reading.cancel()
            feeding.cancel()
    writer.stop()
    await asyncio.to_thread(thread.join)
    off, on = Spread.of(found[False]), Spread.of(found[True])
    return {
        "cameras": CAMERAS,
        "without": asdict(off),
        "with": asdict(on),
        "p95_ratio": round(on.p95_ms / off.p95_ms, 3),
        "stored": dict(writer.written),
    }


def main(
    out: Annotated[Path, typer.Option(help="Folder for the JSON.")] = RESULTS,
    *,
    seconds: Annotated[float, typer.Option(min=1, help="How long the load lasts.")] = 60.0,
    alternating: Annotated[
        float, typer.Option("--alternate", min=0, help="How long with real cameras; 0: not.")
    ] = 120.0,
    url: Annotated[str, typer.Option(help="Database; empty means a file for this run.")] = "",
) -> None:
    """Measure what the store costs."""
    logs.configure("error", "console")
    where = hardware()
    with Progress() as progress, tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        task = progress.add_task("load", total=3)
        database = open_database(url, folder)
        cost = under_load(database, seconds)
        progress.update(task, description="flood", advance=1)
        rows_s = flood(database)
        progress.update(task, description="alternate", advance=1)
        turns: dict[str, Any] = {}
        if alternating:
            settings, clip = load(None, {}, None), render(folder / "clip.mp4")
            turns = asyncio.run(alternate(database, settings, clip, alternating))
        progress.update(task, advance=1)
        kind = database.engine.dialect.name
        database.close()
    document: dict[str, Any] = {
        "benchmark": "store",
        "hardware": where.to_json(),
        "database": kind,
        "streams": STREAMS,
        "faces": FACES,
        "load": asdict(cost),
        "flood_rows_s": rows_s,
        "alternate": turns,
    }
    path = out / f"store-{kind}-{where.commit.rstrip('+')}.json"
    write_result(document, path)
    console = Console()
    console.print_json(data=document)
    console.print(f"{path}", soft_wrap=True)


if __name__ == "__main__":
    typer.run(main)
