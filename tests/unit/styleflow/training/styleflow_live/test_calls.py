"""Calls: two codec generations of the whole picture, one draw for everybody of a pair."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from styleflow.data.index import FAKE, REAL, Entry
from styleflow.detectors.layers.seeding import seed_weights
from styleflow.detectors.layers.vision_transformer import VisionTransformer
from styleflow.detectors.styleflow_live.network import StyleFlowLiveDims
from styleflow.training.styleflow_live import calls as module
from styleflow.training.styleflow_live.calls import call_all, call_of, call_shifts, called
from styleflow.training.styleflow_live.features import feature_encoder
from styleflow.training.styleflow_live.looks import LookedAt, LookSpec, look_at_all
from styleflow.weights.cache import dinov2_path, store
from tests.support.clips import MiddleFinder, face_clip, write_video
from tests.support.models import TOY

SPEC = LookSpec(size_px=TOY.size_px, every=2)
DIMS = StyleFlowLiveDims(
    backbone=TOY.backbone, blocks=TOY.blocks, size_px=TOY.size_px, latent=3, hidden=6
)


@pytest.fixture(autouse=True)
def _foundation(tmp_path, monkeypatch):
    monkeypatch.setenv("STYLEFLOW_CACHE", str(tmp_path / "cache"))
    trunk = VisionTransformer(TOY.backbone)
    seed_weights(trunk, 1)
    store(dinov2_path(), trunk.state_dict(), {})


def _entry(folder: Path, name: str, label: int, pair: str) -> Entry:
    """Return a clip that shows the same as all others: only what happens to it can differ."""
    path = folder / f"{name}.mp4"
    if not path.is_file():
        write_video(path, face_clip(20).frames)
    return Entry(path, "train", label, name, pair=pair)


def _looked_at(folder: Path, entries: list[Entry]) -> list[LookedAt]:
    kept, refused = look_at_all(entries, SPEC, folder / "work" / "looks", MiddleFinder)
    assert not refused
    return list(kept)


def _crops(entry: Entry, seed: int = 0) -> np.ndarray:
    made = called(entry, SPEC, [call_of(entry, seed, n) for n in range(2)], MiddleFinder())
    assert made is not None
    return made


def test_real_and_fake_of_a_pair_share_every_draw_and_nobody_else_does(tmp_path):
    """Shown the same pictures, they come out the same to the bit, noise included."""
    real, fake = _entry(tmp_path, "anna", REAL, "p1"), _entry(tmp_path, "anna-fake", FAKE, "p1")
    crops = _crops(real)
    np.testing.assert_array_equal(_crops(fake), crops)
    for other in (replace(fake, pair="p2"), replace(fake, pair=""), replace(real, pair="")):
        assert not np.array_equal(_crops(other), crops)
    assert not np.array_equal(crops[0], crops[1])
    assert not np.array_equal(_crops(real, seed=1), crops)


def test_every_draw_is_two_generations_of_the_codecs_of_calls(tmp_path):
    entry = _entry(tmp_path, "anna", REAL, "")
    draws = [call_of(entry, 0, number) for number in range(60)]
    assert all(len(call.generations) == 2 for call in draws)
    order = {tuple("H.264" if g.crf else "VP8" for g in call.generations) for call in draws}
    assert len(order) == 4
    for name in ("blur", "smooth", "sharpen", "noise"):
        drawn = [getattr(call, name) for call in draws]
        assert 0 < sum(value > 0 for value in drawn) < len(drawn), name


def test_what_calls_add_is_what_the_encoder_sees_and_is_found_again(tmp_path, monkeypatch):
    entries = [_entry(tmp_path, "anna", REAL, "p1"), _entry(tmp_path, "anna-fake", FAKE, "p1")]
    clips, work = _looked_at(tmp_path, entries), tmp_path / "work"
    told = []
    call_all(clips, SPEC, 2, 0, work, MiddleFinder, observe=lambda *n: told.append(n))
    assert told == [(1, 2), (2, 2)]
    added, same = call_shifts(clips, DIMS, SPEC, 2, 0, work)
    assert added is not None
    looks = clips[0].looks()
    pictures = np.concatenate([looks.crops[[looks.degraded_look]], _crops(entries[0])])
    with torch.inference_mode():
        clean, *after = feature_encoder(DIMS, 1)(torch.from_numpy(pictures))[0].numpy()
    np.testing.assert_allclose(added, np.stack(after) - clean, atol=1e-5)
    np.testing.assert_array_equal(added, same)

    def never(*_):
        raise AssertionError("it was there")

    monkeypatch.setattr(module, "called", never)
    monkeypatch.setattr(module, "feature_encoder", never)
    call_all(clips, SPEC, 2, 0, work, MiddleFinder)
    np.testing.assert_array_equal(call_shifts(clips, DIMS, SPEC, 2, 0, work)[0], added)


def test_a_clip_that_cannot_be_read_any_more_goes_without(tmp_path):
    entries = [_entry(tmp_path, "anna", REAL, ""), _entry(tmp_path, "bert", REAL, "")]
    clips = _looked_at(tmp_path, entries)
    entries[1].path.write_bytes(b"no video")
    call_all(clips, SPEC, 1, 0, tmp_path / "work", MiddleFinder)
    first, second = call_shifts(clips, DIMS, SPEC, 1, 0, tmp_path / "work")
    assert first is not None
    assert second is None
