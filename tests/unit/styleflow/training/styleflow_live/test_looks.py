"""Looks at clips are those of live video, made once, and found again after an interruption."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from styleflow.data.index import FAKE, REAL, Entry
from styleflow.detectors.styleflow_live.network import look_places
from styleflow.faces.crops.framing import framer
from styleflow.faces.face import TrackedFace
from styleflow.faces.mesh import five_points
from styleflow.training.styleflow_live import looks as looks_module
from styleflow.training.styleflow_live.degradations import DEGRADATIONS
from styleflow.training.styleflow_live.looks import (
    LookSpec,
    look_at,
    look_at_all,
    sampled_pictures,
)
from tests.support.clips import MiddleFinder, face_clip, write_video
from tests.support.models import TOY, crops, toy_network

SPEC = LookSpec(size_px=32, every=2)


@pytest.fixture
def entry(tmp_path) -> Entry:
    path = write_video(tmp_path / "anna.mp4", face_clip(20).frames)
    return Entry(path, "train_real", REAL, "anna")


def test_looks_lie_on_the_cadence_grid(entry):
    """Twenty frames at 25 Hz fill slots 0 to 10 of a grid of 12.5 Hz."""
    looks = look_at(entry, SPEC, MiddleFinder())
    assert looks is not None
    assert looks.slots.tolist() == [0, 2, 4, 6, 8, 10]
    assert looks.crops.shape == (6, 32, 32, 3)


def test_only_the_beginning_of_a_long_clip_is_looked_at(entry):
    looks = look_at(entry, replace(SPEC, seconds=0.4), MiddleFinder())
    assert looks is not None
    assert looks.slots.max() <= 5


def test_the_rule_is_that_of_the_live_detector():
    """Frames that are missing bring the next look closer, here as there."""
    slots, every = [0, 1, 2, 5, 6, 7, 8, 15, 16, 18], 3
    chosen = look_places(slots, every)
    net = toy_network(dims=replace(TOY, look_every=every))
    state, row = net.init_state(1), torch.tensor([0])
    looked = []
    for place, (slot, frame) in enumerate(zip(slots, crops(0, len(slots)), strict=True)):
        missing = slot - slots[place - 1] - 1 if place else 0
        net.push(state, row, frame[None], torch.tensor([missing]))
        if state.since[0] == 0:
            looked.append(place)
    assert chosen == looked == [0, 3, 6, 7, 9]


def test_a_real_clip_is_degraded_in_every_way_under_the_same_anchor(entry):
    looks = look_at(entry, SPEC, MiddleFinder())
    assert looks is not None
    assert looks.degraded.shape == (len(DEGRADATIONS), 32, 32, 3)
    clean = looks.crops[looks.degraded_look].astype(float)
    away = [np.abs(degraded - clean).mean() for degraded in looks.degraded]
    assert min(away) > 0
    assert max(away) < 60  # the same place of the same picture, and no other


def test_fakes_are_not_degraded(entry):
    looks = look_at(replace(entry, label=FAKE), SPEC, MiddleFinder())
    assert looks is not None
    assert len(looks.degraded) == 0


class _SideFinder(MiddleFinder):
    """The same face, half of it outside the picture."""

    def find(self, image):
        (face,) = super().find(image)
        away = np.array([image.shape[1] / 2, 0.0])
        return (replace(face, points=face.points - away, mesh=face.mesh - away),)

    def follow(self, image, faces):
        return self.find(image)


@pytest.mark.parametrize("finder", [MiddleFinder(), _SideFinder()])
def test_crops_are_those_that_live_video_cuts_also_beyond_the_picture(entry, finder):
    """Every one of them, to the bit."""
    looks = look_at(entry, SPEC, finder)
    assert looks is not None
    live = framer(replace(TOY, size_px=SPEC.size_px).clip)
    before, crops = None, {}
    for sampled in sampled_pictures(entry.path, SPEC):
        image = sampled.item[-1]
        (face,) = finder.find(image)
        face = replace(face, points=five_points(face.mesh.astype(np.float32).astype(np.float64)))
        done = live.align(image, TrackedFace(1, face), sampled.at, before)
        assert done is not None
        aligned, before = done
        crops[sampled.slot] = aligned.image
    for slot, crop in zip(looks.slots, looks.crops, strict=True):
        np.testing.assert_array_equal(crop, crops[slot])
    assert looks.crops[:, :, 0].any()  # nothing is black


def test_what_cannot_be_looked_at_is_named(tmp_path, entry):
    black = write_video(tmp_path / "black.mp4", np.zeros((6, 64, 64, 3), np.uint8))
    (tmp_path / "broken.mp4").write_bytes(b"no video")
    entries = [entry, replace(entry, path=black), replace(entry, path=tmp_path / "broken.mp4")]
    told = []
    kept, refused = look_at_all(
        entries, SPEC, tmp_path / "looks", MiddleFinder, observe=lambda *n: told.append(n)
    )
    assert [clip.entry for clip in kept] == [entry]
    assert {r.file: r.reason for r in refused} == {
        "black.mp4": "it shows no face",
        "broken.mp4": "the video cannot be read",
    }
    assert told == [(1, 3), (2, 3), (3, 3)]


def test_what_is_there_is_kept_and_other_settings_are_other_files(tmp_path, entry, monkeypatch):
    store = tmp_path / "looks"
    (made,), _ = look_at_all([entry], SPEC, store, MiddleFinder)
    before = made.path.read_bytes()

    def never(*_):
        raise AssertionError("it was there")

    with monkeypatch.context() as patched:
        patched.setattr(looks_module, "look_at", never)
        (again,), _ = look_at_all([entry], SPEC, store, MiddleFinder)
    assert again.path == made.path
    assert again.path.read_bytes() == before
    (other,), _ = look_at_all([entry], replace(SPEC, every=3), store, MiddleFinder)
    assert other.path != made.path
    np.testing.assert_array_equal(again.looks().slots, [0, 2, 4, 6, 8, 10])


def test_an_interrupted_look_leaves_nothing_behind(tmp_path, entry, monkeypatch):
    store = tmp_path / "looks"

    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(looks_module.os, "replace", interrupted)
    with pytest.raises(KeyboardInterrupt):
        look_at_all([entry], SPEC, store, MiddleFinder)
    assert not list(store.glob("*.npz"))
