"""Memory, threads and descriptors of a server that works for minutes while things go wrong.

    python -m benchmarks.soak [--out DIR] [--minutes M] [--streams N] [--warm-up-s S]

A real `styleflow serve` process watches real RTSP cameras. One camera loses its power every minute
and has it back five seconds later. One subscriber reads everything; another subscribes, never
reads, and comes back whenever it has been cut off. Every five seconds the process is measured.

The verdict is on resident memory after the warm-up: the slope of a straight line through the means
of whole minutes, in MB per hour, with its standard error. Whole minutes, because the camera dies
once in each, and because samples that follow each other closely are not independent.
"""

from __future__ import annotations

import csv
import json
import math
import os
import re
import socket
import tempfile
import threading
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Annotated, Any, Self

import httpx
import numpy as np
import typer
import websockets.sync.client
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

from benchmarks.cameras import Cameras, render
from benchmarks.hardware import Hardware, hardware
from benchmarks.result import write_result
from cli.settings import load
from stream.clock import Clock, SystemClock
from stream.publish.schema import SUBPROTOCOL
from tests.support.server import Server

RESULTS = Path(__file__).parent / "results"
SAMPLE_EVERY_S = 5.0
KILL_EVERY_S = 60.0
DOWN_S = 5.0
MAX_HZ = 20.0
BLOCK_S = 60.0
"""Samples are averaged over so long before a line is drawn through them."""


@dataclass(frozen=True, slots=True)
class Sample:
    """The server's process at one moment.

    Attributes:
        at: seconds since the start.
        rss_mb: resident memory in units of 10^6 bytes.
        threads: of the process.
        descriptors: open files and sockets.
        cpu_s: used since the process began.
        streams_up: streams that are live.
        tracks: faces followed.
        slots: device slots in use.
        events_dropped: events that found the event loop's mailbox full.
        frames_overrun: sampled frames that gave way to newer ones because the server was late.
        frames_discarded: pictures without a place in time, and frames that failed.
        scores: published since the start.
        reconnects: connections lost.
        clients: WebSocket subscribers.
        cut: subscribers gone since the start.
        read: messages that the reading subscriber has got.
        killed: times that a camera lost its power.
    """

    at: float
    rss_mb: float
    threads: int
    descriptors: int
    cpu_s: float
    streams_up: int
    tracks: int
    slots: int
    events_dropped: int
    frames_overrun: int
    frames_discarded: int
    scores: int
    reconnects: int
    clients: int
    cut: int
    read: int
    killed: int


@dataclass(frozen=True, slots=True)
class Slope:
    """A straight line through resident memory after the warm-up.

    Attributes:
        mb_per_hour: its slope.
        error: standard error of the slope, from the scatter of the blocks about the line.
        blocks: how many means it goes through.
        first_mb: mean of the first block.
        last_mb: mean of the last.
        least_mb: the smallest single sample.
        most_mb: the largest.
    """

    mb_per_hour: float
    error: float
    blocks: int
    first_mb: float
    last_mb: float
    least_mb: float
    most_mb: float

    @property
    def verdict(self) -> str:
        """Say what the slope means, against its noise."""
        return "grows" if self.mb_per_hour > 2 * self.error else "does not grow"


def slope(samples: Sequence[Sample], warm_up_s: float) -> Slope | None:
    """Fit a line through the means of whole blocks; None with fewer than three."""
    blocks: dict[int, list[float]] = {}
    for one in samples:
        if one.at >= warm_up_s:
            blocks.setdefault(int((one.at - warm_up_s) / BLOCK_S), []).append(one.rss_mb)
    full = max((len(values) for values in blocks.values()), default=0)
    means = [float(np.mean(values)) for values in blocks.values() if len(values) >= full - 1]
    if len(means) < 3:
        return None
    hours = np.arange(len(means)) * BLOCK_S / 3600
    steepness, offset = np.polyfit(hours, means, 1)
    rest = np.asarray(means) - (steepness * hours + offset)
    scatter = math.sqrt(float(rest @ rest) / (len(means) - 2))
    error = scatter / math.sqrt(float(((hours - hours.mean()) ** 2).sum()))
    return Slope(
        round(float(steepness), 1),
        round(error, 1),
        len(means),
        round(means[0], 1),
        round(means[-1], 1),
        min(one.rss_mb for one in samples if one.at >= warm_up_s),
        max(one.rss_mb for one in samples if one.at >= warm_up_s),
    )


