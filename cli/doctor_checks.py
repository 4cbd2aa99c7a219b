"""Checks of `styleflow doctor`: libraries, models, the machine, the port and the store.

None changes anything: no folder is made, no table is touched, nothing is downloaded.
"""

from __future__ import annotations

import asyncio
import ctypes
import os
import platform
import shutil
import socket
import sys
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path

import httpx
from platformdirs import user_data_path

from cli.finding import Check, Finding, State
from cli.incidents import evidence_folder
from cli.settings import ConfigInvalid, Settings
from cli.validation import validate
from stream.clock import Clock, SystemClock
from stream.problems import Problem
from stream.store.database import HEAD, REVISIONS, connect, revision
from styleflow.errors import StyleFlowError
from styleflow.weights.places import cache_dir
from web.routes.pages import is_built

GIB = 2**30
LITTLE_ROOM = 2 * GIB
"""Free bytes below which a folder is worth a note; evidence and scores fill it in days."""

NO_ROOM = 100 * 2**20
"""Free bytes below which nothing more is kept."""

CODECS = {
    "h264": "H.264, of most cameras",
    "vp8": "VP8, of calls",
    "hevc": "H.265, of some cameras",
    "vp9": "VP9, of calls",
    "av1": "AV1, of calls",
}
NEEDED = ("h264", "vp8")
WHEEL = "install PyAV's own wheel: pip install --force-reinstall av"

STEADY_S = 0.05
"""How long both clocks are compared."""

DRIFT_S = 0.02
"""By how much they may differ in that time."""

PROGRAMS = {
    "node": "builds the page",
    "pg_dump": "backs up a PostgreSQL store",
    "chromium": "tests calls",
    "nginx": "tests the page behind a proxy",
}
PACKAGES = {
    "psycopg": "postgres",
    "pyarrow": "parquet",
    "apprise": "notify",
    "huggingface_hub": "hub",
}
"""Optional packages, and the extra that brings each."""


def python(_: Settings) -> Iterator[Finding]:
    """Say which Python, and on what."""
    found = f"{platform.python_version()}, {platform.system()} {platform.machine()}"
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    ours = version("styleflow-live")
    yield Finding("python", State.FINE, f"{found}, {cores} cores; styleflow-live {ours}")


def torch(settings: Settings) -> Iterator[Finding]:
    """Say which build of torch, with how many threads, and whether a GPU is there and wanted."""
    import torch as library

    cuda = library.version.cuda
    build = f"CUDA {cuda}" if cuda else "CPU"
    threads = library.get_num_threads()
    found = f"{library.__version__}, build for {build}, {threads} threads"
    yield Finding("torch", State.FINE, f"{found}; OpenVINO {_version('openvino')}")
    wanted = settings.model.device
    if library.cuda.is_available():
        names = [
            library.cuda.get_device_name(index) for index in range(library.cuda.device_count())
        ]
        todo = "" if wanted != "cpu" else "set model.device: cuda to use it"
        yield Finding("gpu", State.FINE, f"{', '.join(names)}; model.device is {wanted}", todo)
    elif wanted != "cpu":
        yield Finding("gpu", State.WRONG, f"none, but model.device is {wanted}", "say cpu")
    elif cuda:
        todo = "check the driver with nvidia-smi, or install the smaller CPU build of torch"
        yield Finding("gpu", State.NOTE, "none is seen by this CUDA build; the CPU is used", todo)
    else:
        yield Finding("gpu", State.FINE, "none; the CPU is used")


def decoder(settings: Settings) -> Iterator[Finding]:
    """Say whether a GPU decodes video here, and if not, why and whether that is wanted."""
    from styleflow.pictures.hardware import why_not

    model = settings.model
    reason = why_not(model.device if model.device.startswith("cuda") else "cuda")
    if not model.device.startswith("cuda"):
        there = "a GPU could, with model.device: cuda" if reason is None else f"no NVDEC: {reason}"
        yield Finding("decoder", State.FINE, f"the processor decodes video; {there}")
    elif model.decoding == "cpu":
        yield Finding("decoder", State.FINE, "the processor decodes video, as model.decoding says")
    elif reason is None:
        yield Finding("decoder", State.FINE, f"NVDEC of {model.device}; the processor for the rest")
    else:
        found = f"no NVDEC: {reason}; the processor decodes every stream"
        todo = "see that the driver's libnvcuvid is there (in a container: the video capability)"
        yield Finding("decoder", State.NOTE, found, todo)


