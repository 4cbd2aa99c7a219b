"""Cameras for benchmarks: the demo's talking head as H.264 over RTSP, served by another process.

A process of their own, because what is measured must not share an interpreter with what feeds it.
Each camera can be killed and started again. Every camera plays the same clip; they begin one after
another with seeded pauses, so that their frames do not come at the same instants.
"""

from __future__ import annotations

import random
import subprocess
import sys
import threading
from contextlib import ExitStack
from fractions import Fraction
from pathlib import Path
from typing import Self

import av

from stream.ingest.demo_scene import Scene
from tests.support.rtsp import Media, RtspServer

SIZE = (640, 480)
FPS = 25
CLIP_S = 12.0
KEYFRAME_EVERY_S = 2.0

_ROOT = Path(__file__).resolve().parent.parent
_SAMPLING_STEP_S = 0.08
_PATH = "/cam"


def render(
    path: Path, seconds: float = CLIP_S, seed: int = 0, size: tuple[int, int] = SIZE
) -> Path:
    """Write the authentic demo as a camera would encode it, and return its path."""
    scene = Scene(size, FPS, seed)
    with av.open(str(path), "w") as container:
        options = {"preset": "veryfast", "tune": "zerolatency", "crf": "23"}
        stream = container.add_stream("libx264", rate=FPS, options=options)
        assert isinstance(stream, av.VideoStream)
        stream.width, stream.height = size
        stream.pix_fmt = "yuv420p"
        stream.codec_context.gop_size = round(KEYFRAME_EVERY_S * FPS)
        for index in range(round(seconds * FPS)):
            frame = av.VideoFrame.from_ndarray(scene.authentic(index), format="rgb24")
            frame.pts, frame.time_base = index, Fraction(1, FPS)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def repeated(clip: Path, path: Path, seconds: float) -> Path:
    """Write a clip over and over into one file, its packets as they are, and return its path.

    Played at its own pace such a file is a camera that costs nothing but what its reader does, and
    its time goes on where a looped file would begin anew.
    """
    with av.open(str(clip)) as given, av.open(str(path), "w") as container:
        video = given.streams.video[0]
        stream = container.add_stream_from_template(video)
        units = [
            (unit.pts, bytes(unit), unit.is_keyframe) for unit in given.demux(video) if unit.size
        ]
        time_base = video.time_base
        assert time_base is not None
        length = round(len(units) / FPS / time_base)
        for turn in range(max(1, round(seconds * FPS / len(units)))):
            for pts, data, keyframe in units:
                assert pts is not None
                unit = av.Packet(data)
                unit.pts = unit.dts = pts + turn * length  # a camera's pictures keep their order
                unit.time_base, unit.is_keyframe, unit.stream = time_base, keyframe, stream
                container.mux(unit)
    return path


class Cameras:
    """Some cameras in a process of their own; a context manager.

    Args:
        clip: what they play, in an endless loop.
        count: how many there are.

    Attributes:
        urls: where they are.
    """

    def __init__(self, clip: Path, count: int) -> None:
        self._command = [sys.executable, "-m", "benchmarks.cameras", str(clip), str(count)]
        self.urls: tuple[str, ...] = ()

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            self._command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=_ROOT,
            start_new_session=True,  # an interrupt at the terminal is for the benchmark
        )
        self.urls = tuple(self._answer().split())
        return self

    def __exit__(self, *exc: object) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            self._process.wait(10)
        finally:
            self._process.kill()

    @property
    def pid(self) -> int:
        """The process."""
        return self._process.pid

    def kill(self, camera: int) -> None:
        """Let one camera lose its power."""
        self._order("kill", camera)

    def start(self, camera: int) -> None:
        """Give it back."""
        self._order("start", camera)

    def _order(self, verb: str, camera: int) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(f"{verb} {camera}\n")
        self._process.stdin.flush()
        self._answer()

    def _answer(self) -> str:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"the cameras' process ended with {self._process.wait(10)}")
        return line.strip()


def serve(clip: Path, count: int) -> None:
    """Serve cameras until standard input ends; carry out one order per line."""
    media, rng, pause = Media(clip), random.Random(0), threading.Event()
    with ExitStack() as stack:
        servers = []
        for _ in range(count):
            servers.append(stack.enter_context(RtspServer({_PATH: media})))
            pause.wait(rng.uniform(0, _SAMPLING_STEP_S))
        _say(" ".join(server.url(_PATH) for server in servers))
        for line in sys.stdin:
            verb, camera = line.split()
            server = servers[int(camera)]
            (server.kill if verb == "kill" else server.start)()
            _say("done")


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    serve(Path(sys.argv[1]), int(sys.argv[2]))
