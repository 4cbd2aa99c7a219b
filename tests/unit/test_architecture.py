"""The structure of the code is what the documents say it is: read from our own sources."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("styleflow", "stream", "web", "cli")

MODULES = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path
    for package in PACKAGES
    for path in sorted((ROOT / package).rglob("*.py"))
}
TREES = {name: ast.parse(path.read_text(encoding="utf-8")) for name, path in MODULES.items()}


def imports(name: str) -> set[str]:
    """Return every module that a module imports, by its full name."""
    found: set[str] = set()
    for node in ast.walk(TREES[name]):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{name} imports relatively"
            assert node.module is not None
            found.add(node.module)
            found |= {
                full for alias in node.names if (full := f"{node.module}.{alias.name}") in MODULES
            }
    return found


def names(name: str) -> Iterator[str]:
    """Yield every dotted name that a module reads, such as `threading.Thread`."""
    for node in ast.walk(TREES[name]):
        if isinstance(node, ast.Attribute):
            yield ast.unparse(node)
        elif isinstance(node, ast.Name):
            yield node.id


def within(name: str, *prefixes: str) -> bool:
    """Say whether a module is one of these or lies below one of them."""
    return any(name == prefix or name.startswith(prefix + ".") for prefix in prefixes)


def offenders(among: tuple[str, ...], banned: tuple[str, ...], allowed: tuple[str, ...] = ()):
    """Return `importer -> imported` for every forbidden import."""
    return [
        f"{name} -> {target}"
        for name in MODULES
        if within(name, *among) and not within(name, *allowed)
        for target in sorted(imports(name))
        if within(target, *banned)
    ]


@pytest.mark.parametrize(
    ("package", "above"),
    [("styleflow", ("stream", "web", "cli")), ("stream", ("web", "cli")), ("web", ("cli",))],
)
def test_packages_import_one_way(package: str, above: tuple[str, ...]) -> None:
    """Imports run styleflow <- stream <- web <- cli and never back."""
    assert offenders((package,), above) == []


STYLEFLOW_LAYERS = (
    ("errors", "clips", "card", "calibration", "ensemble", "overlay", "runtime", "summary"),
    ("detector", "faces", "models", "checkpoint", "importing", "published"),
    ("data",),
    ("training", "evaluation"),
)


@pytest.mark.parametrize("level", range(len(STYLEFLOW_LAYERS) - 1))
def test_styleflow_layers(level: int) -> None:
    """Inside styleflow: errors, clips <- faces, models <- data <- training, evaluation."""
    below = tuple(f"styleflow.{part}" for part in STYLEFLOW_LAYERS[level])
    above = tuple(f"styleflow.{part}" for layer in STYLEFLOW_LAYERS[level + 1 :] for part in layer)
    assert offenders(below, above) == []


MIDDLE = ("perception", "engine", "device", "ingest", "publish")
BASE = ("clock", "events", "mailbox", "errors", "problems", "streams", "analysis", "calls")
TOP = ("batcher", "files", "pipeline", "replay", "supervisor", "switchboard", "telemetry")


@pytest.mark.parametrize("part", MIDDLE)
def test_the_five_middle_parts_of_stream_are_strangers(part: str) -> None:
    """They meet only in the types of `events`; the device may read the engine's plans."""
    others = tuple(f"stream.{other}" for other in MIDDLE if other != part)
    found = offenders((f"stream.{part}",), others)
    if part == "device":
        found = [line for line in found if not line.endswith(("engine.plan", "-> stream.engine"))]
    assert found == []


def test_the_middle_of_stream_knows_nothing_of_its_top() -> None:
    """Whoever runs the parts imports them, not the other way round."""
    middle = tuple(f"stream.{part}" for part in (*MIDDLE, *BASE))
    assert offenders(middle, tuple(f"stream.{part}" for part in TOP)) == []


def test_nobody_imports_the_command_line() -> None:
    """The composition root sees everything and is seen by nobody."""
    assert offenders(("styleflow", "stream", "web"), ("cli",)) == []


def test_the_engine_is_pure() -> None:
    """The engine decides; it has no torch, pictures, media, sockets, threads or time of its own."""
    banned = ("torch", "cv2", "av", "asyncio", "time", "datetime", "threading", "os", "random")
    assert offenders(("stream.engine", "stream.batcher"), banned) == []


def test_torch_in_stream_lives_in_the_device() -> None:
    """One place for the accelerator."""
    assert offenders(("stream", "web"), ("torch",), allowed=("stream.device",)) == []


def test_media_libraries_live_in_ingest() -> None:
    """PyAV is spoken in ingest and nowhere else in `stream`; `styleflow publish` is a peer."""
    allowed = ("stream.ingest", "cli.publish")
    assert offenders(("stream", "web", "cli"), ("av", "aiortc"), allowed=allowed) == []


def test_aiortc_has_one_place() -> None:
    """What depends on a release of aiortc is one module's business."""
    allowed = ("stream.ingest.webrtc", "cli.publish")
    assert offenders(("stream", "web", "cli"), ("aiortc", "aioice"), allowed=allowed) == []


STARTS = (
    "threading.Thread",
    "Thread",
    "asyncio.create_task",
    "asyncio.ensure_future",
    "asyncio.TaskGroup",
    "asyncio.to_thread",
    "ThreadPoolExecutor",
    "ProcessPoolExecutor",
    "multiprocessing.Process",
)
MAY_START = {
    "stream.supervisor": "runs the analyzer",
    "stream.files": "one worker thread at a time, for files beside live streams",
    "web.sockets": "one task group per client connection, ended with it",
    "web.predict": "one worker thread at a time behind a bounded queue",
    "styleflow.data.parallel": "processes that prepare videos, for as long as a command runs",
    "cli": "asyncio.run and the server are started at the root",
}


def test_concurrency_has_one_place() -> None:
    """Threads and tasks are started by the supervisor, and by few named others."""
    found = [
        f"{name}: {used}"
        for name in MODULES
        if not within(name, *MAY_START)
        for used in names(name)
        if used in STARTS
    ]
    assert found == []


@pytest.mark.parametrize(
    "banned", ["time.time", "time.monotonic", "time.perf_counter", "time.sleep", "datetime.now"]
)
def test_time_has_one_place(banned: str) -> None:
    """Only stream.clock reads a clock."""
    assert [n for n in MODULES if n != "stream.clock" and banned in set(names(n))] == []


def test_the_environment_is_read_in_one_place() -> None:
    """Configuration comes from cli.settings; the model cache's folder is the one exception."""
    allowed = ("cli.settings", "styleflow.published")
    found = [
        name
        for name in MODULES
        if not within(name, *allowed) and {"os.environ", "os.getenv", "environ"} & set(names(name))
    ]
    assert found == []


def test_prints_are_the_command_lines() -> None:
    """Libraries log; only cli talks to a terminal."""
    found = [
        name
        for name in MODULES
        if not within(name, "cli")
        for node in ast.walk(TREES[name])
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "print"
    ]
    assert found == []


def test_metric_names_have_one_place() -> None:
    """Prometheus is spoken in stream.metrics; web only renders the registry."""
    assert offenders(("stream",), ("prometheus_client",), allowed=("stream.metrics",)) == []


def test_secrets_are_revealed_only_where_a_source_is_opened() -> None:
    """SourceUrl.reveal is called by the modules that open sources and by nobody else."""
    allowed = ("stream.ingest",)
    found = [
        name
        for name in MODULES
        if not within(name, *allowed)
        for used in names(name)
        if used.endswith(".reveal")
    ]
    assert found == []
