"""The figure that early stopping watches is about videos, not clips."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from styleflow.data.index import Entry
from styleflow.data.prepare import FacePath
from styleflow.errors import ValidationImpossible
from styleflow.training.video_auc import spread_clips, video_auc


@dataclass
class _Video:
    """A video whose frames say what the network will say of them."""

    label: int
    logits: list[float]

    @property
    def entry(self):
        return Entry(Path("v.mp4"), "val", self.label, "g")

    @property
    def path(self):
        frames = len(self.logits)
        return FacePath(np.zeros((frames, 468, 2), np.float32), np.ones(frames, np.bool_))

    def frames(self, numbers):
        raise AssertionError("the figures suffice")


def _rate(video, numbers):
    return float(np.mean([video.logits[n] for n in numbers]))


def test_a_video_is_the_mean_of_its_clips_however_long_it_is():
    long_real = _Video(0, [-1.0] * 7 + [5.0])  # one bad clip of four
    short_fake = _Video(1, [0.6, 0.6])
    assert video_auc(_rate, [long_real, short_fake], frames=2) == 1.0
    assert video_auc(_rate, [_Video(0, [1.0] * 8), short_fake], frames=2) == 0.0


def test_without_both_labels_nothing_can_be_chosen():
    with pytest.raises(ValidationImpossible, match="0 fake"):
        video_auc(_rate, [_Video(0, [1.0])], frames=1)


@pytest.mark.parametrize(
    ("length", "expected"),
    [
        (3, [[0, 1, 2]]),
        (4, [[0, 1, 2, 3]]),
        (8, [[0, 1, 2, 3], [4, 5, 6, 7]]),
        (40, [[0, 1, 2, 3], [12, 13, 14, 15], [24, 25, 26, 27], [36, 37, 38, 39]]),
    ],
)
def test_clips_are_spread_and_do_not_overlap(length, expected):
    clips = spread_clips(_Video(0, [0.0] * length), frames=4, clips=4)
    assert [list(c) for c in clips] == expected
