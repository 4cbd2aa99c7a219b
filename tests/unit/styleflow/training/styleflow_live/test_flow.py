"""Style flow between looks: a projection without labels, and a weight that it has to earn."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from styleflow.detectors.layers.seeding import seed_weights
from styleflow.detectors.styleflow_live.network import StyleFlowLive
from styleflow.evaluation.metrics import auc
from styleflow.training.loop import LoopSettings, train
from styleflow.training.styleflow_live.features import ClipFeatures
from styleflow.training.styleflow_live.flow import (
    FlowTask,
    fit_projection,
    flow_ratings,
    weigh_flow,
)
from tests.support.models import TOY
from tests.unit.styleflow.training.styleflow_live.test_heads import entry

DIMS = replace(TOY, published=True, look_every=4)
WIDTH = TOY.backbone.width


def moving(count: int, seed: int = 0, *, tells: bool = True) -> list[ClipFeatures]:
    """Return clips that hold still when real and sway when fake, or sway all alike."""
    rng = np.random.default_rng(seed)
    made = []
    for number in range(count):
        label = number % 2
        size = (2.0 if label else 0.2) if tells else 1.0
        looks = rng.normal(0, 0.05, (6, 2, 4, WIDTH)) + rng.normal(0, 1, (1, 2, 4, WIDTH))
        looks[..., 0] += size * np.array([0, 1, 0, 1, 0, 1.0])[:, None, None]
        looks = looks.astype(np.float16)
        made.append(
            ClipFeatures(entry(label, number), np.arange(6) * 4, looks, looks[0], looks[:0])
        )
    return made


def network(clips: list[ClipFeatures], attention: int = 0) -> StyleFlowLive:
    """Return an untrained network with its projection."""
    made = StyleFlowLive(replace(DIMS, attention=attention))
    seed_weights(made, 0)
    with torch.no_grad():
        made.projection.copy_(fit_projection(clips, DIMS))
    return made


def test_latents_move_by_about_one_from_look_to_look():
    clips = moving(40)
    net = network(clips)
    deltas = []
    for clip in clips:
        latents = net.latents(torch.from_numpy(clip.looks.astype(np.float32)))
        deltas.append(latents[1:] - latents[:-1])
    spread = torch.cat(deltas).square().mean(dim=0).sqrt()
    torch.testing.assert_close(spread, torch.ones_like(spread), atol=0.02, rtol=0.02)


def test_too_few_looks_for_a_projection_are_said():
    with pytest.raises(ValueError, match="too few"):
        fit_projection(moving(1), replace(DIMS, latent=9))


def _trained(clips, held_out, folder, attention=0):
    task = FlowTask(network(clips, attention), clips, held_out, 16, 5)
    settings = LoopSettings(60, 5e-3, bf16=False, average=0.5)
    made = train(task, settings, 0, folder)
    assert isinstance(made, StyleFlowLive)
    return made


def test_flow_that_tells_is_given_weight_and_flow_that_does_not_is_left_out(tmp_path):
    """The weight is in the head itself, so that nothing else has to know of it."""
    rng = np.random.default_rng(0)
    for tells in (True, False):
        clips, held_out = moving(40, 1, tells=tells), moving(40, 2, tells=tells)
        labels = np.array([clip.entry.label for clip in held_out])
        net = _trained(clips, held_out, tmp_path / str(tells))
        heads = labels * 1.0 + rng.normal(0, 1, len(labels))
        share = weigh_flow(net, clips, held_out, heads)
        rated = flow_ratings(net, held_out)
        if tells:
            assert share > 0
            assert auc(labels, heads + rated) >= auc(labels, heads) + 0.005
        elif share == 0:
            assert not rated.any()


def test_a_useless_flow_says_nothing(tmp_path):
    clips = moving(20)
    net = network(clips)
    labels = np.array([clip.entry.label for clip in clips], float)
    assert weigh_flow(net, clips, clips, labels) == 0  # heads that are right need no help
    assert not flow_ratings(net, clips).any()
    assert not net.flow_head.bias.any()


def test_only_the_flow_is_trained(tmp_path):
    clips = moving(20)
    net = network(clips)
    before = {name: tensor.clone() for name, tensor in net.state_dict().items()}
    task = FlowTask(net, clips, clips, 8, 4)
    trained = train(task, LoopSettings(3, 1e-2, bf16=False), 0, tmp_path)
    changed = {n for n, t in trained.state_dict().items() if not torch.equal(t, before[n])}
    assert changed
    assert all(n.startswith(("style_gru.", "flow_norm.", "flow_head.")) for n in changed)


def test_only_neighbours_are_a_run(tmp_path):
    """A delta between looks that lie far apart says how long a clip is."""
    apart = [replace(c, slots=c.slots * 3) for c in moving(4)]
    clips = [*apart, *moving(6, 3)]
    task = FlowTask(network(clips), clips, clips, 8, 5)
    assert torch.isfinite(task.loss(np.random.default_rng(0))[0])
    with pytest.raises(ValueError, match="0 pairs"):
        fit_projection(apart, DIMS)


def test_clips_with_too_few_looks_are_not_drawn(tmp_path):
    short = [replace(c, slots=c.slots[:3], looks=c.looks[:3]) for c in moving(4)]
    clips = [*short, *moving(6, 3)]
    loss, figures = FlowTask(network(clips), clips, clips, 8, 5).loss(np.random.default_rng(0))
    assert torch.isfinite(loss)
    assert set(figures) == {"bce", "contrast"}


def test_style_attention_is_trained_with_the_flow_and_may_tell(tmp_path):
    clips, held_out = moving(40, 1), moving(40, 2)
    before = network(clips, 3).state_dict()
    net = _trained(clips, held_out, tmp_path, attention=3)
    changed = {n for n, t in net.state_dict().items() if not torch.equal(t, before[n])}
    for learned in ("content.weight", "style_attention.lp.weight", "style_attention.w_q.weight"):
        assert learned in changed
    labels = [clip.entry.label for clip in held_out]
    assert auc(labels, flow_ratings(net, held_out)) > 0.8


def test_batches_draw_evenly_by_repository_and_by_generator_and_not_by_clip():
    """A repository of five clips is drawn as often as one of a single clip, labels half each."""
    clips = [replace(c, entry=replace(c.entry, source="large")) for c in moving(12)]
    clips = [
        replace(
            c, entry=replace(c.entry, source="small", generator="rare" if c.entry.label else "")
        )
        if number < 2
        else c
        for number, c in enumerate(clips)
    ]
    drawn = []

    class Watched:
        """A generator that notes how likely each clip was to be drawn."""

        rng = np.random.default_rng(0)

        def choice(self, of, size=None, p=None):
            if p is not None:
                drawn.append(np.asarray(p))
            return self.rng.choice(of, size, p=p)

    FlowTask(network(clips), clips, clips, 8, 5).loss(Watched())
    (likely,) = drawn
    shares = {}
    for clip, share in zip(clips, likely, strict=True):
        entry = clip.entry
        name = (entry.label, entry.generator if entry.label else entry.source)
        shares[name] = shares.get(name, 0) + share
    assert shares == pytest.approx(
        {(0, "small"): 1 / 4, (0, "large"): 1 / 4, (1, "rare"): 1 / 4, (1, "gen"): 1 / 4}
    )
