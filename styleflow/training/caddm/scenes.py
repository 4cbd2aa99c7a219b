"""CADDM's training scenes: from pairs of videos, or from real videos alone.

A fake is set against the real video that it was made from, at the same frame number: `Entry.pair`
joins them. Prepared videos are cut out around their own face, so the original is first laid onto
the fake. A fake without an original is of no use to a swap; it is left out and counted. Where there
are real videos only, one frame of them is faked by a kind of `pseudo_fakes.py`, which then stands
for the fake video.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from styleflow.data.index import FAKE, REAL, Entry
from styleflow.data.prepared_video import Video
from styleflow.data.pseudo_fakes.blending import Landmarks
from styleflow.data.pseudo_fakes.kinds import FaceClip, Materials, Portrait, make
from styleflow.data.video import Frames
from styleflow.errors import LabelsMissing
from styleflow.faces.face import Image
from styleflow.training.caddm.sample import Scene
from styleflow.training.caddm.swap import hull_mask

_SURROUNDINGS = 1.0  # face widths around a face that its crop can reach under any usual jitter
_WHOLE_PX = 0.25  # a registration that is nowhere further than this from whole pixels is whole
_ECC_STEPS, _ECC_CHANGE = 60, 1e-5

Registration = NDArray[np.float64]
"""The `(2, 3)` map from an original's pixels to those of its fake."""


class Origin(Protocol):
    """A frame that training may ask for."""

    @property
    def entry(self) -> Entry:
        """The video that it is of."""
        ...

    def scene(self, rng: np.random.Generator) -> Scene:
        """Return its pictures and landmarks."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class RealFrame:
    """A frame of a real video."""

    video: Video
    number: int

    @property
    def entry(self) -> Entry:
        """The video."""
        return self.video.entry

    def scene(self, rng: np.random.Generator) -> Scene:
        """Return the frame, twice."""
        picture, mesh = _cut(*_frame(self.video, self.number))
        return Scene(picture, picture, mesh.astype(np.float64), REAL)


@dataclass(frozen=True, eq=False)
class Pair:
    """A fake video and the real one that it was made from."""

    fake: Video
    original: Video

    @cached_property
    def frames(self) -> NDArray[np.int64]:
        """The frames that show a face in both."""
        return np.intersect1d(usable(self.fake), usable(self.original))

    @cached_property
    def registration(self) -> Registration:
        """How the original lies on its fake, the same for all frames; there is one at least.

        Landmarks say roughly; the pictures around the face, which both have in common, exactly.
        """
        meshes = self.original.path.meshes[self.frames], self.fake.path.meshes[self.frames]
        rough = _scale_and_shift(*meshes)
        middle = int(self.frames[len(self.frames) // 2])
        (here, mesh), (there, _) = _frame(self.fake, middle), _frame(self.original, middle)
        face = hull_mask(mesh.astype(np.float64), here.shape[:2])
        return _snapped(_refined(here, there, face, rough), here.shape)


@dataclass(frozen=True, slots=True, eq=False)
class PairedFrame:
    """A frame of a fake video, and the same one of the video that it was made from."""

    pair: Pair
    number: int

    @property
    def entry(self) -> Entry:
        """The fake video."""
        return self.pair.fake.entry

    def scene(self, rng: np.random.Generator) -> Scene:
        """Return the fake and its original in the fake's pixels."""
        fake, mesh = _frame(self.pair.fake, self.number)
        original, _ = _frame(self.pair.original, self.number)
        real = laid_onto(original, self.pair.registration, fake.shape)
        (fake, cut), (real, _) = _cut(fake, mesh), _cut(real, mesh)
        return Scene(fake, real, cut.astype(np.float64), FAKE)


@dataclass(frozen=True, slots=True, eq=False)
class MadeFrame:
    """A frame of a real video that is faked here.

    Attributes:
        video: the real video.
        number: of the frame.
        kinds: of pseudo-fakes, one of which is drawn.
        donors: videos of other people, one of which lends its face where a kind asks for one.
    """

    video: Video
    number: int
    kinds: tuple[str, ...]
    donors: tuple[Video, ...]

    @property
    def entry(self) -> Entry:
        """The real video."""
        return self.video.entry

    def scene(self, rng: np.random.Generator) -> Scene:
        """Return a pseudo-fake of the frame, and the frame."""
        real, mesh = _cut(*_frame(self.video, self.number))
        fake = faked(real[None], mesh[None], self.kinds, self.donors, rng)[0]
        return Scene(fake, real, mesh.astype(np.float64), FAKE)


@dataclass(frozen=True, slots=True, eq=False)
class Origins:
    """What training draws from.

    Attributes:
        reals: frames of real videos.
        fakes: frames of fakes, at least one, like the reals.
        unpaired: fake videos that are left out, because their original is not there.
    """

    reals: tuple[Origin, ...]
    fakes: tuple[Origin, ...]
    unpaired: tuple[Entry, ...]


def gather(videos: Sequence[Video], frames: int, made: tuple[str, ...] = ()) -> Origins:
    """Return the frames of videos that a swap can use.

    Args:
        videos: real ones, and fakes that name their original by `Entry.pair`.
        frames: taken of each video, evenly spread over those that show a face.
        made: kinds of pseudo-fakes that are made of real videos; none when empty.

    Raises:
        LabelsMissing: no real frame, or no fake one.
    """
    real = [video for video in videos if video.entry.label == REAL]
    originals = {video.entry.pair: video for video in real if video.entry.pair}
    fakes: list[Origin] = []
    unpaired = []
    for video in videos:
        if video.entry.label != FAKE:
            continue
        original = originals.get(video.entry.pair)
        pair = Pair(video, original) if original is not None else None
        if pair is None or not len(pair.frames):
            unpaired.append(video.entry)
            continue
        fakes.extend(PairedFrame(pair, n) for n in spread(pair.frames, frames))
    if made:
        fakes.extend(origin for video in real for origin in _made(video, real, frames, made))
    reals = tuple(RealFrame(video, n) for video in real for n in spread(usable(video), frames))
    if not reals or not fakes:
        raise LabelsMissing("training CADDM", len(real), len({f.entry.path for f in fakes}))
    return Origins(reals, tuple(fakes), tuple(unpaired))


