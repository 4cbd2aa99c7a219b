"""The figure that early stopping watches wherever a recipe has videos: the video AUC.

A video is rated by the mean logit of clips spread over it, as the papers do, so that a long video
weighs no more than a short one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from styleflow.data.index import FAKE, REAL
from styleflow.data.video import Video
from styleflow.errors import ValidationImpossible
from styleflow.evaluation.metrics import auc

Rate = Callable[[Video, NDArray[np.int64]], float]
"""Returns the logit of the clip that begins at a frame: `rate(video, numbers_of_its_frames)`."""


def video_auc(rate: Rate, videos: Sequence[Video], frames: int, clips: int = 4) -> float:
    """Return the video AUC of a network over validation videos.

    Args:
        rate: what it says of one clip; above 0 leans fake.
        videos: real and fake ones; those shorter than a clip are rated on what they have.
        frames: length of a clip.
        clips: how many are rated per video, at most.

    Raises:
        ValidationImpossible: not both labels are there.
    """
    labels = [video.entry.label for video in videos]
    check_both_labels(labels)
    scores = [
        float(np.mean([rate(video, numbers) for numbers in spread_clips(video, frames, clips)]))
        for video in videos
    ]
    return auc(labels, scores)


def check_both_labels(labels: Sequence[int]) -> None:
    """Raise an error unless there is a real and a fake to tell apart.

    Raises:
        ValidationImpossible: not both labels are there.
    """
    reals, fakes = list(labels).count(REAL), list(labels).count(FAKE)
    if not reals or not fakes:
        raise ValidationImpossible(reals, fakes)


def spread_clips(video: Video, frames: int, clips: int) -> list[NDArray[np.int64]]:
    """Return the frame numbers of clips spread evenly over a video, each `(frames,)` at most."""
    length = len(video.path.found)
    last = max(length - frames, 0)
    count = max(1, min(clips, last // frames + 1))
    starts = np.unique(np.linspace(0, last, count).round().astype(np.int64))
    return [np.arange(start, min(start + frames, length)) for start in starts]