class Subscriber:
    """A WebSocket client in a thread of its own that reads, or only keeps its connection.

    Args:
        port: where the server listens.
        reads: whether it takes what it is sent.
    """

    def __init__(self, port: int, *, reads: bool) -> None:
        self.read = 0
        self._connection = connection = socket.create_connection(("127.0.0.1", port))
        # Small buffers: a reader that has stopped is felt in seconds rather than in hours.
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        self._stack = ExitStack()
        self._socket = self._stack.enter_context(
            websockets.sync.client.connect(
                f"ws://127.0.0.1:{port}/api/v1/scores",
                sock=connection,
                subprotocols=[Subprotocol(SUBPROTOCOL)],
                max_queue=None if reads else 1,
                compression=None,
                ping_interval=None,  # it is the server that notices who does not read
                close_timeout=1,
            )
        )
        self._socket.send(json.dumps({"type": "hello", "client": "soak"}))
        self._socket.send(
            json.dumps({"type": "subscribe", "id": "all", "streams": ["*"], "max_hz": MAX_HZ})
        )
        if reads:
            threading.Thread(target=self._run, daemon=True).start()

    def _run(self) -> None:
        with suppress(ConnectionClosed):
            for _ in self._socket:
                self.read += 1

    def close(self) -> None:
        """Leave without waiting for the other side."""
        with suppress(OSError):
            self._connection.shutdown(socket.SHUT_RDWR)
        self._stack.close()


class Watch:
    """Looks at the server and keeps the subscriber that never reads connected.

    Args:
        server: whose process it is.
        clock: where time comes from.
    """

    def __init__(self, server: Server, clock: Clock) -> None:
        self.samples: list[Sample] = []
        self.killed = 0
        self._server = server
        self._clock = clock
        self._begin = clock.monotonic()
        self._reader = Subscriber(server.port, reads=True)
        self._lazy = Subscriber(server.port, reads=False)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self._reader.close()
        self._lazy.close()

    @property
    def passed(self) -> float:
        """Seconds since the start."""
        return self._clock.monotonic() - self._begin

    def look(self) -> Sample:
        """Take one sample."""
        text = httpx.get(f"{self._server.url}/metrics", timeout=30).text
        health = httpx.get(f"{self._server.url}/readyz", timeout=30).json()
        sample = self._sample(text, health.get("details", health))
        self.samples.append(sample)
        if sample.clients < 2 and len(self.samples) > 1:  # before, nobody has been counted
            self._lazy.close()
            self._lazy = Subscriber(self._server.port, reads=False)
        return sample

    def _sample(self, text: str, health: dict[str, Any]) -> Sample:
        process = Path(f"/proc/{self._server.pid}")
        status = dict(
            line.split(":", 1) for line in (process / "status").read_text().splitlines() if line
        )
        overrun = total(text, "frames_dropped_total", 'reason="overrun"')
        times = (process / "stat").read_text().rpartition(")")[2].split()
        return Sample(
            at=round(self.passed, 1),
            rss_mb=round(int(status["VmRSS"].split()[0]) * 1024 / 1e6, 2),
            threads=int(status["Threads"]),
            descriptors=len(list((process / "fd").iterdir())),
            cpu_s=(int(times[11]) + int(times[12])) / os.sysconf("SC_CLK_TCK"),
            streams_up=total(text, "stream_up"),
            tracks=total(text, "tracks_active"),
            slots=total(text, "slots_used"),
            events_dropped=int(health["events_dropped"]),
            frames_overrun=overrun,
            frames_discarded=total(text, "frames_dropped_total") - overrun,
            scores=total(text, "scores_total"),
            reconnects=total(text, "reconnects_total"),
            clients=total(text, "ws_clients"),
            cut=total(text, "ws_disconnects_total"),
            read=self._reader.read,
            killed=self.killed,
        )


def total(text: str, name: str, label: str = "") -> int:
    """Return the sum of a metric over its labels, or over the series that carry one of them."""
    found = re.findall(rf"^styleflow_{name}({{.*}})? (\S+)$", text, re.MULTILINE)
    return round(sum(float(value) for labels, value in found if label in labels))


def soak(streams: int, seconds: float, warm_up_s: float) -> tuple[list[Sample], bool]:
    """Let a server work, and return what was seen and whether it was interrupted."""
    clock, pause = SystemClock(), threading.Event()
    columns = (TextColumn("{task.description}"), BarColumn(), TimeRemainingColumn())
    with (
        tempfile.TemporaryDirectory() as folder,
        Cameras(render(Path(folder) / "clip.mp4"), streams) as cameras,
        Server() as server,
        Watch(server, clock) as watch,
        Progress(*columns) as progress,
    ):
        for number, url in enumerate(cameras.urls):
            server.add(f"camera-{number}", url).raise_for_status()
        task = progress.add_task("starting", total=seconds)
        down_until, kill_at, look_at = math.inf, KILL_EVERY_S / 2, 0.0
        try:
            while watch.passed < seconds:
                if watch.passed >= kill_at:
                    cameras.kill(streams - 1)
                    watch.killed += 1
                    down_until, kill_at = watch.passed + DOWN_S, kill_at + KILL_EVERY_S
                if watch.passed >= down_until:
                    cameras.start(streams - 1)
                    down_until = math.inf
                if watch.passed >= look_at:
                    look_at += SAMPLE_EVERY_S
                    said = _describe(watch.look(), slope(watch.samples, warm_up_s))
                    progress.update(task, description=said, completed=watch.passed)
                pause.wait(max(0.0, min(look_at, kill_at, down_until, seconds) - watch.passed))
        except KeyboardInterrupt:
            return watch.samples, True
        return watch.samples, False


