"""Whatever a stranger uploads: broken, mutated and hostile files.

Each is given to `analyze` in process and, in part, to `/predict` of a real server. The answer is
an analysis, or an error that a person can read, within a deadline. The process lives on, answers
the next request and has not grown. Every mutation has a fixed seed, so a failure repeats.
"""

from __future__ import annotations

import math
import os
import random
import re
import struct
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import cv2
import httpx
import numpy as np
import pytest

from cli.settings import ConfigInvalid, load
from stream.errors import SourceError
from stream.events import AbstainReason, Notice
from stream.ingest.demo_scene import Scene
from stream.ingest.file import FileSource
from stream.ingest.open import open_source
from stream.ingest.source import Packet, Source
from stream.offline.analysis import Analysis
from stream.offline.replay import analyze
from stream.problems import Problem
from tests.support.media import encode
from tests.support.mutations import MUTATIONS
from tests.support.path import EAGER, from_file, toy_pipeline
from tests.support.server import Server

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(180)]

DEADLINE_S = 30.0
"""A hang, not slowness: the longest case takes well under a second on one free core."""

ROOM_MB = 400
"""How much the server may need at its worst moment beyond what an intact video takes."""

FRAMES = 20
SEEDS = range(3)


# --- intact files ---------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def intact(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A short talking head in every kind of container."""
    folder = tmp_path_factory.mktemp("intact")
    scene = Scene((320, 240), 25, 0)
    pictures = [scene.authentic(index) for index in range(FRAMES)]
    kinds = {"mp4": "h264", "mkv": "vp8", "ts": "h264", "h264": "h264", "hevc": "hevc"}
    return {
        suffix: encode(folder / f"intact.{suffix}", pictures, codec, gop=5)
        for suffix, codec in kinds.items()
    }


CONTAINERS = ("mp4", "mkv", "ts", "h264", "hevc")
BARE = ("h264", "hevc")
"""No containers, so their pictures have no time; they are refused even when intact."""


# --- things that are no video, or pretend to be one -----------------------------------------------


def gif(width: int, height: int) -> bytes:
    """A GIF of one pixel that declares a canvas of any size."""
    return (
        b"GIF89a"
        + struct.pack("<HHBBB", width, height, 0x80, 0, 0)
        + b"\0\0\0\xff\xff\xff\x2c"
        + struct.pack("<HHHHB", 0, 0, 1, 1, 0)
        + b"\x02\x02\x4c\x01\x00\x3b"
    )


def ivf(width: int, height: int, frame_bytes: int) -> bytes:
    """An IVF file whose one VP8 frame declares its size and its length freely."""
    head = struct.pack("<4sHHIHHIIII", b"DKIF", 0, 32, 0x30385056, width, height, 25, 1, 9, 0)
    frame = b"\x10\x02\x00\x9d\x01\x2a" + struct.pack("<HH", width, height) + b"\x10" * 90
    return head + struct.pack("<IQ", frame_bytes, 0) + frame


def nested_boxes(depth: int) -> bytes:
    """An mp4 whose boxes hold boxes, each claiming more than there is."""
    head = struct.pack(">I4s4sI4s", 20, b"ftyp", b"isom", 512, b"isom")
    return head + b"".join(struct.pack(">I4s", 0x7FFFFFFF, b"moov") for _ in range(depth))


def _picture(suffix: str) -> bytes:
    noise = np.random.default_rng(0).integers(0, 255, (64, 64, 3), dtype=np.uint8)
    done, data = cv2.imencode(suffix, noise)
    assert done
    return data.tobytes()


