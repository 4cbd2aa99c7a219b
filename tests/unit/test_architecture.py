"""The structure of the code is what the documents say it is: read from our own sources."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from graphlib import TopologicalSorter
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


@cache
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


def room(name: str) -> str:
    """Return the room that a module lies in: a folder, or a module beside the folders."""
    return ".".join(name.split(".")[:2])


ARROWS = {
    # values and the machine
    "styleflow.errors": "",
    "styleflow.digest": "",
    "styleflow.cards": "",
    "styleflow.measured": "",
    "styleflow.clips": "",
    "styleflow.calibration": "",
    "styleflow.decisions": "errors",
    "styleflow.overlay": "",
    "styleflow.analysis": "cards",
    "styleflow.sampling": "",
    "styleflow.video_tracks": "",
    "styleflow.ensemble": "calibration cards errors",
    "styleflow.runtime_settings": "",
    "styleflow.openvino_core": "",
    "styleflow.eight_bits": "errors openvino_core",
    "styleflow.lanes": "",
    "styleflow.graph_pool": "",
    "styleflow.graphs": "errors graph_pool lanes",
    "styleflow.runtime": "eight_bits errors graphs openvino_core runtime_settings",
    # networks and their weights
    "styleflow.faces": "clips errors overlay runtime runtime_settings",
    "styleflow.detectors": "calibration cards clips digest eight_bits errors lanes overlay runtime",
    "styleflow.pictures": "faces lanes",
    "styleflow.weights": "calibration cards detectors digest errors faces runtime runtime_settings",
    # what is learned from, learning, and how well it went
    "styleflow.data": "errors faces pictures sampling video_tracks",
    "styleflow.evaluation": "data decisions detectors errors faces sampling",
    "styleflow.training": "calibration cards clips data detectors digest errors evaluation faces "
    "runtime runtime_settings sampling weights",
    # what is public; it finds the live path by its name, see below
    "styleflow.api": "analysis detectors runtime runtime_settings weights",
    # a program's way to a running analyzer: it knows the wire, and nothing of what is behind it
    "styleflow.client": "errors",
    # values that every room of stream may read
    "stream.clock": "",
    "stream.canary": "",
    "stream.incident": "",
    "stream.compliance": "",
    "stream.baseline_mark": "",
    "stream.events": "baseline_mark compliance incident",
    "stream.errors": "events",
    "stream.problems": "errors events",
    "stream.faults": "",
    "stream.stream_state": "events",
    "stream.event_log": "canary clock events scheduling",
    "stream.outbound": "",
    # rooms that do not know one another
    "stream.perception": "errors events",
    "stream.engine": "baseline_mark errors events",
    "stream.device": "engine errors",  # the engine's plans
    "stream.ingest": "clock errors events",
    "stream.publish": "baseline_mark canary clock compliance errors event_log events incident "
    "problems stream_state",
    "stream.scheduling": "errors events",
    "stream.explain": "errors events",
    "stream.store": "clock errors event_log events ingest publish scheduling",
    "stream.baseline": "baseline_mark clock errors event_log events publish store",
    "stream.evidence": "clock errors event_log events explain incident ingest publish store",
    "stream.incidents": "clock errors event_log events incident problems publish store",
    "stream.challenge": "clock compliance errors event_log events publish store",
    "stream.drift": "clock event_log events problems store",
    "stream.alerts": "clock errors event_log events incident outbound problems publish store",
    "stream.cluster": "alerts analyzer baseline canaries canary clock compliance drift engine "
    "errors event_log events evidence explain incident incidents monitoring publish store "
    "stream_state webrtc",
    "stream.second_look": "clock device engine errors events",
    "stream.batch": "device engine events explain perception scheduling",
    "stream.pipeline": "batch clock device engine errors events explain perception scheduling "
    "second_look",
    "stream.offline": "clock device engine errors event_log events incident incidents ingest "
    "perception pipeline scheduling",
    "stream.webrtc": "canary clock errors events ingest publish",
    "stream.canaries": "canary clock errors event_log events ingest webrtc",
    "stream.monitoring": "alerts canaries challenge compliance device drift event_log events "
    "evidence explain incidents ingest publish scheduling second_look webrtc",
    "stream.analyzer": "batch canary challenge clock device engine errors event_log events "
    "explain ingest monitoring offline pipeline problems publish scheduling second_look store "
    "stream_state webrtc",
    # HTTP and WebSockets
    "web.errors": "",
    "web.transport": "connection_limits waiting_room",
    "web.connection_limits": "settings waiting_room",
    "web.waiting_room": "",
    "web.root_path": "",
    "web.exposition": "",
    "web.head": "",
    "web.connection_figures": "connection_limits waiting_room",
    "web.problem_responses": "errors",
    "web.security": "errors problem_responses",
    "web.services": "",
    "web.settings": "root_path security",
    "web.store_reads": "errors",
    "web.past_queries": "errors",
    "web.stored_past": "store_reads",
    "web.history_formats": "errors",
    "web.sockets": "security services settings waiting_room",
    "web.routes": "errors exposition history_formats past_queries problem_responses root_path "
    "security services settings sockets store_reads waiting_room",
    "web.dashboard": "problem_responses routes",
    "web.app": "head problem_responses root_path routes security services settings store_reads "
    "stored_past waiting_room",
}
"""Which rooms of its own package a room may import. Every arrow is used, or the table is wrong."""

ROOMED = ("styleflow", "stream", "web")
"""Packages that have rooms; the modules of the command line are one room."""

BELOW = {
    "styleflow": (),
    "stream": ("styleflow",),
    "web": ("styleflow", "stream"),
    "cli": ("styleflow", "stream", "web"),
}
"""Which packages a package may import."""


@cache
def targets(name: str) -> set[str]:
    """Return the modules of this project that a module imports directly."""
    return {target for target in imports(name) if target in MODULES and target not in PACKAGES}


def reachable(name: str) -> set[str]:
    """Return every module of this project that is loaded when one module is."""
    found: set[str] = set()
    waiting = [name]
    while waiting:
        for target in targets(waiting.pop()) - found:
            found.add(target)
            waiting.append(target)
    return found


@pytest.mark.parametrize("package", PACKAGES)
def test_packages_import_one_way(package: str) -> None:
    """Imports run styleflow <- stream <- web <- cli and never back."""
    above = tuple(p for p in PACKAGES if p != package and p not in BELOW[package])
    assert offenders((package,), above) == []


def test_one_module_finds_the_live_path_by_its_name() -> None:
    """`styleflow.analyze` runs the live path, which lies above: one string, in one module."""
    above = re.compile(r"(stream|web|cli)(\.\w+)+(:\w+)?")
    found = {
        (name, node.value)
        for name in MODULES
        if within(name, "styleflow")
        for node in ast.walk(TREES[name])
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
        if above.fullmatch(node.value)
    }
    assert found == {("styleflow.api", "stream.offline.library:analyze")}


def test_every_room_has_its_arrows() -> None:
    """Rooms import what the table says: no more, and no less."""
    drawn = {
        (name, f"{name.split('.')[0]}.{target}")
        for name, targets in ARROWS.items()
        for target in targets.split()
    }
    found = {
        (room(name), room(target))
        for name in MODULES
        for target in targets(name)
        if name.split(".")[0] in ROOMED and name.count(".")
        if target.startswith(name.split(".")[0] + ".") and room(target) != room(name)
    }
    assert found - drawn == set(), "imports without an arrow"
    assert drawn - found == set(), "arrows that nothing uses"


def test_every_folder_and_module_is_a_room_of_the_table() -> None:
    """No room is built beside the table."""
    rooms = {room(name) for name in MODULES if name.split(".")[0] in ROOMED and "." in name}
    assert rooms == set(ARROWS)


def test_no_module_reaches_itself() -> None:
    """There is no circle of imports, at any depth."""
    assert [name for name in MODULES if name in reachable(name)] == []


def test_rooms_form_no_circle() -> None:
    """Rooms can be read one after the other: none needs itself by way of others."""
    graph = {
        name: [f"{name.split('.')[0]}.{target}" for target in targets.split()]
        for name, targets in ARROWS.items()
    }
    assert set(TopologicalSorter(graph).static_order()) == set(ARROWS)


def test_live_video_needs_no_training() -> None:
    """What is learned from is not loaded by what watches."""
    banned = ("styleflow.training", "styleflow.data", "styleflow.evaluation")
    found = [
        f"{name} -> ... -> {target}"
        for name in MODULES
        if within(name, "stream.analyzer", "stream.pipeline", "web.sockets")
        for target in sorted(reachable(name))
        if within(target, *banned)
    ]
    assert found == []


def test_nobody_imports_the_command_line() -> None:
    """The composition root sees everything and is seen by nobody."""
    assert offenders(("styleflow", "stream", "web"), ("cli",)) == []


def test_the_engine_is_pure() -> None:
    """The engine decides; it has no torch, pictures, media, sockets, threads or time of its own."""
    banned = ("torch", "cv2", "av", "asyncio", "time", "datetime", "threading", "os", "random")
    assert offenders(("stream.engine", "stream.scheduling.batcher"), banned) == []


def test_torch_in_stream_lives_in_the_device() -> None:
    """One place for the accelerator."""
    assert offenders(("stream", "web"), ("torch",), allowed=("stream.device",)) == []


def test_media_libraries_live_in_ingest() -> None:
    """PyAV is spoken in ingest and where clips are written; `publish` is a peer, `doctor` asks."""
    allowed = (
        "stream.ingest",
        "stream.evidence.clip",
        "stream.webrtc.peer",
        "stream.webrtc.outgoing",
        "stream.webrtc.aiortc_compat",
        "cli.publish",
        "cli.doctor_checks",
    )
    assert offenders(("stream", "web", "cli"), ("av", "aiortc"), allowed=allowed) == []


def test_aiortc_has_one_place() -> None:
    """aiortc is spoken by few modules: calls in, calls out, and what else is needed of it."""
    allowed = (
        "stream.webrtc.peer",
        "stream.webrtc.outgoing",
        "stream.webrtc.aiortc_compat",
        "cli.publish",
    )
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
    "stream.analyzer": "runs the analyzer: threads.py starts its threads",
    "stream.webrtc.outgoing": "reads or draws one picture at a time in a worker thread",
    "stream.alerts": "one task per channel, so that a dead one delays only itself",
    "stream.cluster.director": "a task per question to a worker and per order, each with an end",
    "stream.offline.files": "one worker thread at a time, for files beside live streams",
    "stream.baseline.service": "reads and writes a small file in a worker thread",
    "stream.evidence.recorder": "writes one video at a time in a worker thread",
    "stream.evidence.files": "reads a row and looks for a file in a worker thread",
    "stream.evidence.explained": "writes one still at a time in a worker thread",
    "stream.drift.watch": "reads a stream's last eight days in a worker thread",
    "stream.incidents.service": "reads earlier incidents in a worker thread",
    "stream.cluster": "one task per worker, question and order; each ends with whoever began it",
    "web.sockets": "one task group per client connection, ended with it",
    "web.exposition": "reads the metrics of workers in a worker thread",
    "web.store_reads": "a few worker threads at a time, for what requests read of the store",
    "web.routes.predict": "one worker thread at a time behind a bounded queue",
    "styleflow.openvino_core": "one thread that loads it, and has ended before its caller goes on",
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
    """Configuration comes from cli.settings, but for the model cache's folder and Ray's own."""
    allowed = ("cli.settings", "styleflow.weights.places", "stream.cluster.ray_cluster")
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
    """Prometheus is spoken in stream.monitoring.metrics; web only renders the registry."""
    assert (
        offenders(("stream",), ("prometheus_client",), allowed=("stream.monitoring.metrics",)) == []
    )


def test_secrets_are_revealed_only_where_a_source_is_opened_or_encrypted() -> None:
    """SourceUrl.reveal is called by what opens sources, by what encrypts them, and nowhere else."""
    allowed = ("stream.ingest", "stream.webrtc.picture_queue", "stream.store.desired")
    found = [
        name
        for name in MODULES
        if not within(name, *allowed)
        for used in names(name)
        if used.endswith(".reveal")
    ]
    assert found == []


FOREIGN = {
    "stream.webrtc.aiortc_compat": "aiortc tells neither of losses nor of waiting packets",
    "web.transport": "uvicorn's events have their types in a private module",
    "tests.parity.test_caddm_model": "the authors' EfficientNet names its blocks so",
    "tests.support.calls": "a peer that vanishes closes aioice's sockets without a word",
    "tests.support.jobs": "os._exit is how a process dies without cleaning up",
}
"""Modules that need private names of a library that is not ours, each with its reason."""

READERS = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts): path
    for package in (*PACKAGES, "benchmarks", "tests")
    for path in sorted((ROOT / package).rglob("*.py"))
}
REACHING = ("getattr", "setattr", "monkeypatch.setattr", "monkeypatch.delattr")


def is_private(name: str) -> bool:
    """Say whether a name is meant for its own module only."""
    return name.startswith("_") and not name.startswith("__")


def defined(tree: ast.Module) -> set[str]:
    """Return every name that a module gives to something of its own."""
    found: set[str] = set()
    for node in ast.walk(tree):
        match node:
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
                found.add(name)
            case ast.ClassDef(name=name) | ast.Name(id=name, ctx=ast.Store()):
                found.add(name)
            case ast.Attribute(value=ast.Name(id="self" | "cls"), attr=name, ctx=ast.Store()):
                found.add(name)
            case ast.Assign(targets=[ast.Name(id="__slots__")], value=value):
                found |= {each.value for each in ast.walk(value) if isinstance(each, ast.Constant)}
    return found


def reached(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Yield the private names that a module reads of others, with the line of each."""
    own = defined(tree)
    for node in ast.walk(tree):
        match node:
            case ast.Attribute(value=ast.Name(id="self" | "cls")):
                continue
            case ast.Attribute(value=ast.Call(func=ast.Name(id="super"))):
                continue
            case ast.Attribute(attr=name) if is_private(name) and name not in own:
                yield node.lineno, ast.unparse(node)
            case ast.ImportFrom(module=str(module), names=names):
                parts = [*module.split("."), *(alias.name for alias in names)]
                yield from ((node.lineno, f"{module}: {p}") for p in parts if is_private(p))
            case ast.Call(func=func, args=args) if ast.unparse(func) in REACHING:
                words = [str(a.value) for a in args[:2] if isinstance(a, ast.Constant)]
                last = words[0].rsplit(".", 1)[-1] if words else ""
                if is_private(last) and last not in own:
                    yield node.lineno, ast.unparse(node)


