"""Windows of training and validation, made once and kept in a work folder.

Making them takes longer than any stage of training, so several commands may share it: each makes
the files whose number is its own, modulo how many there are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from styleflow.data.degradations.video import random_degradation
from styleflow.data.prepared_video import Video
from styleflow.data.pseudo_fakes.blending import pick
from styleflow.data.pseudo_fakes.kinds import KINDS, FaceClip, Materials
from styleflow.training.styleflow_live.footage import Footage, length, lent_faces
from styleflow.training.styleflow_live.recipe import StyleFlowLiveRecipe
from styleflow.training.styleflow_live.stages import DrawingNetworks
from styleflow.training.styleflow_live.window_store import Family, read_shards, write_shard
from styleflow.training.styleflow_live.windows import WindowSpec, make_family

# Kinds that imitate much are drawn a little more often than the one that imitates little.
_WEIGHTS = {kind: 0.6 if kind == "smooth_time" else 1.2 for kind in KINDS}


@dataclass(frozen=True, slots=True, eq=False)
class WindowMaker:
    """Makes the windows of one run.

    Attributes:
        recipe: decides how many, how long and what they show.
        footage: whose faces.
        drawing: networks that draw faces of pseudo-fakes.
        folder: where windows are kept.
        tell: told what is being done.
    """

    recipe: StyleFlowLiveRecipe
    footage: Footage
    drawing: DrawingNetworks
    folder: Path
    tell: Callable[[str], None]

    def make(self, part: int = 0, parts: int = 1) -> None:
        """Make the windows that are not there yet.

        Args:
            part: which share of them.
            parts: how many commands share them.
        """
        counts = self.recipe.counts
        shards = range(part, -(-counts.training // counts.per_shard), parts)
        self._make("training", shards, self.footage.training, self._training_families)
        shards = range(part, len(self.footage.held_out) * counts.validation, parts)
        self._make("validation", shards, self.footage.held_out, self._validation_families)

    def read(self) -> tuple[list[Family], list[Family]]:
        """Return the families of training and of validation.

        Raises:
            DatasetUnusable: windows of another version of the program are among them.
        """
        kept = [sorted(self.folder.glob(f"{name}-*.npz")) for name in ("training", "validation")]
        training, validation = (read_shards(paths) for paths in kept)
        return training, validation

    def _make(
        self,
        name: str,
        shards: Sequence[int],
        videos: Sequence[Video],
        make: Callable[[int, Materials], Iterator[Family]],
    ) -> None:
        paths = {number: self.folder / f"{name}-{number:04d}.npz" for number in shards}
        missing = {number: path for number, path in paths.items() if not path.is_file()}
        if not missing:
            return
        lent = lent_faces(self.footage, videos)
        materials = Materials(lent, self.drawing.redraws, self.drawing.styles)
        for number, path in missing.items():
            write_shard(list(make(number, materials)), path)
            self.tell(f"wrote {path.name}")

    def _training_families(self, number: int, materials: Materials) -> Iterator[Family]:
        counts, groups = self.recipe.counts, self.footage.groups()
        rng = np.random.default_rng([self.recipe.seed, 1, number])
        weights = np.array([_WEIGHTS[kind] for kind in KINDS])
        shares = weights / weights.sum()
        for g in rng.choice(len(groups), min(counts.per_shard, len(groups)), replace=False):
            video = pick(rng, [v for v in self.footage.training if v.entry.group == groups[g]])
            kinds = rng.choice(list(KINDS), counts.fakes, replace=False, p=shares)
            spec = self.recipe.windows
            yield _family(video, [str(kind) for kind in kinds], materials, spec, rng)

    def _validation_families(self, number: int, materials: Materials) -> Iterator[Family]:
        video = self.footage.held_out[number % len(self.footage.held_out)]
        rng = np.random.default_rng([self.recipe.seed, 2, number])
        yield _family(video, list(KINDS), materials, self.recipe.validation_windows, rng)


def _family(
    video: Video,
    kinds: Sequence[str],
    materials: Materials,
    spec: WindowSpec,
    rng: np.random.Generator,
) -> Family:
    count = min(spec.frames, length(video))
    start = int(rng.integers(length(video) - count + 1))
    stretch = slice(start, start + count)
    clip = FaceClip(video.frames(range(start, start + count)), video.path.meshes[stretch].copy())
    degradation = random_degradation(rng)
    real, *fakes = make_family(clip, video.times[stretch], kinds, materials, degradation, rng, spec)
    return Family(video.entry.group, real, tuple(fakes))
