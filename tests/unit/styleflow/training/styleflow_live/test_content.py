"""Promises of the task that adapts the content network."""

import numpy as np
import torch

from styleflow.detectors.layers.seeding import seed_weights
from styleflow.detectors.styleflow_live.content import ContentDims, ContentNet
from styleflow.training.loop import LoopSettings, train
from styleflow.training.styleflow_live.content import ContentTask, draw_pictures, window_scores
from styleflow.training.styleflow_live.picture_pairs import PictureSpec
from styleflow.training.styleflow_live.window_store import Family
from styleflow.training.styleflow_live.windows import Window
from tests.support.backbone import backbone
from tests.support.pictures import source

SPEC = PictureSpec(64, 0, 0, 64)


def _network():
    network = ContentNet(ContentDims(top=0, left=0, size_px=64, rank=4))
    seed_weights(network, 0)
    network.adopt(backbone())
    network.begin(0)
    return network


def _families():
    rng = np.random.default_rng(0)
    real = rng.integers(0, 256, (4, 64, 64, 3), dtype=np.uint8)
    masks = np.zeros((4, 8, 8), np.uint8)
    return [Family("anna", Window("", real, masks), (Window("dark", real // 2, masks + 255),))]


def test_a_batch_sets_every_fake_beside_its_original():
    batch = draw_pictures(source(), SPEC, 3, np.random.default_rng(0))
    assert batch.pictures.shape == (6, 64, 64, 3)
    assert batch.masks.shape == (6, 8, 8)
    assert batch.labels.tolist() == [0, 1] * 3
    assert not batch.masks[::2].any()


class _Same(ContentTask):
    """Draws one batch for ever."""

    def draw(self, rng):
        return super().draw(np.random.default_rng(3))


def test_it_overfits_one_batch(tmp_path):
    task = _Same(_network(), source(), SPEC, _families(), 3)
    before = task.loss(np.random.default_rng(0))[0].item()
    network = train(
        task, LoopSettings(40, 1e-2, weight_decay=0.0, bf16=False, average=0.8), 0, tmp_path
    )
    batch = task.draw(np.random.default_rng(0))
    with torch.no_grad():
        features = network.eval()(batch.pictures)[0]
    assert (features[1::2] > features[::2]).all()
    task.network = network
    assert task.loss(np.random.default_rng(0))[0].item() < before


def test_validation_looks_at_every_window_of_people_who_were_held_out():
    labels, scores, kinds = window_scores(_network().eval(), _families(), SPEC)
    assert labels.tolist() == [0, 1]
    assert kinds == ["", "dark"]
    assert np.isfinite(scores).all()
