"""A call's degradation is one thing that happens alike to whatever it is applied to."""

import numpy as np
import pytest

from styleflow.data.degradations.call import CallDegradation, Generation, random_call
from tests.support.clips import face_clip

FRAMES = face_clip(4).frames


def test_a_generation_is_one_codec():
    for wrong in ({}, {"crf": 30, "bit_rate": 200_000}):
        with pytest.raises(ValueError, match="not both"):
            Generation(320, **wrong)


@pytest.mark.parametrize("codec", [{"crf": 37}, {"bit_rate": 120_000}])
def test_pictures_keep_their_size_and_lose_detail(codec):
    coded = Generation(64, **codec).apply(FRAMES)
    assert coded.shape == FRAMES.shape
    assert coded.dtype == np.uint8
    fine = [np.abs(np.diff(f.astype(float), axis=2)).mean() for f in (FRAMES, coded)]
    assert fine[1] < fine[0] / 2


def test_a_second_generation_adds_to_the_first():
    once = CallDegradation((Generation(96, crf=30),)).apply(FRAMES)
    twice = CallDegradation((Generation(96, crf=30), Generation(64, crf=30))).apply(FRAMES)
    away = [np.abs(f.astype(float) - FRAMES).mean() for f in (once, twice)]
    assert away[1] > away[0]


@pytest.mark.parametrize(
    "filmed",
    [
        {"blur": 1.0},
        {"smooth": 30.0},
        {"sharpen": 1.0},
        {"noise": 6.0},
        {"gamma": 1.3},
        {"limited": True},
    ],
)
def test_the_camera_does_what_was_drawn(filmed):
    plain, changed = CallDegradation(()), CallDegradation((), **filmed)
    np.testing.assert_array_equal(plain.apply(FRAMES), FRAMES)
    assert np.abs(changed.apply(FRAMES).astype(float) - FRAMES).mean() > 1


def test_a_draw_repeats_itself():
    call = random_call(np.random.default_rng(3))
    assert call == random_call(np.random.default_rng(3))
    assert call != random_call(np.random.default_rng(4))
    np.testing.assert_array_equal(call.apply(FRAMES), call.apply(FRAMES))
