"""Promises of first weights."""

import torch

from styleflow.models.seeding import seed_weights
from styleflow.models.styleflow_live import StyleFlowLive
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
