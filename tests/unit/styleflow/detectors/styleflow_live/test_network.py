"""Promises of the detector that looks seldom and steps from look to look."""

from dataclasses import replace

import pytest
import torch

from styleflow.cards import TemporalMode, TrainingStatus
from styleflow.detectors.layers.style_gru import style_deltas
from styleflow.detectors.layers.vision_transformer import DINOV2_S14, VisionTransformer
from styleflow.detectors.styleflow_live.live import CUE_NAMES, StyleFlowLiveDetector
from styleflow.detectors.styleflow_live.network import StyleFlowLive, StyleFlowLiveDims
from styleflow.errors import ShapeMismatch, WeightsUnusable
from styleflow.overlay import PointsAt
from tests.support.models import TOY, crops, toy_network

NONE = torch.zeros(1, dtype=torch.int64)
ROW = torch.tensor([1])
SELDOM = replace(TOY, look_every=3, frames=8)
ATTENDING = replace(SELDOM, attention=2)


def _tensors(state):
    return [getattr(state, name) for name in type(state).__slots__]


def _features(net, frames):
    return net.look(frames)[0]


def test_it_says_that_it_has_learned_nothing_until_a_checkpoint_says_otherwise():
    card = toy_network().card
    assert (card.mode, card.status) == (TemporalMode.CAUSAL, TrainingStatus.UNTRAINED)


def test_it_takes_32_frames_at_12_5_hz_of_224_pixels_and_looks_at_every_fourth():
    dims = StyleFlowLiveDims()
    clip = dims.clip
    assert (clip.frames, clip.cadence_hz, clip.size_px) == (32, 12.5, 224)
    assert dims.look_every == 4
    assert dims.backbone == DINOV2_S14


def test_a_new_row_has_the_learned_start_and_no_look():
    net = toy_network()
    state = net.init_state(2)
    assert torch.equal(state.hidden[1], net.style_gru.initial)
    assert not state.looked.any()
    assert net.rate(state, ROW) == 0


def test_the_first_frame_is_looked_at_and_steps_nothing():
    """Without an earlier look there is no delta, whatever is said to be missing."""
    net = toy_network()
    state = net.init_state(2)
    net.push(state, ROW, crops(0, 1), torch.tensor([7]))
    assert torch.equal(state.hidden[1], net.style_gru.initial)
    torch.testing.assert_close(state.last_latent[1], net.latents(_features(net, crops(0, 1)))[0])


def test_a_second_look_steps_with_the_delta():
    net = toy_network()
    state = net.init_state(2)
    frames = crops(0, 2)
    for frame in frames:
        net.push(state, ROW, frame[None], NONE)
    delta = style_deltas(net.latents(_features(net, frames))[None])[:, 0]
    expected = net.style_gru.step(net.style_gru.start(1), delta)
    torch.testing.assert_close(state.hidden[1:], expected)


def test_between_looks_nothing_moves_but_the_count():
    net = toy_network(dims=SELDOM)
    state, frames = net.init_state(2), crops(0, 7)
    ratings = []
    for frame in frames:
        net.push(state, ROW, frame[None], NONE)
        ratings.append(float(net.rate(state, ROW)))
    assert ratings[0] == ratings[1] == ratings[2] != ratings[3]
    assert ratings[3] == ratings[4] == ratings[5] != ratings[6]


def test_missing_frames_bring_the_next_look_closer():
    net = toy_network(dims=SELDOM)
    state, frames = net.init_state(2), crops(0, 2)
    net.push(state, ROW, frames[:1], NONE)
    before = net.rate(state, ROW)
    net.push(state, ROW, frames[1:], torch.tensor([1]))
    assert torch.equal(net.rate(state, ROW), before)
    assert state.since[1] == 2
    net.push(state, ROW, frames[1:], NONE)
    assert not torch.equal(net.rate(state, ROW), before)
    assert state.since[1] == 0


def test_a_look_that_did_not_happen_lets_the_style_flow_decay():
    net = toy_network(dims=SELDOM)
    state, frames = net.init_state(2), crops(0, 3)
    for frame in frames[:1]:
        net.push(state, ROW, frame[None], NONE)
    state.hidden[1] += 1
    grown = state.hidden[1:].clone()
    net.push(state, ROW, frames[1:2], torch.tensor([5]))  # six slots on: one look was left out
    torch.testing.assert_close(state.hidden[1:], net.style_gru.decay(grown, torch.tensor([1])))


