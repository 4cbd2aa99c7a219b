"""Promises of the tasks that make the default: they learn."""

import numpy as np
import pytest
import torch

from styleflow.detectors.layers.seeding import seed_weights
from styleflow.detectors.styleflow_live.content import ContentDims
from styleflow.detectors.styleflow_live.lite import LiteTrunk
from styleflow.detectors.styleflow_live.network import StyleFlowLive, StyleFlowLiveDims
from styleflow.detectors.styleflow_live.style_encoder import StyleEncoderDims
from styleflow.training.loop import LoopSettings, train
from styleflow.training.styleflow_live.batches import draw
from styleflow.training.styleflow_live.redrawing import (
    PatchTask,
    StyleAutoencoder,
    StyleAutoencoderTask,
    feature_distance,
    redraw_with,
    styles_with,
)
from styleflow.training.styleflow_live.resynthesis import PatchAutoencoder, PatchAutoencoderDims
from styleflow.training.styleflow_live.tasks import (
    FusionTask,
    weigh_cues,
    weigh_flow,
)
from styleflow.training.styleflow_live.window_store import Family
from styleflow.training.styleflow_live.windows import Window
from tests.support.backbone import backbone

ENCODER = StyleEncoderDims(
    size_px=32, widths=(4, 4, 6, 8, 8), expansion=2, pyramid=8, levels=(2, 2, 3), latent=4
)
CONTENT = ContentDims(top=0, left=0, size_px=64, rank=2)
DIMS = StyleFlowLiveDims(
    encoder=ENCODER, hidden=8, frames=4, shrink=2, content=CONTENT, attention=8,
    evidence_half_life=20.0,
)  # fmt: skip
SETTINGS = LoopSettings(25, 1e-2, bf16=False, average=0.9)


def _families(count, seed=0):
    """Noise for real; the same noise, checkered in one half, for fake."""
    rng = np.random.default_rng(seed)
    checks = ((np.indices((64, 64)).sum(axis=0) % 2) * 60)[None, ..., None]
    checks[:, :32] = 0
    families = []
    for number in range(count):
        real = rng.integers(0, 196, (4, 64, 64, 3), dtype=np.uint8)
        families.append(
            Family(
                str(number),
                Window("", real, np.zeros((4, 8, 8), np.uint8)),
                (
                    Window(
                        "checks",
                        (real + checks).astype(np.uint8),
                        np.full((4, 8, 8), 255, np.uint8),
                    ),
                ),
            )
        )
    return families


def test_a_batch_sets_every_fake_beside_its_original():
    batch = draw(_families(3), 4, 2, np.random.default_rng(0))
    assert batch.clips.shape == (8, 2, 64, 64, 3)
    assert batch.masks.shape == (8, 2, 8, 8)
    assert batch.labels.tolist() == [0, 1] * 4
    assert not batch.masks[::2].any()
    assert batch.masks[1::2].flatten(1).amax(dim=1).gt(0).all()


def test_batches_are_the_generators():
    one, same = (draw(_families(3), 4, 2, np.random.default_rng(1)) for _ in range(2))
    assert torch.equal(one.clips, same.clips)


def test_short_windows_repeat_their_last_frame():
    batch = draw(_families(1), 1, 6, np.random.default_rng(0))
    assert torch.equal(batch.clips[0, 3], batch.clips[0, 5])


def _network():
    network = StyleFlowLive(DIMS)
    seed_weights(network, 0)
    network.adopt(backbone())
    network.content.begin(0)
    return network


def test_style_flow_overfits_a_tiny_set_and_holds_the_rest_still(tmp_path):
    families, network = _families(2), _network()
    weigh_cues(network, [family.real.crops for family in families])
    parts = (network.encoder, network.content, network.fusion.content_head, network.restlessness)
    still = [t.clone() for part in parts for t in part.state_dict().values()]
    task = FusionTask(network, families, families, 3, 4)
    before = task.validate(network.eval())
    trained = train(task, SETTINGS, 0, tmp_path / "fusion")
    assert task.validate(trained) >= before
    parts = (trained.encoder, trained.content, trained.fusion.content_head, trained.restlessness)
    after = [t for part in parts for t in part.state_dict().values()]
    for old, new in zip(still, after, strict=True):
        assert torch.equal(old, new)


