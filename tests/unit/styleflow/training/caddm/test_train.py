"""Promises of CADDM's recipe."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from pydantic import TypeAdapter, ValidationError

from styleflow.cards import TrainingStatus
from styleflow.data.pseudo_fakes.blending import pick
from styleflow.detectors.caddm.artifacts import artifact_boxes
from styleflow.detectors.caddm.network import Caddm, CaddmDims
from styleflow.errors import CheckpointInvalid, LabelsMissing, VideoUnusable
from styleflow.training.caddm.draws import GeneratorDraws
from styleflow.training.caddm.sample import make_sample
from styleflow.training.caddm.scenes import gather
from styleflow.training.caddm.task import Batch, CaddmTask, mean_logit
from styleflow.training.caddm.train import CaddmRecipe, new_network, run
from styleflow.training.loop import LoopSettings, learning_rate, train
from styleflow.weights.checkpoint import build
from styleflow.weights.importing import weights
from tests.parity.fill import reference
from tests.support.caddm_videos import fake_video, real_video

SHIPPED = Path(__file__).parents[5] / "configs" / "train" / "caddm.yaml"
THIN = CaddmDims(backbone="resnet10-slim", window=3)
RECIPE = CaddmRecipe(
    dimensions=THIN, frames=2, batch=4, fake_share=0.5, epochs=2, epoch_steps=2, validation_frames=2
)
PAIRS = [real_video(1), fake_video(1, 3, 2), real_video(2), fake_video(2)]


def _task(recipe, videos=PAIRS, validation=()):
    return CaddmTask(new_network(recipe), gather(videos, recipe.frames), validation, recipe)


def _quiet(text):
    return None


@pytest.fixture(autouse=True)
def _one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def test_the_shipped_file_is_the_releases_settings():
    recipe = TypeAdapter(CaddmRecipe).validate_python(yaml.safe_load(SHIPPED.read_text()))
    assert replace(recipe, fake_share=5 / 6) == CaddmRecipe()


def test_the_rates_are_the_releases():
    rates = reference("caddm", "parity_eval.npz")["lr_by_epoch"]
    settings = replace(RECIPE, epochs=25, epoch_steps=3).settings(9, validates=False)
    assert [learning_rate(settings, 3 * epoch) for epoch in range(25)] == rates.tolist()
    assert [learning_rate(settings, 3 * epoch + 2) for epoch in range(25)] == rates.tolist()


def test_an_epoch_goes_through_all_frames():
    settings = replace(RECIPE, epochs=3, epoch_steps=0).settings(9, validates=True)
    assert (settings.steps, settings.validate_every) == (9, 3)


@pytest.mark.parametrize("wrong", [{"made": ["reenact"]}, {"method": "sbi"}, {"bath": 3}])
def test_what_cannot_be_followed_is_refused(wrong):
    with pytest.raises(ValidationError):
        TypeAdapter(CaddmRecipe).validate_python(wrong)


def test_batches_are_the_generators():
    task = _task(RECIPE)
    one, same, other = (task.draw(np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert torch.equal(one.crops, same.crops)
    assert torch.equal(one.targets.labels, same.targets.labels)
    assert not torch.equal(one.crops, other.crops)


def test_every_fake_has_a_box_and_no_real_has():
    batch = _task(replace(RECIPE, batch=12)).draw(np.random.default_rng(0))
    assert set(batch.labels.tolist()) == {0, 1}
    assert torch.equal(batch.targets.labels.any(dim=1), batch.labels > 0)


def test_a_tiny_batch_is_overfitted_and_its_boxes_found(tmp_path):
    """Loss falls to a tenth, classes are told apart, and a box lands on every swapped part."""
    rng, origins = np.random.default_rng(0), gather(PAIRS, 2)
    samples = [
        make_sample(pick(rng, kind).scene(rng), GeneratorDraws(rng))
        for kind in (origins.fakes, origins.reals)
        for _ in range(16)
    ]
    parts = [s for s in samples if s is not None and len(s.boxes) == 2][:2]
    batch = Batch.of([*parts, *samples[-2:]])
    assert len(parts) == 2

    class Repeated(CaddmTask):
        def draw(self, rng):
            return batch

    repeated = Repeated(new_network(RECIPE), origins, (), RECIPE)
    settings = LoopSettings(
        30, weight_decay=0, stairs=((0, 3e-3),), clip_value=2, average=0, bf16=False
    )
    before = float(repeated.loss_of(batch)[0].detach())
    network = train(repeated, settings, 0, tmp_path)
    assert float(repeated.loss_of(batch)[0].detach()) < before / 10
    assert isinstance(network, Caddm)
    with torch.inference_mode():
        prediction = network.eval()(network.network_input(batch.crops))
    assert (prediction.logit > 0).tolist() == [True, True, False, False]
    found = artifact_boxes(prediction, axes_exchanged=False, overlap_max=0.9, limit=168)
    for sample, boxes in zip(parts, found, strict=False):
        assert max(_overlap(sample.boxes[1], (b.x0, b.y0, b.x1, b.y1)) for b in boxes) > 0.75


def _overlap(a, b):
    near, far = np.maximum(a[:2], b[:2]), np.minimum(a[2:], b[2:])
    shared = np.prod(np.maximum(far - near, 0))
    areas = [np.prod(np.subtract(box[2:], box[:2])) for box in (a, b)]
    return shared / (sum(areas) - shared)


def test_resumed_equals_uninterrupted(tmp_path):
    settings = RECIPE.settings(8, validates=False)
    whole = train(_task(RECIPE), settings, 0, tmp_path / "whole")
    train(_task(RECIPE), settings, 0, tmp_path / "parts", stop_after=3)
    resumed = train(_task(replace(RECIPE, seed=9)), settings, 0, tmp_path / "parts")
    for name, tensor in whole.state_dict().items():
        assert torch.equal(tensor, resumed.state_dict()[name]), name


def test_the_checkpoint_is_one_that_weights_accepts(tmp_path):
    """Through the reader that takes the authors' files, and with boxes that need no exchange."""
    path = run(RECIPE, PAIRS, [real_video(3), fake_video(3)], tmp_path, _quiet)
    assert path == tmp_path / "caddm-resnet34.safetensors"
    assert (tmp_path / "caddm" / "samples.png").is_file()
    checkpoint = weights([path], "caddm-resnet34")
    assert checkpoint.status is TrainingStatus.TRAINED
    assert checkpoint.calibration.fitted
    assert checkpoint.dimensions == replace(THIN, axes_exchanged=False)
    detector = build(checkpoint)
    state = detector.init_state(1)
    rows, crop = torch.tensor([0]), torch.zeros(1, 224, 224, 3, dtype=torch.uint8)
    detector.push(state, rows, crop, torch.zeros(1, dtype=torch.int64))
    assert detector.rate(state, rows).isfinite().all()


