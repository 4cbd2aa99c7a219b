"""Promises of the style deltas and of the causal StyleGRU."""

import pytest
import torch

from styleflow.detectors.layers.style_gru import CausalStyleGRU, style_deltas
from styleflow.errors import ShapeMismatch


def _gru() -> CausalStyleGRU:
    torch.manual_seed(0)
    gru = CausalStyleGRU(features=6, hidden=5, layers=2, gap_half_life=3.0).eval()
    torch.nn.init.normal_(gru.initial)
    return gru.requires_grad_(False)


def test_a_delta_is_newer_minus_older():
    latents = torch.tensor([0.0, 1.0, 4.0]).view(1, 3, 1, 1)
    assert style_deltas(latents).flatten().tolist() == [1.0, 3.0]


@pytest.mark.parametrize("shape", [(2, 1, 12, 4), (2, 3, 12), (3, 12, 4)])
def test_deltas_need_two_frames_of_latents(shape):
    with pytest.raises(ShapeMismatch):
        style_deltas(torch.zeros(shape))


def test_deltas_refuse_latents_of_other_levels():
    with pytest.raises(ShapeMismatch, match=r"\(B, T >= 2, 18, D\)"):
        style_deltas(torch.zeros(1, 2, 12, 4), levels=18)
    assert style_deltas(torch.zeros(1, 2, 18, 4), levels=18).shape == (1, 1, 18, 4)


def test_a_track_without_a_past_starts_with_the_learned_state():
    gru = _gru()
    start = gru.start(3)
    assert start.shape == (3, 2, 5)
    assert all(torch.equal(row, gru.initial) for row in start)


def test_a_half_life_of_missing_frames_halves_what_was_gathered():
    gru = _gru()
    hidden = torch.randn(2, 2, 5)
    decayed = gru.decay(hidden, torch.tensor([3, 0]))
    torch.testing.assert_close(decayed[0] - gru.initial, (hidden[0] - gru.initial) / 2)
    torch.testing.assert_close(decayed[1], hidden[1])


def test_a_long_gap_ends_at_the_learned_start():
    gru = _gru()
    torch.testing.assert_close(gru.decay(torch.randn(1, 2, 5), torch.tensor([500]))[0], gru.initial)


def test_a_delta_across_a_gap_is_not_fed():
    gru = _gru()
    hidden = torch.randn(1, 2, 5)
    gap = torch.tensor([2])
    calm, wild = torch.zeros(1, 2, 3), torch.full((1, 2, 3), float("inf"))
    assert torch.equal(gru.follow(hidden, calm, gap), gru.follow(hidden, wild, gap))


def test_the_normalisation_is_one_scalar_map_for_every_position():
    gru = _gru()
    assert gru.norm.weight.shape == (1,)
    gru.norm.running_mean.fill_(2.0)
    gru.norm.running_var.fill_(4.0)
    plain = _gru()
    hidden, delta = torch.randn(2, 2, 5), torch.randn(2, 2, 3)
    torch.testing.assert_close(
        gru.step(hidden, 2 * delta + 2), plain.step(hidden, delta), atol=1e-4, rtol=1e-4
    )


def test_the_normalisation_learns_from_the_deltas_it_sees():
    gru = _gru().train()
    gru(torch.full((2, 4, 2, 3), 5.0) + torch.randn(2, 4, 2, 3))
    assert gru.norm.running_mean.item() > 0.3
