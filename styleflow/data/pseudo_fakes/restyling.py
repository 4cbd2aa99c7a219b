"""A style decoder's part in pseudo-fakes: faces to W+ latents, some styles changed, and back.

What is drawn is as small as the decoder, so it is enlarged and laid back where the face was. Of
what enlarging cannot bring back, the picture's own fine detail, a share returns, as where a network
restores detail afterwards: blur alone would otherwise tell what was drawn.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import cv2
import numpy as np
from numpy.typing import NDArray

from styleflow.data.pseudo_fakes.blending import Landmarks, pick
from styleflow.data.video import Frames
from styleflow.faces.align import TEMPLATE_PX, Transform, fit, warp
from styleflow.faces.face import Image
from styleflow.faces.mesh import five_points

Latents = NDArray[np.float32]
"""W+ latents, `(n, L, D)`: coarse levels first, fine levels last."""

_MEMORIES = (0.0, 0.0, 0.5, 0.8, 0.95)  # most of a face's motion survives the first three
_STRENGTHS = (0.0, 0.4)  # further and somebody else looks out of the picture
_DETAILS = (0.5, 1.0)
_OCTAVES = (3, 2, 1)  # halvings behind the coarse, middle and fine level of the stand-in


@dataclass(frozen=True, slots=True)
class Styles:
    """A style auto-encoder, as far as pseudo-fakes need it.

    Attributes:
        size_px: side of the aligned faces that it reads and draws.
        levels: how many coarse, middle and fine style levels it has.
        read: aligned faces, `(n, S, S, 3)` RGB uint8, to their latents.
        draw: latents to faces, `(n, S, S, 3)` RGB uint8.
    """

    size_px: int
    levels: tuple[int, int, int]
    read: Callable[[Frames], Latents]
    draw: Callable[[Latents], Frames]


@dataclass(frozen=True, slots=True)
class Restyling:
    """What happens to the styles of a face; the same for a whole clip.

    Attributes:
        changed: which style levels change, `(L,)` bool.
        memory: how much of the frame before stays in them, 0 for nothing, below 1.
        strength: how far they move towards somebody else's, 0 to 1.
        detail: share of the picture's own fine detail that returns, 0 to 1.
    """

    changed: NDArray[np.bool_]
    memory: float
    strength: float
    detail: float

    def apply(
        self, frames: Frames, meshes: NDArray[np.float32], other: Image, styles: Styles
    ) -> list[Image]:
        """Return pictures whose faces were drawn anew; as they were outside the aligned crop.

        Args:
            frames: `(T, H, W, 3)` RGB uint8.
            meshes: landmarks, `(T, 468, 2)`.
            other: somebody else's aligned face, `(S, S, 3)` RGB uint8.
            styles: read the faces and draw them.
        """
        anchors = [face_anchor(mesh) for mesh in meshes]
        pairs = zip(frames, anchors, strict=True)
        faces = np.stack([warp(frame, anchor, styles.size_px) for frame, anchor in pairs])
        drawn = styles.draw(self.mixed(styles.read(faces), styles.read(other[None])[0]))
        cut = zip(frames, anchors, faces, drawn, strict=True)
        return [self._laid_back(*one) for one in cut]

    def mixed(self, latents: Latents, other: NDArray[np.float32]) -> Latents:
        """Return a clip's latents, `(T, L, D)`, changed; `other` is somebody else's, `(L, D)`."""
        out = latents.copy()
        out[:, self.changed] += self.strength * (other[self.changed] - out[:, self.changed])
        for t in range(1, len(out)):
            before, now = out[t - 1, self.changed], out[t, self.changed]
            out[t, self.changed] = self.memory * before + (1 - self.memory) * now
        return out

    def _laid_back(self, frame: Image, anchor: Transform, face: Image, drawn: Image) -> Image:
        size = frame.shape[1::-1]
        turn = anchor * (len(face) / TEMPLATE_PX)
        by = cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP
        plain = cv2.warpAffine(
            drawn, turn, size, frame.copy(), by, borderMode=cv2.BORDER_TRANSPARENT
        )
        change = cv2.warpAffine(drawn.astype(np.float32) - face, turn, size, flags=by)
        mixed = plain + self.detail * (frame + change - plain)
        return np.asarray(np.clip(mixed + 0.5, 0, 255), np.uint8)


def random_restyling(styles: Styles, rng: np.random.Generator) -> Restyling:
    """Draw what happens: to one group of levels at least, and nowhere much."""
    groups = rng.random(3) < 0.5
    groups[rng.integers(3)] = True
    strength = float(rng.uniform(*_STRENGTHS)) if rng.random() < 0.7 else 0.0
    memory, detail = pick(rng, _MEMORIES), float(rng.uniform(*_DETAILS))
    return Restyling(np.repeat(groups, styles.levels), memory, strength, detail)


def face_anchor(mesh: Landmarks) -> Transform:
    """Return the anchor of one single picture."""
    return fit(five_points(mesh.astype(np.float64)))


def pyramid_styles(size_px: int) -> Styles:
    """Return a stand-in that needs no training: octaves for styles, the finest of all left out.

    Args:
        size_px: side of faces, a multiple of eight.
    """
    return Styles(size_px, (1, 1, 1), _octaves, partial(_summed, size_px))


def _octaves(faces: Frames) -> Latents:
    """Return what each octave adds to the coarser ones, `(n, 3, S * S * 3)`."""
    out = []
    for face in faces.astype(np.float32):
        size = face.shape[1::-1]
        blurred = [
            cv2.resize(
                cv2.resize(face, None, fx=0.5**k, fy=0.5**k, interpolation=cv2.INTER_AREA), size
            )
            for k in _OCTAVES
        ]
        added = [blurred[0], blurred[1] - blurred[0], blurred[2] - blurred[1]]
        out.append(np.stack(added).reshape(len(_OCTAVES), -1))
    return np.stack(out)


def _summed(size_px: int, latents: Latents) -> Frames:
    faces = latents.sum(axis=1).reshape(-1, size_px, size_px, 3)
    return np.asarray(np.clip(faces + 0.5, 0, 255), np.uint8)
