"""Promises of the detector that steps frame by frame."""

from dataclasses import replace

import pytest
import torch

from styleflow.cards import TemporalMode, TrainingStatus
from styleflow.detectors.layers.seeding import seed_weights
from styleflow.detectors.layers.style_gru import style_deltas
from styleflow.detectors.styleflow_live.content import ContentDims
from styleflow.detectors.styleflow_live.live import StyleFlowLiveDetector
from styleflow.detectors.styleflow_live.network import StyleFlowLiveDims
from styleflow.errors import ShapeMismatch
from styleflow.overlay import PointsAt
from tests.support.backbone import backbone
from tests.support.models import TOY, crops, toy_network

NONE = torch.zeros(1, dtype=torch.int64)
ROW = torch.tensor([1])


def _tensors(state):
    return [getattr(state, name) for name in type(state).__slots__]


def test_it_says_that_it_has_learned_nothing_until_a_checkpoint_says_otherwise():
    card = toy_network().card
    assert (card.mode, card.status) == (TemporalMode.CAUSAL, TrainingStatus.UNTRAINED)


def test_it_is_trained_on_32_frames_at_12_5_hz_of_128_pixels():
    clip = StyleFlowLiveDims().clip
    assert (clip.frames, clip.cadence_hz, clip.size_px) == (32, 12.5, 128)


def test_a_new_row_has_the_learned_start_and_no_frame():
    net = toy_network()
    state = net.init_state(2)
    assert torch.equal(state.hidden[1], net.style_gru.initial)
    assert not state.has_latent.any()
    assert state.latents.shape == (2, 4, 5, 3)


def test_the_first_frame_gives_a_latent_and_no_step():
    """Without an earlier frame there is no delta, whatever is said to be missing."""
    net = toy_network()
    state = net.init_state(2)
    net.push(state, ROW, crops(0, 1), torch.tensor([7]))
    assert torch.equal(state.hidden[1], net.style_gru.initial)
    assert torch.equal(state.last_latent[1], net.encode(crops(0, 1))[0])


def test_a_second_frame_steps_with_the_delta():
    net = toy_network()
    state = net.init_state(2)
    frames = crops(0, 2)
    for frame in frames:
        net.push(state, ROW, frame[None], NONE)
    delta = style_deltas(net.encode(frames)[None])[:, 0]
    expected = net.style_gru.step(net.style_gru.start(1), delta)
    torch.testing.assert_close(state.hidden[1:], expected)


def test_the_delta_after_a_new_anchor_is_taken_against_the_re_encoded_frame():
    net = toy_network()
    state = net.init_state(2)
    before, under_new_anchor, after = crops(3, 3)
    net.push(state, ROW, before[None], NONE)
    hidden = state.hidden.clone()
    net.reanchor(state, ROW, under_new_anchor[None])
    assert torch.equal(state.hidden, hidden)
    net.push(state, ROW, after[None], NONE)
    delta = net.encode(after[None]) - net.encode(under_new_anchor[None])
    torch.testing.assert_close(state.hidden[1:], net.style_gru.step(hidden[1:], delta))


def test_the_newest_latents_are_kept_oldest_first_under_their_last_anchor():
    net = toy_network()
    state = net.init_state(2)
    frames = crops(4, TOY.frames + 2)
    assert net.recent_latents(state, 1).shape == (0, 5, 3)
    for number, frame in enumerate(frames):
        net.push(state, ROW, frame[None], NONE)
        kept = net.recent_latents(state, 1)
        assert len(kept) == min(number + 1, TOY.frames)
        torch.testing.assert_close(kept[-1], net.encode(frame[None])[0])
    torch.testing.assert_close(kept, net.encode(frames[2:]))
    net.reanchor(state, ROW, frames[:1])
    expected = net.encode(torch.cat([frames[2:5], frames[:1]]))
    torch.testing.assert_close(net.recent_latents(state, 1), expected)


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


