"""The offline loop says of a clip what the network says of its crops."""

import numpy as np
import pytest
import torch

from styleflow.data.video import FacePath, plan_crops
from styleflow.evaluation.offline import rate_offline
from styleflow.faces.align import mirrored_warp
from tests.support.clips import face_clip
from tests.support.models import toy_network

TIMES = np.arange(30) / 25.0


@pytest.fixture(scope="module")
def clip():
    """Return pictures and the path of a face that holds still, so that one anchor serves."""
    made = face_clip(30)
    meshes = np.repeat(made.meshes[:1], 30, axis=0)
    return made.frames, FacePath(meshes, np.ones(30, np.bool_))


def test_the_last_rating_is_that_of_the_whole_clip(clip) -> None:
    frames, path = clip
    network = toy_network()
    plan = plan_crops(path, TIMES, network.clip.cadence_hz)
    assert not plan.moved.any()
    size = network.clip.size_px
    anchors = zip(plan.frames, plan.arriving, strict=True)
    crops = np.stack([mirrored_warp(frames[t], anchor, size) for t, anchor in anchors])
    with torch.no_grad():
        ratings = network.score_clip(torch.from_numpy(crops)[None])[0]
    said = rate_offline(network, frames, path, TIMES, hop=1)
    assert said.end == pytest.approx(float(ratings[-1]), abs=1e-5)
    assert said.mean == pytest.approx(float(ratings.mean()), abs=1e-5)


def test_hops_rate_less_often_and_end_alike(clip) -> None:
    frames, path = clip
    each = rate_offline(toy_network(), frames, path, TIMES, hop=1)
    some = rate_offline(toy_network(), frames, path, TIMES, hop=4)
    assert some.end == pytest.approx(each.end)
    assert some.mean != each.mean


def test_frames_without_a_face_are_missing_and_not_repeated(clip) -> None:
    frames, path = clip
    seen = path.found.copy()
    seen[8:20] = False
    whole = rate_offline(toy_network(), frames, path, TIMES, hop=1)
    broken = rate_offline(toy_network(), frames, FacePath(path.meshes, seen), TIMES, hop=1)
    assert broken.end != whole.end


def test_a_clip_without_a_face_has_no_rating(clip) -> None:
    said = rate_offline(toy_network(), clip[0], None, TIMES, hop=1)
    assert (said.end, said.mean) == (None, None)


def test_the_first_frame_at_the_limit_is_the_last(clip) -> None:
    frames, path = clip
    cut = rate_offline(toy_network(), frames, path, TIMES, hop=1, until_s=0.8)
    short = rate_offline(toy_network(), frames, path, TIMES[:21], hop=1)
    assert cut == short
    assert cut.end != rate_offline(toy_network(), frames, path, TIMES, hop=1).end