def hostile(folder: Path, video: Path) -> dict[str, Path]:
    """Write files that are no videos; some of them point to one that is, which must not help."""
    rng = random.Random(0)
    contents: dict[str, bytes] = {
        "empty.mp4": b"",
        "one_byte.mp4": b"\0",
        "text.mp4": b"This is not a video.\n" * 50,
        "noise.mp4": rng.randbytes(50_000),
        "noise.ts": b"".join(b"\x47" + rng.randbytes(187) for _ in range(300)),
        "zeros.h264": bytes(100_000),
        "start_codes.h264": b"\x00\x00\x01" * 20_000,
        "picture.png": _picture(".png"),
        "picture.mp4": _picture(".jpg"),
        "page.mp4": b"<!DOCTYPE html><html><video src='a.mp4'></video></html>",
        "archive.mp4": b"PK\x03\x04" + rng.randbytes(2000),
        "playlist.m3u8": f"#EXTM3U\n#EXTINF:1,\n{video}\n#EXT-X-ENDLIST\n".encode(),
        "playlist.mp4": f"#EXTM3U\n#EXTINF:1,\nfile://{video}\n#EXT-X-ENDLIST\n".encode(),
        "concat.mp4": f"ffconcat version 1.0\nfile '{video}'\n".encode(),
        "session.sdp": b"v=0\no=- 0 0 IN IP4 127.0.0.1\nm=video 9 RTP/AVP 96\n",
        "mpd.mp4": f"<?xml version='1.0'?><MPD><BaseURL>{video}</BaseURL></MPD>".encode(),
        "canvas.gif": gif(16_000, 16_000),
        "widest.gif": gif(65_535, 65_535),
        "large.y4m": b"YUV4MPEG2 W16000 H16000 F25:1 C420\nFRAME\n" + b"\x10" * 1000,
        "larger.y4m": b"YUV4MPEG2 W99999 H99999 F25:1 C420\nFRAME\n" + b"\x10" * 1000,
        "large.ivf": ivf(16_383, 16_383, 100),
        "long.ivf": ivf(64, 64, 0x7FFFFFFF),
        "nested.mp4": nested_boxes(5000),
        "declared.mp4": struct.pack(">I4sQ", 1, b"ftyp", 2**62) + b"isom" * 10,
        "header_only.mkv": b"\x1a\x45\xdf\xa3\x01\xff\xff\xff\xff\xff\xff\xff",
    }
    paths = {}
    for name, data in contents.items():
        paths[name] = folder / name
        paths[name].write_bytes(data)
    with (folder / "sparse.mp4").open("wb") as file:
        file.truncate(8 << 30)
    (folder / "folder.mp4").mkdir()
    os.mkfifo(folder / "pipe.mp4")
    (folder / "loop.mp4").symlink_to(folder / "loop.mp4")
    more = ("sparse.mp4", "folder.mp4", "pipe.mp4", "loop.mp4", "missing.mp4", "a\x00b.mp4")
    return paths | {name: folder / name for name in more}


# --- in process -----------------------------------------------------------------------------------


@dataclass
class Outcome:
    """What came of one file; exactly one of the two, unless it hung."""

    analysis: Analysis | None = None
    error: BaseException | None = None


def look_at(path: Path, source: type[Source] | None = None) -> Outcome:
    """Analyse a file, or what a source makes of it, in time."""
    opener = open_source if source is None else source
    outcome = Outcome()

    def work() -> None:
        try:
            outcome.analysis = analyze(from_file(path), toy_pipeline(), EAGER, opener=opener)
        except BaseException as error:
            outcome.error = error

    in_time(work, path.name)
    return outcome


def in_time(work: Callable[[], None], what: str) -> None:
    """Do something in a thread that is given up after the deadline."""
    worker = threading.Thread(target=work, daemon=True)
    worker.start()
    worker.join(DEADLINE_S)
    assert not worker.is_alive(), f"{what}: no answer after {DEADLINE_S:g} s"


def check(outcome: Outcome, what: str) -> None:
    """An analysis makes sense; an error is one that is meant, and can be shown."""
    if outcome.error is not None:
        assert isinstance(outcome.error, SourceError), (what, outcome.error)
        problem = Problem.of(outcome.error)
        assert problem.detail, what
        assert 400 <= problem.status < 500, (what, problem)
        return
    analysis = outcome.analysis
    assert analysis is not None, what
    assert analysis.frames > 0, what
    assert math.isfinite(analysis.duration_s), what
    for track in analysis.tracks:
        assert all(0 <= score.low <= score.score <= score.high <= 1 for score in track.scores), what


@pytest.mark.parametrize("container", BARE)
def test_a_bare_stream_is_refused_for_want_of_time(intact: dict[str, Path], container: str) -> None:
    outcome = look_at(intact[container])
    check(outcome, container)
    assert "time stamp" in str(outcome.error)


@pytest.mark.parametrize("container", sorted(set(CONTAINERS) - set(BARE)))
def test_an_intact_file_is_analysed(intact: dict[str, Path], container: str) -> None:
    """Otherwise every error below would prove nothing."""
    outcome = look_at(intact[container])
    assert outcome.error is None
    assert outcome.analysis is not None
    assert outcome.analysis.tracks[0].scores


@pytest.mark.parametrize("mutation", MUTATIONS)
@pytest.mark.parametrize("container", CONTAINERS)
def test_a_mutated_file_is_analysed_or_refused(
    intact: dict[str, Path], tmp_path: Path, container: str, mutation: str
) -> None:
    data = intact[container].read_bytes()
    for seed in SEEDS:
        path = tmp_path / f"{mutation}-{seed}.{container}"
        path.write_bytes(MUTATIONS[mutation](data, random.Random(f"{container}{seed}")))
        check(look_at(path), path.name)


