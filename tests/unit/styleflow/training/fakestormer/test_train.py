"""Promises of FakeSTormer's recipe, on a toy network and drawn faces."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from pydantic import TypeAdapter, ValidationError

from styleflow.cards import TrainingStatus
from styleflow.data.index import FAKE, REAL, Entry
from styleflow.data.video import FacePath
from styleflow.detectors.fakestormer.backbone import FakeStormerDims
from styleflow.detectors.fakestormer.network import FakeStormer
from styleflow.errors import CheckpointInvalid, VideosMissing
from styleflow.training.alternate_freezing import Looks, Turns
from styleflow.training.fakestormer.clips import (
    ClipSettings,
    ClipShape,
    ClipSource,
    FakeShares,
    face_in,
)
from styleflow.training.fakestormer.loss import LossWeights, fakestormer_loss
from styleflow.training.fakestormer.train import (
    FakeStormerRecipe,
    FakeStormerTask,
    first_weights,
    looks,
    run,
    targets,
)
from styleflow.training.fakestormer.vulnerability import Reading
from styleflow.training.loop import LoopSettings
from styleflow.weights.checkpoint import build, load
from tests.support.clips import face_clip

DIMS = FakeStormerDims(image_px=32, patch_px=8, width=16, depth=2, heads=2, frames=4, repaired=True)
SHAPE = ClipShape(4, 32, 4)
LOOP = LoopSettings(
    6, 1e-3, bf16=False, optimiser="adam", sharpness=0.05, log_every=1, validate_every=3
)
RECIPE = FakeStormerRecipe(dimensions=DIMS, batch=2, loop=LOOP, validation_clips=2, heads_first=1)
CONFIGS = Path(__file__).parents[5] / "configs" / "train"


class _Video:
    """A drawn face in a few frames, seen in all of them unless said otherwise."""

    def __init__(self, seed, label=REAL, frames=8, unseen=()):
        clip = face_clip(frames, seed)
        found = np.array([t not in unseen for t in range(frames)])
        self.pictures = clip.frames
        self.entry = Entry(Path(f"{seed}.mp4"), "train", label, f"person{seed}")
        self.path = FacePath(clip.meshes, found)

    def frames(self, numbers):
        return self.pictures[list(numbers)]


VIDEOS = [_Video(seed) for seed in range(3)]
HELD_OUT = [_Video(seed) for seed in (7, 8)]


def _pair(seed, settings=None, videos=VIDEOS):
    source = ClipSource(videos, SHAPE, settings or ClipSettings())
    return source.draw(np.random.default_rng(seed))


@pytest.mark.parametrize("reading", Reading)
@pytest.mark.parametrize(
    "fakes", [FakeShares(), FakeShares(0, 1, 0), FakeShares(0, 0, 1), FakeShares(1, 1, 1)]
)
def test_a_generator_decides_clips_and_targets(fakes, reading):
    settings = ClipSettings((1, 2), fakes, reading=reading)
    one, same, other = (_pair(seed, settings) for seed in (4, 4, 5))
    for name in ("crops", "spatial", "temporal", "visible"):
        assert np.array_equal(getattr(one, name), getattr(same, name))
    assert not np.array_equal(one.crops, other.crops)
    assert one.crops.shape == (2, 4, 32, 32, 3)
    assert one.temporal.shape == one.visible.shape == (2, 4, 4, 4)


def test_only_fakes_are_vulnerable():
    for seed in range(8):
        pair = _pair(seed)
        assert not pair.spatial[0].any()
        assert pair.spatial[1].max() > 1 / 255
        assert len(np.unique(pair.temporal[0])) == 1


def test_peaks_are_asked_of_the_fake_alone():
    trembling = _Video(0)
    noise = np.random.default_rng(0).normal(0, 2, trembling.path.meshes.shape)
    trembling.path.meshes[:] += noise
    real, fake = _pair(0, ClipSettings(peaked=True), [trembling]).temporal
    assert not real.any()
    assert (fake.min(), fake.max()) == (pytest.approx(0, abs=1e-3), 1)


def test_cut_cells_are_black_in_both_clips():
    pair = _pair(0, ClipSettings(cut=1.0))
    hidden = np.kron(1 - pair.visible[0, 0], np.ones((8, 8))).astype(bool)
    assert hidden.any()
    assert not pair.crops[:, :, hidden].any()


def test_a_face_is_cut_out_with_its_landmarks():
    """Landmarks of the crop lie on what they lay on in the picture."""
    video = _Video(0)
    video.pictures = np.zeros_like(video.pictures)
    mesh = video.path.meshes[2] = np.round(video.path.meshes[2])
    x, y = mesh[61].astype(int)
    video.pictures[2, y - 1 : y + 2, x - 1 : x + 2] = 255
    clip = face_in(video, np.array([2]))
    rows, columns = np.nonzero(clip.frames[0, :, :, 0] > 100)
    assert (columns.mean(), rows.mean()) == pytest.approx(tuple(clip.meshes[0, 61]), abs=0.6)


def test_clips_without_a_face_are_never_drawn():
    hole = _Video(1, frames=9, unseen=(4,))
    source = ClipSource([hole], SHAPE, ClipSettings((1,)))
    starts = {tuple(s[1][1].tolist()) for s in source.starts}
    assert starts == {(0, 5)}
    assert source.draw(np.random.default_rng(0)).crops.shape[0] == 2


def test_fake_videos_are_never_trained_on():
    with pytest.raises(VideosMissing, match="none of 2"):
        ClipSource([_Video(0, FAKE), _Video(1, REAL, frames=3)], SHAPE, ClipSettings())
    assert len(ClipSource([*VIDEOS, _Video(0, FAKE)], SHAPE, ClipSettings())) == 3


def test_a_tiny_batch_is_learned_by_heart():
    network = FakeStormer(DIMS)
    first_weights(network, 0)
    pairs = [_pair(seed, ClipSettings(cut=0.0)) for seed in (0, 1)]
    clips = network.network_input(torch.from_numpy(np.concatenate([p.crops for p in pairs])))
    weights, wanted = LossWeights(temporal=2.0), targets(pairs)
    optimiser = torch.optim.Adam(network.parameters(), 3e-3)
    before = fakestormer_loss(network(clips), wanted, weights)
    for _ in range(80):
        optimiser.zero_grad()
        fakestormer_loss(network(clips), wanted, weights).total.backward()
        optimiser.step()
    after = fakestormer_loss(network(clips), wanted, weights)
    for head in ("temporal", "classes", "spatial"):
        assert getattr(after, head) < 0.5 * getattr(before, head)
    logits = network(clips).logit
    assert (logits[1::2] > 0).all()
    assert (logits[::2] < 0).all()


def test_a_sharpness_aware_step_sees_one_batch_twice():
    network = FakeStormer(DIMS)
    first_weights(network, 0)
    draws = []

    class Counted(ClipSource):
        def draw(self, rng, video=None):
            draws.append(video)
            return super().draw(rng, video)

    task = FakeStormerTask(network, Counted(VIDEOS, SHAPE, ClipSettings()), (), RECIPE)
    first, again = (task.loss(np.random.default_rng(1))[0] for _ in range(2))
    assert len(draws) == RECIPE.batch
    assert first.item() == pytest.approx(again.item(), rel=1e-5)
    task.loss(np.random.default_rng(2))
    assert len(draws) == 2 * RECIPE.batch


def test_videos_become_a_checkpoint_that_weights_accepts(tmp_path):
    said = []
    path = run(RECIPE, VIDEOS, HELD_OUT, tmp_path, said.append)
    assert path == tmp_path / "fakestormer-c23.safetensors"
    detector = build(load(path))
    assert detector.card.name == "fakestormer-c23"
    assert detector.card.status is TrainingStatus.TRAINED
    assert detector.calibration.fitted
    assert detector.model.dims == DIMS
    assert any("validation" in words for words in said)


def test_resumed_equals_uninterrupted_bit_for_bit(tmp_path):
    recipe = dataclasses.replace(RECIPE, turns=Turns(1, 1))
    whole = load(run(recipe, VIDEOS, HELD_OUT, tmp_path / "whole", lambda words: None))

    class Interrupted(Exception):
        pass

    def interrupt(words):
        if words.startswith("fakestormer 4"):
            raise Interrupted

    with pytest.raises(Interrupted):
        run(recipe, VIDEOS, HELD_OUT, tmp_path / "parts", interrupt)
    resumed = load(run(recipe, VIDEOS, HELD_OUT, tmp_path / "parts", lambda words: None))
    assert resumed.sha256 == whole.sha256


def test_without_validation_nothing_is_calibrated(tmp_path):
    with pytest.raises(VideosMissing, match="validate_every"):
        run(RECIPE, VIDEOS, (), tmp_path, lambda words: None)
    loop = dataclasses.replace(LOOP, steps=1, validate_every=0)
    recipe = dataclasses.replace(RECIPE, loop=loop, detector="fakestormer-c40")
    path = run(recipe, VIDEOS, (), tmp_path, lambda words: None)
    assert path.name == "fakestormer-c40.safetensors"
    assert load(path).status is TrainingStatus.UNCALIBRATED


def test_training_goes_on_from_a_checkpoint_of_the_same_dimensions(tmp_path):
    loop = dataclasses.replace(LOOP, steps=1)
    recipe = dataclasses.replace(RECIPE, loop=loop)
    first = run(recipe, VIDEOS, HELD_OUT, tmp_path / "a", lambda words: None)
    still = dataclasses.replace(loop, learning_rate=0.0, first_rate=0.0, weight_decay=0.0)
    further = dataclasses.replace(recipe, start=str(first), loop=still)
    again = load(run(further, VIDEOS, HELD_OUT, tmp_path / "b", lambda words: None))
    name = "backbone.patch_embed.proj.weight"
    assert torch.equal(again.tensors[name], load(first).tensors[name])
    other = dataclasses.replace(further, dimensions=dataclasses.replace(DIMS, repaired=False))
    with pytest.raises(CheckpointInvalid, match="dimensions"):
        run(other, VIDEOS, HELD_OUT, tmp_path / "c", lambda words: None)


def test_every_weight_looks_somewhere_and_shared_ones_always_learn():
    kinds = {name: looks(name) for name, _ in FakeStormer(DIMS).named_parameters()}
    assert kinds["backbone.blocks.1.temporal_attn.qkv.weight"] is Looks.TIME
    assert kinds["backbone.blocks.1.temporal_norm1.weight"] is Looks.TIME
    assert kinds["backbone.time_embed"] is Looks.TIME
    assert kinds["keypoint_head.hm.proj.1.weight"] is Looks.TIME
    assert kinds["backbone.blocks.0.attn.qkv.weight"] is Looks.SPACE
    assert kinds["backbone.patch_embed.proj.bias"] is Looks.SPACE
    assert kinds["keypoint_head.temp_loc.fc_out.weight"] is Looks.SPACE
    assert kinds["backbone.blocks.0.mlp.fc1.weight"] is Looks.NEITHER
    assert kinds["keypoint_head.cls.fc_out.bias"] is Looks.NEITHER


@pytest.mark.parametrize("file", ["fakestormer.yaml", "fakestormer-small.yaml"])
def test_the_files_are_recipes(file):
    document = yaml.safe_load((CONFIGS / file).read_text(encoding="utf-8"))
    assert next(iter(document)) == "method"
    recipe = TypeAdapter(FakeStormerRecipe).validate_python(document)
    assert recipe.loop.sharpness == 0.05
    assert recipe.dimensions.repaired


@pytest.mark.parametrize(
    "wrong",
    [
        {"method": "caddm"},
        {"sharpness": 0.05},
        {"clips": {"strides": [0]}},
        {"clips": {"cut": 2}},
        {"clips": {"fakes": {"self_blended": 0}}},
        {"loop": {"steps": 5, "optimiser": "lion"}},
        {"turns": {"time": 0}},
    ],
)
def test_a_wrong_key_or_value_is_refused(wrong):
    with pytest.raises(ValidationError):
        TypeAdapter(FakeStormerRecipe).validate_python(wrong)
