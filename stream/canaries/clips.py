"""Clips of canaries: a pair that is drawn here, and files of the site."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from stream.canaries.records import Canary, Role
from stream.canaries.settings import DEMO, CanarySettings
from stream.ingest.demo_scene import Scene
from stream.webrtc.outgoing import Pictures, drawn_pictures, file_pictures
from styleflow.faces.face import Image

DEMO_S = 6.0
"""Length of the demo's clips, media seconds."""

OWN_S = 10.0
"""Most of a file that is sent, media seconds."""

SIZE = (640, 480)
FPS = 25.0
SEED = 7

_DEMO_DIGEST = f"1 {SIZE} {FPS} {SEED} {DEMO_S}"  # its number rises with how it is drawn


@dataclass(frozen=True, slots=True)
class Clip:
    """One canary's video.

    Attributes:
        canary: which one.
        digest: changes when the video does.
        pictures: begins to yield it; blocks, so it belongs into a worker thread.
    """

    canary: Canary
    digest: str
    pictures: Callable[[], Pictures]


def clips(settings: CanarySettings) -> tuple[Clip, ...]:
    """Return the clips in the order in which they are sent: of each pair the real one first.

    Raises:
        OSError: a file is not there.
    """
    found = []
    if settings.pair == DEMO:
        for role in Role:
            found.append(Clip(Canary(DEMO, role), _DEMO_DIGEST, _drawn(role)))
    for pair in settings.own:
        for role, path in ((Role.REAL, pair.real), (Role.FAKE, pair.fake)):
            found.append(Clip(Canary(pair.name, role), _digest(path), _file(path)))
    return tuple(found)


def demo_images(role: Role, seconds: float = DEMO_S) -> Iterator[Image]:
    """Draw the pictures of one of the demo's clips, `(H, W, 3)` RGB each."""
    scene = Scene(SIZE, FPS, SEED)
    draw = scene.authentic if role is Role.REAL else scene.resynthesised
    for index in range(round(seconds * FPS)):
        yield draw(index)


def _drawn(role: Role) -> Callable[[], Pictures]:
    return lambda: drawn_pictures(demo_images(role), FPS)


def _file(path: Path) -> Callable[[], Pictures]:
    return lambda: itertools.takewhile(lambda due: due[0] < OWN_S, file_pictures(path))


def _digest(path: Path) -> str:
    stat = path.stat()
    return f"{path.name} {stat.st_size} {stat.st_mtime_ns}"