def codecs(_: Settings) -> Iterator[Finding]:
    """Say which decoders PyAV has."""
    import av

    ffmpeg = getattr(av, "ffmpeg_version_info", "") or "unknown"
    there = [name for name in CODECS if _decodes(name)]
    absent = [name for name in CODECS if name not in there]
    found = f"PyAV {av.__version__}, FFmpeg {ffmpeg}: {', '.join(there) or 'no decoder'}"
    if not absent:
        yield Finding("codecs", State.FINE, found)
        return
    state = State.WRONG if set(absent) & set(NEEDED) else State.NOTE
    missing = "; ".join(f"no {name} ({CODECS[name]})" for name in absent)
    yield Finding("codecs", state, f"{found}; {missing}", WHEEL)


def _decodes(name: str) -> bool:
    from av.codec import Codec
    from av.codec.codec import UnknownCodecError

    try:
        return bool(Codec(name, "r").is_decoder)
    except UnknownCodecError:
        return False


def models(settings: Settings) -> Iterator[Finding]:
    """Say whether the public networks are here and unharmed, and what is configured besides."""
    from styleflow.weights.cache import REMEDY, dinov2_path, is_intact
    from styleflow.weights.checkpoint import shipped
    from styleflow.weights.face_networks import weights_path

    for part, path in (("face models", weights_path()), ("foundation", dinov2_path())):
        if not path.is_file():
            yield Finding(part, State.WRONG, "not fetched", f"run: {REMEDY}")
        elif not is_intact(path):
            yield Finding(part, State.WRONG, f"{path} is damaged", f"run: {REMEDY}")
        else:
            yield Finding(part, State.FINE, "fetched and verified")
    card = shipped().card
    yield Finding(
        "detector", State.FINE, f"{card.name} {card.version}, verified; {card.status.value}"
    )
    try:
        validate(settings, "configuration")
    except ConfigInvalid as error:
        yield Finding("settings", State.WRONG, "; ".join(error.faults), "change these keys")


def port(settings: Settings) -> Iterator[Finding]:
    """Say whether the port is free, or who has it."""
    host, number = settings.web.host, settings.web.port
    place = f"{host}:{number}"
    if number == 0:
        yield Finding("port", State.FINE, "any that is free")
        return
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, number))
        except OSError as error:
            yield _occupied(place, host, number, error)
        else:
            yield Finding("port", State.FINE, f"{place} is free")


def _occupied(place: str, host: str, number: int, error: OSError) -> Finding:
    who = holder(number)
    if _is_an_analyzer(host, number):
        found = f"an analyzer answers on {place}{who}"
        return Finding("port", State.NOTE, found, "use that one, or another --port")
    return Finding("port", State.WRONG, f"{place}: {error.strerror}{who}", "choose another --port")


def _is_an_analyzer(host: str, number: int) -> bool:
    """Say whether what answers there is one of ours."""
    shown = f"[{host}]" if ":" in host else host
    try:
        answer = httpx.get(f"http://{shown}:{number}/healthcheck", timeout=2, trust_env=False)
        return bool(answer.json() == {"healthy": True})
    except (httpx.HTTPError, httpx.InvalidURL, ValueError):
        return False


def holder(number: int) -> str:
    """Return which program listens on a port, as far as Linux tells us; else nothing.

    Its arguments are left out: they may carry passwords.
    """
    inodes = set()
    for table in ("tcp", "tcp6"):
        try:
            rows = Path(f"/proc/net/{table}").read_text().splitlines()[1:]
        except OSError:
            continue
        for row in rows:
            fields = row.split()
            if fields[3] == "0A" and int(fields[1].rpartition(":")[2], 16) == number:
                inodes.add(f"socket:[{fields[9]}]")
    if not inodes:
        return ""
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if any(os.readlink(link) in inodes for link in (process / "fd").iterdir()):
                name = (process / "comm").read_text().strip()
                return f", by {name} (process {process.name})"
        except OSError:  # gone, or another user's
            continue
    return ""


def disk(settings: Settings) -> Iterator[Finding]:
    """Say how much room there is where things are kept, and whether they can be."""
    evidence = evidence_folder(settings.evidence)
    for part, folder in (
        ("data", user_data_path("styleflow")),
        ("evidence", evidence),
        ("cache", cache_dir()),
    ):
        there = next(place for place in (folder, *folder.parents) if place.exists())
        free = shutil.disk_usage(there).free
        found = f"{free / GIB:.1f} GiB free in {folder}"
        if not os.access(there, os.W_OK):
            todo = f"let {_user()} write in {there}, or name another folder"
            yield Finding(part, State.WRONG, f"{found}, but it cannot be written", todo)
        elif free < NO_ROOM:
            yield Finding(part, State.WRONG, found, "make room")
        elif free < LITTLE_ROOM:
            yield Finding(part, State.NOTE, found, "make room soon: nothing is kept on a full disk")
        else:
            yield Finding(part, State.FINE, found)


