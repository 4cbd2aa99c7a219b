"""The offline loop says of a clip what the network says of its crops."""

import numpy as np
import pytest
import torch

from styleflow.data.video import FacePath, crop, plan_crops
from styleflow.errors import VideoUnusable
from styleflow.evaluation.offline import frame_rate, rate_offline, sampled
from tests.support.clips import face_clip
from tests.support.media import encode, moving_pictures
from tests.support.models import toy_network

FPS = 25.0


@pytest.fixture(scope="module")
def clip():
    """Return pictures and the path of a face that holds still, so that one anchor serves."""
    made = face_clip(30)
    meshes = np.repeat(made.meshes[:1], 30, axis=0)
    return made.frames, FacePath(meshes, np.ones(30, np.bool_))


def test_the_last_rating_is_that_of_the_whole_clip(clip) -> None:
    frames, path = clip
    network = toy_network()
    plan = plan_crops(path, FPS, network.clip.cadence_hz)
    assert not plan.moved.any()
    crops = crop(frames, plan.frames, list(plan.arriving), network.clip.size_px)
    with torch.no_grad():
        ratings = network.score_clip(torch.from_numpy(crops)[None])[0]
    said = rate_offline(network, frames, path, FPS, hop=1)
    assert said.end == pytest.approx(float(ratings[-1]), abs=1e-5)
    assert said.mean == pytest.approx(float(ratings.mean()), abs=1e-5)


def test_hops_rate_less_often_and_end_alike(clip) -> None:
    frames, path = clip
    each = rate_offline(toy_network(), frames, path, FPS, hop=1)
    some = rate_offline(toy_network(), frames, path, FPS, hop=4)
    assert some.end == pytest.approx(each.end)
    assert some.mean != each.mean


def test_frames_without_a_face_are_missing_and_not_repeated(clip) -> None:
    frames, path = clip
    seen = path.found.copy()
    seen[8:20] = False
    whole = rate_offline(toy_network(), frames, path, FPS, hop=1)
    broken = rate_offline(toy_network(), frames, FacePath(path.meshes, seen), FPS, hop=1)
    assert broken.end != whole.end


def test_a_clip_without_a_face_has_no_rating(clip) -> None:
    said = rate_offline(toy_network(), clip[0], None, FPS, hop=1)
    assert (said.end, said.mean) == (None, None)


@pytest.mark.parametrize(("count", "fps", "cadence"), [(165, 25, 12.5), (90, 30, 12.5), (9, 8, 5)])
def test_frames_are_sampled_on_the_grid_each_once(count, fps, cadence) -> None:
    frames = sampled(count, fps, cadence)
    assert frames[0] == 0
    assert frames[-1] < count
    assert (np.diff(frames) > 0).all()
    assert np.abs(frames / fps * cadence - np.round(frames / fps * cadence)).max() <= 0.5
    assert len(frames) == pytest.approx(count / fps * cadence, abs=1)


def test_a_file_says_how_fast_it_is(tmp_path) -> None:
    clip = encode(tmp_path / "disc.mp4", moving_pictures(10), fps=20)
    assert frame_rate(clip) == 20.0
    (tmp_path / "text.mp4").write_text("no video")
    with pytest.raises(VideoUnusable):
        frame_rate(tmp_path / "text.mp4")