def _made(
    video: Video, others: Sequence[Video], frames: int, kinds: tuple[str, ...]
) -> list[MadeFrame]:
    donors = donors_for(video, others)
    possible = possible_kinds(kinds, donors)
    if not possible:
        return []
    return [MadeFrame(video, n, possible, donors) for n in spread(usable(video), frames)]


def donors_for(video: Video, others: Sequence[Video]) -> tuple[Video, ...]:
    """Return the real videos of other people."""
    return tuple(
        other
        for other in others
        if other.entry.label == REAL
        and other.entry.group != video.entry.group
        and len(usable(other))
    )


def possible_kinds(kinds: tuple[str, ...], donors: Sequence[Video]) -> tuple[str, ...]:
    """Return the kinds that can be made: nobody's face can be swapped without another."""
    return kinds if donors else tuple(kind for kind in kinds if kind != "swap")


def usable(video: Video) -> NDArray[np.int64]:
    """Return the frames that show a face."""
    return np.flatnonzero(video.path.found)


def spread(numbers: NDArray[np.int64], count: int) -> list[int]:
    """Return some of many, evenly, the first and the last among them."""
    places = np.linspace(0, len(numbers) - 1, min(count, len(numbers))).astype(np.int64)
    return [int(n) for n in numbers[places]]


def faked(
    frames: Frames,
    meshes: NDArray[np.float32],
    kinds: tuple[str, ...],
    donors: Sequence[Video],
    rng: np.random.Generator,
) -> Frames:
    """Return frames of one face as a pseudo-fake of a kind that is drawn."""
    portraits = []
    if donors:
        donor = donors[int(rng.integers(len(donors)))]
        numbers = usable(donor)
        portraits = [Portrait(*_cut(*_frame(donor, int(numbers[rng.integers(len(numbers))]))))]
    kind = kinds[int(rng.integers(len(kinds)))]
    return make(kind, FaceClip(frames, meshes), Materials(portraits, ()), rng).frames


# --- pictures -------------------------------------------------------------------------------


def laid_onto(original: Image, how: Registration, shape: tuple[int, ...]) -> Image:
    """Return an original in its fake's pixels; beyond its border that border is repeated."""
    size = shape[1], shape[0]
    laid = cv2.warpAffine(original, how, size, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(laid, np.uint8)


def _scale_and_shift(here: NDArray[np.float32], there: NDArray[np.float32]) -> Registration:
    """Return the scale and shift that bring landmarks `(n, 468, 2)` closest to others."""
    a, b = here.reshape(-1, 2).astype(np.float64), there.reshape(-1, 2).astype(np.float64)
    a0, b0 = a.mean(axis=0), b.mean(axis=0)
    scale = float(((a - a0) * (b - b0)).sum() / max(((a - a0) ** 2).sum(), 1e-9))
    return np.column_stack([scale * np.eye(2), b0 - scale * a0])


def _refined(
    fake: Image, original: Image, face: NDArray[np.uint8], rough: Registration
) -> Registration:
    """Return a registration improved by the pictures, or as it was where they show too little."""
    here, there = (cv2.cvtColor(p, cv2.COLOR_RGB2GRAY) for p in (fake, original))
    outside = np.where(face > 0, 0, 255).astype(np.uint8)
    inverse = cv2.invertAffineTransform(rough).astype(np.float32)
    stop = (cv2.TERM_CRITERIA_COUNT | cv2.TERM_CRITERIA_EPS, _ECC_STEPS, _ECC_CHANGE)
    try:
        _, found = cv2.findTransformECC(here, there, inverse, cv2.MOTION_AFFINE, stop, outside, 5)
    except cv2.error:  # it does not converge where there is no texture
        return rough
    better = np.asarray(cv2.invertAffineTransform(found), np.float64)
    return min(rough, better, key=lambda how: _mismatch(fake, original, how, outside))


def _mismatch(fake: Image, original: Image, how: Registration, outside: NDArray[np.uint8]) -> float:
    apart = cv2.absdiff(fake, laid_onto(original, how, fake.shape))[outside > 0]
    return float(apart.mean()) if len(apart) else 0.0


def _snapped(how: Registration, shape: tuple[int, ...]) -> Registration:
    """Return a registration in whole pixels where it nearly is: then nothing is resampled."""
    whole = np.column_stack([np.eye(2), np.round(how[:, 2])])
    far = np.array([[x, y, 1.0] for x in (0, shape[1]) for y in (0, shape[0])])
    return whole if np.abs(far @ (how - whole).T).max() <= _WHOLE_PX else how


def _frame(video: Video, number: int) -> tuple[Image, Landmarks]:
    return video.frames([number])[0], video.path.meshes[number]


def _cut(picture: Image, mesh: Landmarks) -> tuple[Image, Landmarks]:
    """Return a face and its surroundings: swaps cost time by the pixel."""
    reach = _SURROUNDINGS * max(float(np.ptp(mesh[:, 0])), 1.0)
    low = np.maximum(np.floor(mesh.min(axis=0) - reach), 0).astype(np.int64)
    high = np.ceil(mesh.max(axis=0) + reach).astype(np.int64)
    cut = picture[low[1] : high[1], low[0] : high[0]]
    return np.ascontiguousarray(cut), mesh - low.astype(np.float32)
