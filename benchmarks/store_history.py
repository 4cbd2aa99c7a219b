"""History from a store of ten million rows: a day at one point per second, SQLite and PostgreSQL.

    python -m benchmarks.store_history [--rows N] [--streams N] [--out DIR]

Rows are written as the analyzer would, second after second with all streams and faces in between,
into databases in a temporary folder. Then days of different streams are read, so that no question
hits what another one has just brought into memory. Beside the read stand the time to make JSON of
it, the other resolutions, and what a stream and day need on disk.
"""

from __future__ import annotations

import gc
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table
from sqlalchemy import insert, text

from benchmarks.hardware import hardware
from benchmarks.result import write_result
from stream.store import history
from stream.store.database import Database, open_database
from stream.store.history import Span, StoredHistory
from stream.store.tables import models, streams
from tests.support.databases import Postgres
from web.history_formats import JSON, writer_of

RESULTS = Path(__file__).parent / "results"
TARGET_MS = 200.0
BEGAN = 1_767_225_600
DAY = 86_400
FACES = 1
CHUNK = 20_000
"""Seconds that are written in one statement."""

P = "((s.s * 7919 + x.n * 104729) % 1000) / 1000.0"
FILL = f"""
INSERT INTO score_seconds
  (stream, second, track, model, epoch, count, p_min, p_mean, p_max, lo, hi, state)
SELECT x.n, s.s, f.n, 1, 1, 4, {P} * 0.9, {P}, {P} * 1.1, {P} * 0.8, {P} * 1.2, 2
FROM ({{seconds}}) s CROSS JOIN ({{streams}}) x CROSS JOIN ({{faces}}) f
ORDER BY s.s, x.n, f.n
"""


@dataclass(frozen=True, slots=True)
class Read:
    """Reads of one resolution.

    Attributes:
        database: which one.
        resolution: seconds of a step.
        span_s: how long a stretch.
        points: of one answer.
        p50_ms: median of reading.
        worst_ms: slowest read.
        cpu_ms: median of the CPU time of it in this process.
        json_ms: median of making JSON of it.
    """

    database: str
    resolution: int
    span_s: int
    points: int
    p50_ms: float
    worst_ms: float
    cpu_ms: float
    json_ms: float


def _numbers(count: int) -> str:
    return " UNION ALL ".join(f"SELECT {n} AS n" for n in range(1, count + 1))


def fill(database: Database, rows: int, cameras: int, tell: Callable[[str], None]) -> int:
    """Write rows as they come while all cameras run; return how many seconds they are of."""
    with database.writing() as connection:
        numbers = range(1, cameras + 1)
        wanted = [{"number": n, "id": f"cam-{n}", "wanted": False, "changed": 0} for n in numbers]
        connection.execute(insert(streams), wanted)
        connection.execute(
            insert(models).values(
                number=1, name="styleflow-live", version="1", mode="causal", status="trained",
                sha256="",
            )
        )  # fmt: skip
    lasts = rows // (cameras * FACES)
    kind = database.engine.dialect.name
    seconds = (
        "WITH RECURSIVE n(s) AS (SELECT :first UNION ALL SELECT s + 1 FROM n WHERE s + 1 < :last) "
        "SELECT s FROM n"
        if kind == "sqlite"
        else "SELECT generate_series(CAST(:first AS bigint), CAST(:last AS bigint) - 1) AS s"
    )
    statement = text(FILL.format(seconds=seconds, streams=_numbers(cameras), faces=_numbers(FACES)))
    for first in range(0, lasts, CHUNK):
        last = min(first + CHUNK, lasts)
        with database.writing() as connection:
            connection.execute(statement, {"first": BEGAN + first, "last": BEGAN + last})
        tell(f"{kind}: {last * cameras * FACES:,} rows")
    if kind == "postgresql":  # what autovacuum does by itself, some minutes later
        with database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as c:
            c.execute(text("VACUUM ANALYZE score_seconds"))
    return lasts


