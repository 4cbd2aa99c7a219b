"""Round trips change the face of a real look, in its own colours, and nothing around it."""

from pathlib import Path

import numpy as np
import pytest
import torch

from styleflow.data.index import FAKE, REAL, Entry
from styleflow.detectors.layers.seeding import seed_weights
from styleflow.detectors.layers.vision_transformer import VisionTransformer
from styleflow.detectors.styleflow_live.network import StyleFlowLiveDims
from styleflow.training.styleflow_live import round_trips as module
from styleflow.training.styleflow_live.autoencoder import TinyAutoencoder
from styleflow.training.styleflow_live.features import feature_encoder
from styleflow.training.styleflow_live.looks import LookedAt
from styleflow.training.styleflow_live.round_trips import redrawn, round_trips
from styleflow.weights.cache import dinov2_path, store
from tests.support.autoencoder import write_autoencoder
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


@pytest.fixture
def folder(tmp_path) -> Path:
    return write_autoencoder(tmp_path / "weights")


def _clip(folder: Path, label: int) -> LookedAt:
    path = folder / f"{label}.npz"
    kinds = crops(7, 0 if label else 3).numpy()
    looks = crops(label, 3).numpy()
    np.savez(path, slots=np.arange(3), crops=looks, degraded_look=1, degraded=kinds)
    return LookedAt(Entry(Path(f"{label}.mp4"), "train", label, "g"), path)


def test_the_face_is_redrawn_in_its_own_colours_and_the_rest_stays(folder):
    rng = np.random.default_rng(1)
    look = rng.integers(40, 200, (101, 101, 3), np.uint8)  # no multiple of eight
    changed = redrawn(look, TinyAutoencoder(folder))
    assert changed.shape == look.shape
    np.testing.assert_array_equal(changed[:12], look[:12])
    np.testing.assert_array_equal(changed[:, :12], look[:, :12])
    face = (slice(45, 75), slice(40, 62))
    assert np.abs(changed[face].astype(int) - look[face]).mean() > 5
    np.testing.assert_allclose(changed[face].mean((0, 1)), look[face].mean((0, 1)), atol=12)


def test_only_reals_make_the_trip_and_what_is_kept_is_what_it_adds(tmp_path, folder):
    clips = [_clip(tmp_path, REAL), _clip(tmp_path, FAKE)]
    told = []
    real, fake = round_trips(
        clips, DIMS, folder, tmp_path / "work", observe=lambda *n: told.append(n)
    )
    assert fake is None
    assert told == [(1, 2), (2, 2)]
    look = clips[0].looks().crops[1]
    pair = np.stack([look, redrawn(look, TinyAutoencoder(folder))])
    with torch.inference_mode():
        clean, changed = feature_encoder(DIMS, 1)(torch.from_numpy(pair))[0].numpy()
    np.testing.assert_allclose(real, changed - clean, atol=1e-5)
    assert np.abs(real).max() > 1e-4


def test_what_was_made_is_found_again_and_another_autoencoder_is_another_folder(
    tmp_path, folder, monkeypatch
):
    clips, work = [_clip(tmp_path, REAL)], tmp_path / "work"
    (first,) = round_trips(clips, DIMS, folder, work)

    def never(*_):
        raise AssertionError("it was there")

    with monkeypatch.context() as patched:
        patched.setattr(module, "redrawn", never)
        (again,) = round_trips(clips, DIMS, folder, work)
    np.testing.assert_array_equal(first, again)
    (other,) = round_trips(clips, DIMS, write_autoencoder(tmp_path / "other", seed=1), work)
    assert np.abs(other - first).max() > 0


def test_the_trip_takes_as_many_threads_whatever_the_environment_says(folder, monkeypatch):
    """With OMP_NUM_THREADS=1 two of five faces came back with other pixels than on two threads."""
    seen, trip = [], TinyAutoencoder.round_trip

    def watched(self, images):
        seen.append(torch.get_num_threads())
        return trip(self, images)

    monkeypatch.setattr(TinyAutoencoder, "round_trip", watched)
    look = np.random.default_rng(1).integers(40, 200, (64, 64, 3), np.uint8)
    before = torch.get_num_threads()
    try:
        for threads in (1, 3):
            torch.set_num_threads(threads)
            redrawn(look, TinyAutoencoder(folder))
            assert torch.get_num_threads() == threads
    finally:
        torch.set_num_threads(before)
    assert seen == [2, 2]
