"""Promises of disrupted regularity."""

import numpy as np
import pytest

from styleflow.data.pseudo_fakes.blending import Look
from styleflow.training.fakestormer.regularity_disruption import ORDERS, draw_disruption, ordered


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("frames", [1, 4, 7])
def test_moments_are_frames_of_the_clip_and_near(order, frames):
    for seed in range(5):
        moments = ordered(order, frames, np.random.default_rng(seed))
        assert len(moments) == frames
        assert np.abs(moments - np.arange(frames)).max() <= 2
        assert 0 <= moments.min() <= moments.max() < frames


def test_orders_do_what_their_names_say():
    rng = np.random.default_rng(1)  # both halves of the draws are looked at below
    held = {tuple(ordered("held", 6, rng)) for _ in range(20)}
    swapped = {tuple(ordered("swapped", 6, rng)) for _ in range(20)}
    assert held == {(0, 0, 2, 2, 4, 4), (0, 1, 1, 3, 3, 5)}
    assert swapped == {(1, 0, 3, 2, 5, 4), (0, 2, 1, 4, 3, 5)}
    with pytest.raises(ValueError, match="reversed"):
        ordered("reversed", 4, rng)


def test_something_is_always_irregular():
    for seed in range(60):
        plan = draw_disruption(np.random.default_rng(seed), 6)
        out_of_order = not np.array_equal(plan.moments, np.arange(6))
        assert out_of_order or plan.look != Look()
