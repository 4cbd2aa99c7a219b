"""CADDM's evaluation and learning rates against the published program."""

from __future__ import annotations

import numpy as np
import pytest

from styleflow.evaluation.aggregate import per_video
from styleflow.evaluation.metrics import auc
from tests.parity.fill import reference


def test_frame_and_video_auc() -> None:
    """A video's score is the mean of its frames', in whatever order they come."""
    stored = reference("caddm", "parity_eval.npz")
    assert auc(stored["label"], stored["score"]) == pytest.approx(stored["frame_auc"], abs=1e-9)
    labels, scores = per_video(stored["video"], stored["label"], stored["score"])
    assert len(labels) == len(np.unique(stored["video"])) < len(stored["label"])
    assert auc(labels, scores) == pytest.approx(stored["video_auc"], abs=1e-9)
