"""Promises of the way from frames to videos."""

import pytest

from styleflow.errors import ShapeMismatch
from styleflow.evaluation.aggregate import per_video


def test_frames_are_averaged_per_video_whatever_their_order():
    labels, scores = per_video(["b", "a", "b", "a"], [1, 0, 1, 0], [0.2, 0.4, 0.4, 0.8])
    assert labels.tolist() == [0, 1]
    assert scores == pytest.approx([0.6, 0.3])


@pytest.mark.parametrize(
    ("videos", "scores", "wrong"),
    [([1, 2], [0.1, 0.2, 0.3], "videos"), ([1, 2, 2], [0.1], "scores")],
)
def test_every_frame_has_a_score_and_is_of_some_video(videos, scores, wrong):
    with pytest.raises(ShapeMismatch, match=wrong):
        per_video(videos, [0, 1, 1], scores)