def test_the_learned_start_is_not_changed_by_tracks():
    net = toy_network()
    initial = net.style_gru.initial.clone()
    state = net.init_state(2)
    for frame in crops(0, 3):
        net.push(state, ROW, frame[None], NONE)
    assert torch.equal(net.style_gru.initial, initial)


def test_a_whole_clip_can_be_learned_from():
    net = toy_network().train().requires_grad_(True)
    net.score_clip(crops(0, 2, 4)).sum().backward()
    silent = [n for n, p in net.named_parameters() if p.grad is None or not p.grad.any()]
    # A bias before a ReLU that never fires may be silent by chance; whole parts may not.
    assert {n.split(".")[0] for n in silent} <= {"encoder"}
    assert net.encoder.stem[0].conv.weight.grad.any()


def test_one_frame_is_a_clip_too():
    net = toy_network()
    state = net.init_state(1)
    expected = net.rate(state, torch.tensor([0]))
    torch.testing.assert_close(net.score_clip(crops(0, 1, 1))[0], expected)


def test_frames_without_a_clip_axis_are_refused():
    with pytest.raises(ShapeMismatch):
        toy_network().score_clip(crops(0, 4))


def test_deploying_keeps_the_logits():
    clip = crops(7, 2, 5)
    with torch.no_grad():
        before = toy_network().score_clip(clip)
        after = toy_network().deploy().score_clip(clip)
    torch.testing.assert_close(after, before, atol=1e-5, rtol=1e-5)


def test_a_lighter_encoder_keeps_state_and_logits_in_float32():
    net = toy_network().deploy(dtype=torch.bfloat16)
    state = net.init_state(2)
    for frame in crops(0, 2):
        net.push(state, ROW, frame[None], NONE)
    assert net.encoder.lateral_fine.weight.dtype == torch.bfloat16
    assert state.last_latent.dtype == net.rate(state, ROW).dtype == torch.float32


@pytest.mark.parametrize(
    "wrong", [{"hidden": 0}, {"layers": 9}, {"gap_half_life": float("nan")}, {"cadence_hz": 0}]
)
def test_impossible_dimensions_are_refused_by_name(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        StyleFlowLiveDims(**wrong)


CONTENT = replace(
    TOY,
    encoder=replace(TOY.encoder, size_px=32),
    shrink=4,
    content=ContentDims(top=16, left=32, size_px=64, rank=2),
)
BIG = torch.randint(0, 256, (2, 128, 128, 3), generator=torch.Generator().manual_seed(3)).byte()


def _with_content() -> StyleFlowLiveDetector:
    network = StyleFlowLiveDetector(CONTENT)
    seed_weights(network, 0)
    network.adopt(backbone())
    return network.eval().requires_grad_(requires_grad=False)


def test_patches_are_the_traces_of_the_frame_pushed_last():
    """Their place is that of the window in the crop, and their strength that of the map."""
    net = _with_content()
    assert net.points_at is PointsAt.TRACES
    assert net.content is not None
    state = net.init_state(2)
    for frame in BIG:
        net.push(state, ROW, frame[None], NONE)
    _, traces, _ = net.content(BIG[1:, 16:80, 32:96].contiguous())
    strengths = traces[0].sigmoid()
    (patches,) = net.patches(state, ROW)
    assert len(patches) == int((strengths > 0.5).sum())
    assert patches
    for patch in patches:
        row, column = round((patch.y0 * 128 - 16) / 8), round((patch.x0 * 128 - 32) / 8)
        assert patch.strength == pytest.approx(strengths[row, column].item())
        assert (patch.x1 - patch.x0, patch.y1 - patch.y0) == pytest.approx((1 / 16, 1 / 16))


def test_nothing_is_pointed_at_before_a_frame_or_by_the_style_flow_alone():
    net = _with_content()
    assert net.patches(net.init_state(2), ROW) == ((),)
    alone = toy_network()
    assert alone.points_at is None
    assert alone.patches(alone.init_state(2), ROW) == ((),)
