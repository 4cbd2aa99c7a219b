"""Load of twice as many streams as the machine holds: latency per minute, and every drop counted.

    python -m benchmarks.overload --streams N [--minutes M] [--low K] [--out DIR]

The analyzer runs with its defaults, degradation under overload among them, on N cameras of which K
have low priority. Every minute is summed up by itself: latency from packet to published score,
sampled frames, what became of those that were not scored, and the degradation level. What counts
is the 99th percentile of every later minute over that of the first.
"""

from __future__ import annotations

import asyncio
import tempfile
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Annotated, Any

import torch
import typer
from prometheus_client import CollectorRegistry
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from benchmarks.cameras import Cameras, render
from benchmarks.hardware import hardware
from benchmarks.latency import END_TO_END, Account, Reader, Recorder, RecordingHub, Spread
from benchmarks.result import write_result
from cli import logs, wiring
from cli.settings import Settings, load
from stream.analyzer.analyzer import Analyzer
from stream.analyzer.streams import Priority, StreamSpec
from stream.clock import SystemClock
from stream.ingest.source import SourceSettings, SourceUrl, Transport
from stream.monitoring.metrics import Metrics

RESULTS = Path(__file__).parent / "results"
WARM_UP_S = 10.0


@dataclass(frozen=True, slots=True)
class Minute:
    """One minute of overload.

    Attributes:
        number: counts from 1.
        latency: from packet to published score.
        sampled: sampled frames.
        dropped: of those, what was not processed, by reason.
        unexplained: sampled frames that were neither processed, nor counted as dropped, nor wait.
        rung: degradation level at its end, under the key of the committed results.
        busy: share of time that the device thread computed, lately.
        rss_mb: resident memory at its end.
    """

    number: int
    latency: Spread
    sampled: int
    dropped: dict[str, int]
    unexplained: int
    rung: str
    busy: float
    rss_mb: float


def worst_ratio(minutes: list[Minute]) -> float:
    """Return the largest p99 of a later minute over that of the first; NaN without a later one."""
    first, *later = [minute.latency.p99_ms for minute in minutes]
    return round(max(later) / first, 2) if later else float("nan")


async def measure(
    streams: int, low: int, minutes: int, settings: Settings, clip: Path, progress: Progress
) -> list[Minute]:
    """Run an analyzer on too many cameras, minute by minute."""
    clock, recorder = SystemClock(), Recorder()
    metrics, hub = Metrics(CollectorRegistry()), RecordingHub(clock, recorder)
    analyzer = Analyzer(
        wiring.pipeline(settings, clock, recorder),
        hub,
        metrics,
        clock,
        replace(settings.analyzer, max_streams=max(streams, settings.analyzer.max_streams)),
        settings.batching,
        seed=0,
        overload=settings.overload,
    )
    task = progress.add_task(f"{streams} streams", total=60 * minutes)
    found: list[Minute] = []
    with Cameras(clip, streams) as cameras:
        async with analyzer:
            for number, url in enumerate(cameras.urls):
                source = SourceSettings(SourceUrl.parse(url), transport=Transport.TCP)
                priority = Priority.LOW if number < low else Priority.NORMAL
                await analyzer.add(StreamSpec(f"camera-{number}", source, priority=priority))
            reading = asyncio.create_task(Reader(hub, clock).run())
            await clock.sleep(WARM_UP_S)
            recorder.open = True
            for number in range(1, minutes + 1):
                for seconds in recorder.found.values():
                    seconds.clear()  # of every stage, or the figures would be the memory that grows
                before, batches = Account.now(metrics, clock), analyzer.batching
                for _ in range(60):
                    await clock.sleep(1.0)
                    progress.advance(task)
                after, now = Account.now(metrics, clock), analyzer.batching
                sampled = round(after.sampled - before.sampled)
                dropped = dict(sorted((after.dropped - before.dropped).items()))
                processed = now.items - batches.items
                waiting = now.waiting - batches.waiting
                status = analyzer.statuses()[0]
                found.append(
                    Minute(
                        number,
                        Spread.of(recorder.found[END_TO_END]),
                        sampled,
                        dropped,
                        sampled - processed - sum(dropped.values()) - waiting,
                        status.overload.word,
                        round(analyzer.degradation.busy, 2),
                        _rss_mb(),
                    )
                )
            reading.cancel()
    return found


def _rss_mb() -> float:
    status = Path("/proc/self/status").read_text().splitlines()
    kib = next(line.split()[1] for line in status if line.startswith("VmRSS"))
    return round(int(kib) * 1024 / 1e6, 1)


def table(minutes: list[Minute]) -> Table:
    """Return the minutes for a terminal."""
    shown = Table("minute", "p50 / p95 / p99 ms", "sampled", "dropped", "level", "busy", "RSS MB")
    for one in minutes:
        spread = one.latency
        shown.add_row(
            str(one.number),
            f"{spread.p50_ms:.0f} / {spread.p95_ms:.0f} / {spread.p99_ms:.0f}",
            str(one.sampled),
            ", ".join(f"{count} {reason}" for reason, count in one.dropped.items()) or "0",
            one.rung,
            f"{one.busy:.0%}",
            f"{one.rss_mb:.0f}",
        )
    return shown


def main(
    out: Annotated[Path, typer.Option(help="Folder for the JSON.")] = RESULTS,
    *,
    streams: Annotated[int, typer.Option(min=1, help="Cameras; twice the capacity.")] = 16,
    low: Annotated[int, typer.Option(min=0, help="How many have low priority.")] = 0,
    minutes: Annotated[int, typer.Option(min=1, help="How long.")] = 10,
) -> None:
    """Give an analyzer more streams than it can hold, and watch what becomes of latency."""
    logs.configure("error", "console")
    settings = load(None, {}, None)
    if settings.model.threads is not None:
        torch.set_num_threads(settings.model.threads)
    where = hardware()
    with Progress() as progress, tempfile.TemporaryDirectory() as folder:
        clip = render(Path(folder) / "clip.mp4")
        found = asyncio.run(measure(streams, low, minutes, settings, clip, progress))
    document: dict[str, Any] = {
        "benchmark": "overload",
        "hardware": where.to_json(),
        "streams": streams,
        "low_priority": low,
        "worst_p99_over_first_minute": worst_ratio(found),
        "minutes": [asdict(one) for one in found],
    }
    path = out / f"overload-{where.commit.rstrip('+')}.json"
    write_result(document, path)
    console = Console()
    console.print(table(found))
    console.print(f"worst p99 over the first minute's: {worst_ratio(found)}")
    console.print(f"{path}", soft_wrap=True)


if __name__ == "__main__":
    typer.run(main)