def _user() -> str:
    return f"user {os.getuid()}" if hasattr(os, "getuid") else "this user"


def clock(_: Settings) -> Iterator[Finding]:
    """Say whether the clock is synchronised, and whether its two sides agree."""
    difference = asyncio.run(drift_s(SystemClock()))
    if abs(difference) > DRIFT_S:
        found = f"in {STEADY_S} s wall clock and monotonic clock differ by {difference:.3f} s"
        yield Finding("clock", State.WRONG, found, "was the machine suspended just now? try again")
        return
    synchronised = is_synchronised()
    if synchronised is None:
        yield Finding("clock", State.NOTE, "steady; whether it is synchronised is not known")
    elif synchronised:
        yield Finding("clock", State.FINE, "synchronised and steady")
    else:
        todo = "run a time service, such as chrony or systemd-timesyncd; times of incidents need it"
        yield Finding("clock", State.NOTE, "steady, but not synchronised", todo)


async def drift_s(clock: Clock) -> float:
    """Return by how many seconds the wall clock ran ahead of the monotonic one, for a moment."""
    wall, steady = clock.utc(), clock.monotonic()
    await clock.sleep(STEADY_S)
    return (clock.utc() - wall).total_seconds() - (clock.monotonic() - steady)


def is_synchronised() -> bool | None:
    """Ask Linux whether a time service steers the clock; None where that is not known."""
    if sys.platform != "linux":
        return None
    timex = ctypes.create_string_buffer(512)  # struct timex, 208 bytes; modes of 0 reads only
    try:
        state = ctypes.CDLL(None).adjtimex(timex)
    except (OSError, AttributeError):
        return None
    return None if state < 0 else state != 5  # TIME_ERROR of <sys/timex.h>: not synchronised


def store(settings: Settings) -> Iterator[Finding]:
    """Say whether the store answers, and whether its tables are today's."""
    if not settings.store.enabled:
        yield Finding("store", State.NOTE, "turned off; nothing outlives a restart")
        return
    database = connect(settings.store.url.get_secret_value(), user_data_path("styleflow"))
    try:
        if database.file is not None and not database.file.exists():
            found = f"{database.shown} is made when `serve` first runs"
            yield Finding("store", State.FINE, found)
            return
        with database.reading() as connection:
            there = revision(connection)
        found = f"{database.shown}, tables {there or 'of nobody yet'}"
        if there in (None, HEAD):
            yield Finding("store", State.FINE, found)
        elif there in REVISIONS:
            todo = "`serve` brings them up to date, or now: styleflow store migrate"
            yield Finding("store", State.NOTE, found, todo)
        else:
            todo = "a newer release has written it: install that one, or name another store.url"
            yield Finding("store", State.WRONG, found, todo)
    except StyleFlowError as error:
        told = Problem.of(error)
        yield Finding("store", State.WRONG, told.detail, told.hint)
    finally:
        database.close()


def page(_: Settings) -> Iterator[Finding]:
    """Say whether there is a page to serve."""
    if is_built():
        yield Finding("page", State.FINE, "built")
    else:
        todo = "run: make dashboard (Node.js 20.19 or newer); everything else works without"
        yield Finding("page", State.NOTE, "not built", todo)


def extras(_: Settings) -> Iterator[Finding]:
    """Say which optional programs and packages are here, and what the others would do."""
    here = [name for name in PROGRAMS if shutil.which(name)]
    absent = [f"{name} ({PROGRAMS[name]})" for name in PROGRAMS if name not in here]
    found = f"{', '.join(here) or 'none'}" + (f"; without {', '.join(absent)}" if absent else "")
    yield Finding("programs", State.FINE, found)
    packs = [name for name in PACKAGES if find_spec(name)]
    lacking = [f"[{PACKAGES[name]}]" for name in PACKAGES if name not in packs]
    todo = f"if wanted: pip install 'styleflow-live{lacking[0]}'" if lacking else ""
    without = f"; without {', '.join(lacking)}" if lacking else ""
    yield Finding("packages", State.FINE, f"{', '.join(packs) or 'none'}{without}", todo)


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "is not installed"


CHECKS: tuple[tuple[str, Check], ...] = (
    ("python", python),
    ("torch", torch),
    ("decoder", decoder),
    ("codecs", codecs),
    ("models", models),
    ("port", port),
    ("disk", disk),
    ("clock", clock),
    ("store", store),
    ("page", page),
    ("extras", extras),
)
"""Every check with the part that it is about, in the order of the table."""
