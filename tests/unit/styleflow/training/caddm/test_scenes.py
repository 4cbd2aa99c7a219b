"""Promises of CADDM's scenes: fakes lie on their originals, and nothing vanishes unsaid."""

import numpy as np
import pytest

from styleflow.data.index import FAKE, REAL
from styleflow.errors import LabelsMissing
from styleflow.training.caddm.scenes import Pair, gather, spread
from tests.support.caddm_videos import fake_video, real_video


def test_a_pair_cut_out_differently_is_laid_on_itself_to_the_pixel():
    pair = Pair(fake_video(1, left=5, top=9), real_video(1))
    assert pair.register().tolist() == [[1, 0, -5], [0, 1, -9]]
    scene = gather([pair.fake, pair.original], 4).fakes[0].scene(np.random.default_rng(0))
    assert scene.fake.shape == scene.real.shape
    outside = scene.fake[:4].astype(int) - scene.real[:4]
    assert not outside.any()
    assert np.abs(scene.fake.astype(int) - scene.real).max() > 20


def test_a_pair_of_other_sizes_is_laid_on_itself_nearly():
    """Large faces are kept smaller, and then a fake and its original need not agree in size."""
    fake, original = fake_video(1), real_video(1)
    original.frames = lambda numbers: np.stack(
        [f.repeat(2, axis=0).repeat(2, axis=1) for f in real_video(1).frames(numbers)]
    )
    original.path.meshes[:] = (original.path.meshes + 0.5) * 2 - 0.5
    how = Pair(fake, original).register()
    assert how[:, :2] == pytest.approx(np.eye(2) / 2, abs=0.01)
    assert how @ (10.5, 20.5, 1) == pytest.approx([5.0, 10.0], abs=0.3)


def test_frames_without_a_face_in_both_are_not_paired():
    original = real_video(1, found=[True, False, True, True])
    origins = gather([fake_video(1), original], 4)
    assert [origin.number for origin in origins.fakes] == [0, 2, 3]
    assert [origin.number for origin in origins.reals] == [0, 2, 3]


def test_a_fake_without_its_original_is_left_out_and_named():
    origins = gather([fake_video(1), real_video(1), fake_video(2)], 2)
    assert [entry.path.name for entry in origins.unpaired] == ["fake2.mp4"]
    assert {origin.entry.path.name for origin in origins.fakes} == {"fake1.mp4"}


def test_real_videos_alone_lend_one_another_faces():
    origins = gather([real_video(1), real_video(2)], 2, ("swap",))
    scene = origins.fakes[0].scene(np.random.default_rng(0))
    assert scene.label == FAKE
    assert not np.array_equal(scene.fake, scene.real)
    assert np.array_equal(scene.fake, origins.fakes[0].scene(np.random.default_rng(0)).fake)
    real = origins.reals[0].scene(np.random.default_rng(0))
    assert real.label == REAL
    assert np.array_equal(real.fake, real.real)


def test_nobody_swaps_with_himself():
    with pytest.raises(LabelsMissing):
        gather([real_video(1)], 2, ("swap",))


@pytest.mark.parametrize("videos", [[], [real_video(1)], [fake_video(1)]])
def test_both_labels_are_needed(videos):
    with pytest.raises(LabelsMissing, match="real and"):
        gather(videos, 2)


def test_frames_are_spread_evenly_and_never_repeated():
    assert spread(np.arange(10, 20), 4) == [10, 13, 16, 19]
    assert spread(np.arange(3), 32) == [0, 1, 2]
    assert spread(np.arange(0), 4) == []