@pytest.mark.parametrize("dims", [SELDOM, ATTENDING], ids=["plain", "attending"])
def test_stepping_gives_what_a_whole_clip_gives(dims):
    net = toy_network(dims=dims)
    state, rows, clip = net.init_state(2), torch.arange(2), crops(1, 2, 8)
    stepped = []
    for frame in clip.unbind(1):
        net.push(state, rows, frame, torch.zeros_like(rows))
        stepped.append(net.rate(state, rows))
    torch.testing.assert_close(
        torch.stack(stepped, 1)[:, ::3], net.score_clip(clip), atol=1e-5, rtol=1e-5
    )


def test_rows_of_a_batch_look_each_at_its_own_time():
    net = toy_network(dims=SELDOM)
    alone, together = net.init_state(2), net.init_state(2)
    frames = crops(2, 6)
    for number, frame in enumerate(frames):
        if number >= 2:
            both = torch.stack([frame, frame])
            net.push(together, torch.tensor([0, 1]), both, torch.zeros(2, dtype=torch.int64))
        else:
            net.push(together, torch.tensor([0]), frame[None], NONE)
        net.push(alone, torch.tensor([0]), frame[None], NONE)
    for one, other in zip(_tensors(alone), _tensors(together), strict=True):
        assert torch.equal(one[0], other[0])
    assert together.since.tolist() == [2, 0]


def test_a_new_anchor_changes_nothing():
    net = toy_network()
    state = net.init_state(2)
    net.push(state, ROW, crops(3, 1), NONE)
    before = [t.clone() for t in _tensors(state)]
    net.reanchor(state, ROW, crops(4, 1))
    assert all(torch.equal(a, b) for a, b in zip(before, _tensors(state), strict=True))


def test_a_cleared_row_is_like_a_new_one():
    net = toy_network()
    state, new = net.init_state(2), net.init_state(2)
    for frame in crops(5, 3):
        net.push(state, ROW, frame[None], NONE)
    net.clear(state, ROW)
    assert all(torch.equal(a, b) for a, b in zip(_tensors(state), _tensors(new), strict=True))


@pytest.mark.parametrize("what", ["push", "reanchor", "rate", "clear"])
def test_rows_that_are_not_named_stay_bit_identical(what):
    net = toy_network()
    state = net.init_state(5)
    everybody = torch.arange(5)
    for seed in range(3):
        net.push(state, everybody, crops(seed, 5), torch.zeros_like(everybody))
    before = [t.clone() for t in _tensors(state)]
    rows = torch.tensor([3, 1])
    if what == "push":
        net.push(state, rows, crops(9, 2), torch.tensor([0, 2]))
    elif what == "reanchor":
        net.reanchor(state, rows, crops(9, 2))
    elif what == "rate":
        net.rate(state, rows)
    else:
        net.clear(state, rows)
    others = torch.tensor([0, 2, 4])
    for old, new in zip(before, _tensors(state), strict=True):
        assert torch.equal(old[others], new[others])
    if what == "rate":
        assert all(torch.equal(a, b) for a, b in zip(before, _tensors(state), strict=True))


@pytest.mark.parametrize("dims", [TOY, replace(TOY, attention=2)], ids=["plain", "attending"])
def test_everything_learned_has_a_say_in_a_whole_clip(dims):
    net = toy_network(dims=dims).train().requires_grad_(True)
    net.score_clip(crops(0, 2, 4)).sum().backward()
    silent = {n for n, p in net.named_parameters() if p.grad is None or not p.grad.any()}
    # The map is drawn and not rated; a bias that all keys share changes no attention.
    keys = {n for n in silent if n.endswith(("attention.key.bias", "style_attention.w_k.bias"))}
    unused = {
        "map_bias",
        "encoder.pointing",
        "encoder.trunk.norm.weight",
        "encoder.trunk.norm.bias",
    }
    assert silent - keys <= unused


def test_with_style_attention_what_is_seen_looks_up_what_was_remembered():
    """The same memory says other things of other looks; without attention it says the same."""
    looks = [_features(toy_network(), crops(seed, 1)) for seed in (1, 2)]
    hidden = torch.randn(1, TOY.layers, TOY.hidden, generator=torch.Generator().manual_seed(0))
    plain, attending = toy_network(dims=SELDOM), toy_network(dims=ATTENDING)
    assert plain.style_attention is None
    assert len({float(plain.flow_logits(hidden, look)) for look in looks}) == 1
    assert len({float(attending.flow_logits(hidden, look)) for look in looks}) == 2
    other = attending.flow_logits(-hidden, looks[0])
    assert not torch.allclose(other, attending.flow_logits(hidden, looks[0]))


