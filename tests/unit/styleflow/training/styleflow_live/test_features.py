"""Features of looks: a few runs of neighbours per clip, encoded once, and kept."""

from pathlib import Path

import numpy as np
import pytest
import torch

from styleflow.data.index import FAKE, REAL, Entry
from styleflow.detectors.layers.seeding import seed_weights
from styleflow.detectors.layers.vision_transformer import VisionTransformer
from styleflow.detectors.styleflow_live.face_encoder import FaceEncoder
from styleflow.detectors.styleflow_live.network import StyleFlowLiveDims
from styleflow.training.styleflow_live import features as features_module
from styleflow.training.styleflow_live.degradations import DEGRADATIONS
from styleflow.training.styleflow_live.features import Runs, encode_all
from styleflow.training.styleflow_live.looks import LookedAt
from styleflow.weights.cache import dinov2, dinov2_path, store
from tests.support.models import TOY, crops

DIMS = StyleFlowLiveDims(
    backbone=TOY.backbone, blocks=TOY.blocks, size_px=TOY.size_px, latent=3, hidden=6
)


@pytest.fixture(autouse=True)
def _foundation(tmp_path, monkeypatch):
    monkeypatch.setenv("STYLEFLOW_CACHE", str(tmp_path / "cache"))
    trunk = VisionTransformer(TOY.backbone)
    seed_weights(trunk, 1)
    store(dinov2_path(), trunk.state_dict(), {})


def _clip(folder: Path, label: int, looks: int = 9) -> LookedAt:
    path = folder / f"{label}-{looks}.npz"
    kinds = 0 if label else len(DEGRADATIONS)
    np.savez(
        path,
        slots=np.arange(looks) * 4,
        crops=crops(label, looks).numpy(),
        degraded_look=looks // 2,
        degraded=crops(7, kinds).numpy(),
    )
    return LookedAt(Entry(Path(f"{label}.mp4"), "train", label, "g"), path)


@pytest.mark.parametrize(
    ("runs", "looks", "chosen"),
    [
        (Runs(2, 3), 13, [0, 1, 2, 10, 11, 12]),
        (Runs(2, 3), 5, [0, 1, 2, 3, 4]),
        (Runs(2, 3), 2, [0, 1]),
        (Runs(3, 1), 9, [0, 4, 8]),
        (Runs(1, 4), 9, [0, 1, 2, 3]),
    ],
)
def test_runs_are_spread_over_a_clip(runs, looks, chosen):
    assert runs.of(looks) == chosen


@pytest.mark.parametrize("wrong", [{"count": 0}, {"length": 0}])
def test_runs_that_choose_nothing_are_refused(wrong):
    with pytest.raises(ValueError, match="one at least"):
        Runs(**wrong)


def test_features_are_those_of_the_encoder(tmp_path):
    real, fake = _clip(tmp_path, REAL), _clip(tmp_path, FAKE)
    told = []
    made = encode_all([real, fake], DIMS, Runs(2, 2), tmp_path, observe=lambda *n: told.append(n))
    assert told == [(1, 2), (2, 2)]
    encoder = FaceEncoder.of(DIMS.backbone, DIMS.blocks, DIMS.size_px, dinov2()).eval()
    with torch.inference_mode():
        expected = encoder(crops(REAL, 9))[0].numpy()
        worst = encoder(crops(7, len(DEGRADATIONS)))[0].numpy()
    close = {"atol": 0.05, "rtol": 0.05}  # half the precision
    np.testing.assert_allclose(made[0].looks, expected[[0, 1, 7, 8]], **close)
    np.testing.assert_allclose(made[0].clean, expected[4], **close)
    np.testing.assert_allclose(made[0].degraded, worst, **close)
    assert made[0].slots.tolist() == [0, 4, 28, 32]
    np.testing.assert_allclose(made[0].mean, made[0].looks.astype(float).mean(0))
    assert len(made[1].degraded) == 0


def test_what_is_there_is_not_encoded_again(tmp_path, monkeypatch):
    clip = _clip(tmp_path, REAL)
    (before,) = encode_all([clip], DIMS, Runs(), tmp_path)

    def never(*_, **__):
        raise AssertionError("it was there")

    monkeypatch.setattr(features_module, "accelerated", never)
    (after,) = encode_all([clip], DIMS, Runs(), tmp_path)
    np.testing.assert_array_equal(before.looks, after.looks)
    store(dinov2_path(), dinov2(), {"fetched": "again"})  # another file, the same weights
    encode_all([clip], DIMS, Runs(), tmp_path)
    with pytest.raises(AssertionError, match="was there"):
        encode_all([clip], DIMS, Runs(3, 1), tmp_path)  # other looks are other features
