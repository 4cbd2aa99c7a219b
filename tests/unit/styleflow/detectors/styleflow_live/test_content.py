"""Promises of the content network and of the detector that has one."""

import pytest
import torch

from styleflow.detectors.layers.seeding import seed_weights
from styleflow.detectors.styleflow_live.content import FEATURES, ContentDims, ContentNet, suspicion
from styleflow.detectors.styleflow_live.lite import LiteTrunk, StillDepthwise
from styleflow.detectors.styleflow_live.live import StyleFlowLiveDetector
from styleflow.detectors.styleflow_live.network import StyleFlowLiveDims
from styleflow.detectors.styleflow_live.style_encoder import StyleEncoderDims
from styleflow.errors import WeightsUnusable
from tests.support.backbone import backbone

ENCODER = StyleEncoderDims(
    size_px=32, widths=(4, 4, 6, 8, 8), expansion=2, pyramid=8, levels=(1, 2, 2), latent=3
)
DIMS = StyleFlowLiveDims(
    encoder=ENCODER,
    hidden=6,
    frames=4,
    shrink=3,
    content=ContentDims(top=16, left=8, size_px=64, rank=2),
    attention=5,
    evidence_half_life=3.0,
)
ROW = torch.tensor([1])
NONE = torch.zeros(1, dtype=torch.int64)


def _content(rank=2):
    network = ContentNet(ContentDims(size_px=64, rank=rank))
    seed_weights(network, 0)
    network.adopt(backbone())
    return network.eval()


def _network():
    network = StyleFlowLiveDetector(DIMS)
    seed_weights(network, 0)
    network.adopt(backbone())
    network.content.begin(0)
    generator = torch.Generator().manual_seed(0)
    for free in (
        network.style_gru.initial,
        network.restlessness.weights,
        network.content.traces.weight,
        network.content.fine_traces.weight,
    ):
        free.data.normal_(generator=generator)
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
        torch.testing.assert_close(network.rate(state, ROW)[0], expected[t], atol=1e-4, rtol=1e-4)


def test_a_row_without_frames_is_rated_as_balanced():
    network = _network()
    assert network.rate(network.init_state(2), ROW).item() == 0.0


def test_a_steady_face_is_rated_above_a_restless_one():
    network = _network()
    network.restlessness.weights.data.fill_(1.0)
    network.restlessness.usual.data.fill_(-3.0)
    still = _crops(2, 1).expand(8, -1, -1, -1)
    light = torch.linspace(0.2, 1.0, 8)[torch.tensor([0, 7, 1, 6, 2, 5, 3, 4])]
    restless = (still * light[:, None, None, None]).to(torch.uint8)
    head, ratings = network.restlessness, []
    for clip in (still, restless):
        state = head.start(1)
        for frame in clip:
            state = head.step(state, network.window(frame[None]), torch.zeros(1), torch.ones(1))
        ratings.append(head(state).item())
    assert ratings[0] > 0 > ratings[1]


def test_rows_that_are_not_named_stay_bit_identical():
    network = _network()
    state = network.init_state(3)
    for seed in range(3):
        network.push(state, torch.arange(3), _crops(seed, 3), torch.zeros(3, dtype=torch.int64))
    before = [getattr(state, name).clone() for name in type(state).__slots__]
    network.push(state, ROW, _crops(9, 1), NONE)
    for old, name in zip(before, type(state).__slots__, strict=True):
        assert torch.equal(old[[0, 2]], getattr(state, name)[[0, 2]])
    network.clear(state, ROW)
    assert network.rate(state, ROW).item() == 0.0


def test_deploying_keeps_the_logits():
    network, clip = _network(), _crops(4, 2, 4)
    with torch.no_grad():
        before = network.score_clip(clip)
        after = network.deploy().score_clip(clip)
    torch.testing.assert_close(after, before, atol=1e-3, rtol=1e-3)