# --- stamps that are no clock ---------------------------------------------------------------------

HOUR = 3600.0


def one_stray(seconds: list[float], rng: random.Random) -> list[float | None]:
    at = rng.randrange(1, len(seconds))
    away = rng.choice((-5 * HOUR, 5 * HOUR, 2.0**33 / 90_000))
    return [s + away * (n == at) for n, s in enumerate(seconds)]


def several_strays(seconds: list[float], rng: random.Random) -> list[float | None]:
    strays = rng.sample(range(len(seconds)), len(seconds) // 3)
    return [s + rng.choice((-HOUR, HOUR)) * (n in strays) for n, s in enumerate(seconds)]


def at_random(seconds: list[float], rng: random.Random) -> list[float | None]:
    return [rng.uniform(-HOUR, HOUR) for _ in seconds]


def some_lost(seconds: list[float], rng: random.Random) -> list[float | None]:
    return [None if rng.random() < 0.4 else s for s in seconds]


STAMPINGS: dict[str, Callable[[list[float], random.Random], list[float | None]]] = {
    "one_stray": one_stray,
    "several_strays": several_strays,
    "at_random": at_random,
    "some_lost": some_lost,
    "frozen": lambda seconds, rng: [7.0 for _ in seconds],
    "in_pairs": lambda seconds, rng: [s - s % 0.08 for s in seconds],
    "backwards": lambda seconds, rng: [HOUR - s for s in seconds],
    "slow": lambda seconds, rng: [s / 90 for s in seconds],
    "fast": lambda seconds, rng: [s * 90 for s in seconds],
    "begins_again": lambda seconds, rng: [s % 0.4 for s in seconds],
    "none": lambda seconds, rng: [None for _ in seconds],
}


NO_CLOCKS = ("several_strays", "at_random", "frozen", "in_pairs", "backwards", "slow", "fast")


class Restamped(FileSource):
    """A file whose packets have other stamps."""

    stamping = "frozen"
    seed = 0

    def packets(self) -> Iterator[Packet]:
        """Yield the packets that there are, with the stamps of somebody else."""
        rng = random.Random(f"{self.stamping}{self.seed}")
        stamps = STAMPINGS[self.stamping]([n / 25 for n in range(FRAMES)], rng)
        for packet, at in zip(super().packets(), stamps, strict=False):
            ticks = None if at is None else round(at / packet.time_base)
            yield replace(packet, pts=ticks, dts=ticks)


@pytest.mark.parametrize("stamping", STAMPINGS)
@pytest.mark.parametrize("container", ["mp4", "mkv", "ts"])
def test_stamps_that_are_no_clock_cost_no_evidence_and_count_as_no_loss(
    intact: dict[str, Path], container: str, stamping: str
) -> None:
    """A file loses no packets, and where its clock is none, its frame rate tells the time."""
    for seed in SEEDS:
        source = type("Source", (Restamped,), {"stamping": stamping, "seed": seed})
        outcome = look_at(intact[container], source)
        check(outcome, f"{container} {stamping} {seed}")
        if outcome.analysis is None:
            assert stamping == "none"
            continue
        tracks = outcome.analysis.tracks
        assert outcome.analysis.frames <= FRAMES
        said = {reason for track in tracks for score in track.scores for reason in score.reasons}
        assert AbstainReason.PACKET_LOSS not in said, (container, stamping, seed)
        assert outcome.analysis.duration_s < 2 * FRAMES / 25, (container, stamping, seed)
        assert all(track.scores for track in tracks), (container, stamping, seed)
        if stamping in NO_CLOCKS:
            assert outcome.analysis.notices == (Notice.CAMERA_CLOCK,), (container, stamping, seed)


def test_what_is_no_video_is_refused(intact: dict[str, Path], tmp_path: Path) -> None:
    """Nor does a playlist become the video that it names."""
    for name, path in hostile(tmp_path, intact["mp4"]).items():
        if "\0" in name:
            continue  # SourceUrl refuses it before there is a source
        outcome = look_at(path)
        assert outcome.analysis is None or name == "long.ivf", name
        check(outcome, name)


# --- configurations -------------------------------------------------------------------------------

MANUAL = Path(__file__).resolve().parents[2] / "configs" / "default.yaml"
SPLINTERS = (
    b"&a [*a]", b"*b", b"[" * 5000, b"{a: " * 5000, b"!!python/object:os.system x", b"2026-13-45",
    b"9" * 5000, b"1:" * 999, b"\xff\xfe", b"\x00", b"\n---\n", b"<<: *a", b"? ", b"!!binary x",
    b"${file:/dev/zero}", b"${HOME", b".inf", b"-.nan", b"\n\t", b"%YAML 9.9\n", b"'", b'"\\x',
)  # fmt: skip


def test_a_mutated_configuration_is_good_or_refused_in_short_lines(tmp_path: Path) -> None:
    path, manual = tmp_path / "styleflow.yaml", MANUAL.read_bytes()
    several = [m for name, m in MUTATIONS.items() if name not in ("wild_matrix", "cut_to_nothing")]
    for seed in range(60):
        rng = random.Random(f"yaml{seed}")
        data = manual
        if seed % 3:
            data = rng.choice(several)(data, rng)
        for _ in range(rng.randrange(1, 4)):
            at = rng.randrange(len(data))
            data = data[:at] + rng.choice(SPLINTERS) + data[at:]
        path.write_bytes(data)
        faults: list[str] = []

        def work(faults: list[str] = faults) -> None:
            try:
                load(path, {})
            except ConfigInvalid as error:
                faults += error.faults
            except BaseException as error:
                faults += [f"{error!r} \n"]

        in_time(work, f"configuration {seed}")
        assert len(faults) <= 51, seed
        bad = [fault for fault in faults if not fault.isprintable() or len(fault) > 1000]
        assert bad == [], seed


# --- through the door -----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def predicting(
    intact: dict[str, Path], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Server, Path]]:
    """A server that may read one folder, and that folder."""
    folder = tmp_path_factory.mktemp("uploads")
    config = tmp_path_factory.mktemp("config") / "server.yaml"
    config.write_text(
        f"web:\n  predict_roots: [{folder}, {intact['mp4'].parent}]\n  predict: {{timeout_s: 20}}\n"
    )
    with Server(config) as server:
        assert predict(server, intact["mp4"]).status_code == 200, "and the models are loaded now"
        yield server, folder


