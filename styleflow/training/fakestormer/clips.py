"""FakeSTormer's training clips: real ones, pseudo-fakes made of them, and targets for both.

Faces are cut out as they are live, each frame by the box of its own landmarks. No fake video is
ever read: every fake is made here, from a real clip, when it is needed.

Source: FakeSTormer (Nguyen et al., ICCV 2025), release v1.
Departs: the frames of a clip may lie several frames apart, as they do live.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from styleflow.data.index import REAL
from styleflow.data.prepared_video import Video
from styleflow.data.pseudo_fakes.blending import pick
from styleflow.data.pseudo_fakes.kinds import FaceClip
from styleflow.data.video import Frames
from styleflow.errors import VideosMissing
from styleflow.faces.crops.box import STORED_PX, box_crop, cut_margin, enlarged
from styleflow.faces.face import Box
from styleflow.training.fakestormer.regularity_disruption import regularity_disrupted
from styleflow.training.fakestormer.self_blended_video import (
    BlendedVideo,
    draw_common_change,
    self_blended,
)
from styleflow.training.fakestormer.video_blending import video_blended
from styleflow.training.fakestormer.vulnerability import (
    ClipTargets,
    Reading,
    blacked_out,
    boundary,
    draw_cut,
    fake_targets,
    on_cells,
    real_targets,
    remaining,
    visible,
)

_DRAWS = 50  # a blend that leaves no trace is rare; so many in a row means something is wrong
_MARGINS_PX = (5, 24)


@dataclass(frozen=True, slots=True)
class FakeShares:
    """How often each kind of pseudo-fake is made, relative to the others.

    Attributes:
        self_blended: of a clip blended with itself, as the paper does.
        regularity_disrupted: of a clip whose order in space and time is broken.
        video_blended: of a clip whose features drift.
    """

    self_blended: float = 1.0
    regularity_disrupted: float = 0.0
    video_blended: float = 0.0

    def __post_init__(self) -> None:
        """Refuse shares that cannot be drawn from."""
        shares = (self.self_blended, self.regularity_disrupted, self.video_blended)
        if min(shares) < 0 or not sum(shares) > 0:
            raise ValueError(f"shares are 0 or more and one is positive, not {shares}")

    def draw(self, rng: np.random.Generator) -> Blend:
        """Return one kind of pseudo-fake."""
        shares = np.array([self.self_blended, self.regularity_disrupted, self.video_blended])
        kinds: tuple[Blend, ...] = (self_blended, regularity_disrupted, video_blended)
        return kinds[int(rng.choice(len(kinds), p=shares / shares.sum()))]


Blend = Callable[[FaceClip, np.random.Generator], BlendedVideo]


@dataclass(frozen=True, slots=True)
class ClipSettings:
    """How clips are cut out of videos and forged.

    Attributes:
        strides: how many frames may lie from one frame of a clip to the next; one is drawn.
        fakes: which pseudo-fakes are made.
        cut: share of the pairs from which vulnerable cells are cut out.
        reading: whose reading of the paper targets follow.
        peaked: ask the temporal head where a clip changes most, and not how much each cell does.
    """

    strides: tuple[int, ...] = (1,)
    fakes: FakeShares = FakeShares()
    cut: float = 0.5
    reading: Reading = Reading.PAPER
    peaked: bool = False

    def __post_init__(self) -> None:
        """Refuse strides and shares that mean nothing."""
        if not self.strides or min(self.strides) < 1:
            raise ValueError(f"strides are 1 or more, not {self.strides}")
        if not 0 <= self.cut <= 1:
            raise ValueError(f"cut lies in 0..1, not {self.cut}")


@dataclass(frozen=True, slots=True)
class ClipShape:
    """What the network takes and answers: T frames of S pixels, G x G cells."""

    frames: int
    image_px: int
    cells: int


@dataclass(frozen=True, slots=True, eq=False)
class Pair:
    """A real clip and a pseudo-fake made of it; index 0 is real, 1 is fake.

    Attributes:
        crops: `(2, T, S, S, 3)` RGB uint8.
        spatial: strongest vulnerability per frame, `(2, T)` float32.
        temporal: z-scores of its change, or its peaks, `(2, T, G, G)` float32.
        visible: 0 where a cell was cut out, `(2, T, G, G)` float32.
    """

    crops: NDArray[np.uint8]
    spatial: NDArray[np.float32]
    temporal: NDArray[np.float32]
    visible: NDArray[np.float32]


class ClipSource:
    """Draws pairs from real videos.

    Args:
        videos: of these, the real ones that show a face for at least one clip are used.
        shape: of clips and maps.
        settings: how they are made.

    Raises:
        VideosMissing: none can be used.
    """

    def __init__(self, videos: Sequence[Video], shape: ClipShape, settings: ClipSettings) -> None:
        self._shape, self._settings = shape, settings
        real = [video for video in videos if video.entry.label == REAL]
        self.starts: list[tuple[Video, Mapping[int, NDArray[np.int64]]]] = [
            (video, starts) for video in real if (starts := self._possible(video))
        ]
        if not self.starts:
            wanted = f"real ones with a face in {shape.frames} frames, {settings.strides} apart"
            raise VideosMissing(wanted, len(videos))

    def __len__(self) -> int:
        """Return how many videos are used."""
        return len(self.starts)

    def draw(self, rng: np.random.Generator, video: int | None = None) -> Pair:
        """Return a pair of clips; of a video drawn by `rng` unless one is named.

        A blend that leaves no visible trace teaches nothing, and another is drawn.

        Raises:
            VideosMissing: no blend leaves a trace, however often one is drawn.
        """
        for _ in range(_DRAWS):
            chosen, starts = pick(rng, self.starts) if video is None else self.starts[video]
            stride = pick(rng, sorted(starts))
            first = int(rng.choice(starts[stride]))
            clip = face_in(chosen, first + stride * np.arange(self._shape.frames))
            pair = forge(clip, self._shape, self._settings, rng)
            if pair is not None:
                return pair
        raise VideosMissing("faces on which a blend leaves a trace", len(self))

    def _possible(self, video: Video) -> Mapping[int, NDArray[np.int64]]:
        """Return, per stride, the frames at which a clip can start: a face all along."""
        found = video.path.found
        starts = {}
        for stride in self._settings.strides:
            length = len(found) - stride * (self._shape.frames - 1)
            if length < 1:
                continue
            steps = [found[k * stride : k * stride + length] for k in range(self._shape.frames)]
            if len(possible := np.flatnonzero(np.all(steps, axis=0))):
                starts[stride] = possible
        return starts


def face_in(video: Video, numbers: NDArray[np.int64]) -> FaceClip:
    """Return the face in some frames of a video, each cut out by its own box, 256 px."""
    crops, meshes = [], []
    for number, frame in zip(numbers, video.frames(numbers.tolist()), strict=True):
        mesh = video.path.meshes[number]
        (x0, y0), (x1, y1) = mesh.min(axis=0), mesh.max(axis=0)
        box = Box(float(x0), float(y0), float(x1), float(y1))
        left, top, right, bottom = enlarged(box, frame.shape[1], frame.shape[0])
        crops.append(box_crop(frame, box))
        scale = STORED_PX / np.array([right - left, bottom - top])
        # Pixel centres: resizing maps the middle of a pixel, half a pixel from its corner.
        meshes.append((mesh + 0.5 - (left, top)) * scale - 0.5)
    return FaceClip(np.stack(crops), np.stack(meshes).astype(np.float32))


def forge(
    clip: FaceClip, shape: ClipShape, settings: ClipSettings, rng: np.random.Generator
) -> Pair | None:
    """Return a clip and its forgery with targets; None when the blend leaves no trace.

    Margin, colours and cut are drawn once and are the same for all frames of both.
    """
    blended = settings.fakes.draw(rng)(clip, rng)
    margin = int(rng.integers(_MARGINS_PX[0], _MARGINS_PX[1] + 1))
    change = draw_common_change(rng)
    inner = slice(margin, STORED_PX - margin)
    cells = np.stack(
        [on_cells(boundary(m)[inner, inner], shape.cells, settings.reading) for m in blended.masks]
    )
    level = float(rng.uniform(0.5, 1.0))
    cut = draw_cut(cells[0], level, rng) if rng.random() < settings.cut else None
    if remaining(cells, cut).max() <= 1:
        return None

    def shown(frames: Frames) -> Frames:
        crops = [change.apply(cut_margin(f, shape.image_px, margin)) for f in frames]
        return blacked_out(np.stack(crops), cut)

    sides: tuple[ClipTargets, ClipTargets] = (
        real_targets(cells, settings.reading, peaked=settings.peaked),
        fake_targets(cells, cut, settings.reading, peaked=settings.peaked),
    )
    seen = visible(cut, shape.frames, shape.cells)
    return Pair(
        crops=np.stack([shown(blended.real), shown(blended.fake)]),
        spatial=np.stack([side.spatial for side in sides]),
        temporal=np.stack([side.temporal for side in sides]),
        visible=np.stack([seen, seen]),
    )
