"""The loop that a user would write: one camera, OpenCV, every window from its pixels.

    python -m benchmarks.plain_loop URL --seconds S --warm-up S

It reads every frame with OpenCV, finds the face in it, keeps the crops of the last 32 sampled
frames and, every hop, runs the detector over all of them. It drops nothing, so it falls behind
when it is too slow. Prints one JSON line: how far it came, and how old each score was.

A frame's age is counted from when a camera that plays in real time would have sent it, as the
first frame's arrival and its own place in the video say.
"""

from __future__ import annotations

import json
import resource
import sys
from dataclasses import asdict, dataclass
from typing import Annotated

import cv2
import numpy as np
import torch
import typer

from benchmarks.cameras import FPS
from benchmarks.recompute import Recomputing
from stream.clock import SystemClock
from styleflow.faces.crops.framing import framer
from styleflow.faces.face import TrackedFace
from styleflow.weights.checkpoint import build, shipped
from styleflow.weights.face_networks import load_finder

WINDOW = 32
HOP_S = 0.24


@dataclass(frozen=True, slots=True)
class Came:
    """How far a loop came.

    Attributes:
        pace: seconds of video per second, at most 1 in the long run.
        latencies: seconds from a frame's time to its score.
        scores: how many there were.
        cpu: CPU seconds per second.
    """

    pace: float
    latencies: list[float]
    scores: int
    cpu: float


def watch(url: str, seconds: float, warm_up: float) -> Came:
    """Watch one camera for a while."""
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    torch.set_flush_denormal(True)
    detector, finder = Recomputing(build(shipped()), WINDOW), load_finder()
    clock = SystemClock()
    framing, before = framer(detector.clip), None
    state, row, none = detector.init_state(1), torch.zeros(1, dtype=torch.long), torch.zeros(1)
    stride = round(FPS / detector.clip.cadence_hz)
    hop = max(1, round(HOP_S * detector.clip.cadence_hz)) * stride
    capture = cv2.VideoCapture(url)
    first: float | None = None
    number, ages = 0, []
    begin_number, begin, begin_cpu = 0, 0.0, 0.0
    with torch.inference_mode():
        while True:
            good, picture = capture.read()
            if not good:
                raise SystemExit(f"{url}: the camera ended")
            now = clock.monotonic()
            first = now if first is None else first
            image = np.asarray(cv2.cvtColor(picture, cv2.COLOR_BGR2RGB), np.uint8)
            faces = finder.find(image)
            if faces and number % stride == 0:
                done = framing.align(image, TrackedFace(1, faces[0]), number / FPS, before)
                if done is not None:
                    crop, before = done
                    tensor = torch.from_numpy(crop.image)[None]
                    detector.push(state, row, tensor, none.long())
            if number % hop == 0 and state.crops:
                float(detector.rate(state, row))
                if begin:
                    ages.append(clock.monotonic() - (first + number / FPS))
            number += 1
            now = clock.monotonic()
            if not begin and now - first >= warm_up:
                begin, begin_number, begin_cpu = now, number, _cpu()
            if begin and now - begin >= seconds:
                passed = now - begin
                pace = (number - begin_number) / FPS / passed
                return Came(pace, ages, len(ages), (_cpu() - begin_cpu) / passed)


def _cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def main(
    url: Annotated[str, typer.Argument(help="The camera.")],
    *,
    seconds: Annotated[float, typer.Option(min=1)] = 10.0,
    warm_up: Annotated[float, typer.Option("--warm-up", min=0)] = 3.0,
) -> None:
    """Watch one camera the plain way."""
    sys.stdout.write(json.dumps(asdict(watch(url, seconds, warm_up))) + "\n")


if __name__ == "__main__":
    typer.run(main)