def test_frames_without_a_clip_axis_are_refused():
    with pytest.raises(ShapeMismatch):
        toy_network().score_clip(crops(0, 4))


def test_a_lighter_encoder_keeps_state_and_logits_in_float32():
    net = toy_network().deploy(dtype=torch.bfloat16)
    state = net.init_state(2)
    for frame in crops(0, 2):
        net.push(state, ROW, frame[None], NONE)
    assert net.encoder is not None
    assert net.encoder.trunk.patch.weight.dtype == torch.bfloat16
    assert state.last_latent.dtype == net.rate(state, ROW).dtype == torch.float32


@pytest.mark.parametrize(
    "wrong",
    [
        {"hidden": 0},
        {"layers": 9},
        {"gap_half_life": float("nan")},
        {"cadence_hz": 0},
        {"look_every": 0},
        {"attention": -1},
        {"attention": 48},
        {"evidence_half_life": 0},
        {"size_px": 200},
        {"blocks": (2, 13)},
        {"blocks": (4, 2)},
        {"blocks": ()},
    ],
)
def test_impossible_dimensions_are_refused_by_name(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        StyleFlowLiveDims(**wrong)


def test_each_cue_can_be_taken_away():
    net = toy_network().deploy()
    frames = crops(6, 3)

    def rated(detector):
        state = detector.init_state(2)
        for frame in frames:
            detector.push(state, ROW, frame[None], NONE)
        return float(detector.rate(state, ROW))

    whole = rated(net)
    without = [rated(net.without(cue)) for cue in net.cues]
    assert net.cues == CUE_NAMES
    assert len({whole, *without}) == 4
    assert sum(without) == pytest.approx(2 * whole, abs=1e-5)  # the cues add up
    with pytest.raises(ValueError, match="gait"):
        net.without("gait")


def test_patches_are_what_the_means_say_of_each_patch():
    """Together with the bias of the map they add up to the means' share of the head."""
    net = toy_network().deploy()
    net.map_bias.fill_(0.25)
    assert net.points_at is PointsAt.TRACES
    state = net.init_state(2)
    frame = crops(7, 1)
    net.push(state, ROW, frame, NONE)
    means = net.face.weight.view(len(TOY.blocks), 2, -1)[:, 0]
    expected = (net.look(frame)[0][0, :, 0] * means).sum() + 0.25
    torch.testing.assert_close(state.traces[1].mean(), expected, atol=1e-4, rtol=1e-4)
    strengths = state.traces[1].sigmoid()
    (patches,) = net.patches(state, ROW)
    assert 0 < len(patches) == int((strengths > 0.5).sum())
    for patch in patches:
        row, column = round(patch.y0 * 8), round(patch.x0 * 8)
        assert patch.strength == pytest.approx(strengths[row, column].item())
        assert (patch.x1 - patch.x0, patch.y1 - patch.y0) == pytest.approx((1 / 8, 1 / 8))


def test_nothing_is_pointed_at_before_a_frame():
    net = toy_network()
    assert net.patches(net.init_state(2), ROW) == ((),)


PUBLISHED = replace(TOY, published=True)


def test_published_weights_stay_out_of_a_checkpoint():
    net = StyleFlowLive(PUBLISHED)
    assert not [name for name in net.state_dict() if name.startswith("encoder")]
    assert net.needs_backbone


def test_without_its_published_weights_nothing_is_computed():
    net = StyleFlowLiveDetector(PUBLISHED)
    with pytest.raises(WeightsUnusable, match="adopted"):
        net.deploy()
    with pytest.raises(WeightsUnusable, match="adopted"):
        net.look(crops(0, 1))


def test_adopted_weights_are_those_of_the_published_network():
    trunk = VisionTransformer(TOY.backbone)
    net = StyleFlowLiveDetector(PUBLISHED)
    net.adopt(trunk.state_dict())
    assert net.encoder is not None
    for name, tensor in net.encoder.trunk.state_dict().items():
        assert torch.equal(tensor, trunk.state_dict()[name])
    other = VisionTransformer(replace(TOY.backbone, depth=1)).state_dict()
    with pytest.raises(WeightsUnusable, match="foundation network"):
        StyleFlowLiveDetector(PUBLISHED).adopt(other)
