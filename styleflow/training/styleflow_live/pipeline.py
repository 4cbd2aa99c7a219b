"""From a folder of clips to a checkpoint, end to end and resumable.

Every stage keeps its result in a work folder and is skipped when it is there, so that an
interrupted run goes on where it stopped. Making windows takes longest and may be shared by several
processes: each makes the files whose number is its own, modulo how many there are.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from styleflow.cards import TrainingStatus
from styleflow.data.degradations.video import random_damage
from styleflow.data.index import Entry, groups_of, read_manifest, read_stills
from styleflow.data.pseudo_fakes.blending import pick
from styleflow.data.pseudo_fakes.kinds import KINDS, FaceClip, Materials, Portrait, Redraw
from styleflow.data.pseudo_fakes.restyling import Styles, face_anchor
from styleflow.data.video import (
    FacePath,
    cached_path,
    crop,
    follow_face,
    frame_rate,
    plan_crops,
    read_frames,
    read_still,
)
from styleflow.detectors.layers.seeding import seed_weights
from styleflow.detectors.styleflow_live.content import ContentNet
from styleflow.detectors.styleflow_live.lite import LiteTrunk
from styleflow.detectors.styleflow_live.network import StyleFlowLive
from styleflow.errors import VideoUnusable
from styleflow.faces.align import warp
from styleflow.faces.face import Image
from styleflow.faces.finder import FaceFinder
from styleflow.training.loop import train
from styleflow.training.recipe import StyleFlowLiveRecipe
from styleflow.training.styleflow_live.content import ContentTask
from styleflow.training.styleflow_live.picture_pairs import (
    PICTURE_KINDS,
    PictureSource,
    PictureSpec,
    mirror_partners,
)
from styleflow.training.styleflow_live.redrawing import (
    PatchTask,
    StyleAutoencoder,
    StyleAutoencoderTask,
    redraw_with,
    styles_with,
)
from styleflow.training.styleflow_live.resynthesis import PatchAutoencoder
from styleflow.training.styleflow_live.tasks import (
    FusionTask,
    fit_calibration,
    weigh_cues,
    weigh_flow,
    window_ratings,
)
from styleflow.training.styleflow_live.window_store import Family, read_shards, write_shard
from styleflow.training.styleflow_live.windows import WindowSpec, make_family
from styleflow.weights import cache as published
from styleflow.weights.checkpoint import Checkpoint

Say = Callable[[str], None]
"""Told in a few words what is being done."""

_PORTRAIT_EVERY = 45  # frames between the pictures of one clip that lend a face
_PICTURE_EVERY = 3  # frames between the pictures that pairs are made of
_FACE_EVERY = 2  # sampled frames between the faces of one clip that styles are learned from
_STILL_EVERY = 12  # so many stills are skipped for each that lends a face
_PATCH_PICTURES = 12  # frames between pictures that patch auto-encoders learn from

# Kinds that imitate much are drawn a little more often than the one that imitates little.
_WEIGHTS = {kind: 0.6 if kind == "smooth_time" else 1.2 for kind in KINDS}


@dataclass(frozen=True)
class Workshop:
    """One run: where clips are, where results go, and what decides them.

    Attributes:
        clips: folder with `manifest.csv` and `faces.csv`.
        work: folder of results.
        recipe: decides everything else.
        finder: finds faces.
        say: told what is being done.
    """

    clips: Path
    work: Path
    recipe: StyleFlowLiveRecipe
    finder: FaceFinder
    say: Say

    @cached_property
    def training(self) -> tuple[Entry, ...]:
        """Clips that are trained on."""
        return tuple(e for e in self._real if e.group not in self.recipe.held_out)

    @cached_property
    def held_out(self) -> tuple[Entry, ...]:
        """Clips that validate and calibrate."""
        return tuple(e for e in self._real if e.group in self.recipe.held_out)

    @cached_property
    def _real(self) -> tuple[Entry, ...]:
        index = read_manifest(self.clips / "manifest.csv")
        for refusal in index.refusals:
            self.say(f"row {refusal.row} of the manifest is left out: {refusal.reason}")
        return tuple(e for e in index.of("train_real") if self.path(e) is not None)

    def path(self, entry: Entry) -> FacePath | None:
        """Return where the face of a clip is, from the cache if it can be."""
        return cached_path(
            entry.path,
            self.work / "faces",
            lambda: follow_face(read_frames(entry.path), self.finder),
        )

    @cached_property
    def stills(self) -> tuple[Portrait, ...]:
        """Still faces with landmarks, from the cache if they can be."""
        kept = self.work / "stills.npz"
        if not kept.is_file():
            self.say("placing landmarks on stills")
            _write_stills(read_stills(self.clips / "faces.csv"), self.finder, kept)
        with np.load(kept) as file:
            images, meshes = file["images"], file["meshes"]
        return tuple(Portrait(i, m) for i, m in zip(images, meshes, strict=True))

    def prepare(self, part: int = 0, parts: int = 1) -> None:
        """Make the landmarks, the networks that draw faces anew, and the windows of training.

        Args:
            part: which share of the windows is made here.
            parts: how many processes share them.
        """
        counts = self.recipe.counts
        materials = self._materials(self.training)
        for number in range(part, -(-counts.training // counts.per_shard), parts):
            path = self.work / "windows" / f"training-{number:04d}.npz"
            if not path.is_file():
                write_shard(self._training_families(number, materials), path)
                self.say(f"wrote {path.name}")
        materials = self._materials(self.held_out)
        for number in range(part, len(self.held_out) * counts.validation, parts):
            path = self.work / "windows" / f"validation-{number:04d}.npz"
            if not path.is_file():
                write_shard([self._validation_family(number, materials)], path)
                self.say(f"wrote {path.name}")

    def train(self, version: str) -> Checkpoint:
        """Train all stages on what `prepare` has made, and return the checkpoint."""
        families = read_shards(sorted((self.work / "windows").glob("training-*.npz")))
        validation = read_shards(sorted((self.work / "windows").glob("validation-*.npz")))
        network = StyleFlowLive(self.recipe.dimensions)
        seed_weights(network, self.recipe.seed)
        network.encoder.load_state_dict(self._autoencoder.encoder.state_dict())
        content = self._content(validation)
        assert network.content is not None
        network.adopt(published.backbone())
        network.content.load_state_dict(content.state_dict())
        weigh_cues(network, [f.real.crops for f in (*families, *validation)])
        network = self._fusion(network, families, validation)
        self.say(f"style flow keeps {weigh_flow(network, validation):.2f} of its weight")
        # Kinds that pictures were trained on are easier than any generator in the wild.
        unseen = set(KINDS) - set(PICTURE_KINDS)
        ratings = window_ratings(network, validation, unseen)
        calibration = fit_calibration(*ratings, self.recipe.prior)
        return Checkpoint(
            kind="styleflow-live",
            version=version,
            dimensions=self.recipe.dimensions,
            tensors=network.state_dict(),
            calibration=calibration,
            status=_status(calibrated=calibration.fitted),
            provenance=(
                f"Trained by this project on {len(self.training)} real clips of "
                f"{len(groups_of(self.training))} groups and {len(self.stills)} stills; every fake "
                f"was a pseudo-fake. Seed {self.recipe.seed}. See docs/model-card.md."
            ),
        )

    @cached_property
    def _redraws(self) -> list[Redraw]:
        pictures: list[Image] = []
        for entry in self.training:
            pictures.extend(read_frames(entry.path)[::_PATCH_PICTURES].copy())
        redraws = []
        for number, dims in enumerate(self.recipe.redraws):
            network = PatchAutoencoder(dims)
            seed_weights(network, self.recipe.seed + number)
            task = PatchTask(network, pictures, self.recipe.patch_px, self.recipe.patch_batch)
            trained = train(
                task,
                self.recipe.redrawing,
                self.recipe.seed,
                self.work / f"redraw-{number}",
                self._telling(f"redraw-{number}"),
            )
            assert isinstance(trained, PatchAutoencoder)
            redraws.append(redraw_with(trained))
        return redraws

    @cached_property
    def _autoencoder(self) -> StyleAutoencoder:
        size = self.recipe.dimensions.encoder.size_px
        stills = [warp(p.image, face_anchor(p.mesh), size) for p in self.stills]
        faces = np.concatenate([np.stack(stills), *map(self._filmed_faces, self.training)])
        held_out = np.concatenate([self._filmed_faces(entry) for entry in self.held_out])
        network = StyleAutoencoder(self.recipe.dimensions.encoder)
        seed_weights(network, self.recipe.seed)
        with torch.no_grad():
            # A constant of zero would draw nothing and learn nothing.
            constant = np.random.default_rng(self.recipe.seed).normal(
                size=network.decoder.constant.shape
            )
            network.decoder.constant.copy_(torch.from_numpy(constant))
        trained = train(
            StyleAutoencoderTask(network, faces, held_out, self.recipe.style_batch, _critic()),
            self.recipe.style,
            self.recipe.seed,
            self.work / "style",
            self._telling("style"),
        )
        assert isinstance(trained, StyleAutoencoder)
        return trained

    @cached_property
    def _styles(self) -> Styles:
        return styles_with(self._autoencoder)

    def _filmed_faces(self, entry: Entry) -> NDArray[np.uint8]:
        """Return faces of a clip at the style encoder's size, aligned as in live video."""
        dims, rate = self.recipe.dimensions, frame_rate(entry.path)
        plan = plan_crops(self._known_path(entry), rate, rate / self.recipe.windows.stride)
        chosen = slice(None, None, _FACE_EVERY)
        crops = crop(
            read_frames(entry.path),
            plan.frames[chosen],
            list(plan.arriving[chosen]),
            dims.crop_px,
        )
        return shrunk(crops, dims.shrink)

    def _content(self, validation: Sequence[Family]) -> ContentNet:
        recipe, window = self.recipe, self.recipe.dimensions.content
        if window is None:
            raise ValueError("these dimensions have no content network")
        network = ContentNet(window)
        seed_weights(network, recipe.seed)
        network.adopt(published.backbone())
        network.begin(recipe.seed)
        spec = PictureSpec(recipe.dimensions.crop_px, window.top, window.left, window.size_px)
        task = ContentTask(network, self._pictures(), spec, validation, recipe.content_pairs)
        trained = train(
            task, recipe.content, recipe.seed, self.work / "content", self._telling("content")
        )
        assert isinstance(trained, ContentNet)
        return trained

    def _pictures(self) -> PictureSource:
        filmed: dict[tuple[str, str], list[Portrait]] = {}
        for entry in self.training:
            path, frames = self._known_path(entry), read_frames(entry.path)
            filmed.setdefault((entry.source, entry.group), []).extend(
                # Copied, or every picture would keep its whole video in memory.
                Portrait(frames[t].copy(), path.meshes[t].copy())
                for t in range(0, len(frames), _PICTURE_EVERY)
                if path.found[t]
            )
        partner = mirror_partners([still.mesh for still in self.stills])
        return PictureSource(filmed, self.stills, self._redraws, self._styles, partner)

    def _fusion(
        self,
        network: StyleFlowLive,
        families: Sequence[Family],
        validation: Sequence[Family],
    ) -> StyleFlowLive:
        task = FusionTask(
            network,
            families,
            validation,
            self.recipe.fusion_pairs,
            self.recipe.fusion_frames,
        )
        trained = train(
            task,
            self.recipe.fusion,
            self.recipe.seed,
            self.work / "fusion",
            self._telling("fusion"),
        )
        assert isinstance(trained, StyleFlowLive)
        return trained

    def _materials(self, entries: Sequence[Entry]) -> Materials:
        portraits = list(self.stills[::_STILL_EVERY])
        for entry in entries:
            path, frames = self._known_path(entry), read_frames(entry.path)
            for t in range(0, len(frames), _PORTRAIT_EVERY):
                # Copied, or every portrait would keep its whole video in memory.
                portraits.append(Portrait(frames[t].copy(), path.meshes[t].copy()))
        return Materials(portraits, self._redraws, self._styles)

    def _training_families(self, number: int, materials: Materials) -> list[Family]:
        rng = np.random.default_rng([self.recipe.seed, 1, number])
        groups = groups_of(self.training)
        count = min(self.recipe.counts.per_shard, len(groups))
        weights = np.array([_WEIGHTS[kind] for kind in KINDS])
        families = []
        for g in rng.choice(len(groups), count, replace=False):
            entry = pick(rng, [e for e in self.training if e.group == groups[int(g)]])
            kinds = rng.choice(
                list(KINDS), self.recipe.counts.fakes, replace=False, p=weights / weights.sum()
            )
            families.append(
                self._family(entry, [str(k) for k in kinds], materials, self.recipe.windows, rng)
            )
        return families

    def _validation_family(self, number: int, materials: Materials) -> Family:
        entry = self.held_out[number % len(self.held_out)]
        rng = np.random.default_rng([self.recipe.seed, 2, number])
        return self._family(entry, list(KINDS), materials, self.recipe.validation_windows, rng)

    def _family(
        self,
        entry: Entry,
        kinds: Sequence[str],
        materials: Materials,
        spec: WindowSpec,
        rng: np.random.Generator,
    ) -> Family:
        path, frames = self._known_path(entry), read_frames(entry.path)
        length = min(spec.frames, len(frames))
        start = int(rng.integers(len(frames) - length + 1))
        clip = FaceClip(
            frames[start : start + length].copy(), path.meshes[start : start + length].copy()
        )
        real, *fakes = make_family(clip, kinds, materials, random_damage(rng), rng, spec)
        return Family(entry.group, real, tuple(fakes))

    def _known_path(self, entry: Entry) -> FacePath:
        path = self.path(entry)
        if path is None:
            raise VideoUnusable(entry.path, "it shows no face")
        return path

    def _telling(self, stage: str) -> Callable[[int, Mapping[str, float]], None]:
        def tell(step: int, figures: Mapping[str, float]) -> None:
            told = ", ".join(f"{name} {value:.4g}" for name, value in figures.items())
            self.say(f"{stage} {step}: {told}")

        return tell