def test_cues_count_by_how_much_they_differ_among_real_clips():
    network = _network()
    network.content.traces.weight.data.normal_(generator=torch.Generator().manual_seed(0))
    clips = [f.real.crops // (1 + n) for n, f in enumerate(_families(5))]
    weigh_cues(network, clips)
    head = network.fusion.content_head
    with torch.inference_mode():
        features = torch.stack([network.content(torch.from_numpy(c))[0].mean(0) for c in clips])
        parts = (features - features.mean(0)) * head.weight[0]
        assert head(features).mean().item() == pytest.approx(0, abs=1e-4)
    # The fine map of a network that has learned nothing differs nowhere; the other counts a half.
    assert parts[:, 1].std().item() == pytest.approx(0.5, rel=1e-3)
    assert (network.restlessness.weights > 0).all()


def test_the_style_auto_encoder_learns_to_draw(tmp_path):
    faces = np.stack([np.full((32, 32, 3), v, np.uint8) for v in (40, 200)])
    with torch.random.fork_rng():
        torch.manual_seed(0)
        task = StyleAutoencoderTask(StyleAutoencoder(ENCODER), faces, faces, 4)
    before = task.validate(task.network.eval())
    network = train(task, LoopSettings(60, 3e-3, bf16=False, average=0.9), 0, tmp_path)
    assert task.validate(network) > before / 2


def test_a_style_auto_encoder_draws_for_pseudo_fakes_as_it_does_in_validation():
    network = StyleAutoencoder(ENCODER)
    seed_weights(network, 0)
    with torch.no_grad():
        network.decoder.picture.bias.copy_(torch.tensor([-0.5, 0.0, 0.5]))
    before = [t.clone() for t in network.state_dict().values()]
    styles = styles_with(network.train())
    faces = np.random.default_rng(0).integers(0, 256, (13, 32, 32, 3), dtype=np.uint8)
    latents = styles.read(faces)
    assert latents.shape == (13, sum(styles.levels), ENCODER.latent)
    assert np.allclose(latents[11:], styles.read(faces[11:]), atol=0.05)
    drawn = styles.draw(latents)
    assert drawn.shape == faces.shape
    assert drawn.dtype == np.uint8
    with torch.inference_mode():
        wanted = (network.eval()(torch.from_numpy(faces)).permute(0, 2, 3, 1) + 1) * 127.5
    assert np.abs(drawn - wanted.clamp(0, 255).numpy()).mean() < 2
    for old, new in zip(before, network.state_dict().values(), strict=True):
        assert torch.equal(old, new)


def test_style_flow_that_only_misleads_is_silenced(monkeypatch):
    network, families = _network(), _families(3)
    ratings = {0.0: [-1.0, 1.0] * 3, 1.0: [1.0, -1.0] * 3}
    network.fusion.flow_head.weight.data.fill_(1.0)

    def rated(network, families):
        share = network.fusion.flow_head.weight[0, 0].item()
        return np.array([0, 1] * 3), np.array(ratings[share])

    monkeypatch.setattr("styleflow.training.styleflow_live.tasks.window_ratings", rated)
    assert weigh_flow(network, families) == 0.0
    ratings[0.0], ratings[1.0] = ratings[1.0], ratings[0.0]
    network.fusion.flow_head.weight.data.fill_(1.0)
    assert weigh_flow(network, families) == 1.0
    assert network.fusion.flow_head.weight[0, 0].item() == 1.0


def test_a_critic_sees_fog(tmp_path):
    critic = LiteTrunk(rank=0)
    critic.adopt(backbone())
    critic.eval()
    generator = torch.Generator().manual_seed(0)
    wanted = torch.rand(2, 3, 64, 64, generator=generator) * 2 - 1
    near = wanted + 0.02 * torch.randn(wanted.shape, generator=generator)
    fog = wanted.mean(dim=(2, 3), keepdim=True).expand_as(wanted)
    assert feature_distance(critic, near, wanted) < feature_distance(critic, fog, wanted)


def test_redrawing_keeps_shape_and_coarse_colours(tmp_path):
    pictures = [np.full((48, 40, 3), v, np.uint8) for v in (60, 180)]
    network = PatchAutoencoder(PatchAutoencoderDims((4, 8), 3, "shuffle"))
    train(PatchTask(network, pictures, 16, 4), LoopSettings(3, bf16=False), 0, tmp_path)
    frames = np.stack(pictures)
    drawn = redraw_with(network)(frames)
    assert drawn.shape == frames.shape
    assert drawn.dtype == np.uint8
    assert np.abs(drawn.mean(axis=(1, 2)) - frames.mean(axis=(1, 2))).max() < 3


@pytest.mark.parametrize("upsampling", ["nearest", "bilinear", "transposed", "shuffle"])
def test_every_way_of_upsampling_gives_the_size_back(upsampling):
    network = PatchAutoencoder(PatchAutoencoderDims((4, 8), 3, upsampling))
    assert network(torch.zeros(1, 3, 16, 24)).shape == (1, 3, 16, 24)