def predict(server: Server, path: Path | str) -> httpx.Response:
    body = {"file_path": str(path)}
    return httpx.post(f"{server.url}/predict", json=body, timeout=DEADLINE_S)


def check_answer(answer: httpx.Response, what: str) -> None:
    """200 with a prediction, or a 4xx that says in problem+json what is wrong."""
    told: dict[str, Any] = answer.json()
    if answer.status_code == 200:
        assert told["tracks"], what
        return
    assert 400 <= answer.status_code < 500, (what, answer.status_code, told)
    assert answer.headers["content-type"].startswith("application/problem+json"), what
    assert told["status"] == answer.status_code, what
    assert told["title"], what
    assert told["detail"], what


def peak_mb(server: Server) -> float:
    """The most memory that the server ever had."""
    text = Path(f"/proc/{server.pid}/status").read_text()
    found = re.search(r"^VmHWM:\s+(\d+) kB", text, re.MULTILINE)
    assert found is not None
    return int(found[1]) / 1000


def test_the_server_outlives_every_file(
    predicting: tuple[Server, Path], intact: dict[str, Path]
) -> None:
    """It answers each with sense, the next intact one as ever, and needs no more memory."""
    server, folder = predicting
    before = peak_mb(server)
    for name, path in hostile(folder, intact["mp4"]).items():
        answer = predict(server, path)
        assert answer.status_code != 200, name
        check_answer(answer, name)
    for place, (container, mutation) in enumerate(
        (container, mutation) for container in ("mp4", "mkv", "h264") for mutation in MUTATIONS
    ):
        path = folder / f"{mutation}.{container}"
        rng = random.Random(place)
        path.write_bytes(MUTATIONS[mutation](intact[container].read_bytes(), rng))
        check_answer(predict(server, path), path.name)
    assert server.exit_code is None
    assert httpx.get(f"{server.url}/healthcheck", timeout=20).json() == {"healthy": True}
    assert predict(server, intact["mp4"]).status_code == 200
    assert peak_mb(server) - before < ROOM_MB
    assert not [line for line in server.log if "Traceback" in line]


def test_paths_outside_the_roots_open_nothing(predicting: tuple[Server, Path]) -> None:
    server, folder = predicting
    (folder / "escape.mp4").symlink_to("/etc/passwd")
    tried = ["/etc/passwd", f"{folder}/../../etc/passwd", str(folder / "escape.mp4"), "/dev/zero"]
    for path in [*tried, "file:///etc/passwd", "concat:/etc/passwd|/etc/passwd", "pipe:0", " "]:
        answer = predict(server, path)
        check_answer(answer, path)
        assert "root:" not in answer.text
