"""Small synthetic face clips for training code: a textured disc with landmarks that move."""

from pathlib import Path

import av
import numpy as np

from styleflow.data.pseudo_fakes.kinds import FaceClip, Materials, Portrait
from styleflow.data.pseudo_fakes.restyling import pyramid_styles
from styleflow.faces.face import Box, Face
from styleflow.faces.mesh import five_points

SIZE = 96
_FIVE = {33: (-0.5, 0.0), 133: (-0.5, 0.0), 362: (0.5, 0.0), 263: (0.5, 0.0)}
_FIVE |= {1: (0.0, 0.55), 4: (0.0, 0.55), 61: (-0.4, 1.0), 291: (0.4, 1.0)}


def mesh_at(x: float, y: float, eyes: float) -> np.ndarray:
    """Return 468 landmarks of a face whose eyes' middle is at (x, y) and `eyes` pixels apart."""
    turn = np.arange(468) * 2.399963  # the golden angle spreads points evenly over a disc
    reach = np.sqrt(np.arange(468) / 467) * 1.1
    unit = np.stack([reach * np.cos(turn), 0.55 + reach * np.sin(turn)], axis=1)
    for index, place in _FIVE.items():
        unit[index] = place
    return (unit * eyes + (x, y)).astype(np.float32)


def face_clip(frames: int = 6, seed: int = 0, size: int = SIZE) -> FaceClip:
    """Return a clip in which a textured face drifts to the right over noise."""
    rng = np.random.default_rng(seed)
    texture = rng.integers(40, 216, (size, size, 3), dtype=np.uint8)
    pictures = np.stack([np.roll(texture, t, axis=1) for t in range(frames)])
    meshes = [mesh_at(size * 0.45 + t, size * 0.4, size * 0.25) for t in range(frames)]
    return FaceClip(pictures, np.stack(meshes))


def materials(seed: int = 0) -> Materials:
    """Return one other face, a box filter that is easy to recognise, and octaves for styles."""
    other = face_clip(1, seed + 100)
    return Materials(
        [Portrait(other.frames[0], other.meshes[0])],
        [lambda frames: (frames // 2 + np.roll(frames, 1, axis=2) // 2).astype(np.uint8)],
        pyramid_styles(32),
    )


def write_video(path: Path, frames: np.ndarray, rate: int = 25) -> Path:
    """Write pictures, `(T, H, W, 3)` RGB uint8, as H.264, and return the path."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=rate)
        stream.height, stream.width = frames.shape[1:3]
        for frame in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode())
    return path


class MiddleFinder:
    """Always sees one face in the middle; unless the picture is black, which shows none."""

    def find(self, image, tiles=0, known=()):
        if image.mean() < 16:
            return ()
        height = image.shape[0]
        mesh = mesh_at(height * 0.45, height * 0.4, height * 0.25).astype(np.float64)
        return (Face(Box(0, 0, height, height), five_points(mesh), 0.9, mesh),)

    def follow(self, image, faces):
        return self.find(image)
