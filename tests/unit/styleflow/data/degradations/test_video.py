"""Codecs of degradations give the same bits however busy the machine is."""

import numpy as np

from styleflow.data.degradations.video import through_vp8
from tests.support.clips import face_clip


def test_vp8_gives_the_same_pictures_however_little_time_it_has():
    """Claimed rates leave the encoder 40 ms, 4 ms and 1 ms a picture, with as many bits for each.

    An encoder that hurries when it is late coded 4 of 278 training clips otherwise under load.
    """
    frames = face_clip(8, size=192).frames
    coded = [through_vp8(frames, 8_000 * rate, rate) for rate in (25, 250, 1000)]
    for other in coded[1:]:
        np.testing.assert_array_equal(other, coded[0])