def test_nothing_to_validate_on_is_said_and_leaves_the_logits_uncalibrated(tmp_path):
    told = []
    path = run(RECIPE, [*PAIRS, fake_video(4)], [real_video(3)], tmp_path, told.append)
    assert weights([path], "caddm-resnet34").status is TrainingStatus.UNCALIBRATED
    assert any("nothing validates" in line for line in told)
    assert any("fake4.mp4 is left out" in line for line in told)


def test_real_videos_alone_validate_with_pseudo_fakes():
    recipe = replace(RECIPE, made=("swap",))
    videos = [real_video(1), real_video(2)]
    task = CaddmTask(new_network(recipe), gather(videos, 2, ("swap",)), videos, recipe)
    labels, logits = task.ratings(task.network.eval())
    assert task.validates
    assert labels.tolist() == [0, 1, 0, 1]
    assert np.array_equal(logits, task.ratings(task.network)[1])
    assert 0 <= task.validate(task.network) <= 1


def test_a_video_is_rated_by_the_mean_probability_of_its_frames():
    network = new_network(RECIPE).eval()
    crops = np.random.default_rng(0).integers(0, 255, (3, 224, 224, 3), dtype=np.uint8)
    with torch.inference_mode():
        each = network(network.network_input(torch.from_numpy(crops))).logit.double().sigmoid()
    rated = torch.tensor(mean_logit(network, crops), dtype=torch.float64).sigmoid()
    assert float(rated) == pytest.approx(float(each.mean()), abs=1e-6)


def test_fakes_that_equal_their_originals_are_named():
    original = real_video(1)
    twin = fake_video(1)
    twin.frames = original.frames
    task = _task(replace(RECIPE, fake_share=1.0), [original, twin])
    with pytest.raises(VideoUnusable, match="no trace"):
        task.draw(_OnlyParts(np.random.PCG64(0)))


class _OnlyParts(np.random.Generator):
    """A generator whose every uniform number is as small as can be: it always draws a part."""

    def uniform(self, low=0.0, high=1.0, size=None):
        return low if size is None else np.full(size, low)


def test_training_needs_fakes(tmp_path):
    with pytest.raises(LabelsMissing):
        run(RECIPE, [real_video(1)], [], tmp_path, _quiet)


def test_a_backbone_starts_from_published_weights(tmp_path):
    """Old files lack batch counters; anything else that is missing or strange is named."""
    published = new_network(replace(RECIPE, seed=5)).base_model.state_dict()
    old = {k: v for k, v in published.items() if not k.endswith("num_batches_tracked")}
    torch.save(old, tmp_path / "imagenet.pth")
    started = new_network(replace(RECIPE, start=tmp_path / "imagenet.pth"))
    for name, tensor in started.base_model.state_dict().items():
        assert torch.equal(tensor, published[name]), name
    del old["layer1.0.conv1.weight"]
    torch.save(old, tmp_path / "broken.pth")
    with pytest.raises(CheckpointInvalid, match=r"layer1\.0\.conv1\.weight"):
        new_network(replace(RECIPE, start=tmp_path / "broken.pth"))
