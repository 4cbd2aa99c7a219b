"""Promises of blended video with drifting features."""

import numpy as np

from styleflow.data.pseudo_fakes.blending import face_width
from styleflow.training.fakestormer.video_blending import draw_drift
from tests.support.clips import face_clip

CLIP = face_clip(8)


def test_features_lie_off_in_every_frame_and_the_bend_is_one():
    """The same features move in the same directions throughout: one draw, replayed."""
    plan = draw_drift(np.random.default_rng(0), 8)
    steps = [plan.moved(m, t) - m for t, m in enumerate(CLIP.meshes)]
    first = [step[plan.features[0]] for step in steps]
    assert all(np.abs(step).max() > 0 for step in steps)
    assert plan.drift.shape == (8, len(plan.features))
    assert not np.allclose(first[0], first[-1])


def test_what_lies_far_from_every_feature_stays():
    plan = draw_drift(np.random.default_rng(1), 8)
    mesh = CLIP.meshes[0]
    moved = np.linalg.norm(plan.moved(mesh, 0) - mesh, axis=1)
    far = np.linalg.norm(mesh[:, None] - mesh[plan.features], axis=-1).min(axis=1)
    assert moved[np.argmax(far)] < moved[plan.features].max()
    assert moved.max() < 0.25 * face_width(mesh)