def measure(database: Database, lasts: int, cameras: int, span_s: int, resolution: int) -> Read:
    """Read stretches of all cameras, each once, and return what that took."""
    took, busy, made, points = [], [], [], 0
    write = writer_of(JSON)
    for camera in range(1, cameras + 1):
        offset = (camera * 37_813) % max(lasts - span_s, 1)
        begin = BEGAN + offset
        span = Span(begin * 1_000_000, (begin + span_s) * 1_000_000)
        began, cpu = time.perf_counter(), time.thread_time()
        found = _read(database, f"cam-{camera}", span, resolution)
        read_s = time.perf_counter()
        busy.append(time.thread_time() - cpu)
        write(found, 0.0)
        made.append(time.perf_counter() - read_s)
        took.append(read_s - began)
        points = max(points, len(found.scores.t))
    return Read(
        database.engine.dialect.name,
        resolution,
        span_s,
        points,
        statistics.median(took) * 1e3,
        max(took) * 1e3,
        statistics.median(busy) * 1e3,
        statistics.median(made) * 1e3,
    )


def _read(database: Database, stream: str, span: Span, resolution: int) -> StoredHistory:
    with database.reading() as connection:
        return history.read(connection, stream, span, resolution, max_events=512)


@contextmanager
def sqlite(folder: Path) -> Iterator[Database]:
    """Give a database in a file."""
    database = open_database(f"sqlite:///{folder / 'store.db'}", folder)
    yield database
    database.close()


@contextmanager
def postgresql(folder: Path) -> Iterator[Database]:
    """Give a database of a server that runs for it."""
    with Postgres() as server:
        database = open_database(server.empty(), folder)
        yield database
        database.close()


def main(
    rows: Annotated[int, typer.Option(min=100_000, max=50_000_000)] = 10_000_000,
    cameras: Annotated[int, typer.Option("--streams", min=1, max=256)] = 16,
    out: Annotated[Path, typer.Option(help="Folder of the result.")] = RESULTS,
) -> None:
    """Fill both databases, read days of them, and compare with the target."""
    console = Console(stderr=True)
    gc.collect()
    gc.freeze()  # as `styleflow serve` does
    reads: list[Read] = []
    sizes: dict[str, float] = {}
    for opened in (sqlite, postgresql):
        with tempfile.TemporaryDirectory(prefix="styleflow-history-") as folder:
            with opened(Path(folder)) as database:
                lasts = fill(database, rows, cameras, console.print)
                kind = database.engine.dialect.name
                sizes[kind] = database.size() / (lasts * cameras) * DAY
                spans = ((DAY, 1), (DAY, 60), (min(7 * DAY, lasts), 600))
                reads += [measure(database, lasts, cameras, *span) for span in spans]
    _print(console, reads, sizes)
    mine = hardware()
    document: dict[str, Any] = {
        "hardware": mine.to_json(),
        "rows": rows,
        "streams": cameras,
        "faces": FACES,
        "bytes_per_stream_and_day": sizes,
        "target_ms": TARGET_MS,
        "reads": [asdict(read) for read in reads],
    }
    write_result(document, out / f"store-history-{mine.commit.rstrip('+')}.json")
    days = [read for read in reads if read.span_s == DAY and read.resolution == 1]
    raise typer.Exit(any(read.p50_ms > TARGET_MS for read in days))


def _print(console: Console, reads: list[Read], sizes: dict[str, float]) -> None:
    table = Table("database", "span", "resolution", "points", "read p50", "worst", "CPU", "JSON")
    for read in reads:
        table.add_row(
            read.database,
            f"{read.span_s / DAY:.1f} d",
            f"{read.resolution} s",
            f"{read.points:,}",
            f"{read.p50_ms:.0f} ms",
            f"{read.worst_ms:.0f} ms",
            f"{read.cpu_ms:.0f} ms",
            f"{read.json_ms:.0f} ms",
        )
    console.print(table)
    for kind, size in sizes.items():
        console.print(f"{kind}: {size / 2**20:.1f} MiB a stream and day, {FACES} face")


if __name__ == "__main__":
    typer.run(main)