def _describe(sample: Sample, found: Slope | None) -> str:
    said = f"{sample.rss_mb:.0f} MB, {sample.threads} threads, {sample.descriptors} descriptors"
    if found is None:
        return said
    return f"{said}, {found.mb_per_hour:+.1f} ± {found.error:.1f} MB/h"


def chart(
    samples: Sequence[Sample], found: Slope | None, warm_up_s: float, where: Hardware, path: Path
) -> None:
    """Draw memory above threads and descriptors."""
    figure = Figure(figsize=(8, 5), layout="constrained")
    FigureCanvasAgg(figure)
    memory, counts = figure.subplots(2, 1, sharex=True, height_ratios=(2, 1))
    minutes = [one.at / 60 for one in samples]
    memory.plot(minutes, [one.rss_mb for one in samples], color="#2a7f62")
    memory.axvspan(0, warm_up_s / 60, color="#eeeeee", label="warm-up")
    memory.set_ylabel("resident memory, MB")
    memory.set_ylim(bottom=0)
    if found is not None:
        memory.set_title(
            f"{found.verdict}: {found.mb_per_hour:+.1f} ± {found.error:.1f} MB/h after the warm-up"
        )
    counts.plot(minutes, [one.threads for one in samples], label="threads", color="#3b6ea5")
    counts.plot(minutes, [one.descriptors for one in samples], label="descriptors", color="#b5542f")
    counts.plot(minutes, [one.slots for one in samples], label="slots", color="#6b4e9b")
    counts.set_ylim(bottom=0)
    counts.set_xlabel("minutes")
    for axes in (memory, counts):
        axes.legend(frameon=False, loc="lower right")
        axes.spines[["top", "right"]].set_visible(False)
    figure.text(0.5, -0.03, where.caption(), ha="center", fontsize=7, color="#555555")
    figure.savefig(path, dpi=120, bbox_inches="tight")


def write_csv(samples: Sequence[Sample], path: Path) -> None:
    """Write one line per sample."""
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, [field.name for field in fields(Sample)])
        writer.writeheader()
        writer.writerows(asdict(one) for one in samples)


def main(
    out: Annotated[
        Path, typer.Option(help="Folder for the CSV, the JSON and the chart.")
    ] = RESULTS,
    *,
    minutes: Annotated[float, typer.Option(min=0.2, help="How long.")] = 10.0,
    streams: Annotated[int, typer.Option(min=1, max=16, help="Cameras.")] = 2,
    warm_up_s: Annotated[float, typer.Option(min=0, help="Left out of the verdict.")] = 120.0,
) -> None:
    """Soak a server, and say whether its memory grows."""
    # Torch's threads are those of the server, which runs with the product's defaults.
    where = replace(hardware(), threads=load(None, {}).model.threads or 0)
    samples, interrupted = soak(streams, minutes * 60, warm_up_s)
    if not samples:
        raise SystemExit("interrupted before the first sample; nothing was written")
    found = slope(samples, warm_up_s)
    out.mkdir(parents=True, exist_ok=True)
    path = out / f"soak-{where.commit.rstrip('+')}.json"
    document = {
        "benchmark": "soak",
        "hardware": where.to_json(),
        "streams": streams,
        "minutes": round(samples[-1].at / 60, 1),
        "interrupted": interrupted,
        "warm_up_s": warm_up_s,
        "slope": asdict(found) if found else None,
        "verdict": found.verdict if found else "too short to say",
        "cpu_per_stream_second": round(samples[-1].cpu_s / samples[-1].at / streams, 3),
        "load_1m_at_end": round(os.getloadavg()[0], 2),
        "first": asdict(samples[0]),
        "last": asdict(samples[-1]),
        "most": {
            field.name: max(getattr(one, field.name) for one in samples) for field in fields(Sample)
        },
    }
    write_result(document, path)
    write_csv(samples, path.with_suffix(".csv"))
    chart(samples, found, warm_up_s, where, path.with_suffix(".png"))
    console = Console()
    console.print(f"{document['verdict']}: {_describe(samples[-1], found)}")
    console.print(f"{path}", soft_wrap=True)


if __name__ == "__main__":
    typer.run(main)
