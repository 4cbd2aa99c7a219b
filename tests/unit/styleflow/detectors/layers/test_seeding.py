"""Promises of first weights."""

import pytest
import torch
from torch import nn

from styleflow.detectors.layers.seeding import seed_weights
from styleflow.detectors.styleflow_live.network import StyleFlowLive
from styleflow.training.styleflow_live.resynthesis import PatchAutoencoder, PatchAutoencoderDims
from tests.support.models import TOY, toy_checkpoint


def _seeded(seed):
    network = StyleFlowLive(TOY)
    for tensor in network.state_dict().values():
        tensor.fill_(7)  # whatever was there before must not show
    seed_weights(network, seed)
    return network.state_dict()


def test_weights_depend_on_the_seed_and_on_nothing_else():
    torch.manual_seed(1)
    one = _seeded(3)
    torch.manual_seed(2)
    same, other = _seeded(3), _seeded(4)
    assert all(torch.equal(one[name], same[name]) for name in one)
    assert not torch.equal(one["head.weight"], other["head.weight"])


def test_torchs_generator_is_left_alone():
    network = StyleFlowLive(TOY)
    torch.manual_seed(5)
    before = torch.get_rng_state()
    seed_weights(network, 0)
    assert torch.equal(torch.get_rng_state(), before)


def test_normalisations_do_nothing_and_learned_states_are_zero():
    state = _seeded(0)
    assert state["style_gru.norm.running_var"].item() == 1
    assert state["style_gru.norm.num_batches_tracked"].item() == 0
    assert state["head_norm.weight"].eq(1).all()
    assert not state["style_gru.initial"].any()


def test_the_weights_are_the_same_on_every_machine():
    """The digest is pinned: another processor, NumPy or torch must not change a single bit."""
    assert toy_checkpoint().sha256 == (
        "f1739473b1b989dcea13d8dc18e03645a32a776dcbf6cf7c633faadbd70e9523"
    )


@pytest.mark.parametrize("upsampling", ["nearest", "bilinear", "transposed", "shuffle"])
def test_with_every_way_of_upsampling_all_layers_learn_from_the_first_step(upsampling):
    """A layer that is left at zero passes nothing on, neither forwards nor backwards."""
    network = PatchAutoencoder(PatchAutoencoderDims((16, 32), 8, upsampling))
    seed_weights(network, 0)
    pictures = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(0)) * 2 - 1
    drawn = network(pictures)
    drawn.square().mean().backward()
    weights = {n: p for n, p in network.named_parameters() if n.endswith("weight")}
    assert all(weight.grad.abs().max() > 0 for weight in weights.values())


def test_transposed_convolutions_keep_the_variance_of_what_flows_through_them():
    layer = nn.ConvTranspose2d(64, 64, 4, 2, 1)
    seed_weights(layer, 0)
    noise = torch.randn(4, 64, 16, 16, generator=torch.Generator().manual_seed(0))
    assert 0.8 < layer(noise)[..., 2:-2, 2:-2].var().item() < 1.2
