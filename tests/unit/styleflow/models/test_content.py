"""Promises of the content network and of the detector that has one."""

import pytest
import torch

from styleflow.models.content import FEATURES, ContentDims, ContentNet, detail, suspicion
from styleflow.models.seeding import seed_weights
from styleflow.models.style_encoder import StyleEncoderDims
from styleflow.models.styleflow_live import StyleFlowLive, StyleFlowLiveDims

ENCODER = StyleEncoderDims(
    size_px=32, widths=(4, 4, 6, 8, 8), expansion=2, pyramid=8, levels=(1, 2, 2), latent=3
)
DIMS = StyleFlowLiveDims(
    encoder=ENCODER,
    hidden=6,
    frames=4,
    shrink=3,
    content=ContentDims(top=16, left=8, size_px=64, widths=(4, 6, 8)),
    attention=5,
    evidence_half_life=3.0,
)
ROW = torch.tensor([1])
NONE = torch.zeros(1, dtype=torch.int64)


def _network():
    network = StyleFlowLive(DIMS)
    seed_weights(network, 0)
    generator = torch.Generator().manual_seed(0)
    network.style_gru.initial.data.normal_(generator=generator)
    return network.eval().requires_grad_(False)


def _crops(seed, *shape):
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (*shape, 96, 96, 3), dtype=torch.uint8, generator=generator)


def test_crops_are_larger_than_what_the_encoder_sees():
    assert DIMS.clip.size_px == 96
    assert _network().encode(_crops(0, 2)).shape == (2, 5, 3)


def test_steps_give_what_the_whole_clip_gives_across_gaps():
    network, clip = _network(), _crops(1, 1, 7)
    missing = torch.tensor([[5, 0, 0, 2, 0, 1, 0]])
    expected = network.score_clip(clip, missing)[0]
    state = network.init_state(3)
    for t in range(7):
        network.push(state, ROW, clip[:, t], missing[:, t])
        torch.testing.assert_close(network.rate(state, ROW)[0], expected[t], atol=1e-5, rtol=1e-5)


def test_the_rating_is_a_mean_that_forgets():
    network, clip = _network(), _crops(2, 1, 3)
    logits, kept = network.frame_logits(clip)[0], 2 ** (-1 / 3)
    weights = torch.tensor([kept**2, kept, 1.0])
    expected = (logits * weights).sum() / weights.sum()
    torch.testing.assert_close(network.score_clip(clip)[0, -1], expected)


def test_a_row_without_frames_is_rated_as_balanced():
    network = _network()
    assert network.rate(network.init_state(2), ROW).item() == 0.0


def test_the_frame_before_is_the_one_under_the_new_anchor():
    network, (first, again, second) = _network(), _crops(3, 3)
    state = network.init_state(2)
    network.push(state, ROW, first[None], NONE)
    network.reanchor(state, ROW, again[None])
    window = (slice(16, 80), slice(8, 72))
    assert torch.equal(state.before[1], again[window])
    network.push(state, ROW, second[None], NONE)
    assert torch.equal(state.before[1], second[window])


def test_rows_that_are_not_named_stay_bit_identical():
    network, state = _network(), _network().init_state(3)
    everybody = torch.arange(3)
    network.push(state, everybody, _crops(4, 3), torch.zeros_like(everybody))
    before = [getattr(state, name).clone() for name in type(state).__slots__]
    network.push(state, ROW, _crops(5, 1), NONE)
    network.reanchor(state, ROW, _crops(6, 1))
    for old, name in zip(before, type(state).__slots__, strict=True):
        assert torch.equal(old[[0, 2]], getattr(state, name)[[0, 2]])
    network.clear(state, everybody)
    fresh = network.init_state(3)
    assert all(
        torch.equal(getattr(state, name), getattr(fresh, name)) for name in type(state).__slots__
    )


def test_deploying_keeps_the_ratings():
    clip = _crops(7, 2, 3)
    before = _network().score_clip(clip)
    torch.testing.assert_close(_network().deploy().score_clip(clip), before, atol=1e-5, rtol=1e-4)


def test_a_patch_is_judged_by_its_surroundings_alone():
    """What happens in one corner of the window does not reach the map's other corner."""
    network = ContentNet(ContentDims(size_px=128, widths=(4, 6, 8)))
    seed_weights(network, 0)
    pictures = torch.randint(0, 256, (1, 128, 128, 3), dtype=torch.uint8)
    changed = pictures.clone()
    changed[:, :16, :16] = 255 - changed[:, :16, :16]
    with torch.no_grad():
        one, other = (network.eval()(p, p)[1] for p in (pictures, changed))
    assert not torch.equal(one[0, 0, 0], other[0, 0, 0])
    assert torch.equal(one[0, 8:, 8:], other[0, 8:, 8:])


def test_a_face_is_as_suspicious_as_its_patches_on_average():
    traces = torch.zeros(3, 8, 8)
    traces[1] = 4.0
    traces[2, 0, 0] = 1e6
    calm, all_over, wild = suspicion(traces)
    assert calm == 0
    assert wild < all_over / 10
    assert 1 + detail(torch.zeros(3, 64, 64, 3)).shape[1] == FEATURES


def test_a_mouth_without_fine_detail_shows_in_its_ratio_and_nowhere_else():
    sharp = torch.randint(60, 200, (1, 64, 64, 3), generator=torch.Generator().manual_seed(0))
    soft = sharp.clone().float()
    mouth = soft[:, 28:60, 16:48].permute(0, 3, 1, 2)
    soft[:, 28:60, 16:48] = torch.nn.functional.avg_pool2d(mouth, 5, 1, 2).permute(0, 2, 3, 1)
    before, after = (detail(p.to(torch.uint8))[0] for p in (sharp, soft))
    assert after[0] < before[0] - 1
    torch.testing.assert_close(after[[1, 3]], before[[1, 3]], atol=0.6, rtol=0)


@pytest.mark.parametrize(
    "wrong", [{"size_px": 100}, {"widths": (1, 2)}, {"top": -1}, {"widths": (0, 2, 3)}]
)
def test_impossible_content_dimensions_are_refused(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong)).replace("top", "window")):
        ContentDims(**wrong)


def test_content_that_looks_beyond_the_crop_is_refused():
    with pytest.raises(ValueError, match="beyond"):
        StyleFlowLiveDims(encoder=ENCODER, content=ContentDims())