def test_no_module_reaches_into_another_s_private_names() -> None:
    """What others need is public; tests and benchmarks are others, too."""
    found = {
        name: [f"{path.relative_to(ROOT)}:{line}: {what}" for line, what in reached(tree)]
        for name, path in READERS.items()
        for tree in [ast.parse(path.read_text(encoding="utf-8"))]
    }
    assert [one for name, reaches in found.items() if name not in FOREIGN for one in reaches] == []
    assert [name for name in FOREIGN if not found.get(name)] == [], "these need nothing any more"


@pytest.mark.parametrize(
    "source",
    [
        "import hub\nhub.subscription._join(1)",
        "from stream.pipeline import _Look",
        "from stream._inside import Look",
        "import train\ndef test(monkeypatch):\n    monkeypatch.setattr(train, '_check', None)",
        "def test(monkeypatch):\n    monkeypatch.setattr('cli.train._check', None)",
        "other._streams = {}",
    ],
)
def test_reaching_into_private_names_is_seen(source: str) -> None:
    assert list(reached(ast.parse(source)))


@pytest.mark.parametrize(
    "source",
    [
        "class A:\n    def f(self, other):\n        self._x = 1\n        return other._x",
        "class B(A):\n    def f(self):\n        return super()._f() + self._g()",
        "print(a.__name__, a.__dict__)",
        "from __future__ import annotations",
    ],
)
def test_a_module_may_read_its_own_private_names(source: str) -> None:
    assert list(reached(ast.parse(source))) == []