def _critic() -> LiteTrunk:
    trunk = LiteTrunk(rank=0)
    trunk.adopt(published.backbone())
    return trunk


def shrunk(crops: NDArray[np.uint8], times: int) -> NDArray[np.uint8]:
    """Return crops `times` smaller, as `StyleFlowLive` shrinks them, `(n, s, s, 3)` uint8."""
    n, side = len(crops), crops.shape[1] // times
    tiles = crops.reshape(n, side, times, side, times, 3).astype(np.float32)
    return np.asarray(np.round(tiles.mean(axis=(2, 4))), np.uint8)


def _write_stills(listing: Sequence[tuple[Path, str]], finder: FaceFinder, kept: Path) -> None:
    images, meshes = [], []
    for path, _ in listing:
        image = read_still(path)
        face = max(finder.find(image), key=lambda f: f.box.area, default=None)
        if face is not None and face.mesh is not None:
            images.append(image)
            meshes.append(face.mesh.astype(np.float32))
    kept.parent.mkdir(parents=True, exist_ok=True)
    np.savez(kept, images=np.stack(images), meshes=np.stack(meshes))


def _status(*, calibrated: bool) -> TrainingStatus:
    """Return what a checkpoint of this recipe may call itself: nobody has shown more yet."""
    return TrainingStatus.EXPERIMENTAL if calibrated else TrainingStatus.UNCALIBRATED
