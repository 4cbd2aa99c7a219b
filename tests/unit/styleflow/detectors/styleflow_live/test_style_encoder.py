"""Promises of the compact style encoder."""

import pytest
import torch

from styleflow.detectors.layers.seeding import seed_weights
from styleflow.detectors.styleflow_live.style_encoder import (
    ConvNorm,
    StyleEncoder,
    StyleEncoderDims,
)
from styleflow.errors import ShapeMismatch
from tests.support.models import TOY_ENCODER, crops


def _encoder() -> StyleEncoder:
    encoder = StyleEncoder(TOY_ENCODER)
    seed_weights(encoder, 0)
    return encoder.eval()


def test_a_crop_becomes_one_style_vector_per_level():
    with torch.no_grad():
        assert _encoder()(crops(0, 2)).shape == (2, 5, 3)


def test_the_default_has_the_twelve_levels_of_a_128_pixel_generator():
    dims = StyleEncoderDims()
    with torch.device("meta"):
        latents = StyleEncoder(dims).eval()(torch.empty(1, 128, 128, 3, dtype=torch.uint8))
    assert latents.shape == (1, 12, 64)


def test_crops_of_another_size_are_refused_with_both_shapes():
    with pytest.raises(ShapeMismatch, match=r"\(B, 32, 32, 3\), got \(1, 64, 64, 3\)"):
        _encoder()(torch.zeros(1, 64, 64, 3, dtype=torch.uint8))


def test_every_level_depends_on_the_picture():
    with torch.no_grad():
        one, other = _encoder()(crops(0, 2))
    assert ((one - other).abs().amax(dim=1) > 1e-4).all()


def test_each_group_of_levels_reads_its_own_depth():
    """Without the pyramid's way down, silencing the shallowest tap leaves coarse styles alone."""
    encoder, pictures = _encoder(), crops(0, 1)
    with torch.no_grad():
        before = encoder(pictures)
        encoder.lateral_fine.weight.zero_()
        after = encoder(pictures)
    assert torch.equal(before[:, :3], after[:, :3])
    assert not torch.equal(before[:, 3:], after[:, 3:])


def test_folding_keeps_the_latents_and_leaves_the_original_alone():
    encoder, pictures = _encoder(), crops(1, 3)
    generator = torch.Generator().manual_seed(0)
    for module in encoder.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.normal_(generator=generator)
            module.running_var.uniform_(0.5, 2.0, generator=generator)
            module.weight.data.uniform_(0.5, 2.0, generator=generator)
    names = list(encoder.state_dict())
    folded = encoder.folded()
    with torch.no_grad():
        torch.testing.assert_close(folded(pictures), encoder(pictures), atol=1e-5, rtol=1e-5)
    assert list(encoder.state_dict()) == names
    assert not any("norm" in name for name in folded.state_dict())


def test_a_fold_can_be_asked_for_twice():
    layer = ConvNorm(2, 3).eval()
    layer.fold()
    layer.fold()
    assert layer.conv.bias is not None


@pytest.mark.parametrize(
    "wrong",
    [{"size_px": 100}, {"size_px": 0}, {"latent": 0}, {"levels": (0, 1, 1)}, {"widths": (8, 8)}],
)
def test_impossible_dimensions_are_refused_by_name(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        StyleEncoderDims(**wrong)
