"""Promises of first weights."""

import torch

from styleflow.detectors.layers.seeding import seed_weights
from styleflow.detectors.styleflow_live.network import StyleFlowLive
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
    assert not torch.equal(one["face.weight"], other["face.weight"])


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
    assert state["flow_norm.weight"].eq(1).all()
    assert not state["style_gru.initial"].any()


def test_the_weights_are_the_same_on_every_machine():
    """The digest is pinned: another processor, NumPy or torch must not change a single bit."""
    assert toy_checkpoint().sha256 == (
        "a0c6977e25fe625ad44d878892843c515d1d845c77207c46e708a345931a9e8d"
    )
