"""Small synthetic videos for CADDM's recipe, whole and cut out differently."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from styleflow.data.index import FAKE, REAL, Entry
from styleflow.data.video import FacePath, Frames
from tests.support.clips import face_clip


class ClipVideo:
    """A prepared video that lies in memory.

    Args:
        entry: its label, group, kind and pair.
        pictures: `(T, H, W, 3)` uint8.
        meshes: `(T, 468, 2)` float32.
        found: which frames show a face; all when None.
    """

    def __init__(
        self,
        entry: Entry,
        pictures: Frames,
        meshes: np.ndarray,
        found: Sequence[bool] | None = None,
    ) -> None:
        self.entry = entry
        self.path = FacePath(meshes, np.array(found or [True] * len(meshes)))
        self.times = np.arange(len(pictures)) / 25
        self._pictures = pictures

    def frames(self, numbers: Sequence[int]) -> Frames:
        return self._pictures[list(numbers)]


def entry(name: str, label: int, group: str, pair: str = "") -> Entry:
    """Return an entry of a file that nobody opens."""
    return Entry(Path(f"{name}.mp4"), "train", label, group, pair=pair)


def real_video(person: int, found: Sequence[bool] | None = None) -> ClipVideo:
    """Return a face that drifts, coarse enough to tell a blur from it; its own for each person."""
    clip = face_clip(4, person)
    smooth = np.stack([_coarse(frame) for frame in clip.frames])
    name = f"real{person}"
    made = entry(name, REAL, f"person{person}", f"pair{person}")
    return ClipVideo(made, smooth, clip.meshes, found)


def fake_video(person: int, left: int = 0, top: int = 0) -> ClipVideo:
    """Return the same face with grain on it, in a window that begins elsewhere."""
    original = real_video(person)
    pictures = original.frames(range(4)).astype(int)
    rows, columns = np.mgrid[: pictures.shape[1], : pictures.shape[2]]
    centre = original.path.meshes.mean(axis=(0, 1))
    face = np.hypot(columns - centre[0], rows - centre[1]) < 24
    grain = np.where((rows + columns) % 2, 36, -36) * face
    faked = np.clip(pictures + grain[..., None], 0, 255).astype(np.uint8)
    made = entry(f"fake{person}", FAKE, f"person{person}", f"pair{person}")
    meshes = original.path.meshes - np.array([left, top], np.float32)
    return ClipVideo(made, faked[:, top:, left:], meshes)


def _coarse(frame: np.ndarray) -> np.ndarray:
    return np.asarray(frame[::4, ::4].repeat(4, axis=0).repeat(4, axis=1), np.uint8)
