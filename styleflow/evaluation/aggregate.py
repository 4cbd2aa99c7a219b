"""Aggregation of frame scores into video scores; NumPy only."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from styleflow.errors import ShapeMismatch


def per_video(
    videos: ArrayLike, labels: ArrayLike, scores: ArrayLike
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return one label and one score per video: its first frame's label, the mean of its scores.

    Args:
        videos: which video each frame is of, by number or name.
        labels: 0 or 1, one per frame.
        scores: one per frame.

    Returns:
        Labels and scores, one per video, sorted by video.

    Raises:
        ShapeMismatch: not one video and one score per label.

    Source: CADDM's released evaluation; FakeSTormer's does the same with clips.
    """
    y, s = np.asarray(labels, np.int64), np.asarray(scores, np.float64)
    names, first, members = np.unique(np.asarray(videos), return_index=True, return_inverse=True)
    for what, shape in (("scores", s.shape), ("videos", members.shape)):
        if y.ndim != 1 or shape != y.shape:
            raise ShapeMismatch(what, str(y.shape), shape)
    return y[first], np.bincount(members, s, len(names)) / np.bincount(members)
