"""Promises of degradation, training windows and where they are kept."""

from dataclasses import replace

import numpy as np
import pytest

from styleflow.data.degradations.video import Degradation, random_degradation, through_h264
from styleflow.errors import DatasetUnusable
from styleflow.faces.align import warp
from styleflow.training.styleflow_live.window_store import Family, read_shards, write_shard
from styleflow.training.styleflow_live.windows import (
    WindowSpec,
    make_family,
    warp_mask,
    window_anchor,
)
from tests.support.clips import face_clip, materials

SPEC = WindowSpec(frames=6, stride=2, size_px=64)
TIMES = np.arange(6) / 25


def _family(seed, degradation=None, kinds=("self_blend", "swap")):
    rng = np.random.default_rng(seed)
    return make_family(
        face_clip(), TIMES, kinds, materials(), degradation or Degradation(), rng, SPEC
    )


def test_the_codec_returns_every_picture_and_wears_it():
    frames = face_clip(5, size=64).frames
    fine, coarse = (through_h264(frames, crf) for crf in (5, 40))
    assert fine.shape == coarse.shape == frames.shape
    off = [np.abs(f.astype(int) - frames).mean() for f in (fine, coarse)]
    assert 0 < off[0] < off[1]


def test_damage_is_the_same_for_whoever_suffers_it():
    degradation = random_degradation(np.random.default_rng(3))
    frames = face_clip(3).frames
    assert np.array_equal(degradation.apply(frames), degradation.apply(frames))
    assert degradation == random_degradation(np.random.default_rng(3))


def test_sizes_are_even():
    frames = face_clip(2, size=90).frames
    assert (
        Degradation(scale=0.71).apply(frames).shape[1:3]
        == Degradation(scale=0.71).size(90, 90)
        == (64, 64)
    )


def test_no_damage_changes_nothing():
    frames = face_clip(2).frames
    assert np.array_equal(Degradation().apply(frames), frames)


def test_dropped_frames_leave_the_one_before():
    degradation = Degradation(drop=0.5, seed=1)
    frames = face_clip(20).frames
    shown = degradation.shown(20)
    assert shown[0] == 0
    assert (np.diff(shown) >= 0).all()
    assert (shown <= np.arange(20)).all()
    assert 4 < len(set(shown)) < 16
    assert np.array_equal(degradation.apply(frames), frames[shown])
    assert not np.array_equal(shown, Degradation(drop=0.5, seed=2).shown(20))


def test_real_and_fake_freeze_at_the_same_moments_and_masks_with_them():
    real, fake = _family(0, Degradation(drop=0.5, seed=4), ("swap",))
    frozen = [t for t in (1, 2) if np.array_equal(real.crops[t], real.crops[t - 1])]
    assert frozen
    for t in frozen:
        assert np.array_equal(fake.crops[t], fake.crops[t - 1])
        assert np.array_equal(fake.masks[t], fake.masks[t - 1])


def test_asking_for_drops_changes_nothing_else_that_is_drawn():
    one, two = (np.random.default_rng(7) for _ in range(2))
    pairs = [(random_degradation(one), random_degradation(two, drops=0.5)) for _ in range(40)]
    assert all(plain == replace(lossy, drop=0.0) for plain, lossy in pairs)
    share = np.mean([lossy.drop > 0 for _, lossy in pairs])
    assert 0.3 < share < 0.7
    assert one.random() == two.random()


def test_a_family_begins_with_the_real_window():
    real, *fakes = _family(0)
    assert real.kind == ""
    assert [f.kind for f in fakes] == ["self_blend", "swap"]
    assert real.crops.shape == (3, 64, 64, 3)
    assert real.masks.shape == (3, 8, 8)
    assert not real.masks.any()
    assert all(f.masks.any() for f in fakes)


def test_a_family_is_its_generators():
    one, same, other = _family(1), _family(1), _family(2)
    assert all(np.array_equal(a.crops, b.crops) for a, b in zip(one, same, strict=True))
    assert not np.array_equal(one[1].crops, other[1].crops)


def test_smaller_pictures_give_the_same_crop():
    """The anchor follows the pictures' size: what is in the crop does not move."""
    whole, half = (_family(0, Degradation(scale=s))[0].crops[0].astype(float) for s in (1.0, 0.5))
    soft = [c[8:-8, 8:-8].reshape(6, 8, 6, 8, 3).mean(axis=(1, 3)) for c in (whole, half)]
    assert np.abs(soft[0] - soft[1]).max() < 6


@pytest.mark.parametrize(
    ("fps", "expected"), [(25, [0, 2, 4]), (30, [0, 2, 5]), (12.5, [0, 1, 2, 3, 4, 5])]
)
def test_every_rate_is_sampled_at_one_cadence(fps, expected):
    """At 25 frames a second that is every second frame; a window's end is not its video's."""
    clip, rng = face_clip(), np.random.default_rng(0)
    (real,) = make_family(clip, np.arange(6) / fps, (), materials(), Degradation(), rng, SPEC)
    anchor = window_anchor(clip)
    assert np.array_equal(real.crops, [warp(clip.frames[t], anchor, 64) for t in expected])


def test_windows_of_another_format_are_refused(tmp_path):
    """The first format had no number: its windows took every second frame of any video."""
    members = _family(4)
    write_shard([Family("anna", members[0], members[1:])], tmp_path / "one.npz")
    with np.load(tmp_path / "one.npz") as file:
        old = {name: file[name] for name in file.files if name != "format"}
    np.savez(tmp_path / "one.npz", **old)
    with pytest.raises(DatasetUnusable, match="format 1"):
        read_shards([tmp_path / "one.npz"])


def test_masks_are_cut_like_crops():
    clip = face_clip()
    anchor = window_anchor(clip)
    whole = np.full(clip.size, 255, np.uint8)
    assert warp_mask(whole, anchor, 8)[4, 4] == 255
    assert not warp_mask(whole * 0, anchor, 8).any()


def test_families_come_back_as_they_were_written(tmp_path):
    members = _family(4)
    family = Family("anna", members[0], tuple(members[1:]))
    write_shard([family, family], tmp_path / "deep" / "one.npz")
    read = read_shards([tmp_path / "deep" / "one.npz"])
    assert len(read) == 2
    assert read[1].group == "anna"
    for old, new in zip(members, (read[1].real, *read[1].fakes), strict=True):
        assert old.kind == new.kind
        assert np.array_equal(old.crops, new.crops)
        assert np.array_equal(old.masks, new.masks)
    assert [p.name for p in (tmp_path / "deep").iterdir()] == ["one.npz"]


@pytest.mark.parametrize(("without", "left"), [(("swap",), 1), (("swap", "self_blend"), 0)])
def test_kinds_can_be_left_out(tmp_path, without, left):
    members = _family(5)
    write_shard([Family("a", members[0], tuple(members[1:]))], tmp_path / "one.npz")
    assert len(read_shards([tmp_path / "one.npz"], without)) == left