def test_each_cue_can_be_taken_away():
    network, clip = _network(), _crops(5, 1, 5)
    whole = network.score_clip(clip)
    for cue in network.cues:
        assert not torch.allclose(network.without(cue).score_clip(clip), whole), cue
    nothing = network
    for cue in network.cues:
        nothing = nothing.without(cue)
    other = nothing.score_clip(_crops(6, 1, 5))
    torch.testing.assert_close(nothing.score_clip(clip), other)
    with pytest.raises(ValueError, match="steadiness"):
        network.without("voice")


def test_checkpoints_hold_nothing_published():
    names = set(_network().state_dict())
    for name, _ in LiteTrunk(rank=2).convolutions():
        assert f"content.trunk.{name}.weight" not in names


def test_a_network_that_begins_is_the_published_one():
    trunk, plain = _content().trunk, LiteTrunk(rank=0)
    plain.adopt(backbone())
    trunk.begin(1)
    pictures = torch.randint(0, 256, (2, 64, 64, 3), dtype=torch.uint8)
    with torch.no_grad():
        for ours, theirs in zip(trunk.eval()(pictures), plain.eval()(pictures), strict=True):
            torch.testing.assert_close(ours, theirs)


def test_kernels_of_another_shape_are_refused_by_name():
    harmed = backbone() | {"still.0.layers.0.weight": torch.zeros(1)}
    with pytest.raises(WeightsUnusable, match=r"still\.0\.layers\.0\.weight"):
        LiteTrunk(rank=0).adopt(harmed)
    missing = backbone()
    del missing["stem.bias"]
    with pytest.raises(WeightsUnusable, match="missing"):
        LiteTrunk(rank=0).adopt(missing)


@pytest.mark.parametrize(("kernel", "stride"), [(3, 1), (5, 1), (3, 2), (5, 2)])
def test_the_quick_way_back_is_the_gradient(kernel, stride):
    x = torch.randn(2, 4, 12, 12, dtype=torch.float64, requires_grad=True)
    weight = torch.randn(4, 1, kernel, kernel, dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda t: StillDepthwise.apply(t, weight, stride), (x,))


def test_training_and_inference_give_the_same_features():
    network = _content()
    pictures = torch.randint(0, 256, (2, 64, 64, 3), dtype=torch.uint8)
    with torch.no_grad():
        expected = network(pictures)[0]
        trained = network.train()(pictures)[0]
    torch.testing.assert_close(trained, expected, atol=1e-4, rtol=1e-4)


def test_every_correction_can_be_learned():
    network = _content().train()
    _, *maps = network(torch.randint(0, 256, (2, 64, 64, 3), dtype=torch.uint8))
    sum(traces.sum() for traces in maps).backward()
    assert [n for n, p in network.named_parameters() if p.grad is None] == []


def test_maps_have_a_patch_per_eight_and_per_sixteen_pixels():
    features, fine, middle = _content()(torch.zeros(1, 64, 64, 3, dtype=torch.uint8))
    assert features.shape == (1, FEATURES)
    assert fine.shape == (1, 8, 8)
    assert middle.shape == (1, 4, 4)


def test_a_frame_is_as_suspicious_as_its_worst_patches_and_no_more():
    traces = torch.zeros(2, 4, 4)
    traces[0, 0, :2] = torch.tensor([1e6, 4.0])
    traces[1] = -1.0
    assert suspicion(traces)[0].item() == pytest.approx(
        (8.0 + 8 * torch.tanh(torch.tensor(0.5))) / 2
    )
    assert -1.0 < suspicion(traces)[1].item() < -0.9


@pytest.mark.parametrize(
    "wrong", [{"size_px": 100}, {"size_px": 32}, {"rank": 0}, {"top": -1}, {"left": -8}]
)
def test_impossible_windows_are_refused(wrong):
    with pytest.raises(ValueError, match="|".join(("size_px", "rank", "window"))):
        ContentDims(**wrong)


def test_a_window_beyond_the_crop_is_refused():
    with pytest.raises(ValueError, match="beyond"):
        StyleFlowLiveDims(encoder=ENCODER, content=ContentDims())
