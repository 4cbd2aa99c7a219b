"""The published detector's parts refuse what they cannot take and do what their names say."""

from __future__ import annotations

import pytest
import torch

from styleflow.detectors.layers.style_gru import StyleGRU, StyleGruDims, style_flow
from styleflow.detectors.styleflow.cnn3d import ContentDims, TemporalResNet
from styleflow.detectors.styleflow.network import StyleFlow, StyleFlowDims
from styleflow.detectors.styleflow.psp import PspDims, PspEncoder
from styleflow.detectors.styleflow.style_attention import StyleAttention
from styleflow.detectors.styleflow.style_levels import ALL_LEVELS, StyleLevels
from styleflow.detectors.styleflow.temporal_transformer import TemporalTransformer, TransformerDims
from styleflow.errors import ShapeMismatch

PSP = PspDims(size_px=32, width=2, units=(1, 1, 1, 1))
CONTENT = ContentDims(size_px=16, width=2)


def pictures(*shape: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, shape, generator=generator, dtype=torch.uint8)


@pytest.mark.parametrize(
    ("name", "width"),
    [
        ("coarse", 1536),
        ("middle", 2048),
        ("fine", 5632),
        ("middle+", 7680),
        ("coarse+", 3584),
        ("total", 9216),
        ("coarse,fine", 7168),
    ],
)
def test_levels_have_the_released_widths(name: str, width: int) -> None:
    levels = StyleLevels(name)
    assert 512 * len(levels.styles) == width
    assert StyleLevels.of_count(width // 512) == levels


def test_every_choice_of_levels_is_told_apart_by_its_width() -> None:
    assert len({len(StyleLevels(name).styles) for name in ALL_LEVELS}) == len(ALL_LEVELS)


def test_unknown_levels_are_refused_with_those_that_exist() -> None:
    with pytest.raises(ValueError, match=r"coarse, .* not 'finest'"):
        StyleLevels("finest")
    with pytest.raises(ValueError, match="5 styles"):
        StyleLevels.of_count(5)


@pytest.mark.parametrize("name", ALL_LEVELS)
def test_chosen_styles_are_slices_of_all_styles(name: str) -> None:
    torch.manual_seed(0)
    encoder = PspEncoder(PSP).eval()
    images, styles = pictures(2, 32, 32, 3), StyleLevels(name).styles
    with torch.no_grad():
        torch.testing.assert_close(
            encoder.codes(images, styles), encoder.codes(images)[:, list(styles)]
        )


def test_w_plus_is_relative_to_the_average_latent() -> None:
    torch.manual_seed(0)
    encoder = PspEncoder(PSP).eval()
    encoder.latent_avg.normal_()
    images = pictures(2, 32, 32, 3)
    with torch.no_grad():
        torch.testing.assert_close(encoder(images), encoder.codes(images) + encoder.latent_avg)


def test_style_flow_is_newer_minus_older_style_after_style() -> None:
    latents = torch.arange(24.0).reshape(1, 3, 2, 4) ** 2
    flow = style_flow(latents)
    assert flow.shape == (1, 2, 8)
    assert torch.equal(flow[0, 1, 4:], latents[0, 2, 1] - latents[0, 1, 1])


def test_latent_dropout_shares_its_mask() -> None:
    """Both halves of a delta, all positions and the whole batch lose the same features."""
    torch.manual_seed(0)
    network = StyleGRU(StyleGruDims(features=40, hidden=4, head=4), latent_dropout=0.5).train()
    kept = network.drop_latents(torch.ones(3, 31, 40))
    mask = kept[0, 0]
    assert torch.equal(kept, mask.expand_as(kept))
    assert torch.equal(mask[:20], mask[20:])
    assert set(mask.tolist()) == {0.0, 2.0}
    assert torch.equal(network.eval().drop_latents(kept), kept)


def test_style_attention_starts_as_the_content_branch() -> None:
    """Its last layer is initialised to zero, so that only a constant is added."""
    attention = StyleAttention(8)
    tokens, code = torch.randn(2, 5, 8), torch.randn(2, 24)
    torch.testing.assert_close(attention(tokens, code), tokens + attention.lp.bias)


def test_the_resized_picture_is_pillows() -> None:
    """The same bicubic filter, within one grey level."""
    image_module = pytest.importorskip("PIL.Image")
    import numpy as np

    dims = StyleFlowDims(psp=PSP, hidden=16, content=ContentDims(size_px=224, width=2))
    with torch.device("meta"):
        network = StyleFlow(dims)
    image = pictures(1, 8, 8, 3).repeat_interleave(32, 1).repeat_interleave(32, 2)
    ours = network.content_crops(image)[0].permute(1, 2, 0).numpy().astype(int)
    resized = image_module.fromarray(image[0].numpy()).resize((224, 224))
    theirs = np.asarray(resized).astype(int)
    assert abs(ours - theirs).max() <= 1


def test_wrong_shapes_are_refused_with_the_right_ones() -> None:
    network = StyleFlow(StyleFlowDims(psp=PSP, hidden=16, content=CONTENT))
    with pytest.raises(ShapeMismatch, match=r"\(B, 32, 32, 32, 3\)"):
        network(pictures(1, 31, 32, 32, 3))
    with pytest.raises(ShapeMismatch, match=r"\(B, 32, 32, 32, 3\)"):
        network(pictures(1, 32, 64, 64, 3))
    with pytest.raises(ShapeMismatch, match=r"\(B, 32, 32, 3\)"):
        network.latents(pictures(1, 64, 64, 3))
    with pytest.raises(ShapeMismatch, match=r"\(B, 31, 288\)"):
        network.style_gru.code(torch.zeros(1, 30, 288))
    with pytest.raises(ShapeMismatch, match="even"):
        TemporalResNet(CONTENT).features(torch.zeros(1, 3, 31, 16, 16))
    with pytest.raises(ShapeMismatch, match="multiple of 8"):
        StyleAttention(8)(torch.zeros(1, 2, 8), torch.zeros(1, 12))
    with pytest.raises(ShapeMismatch, match=r"\(B, 16, 8\)"):
        TemporalTransformer(TransformerDims(width=8, heads=1, head=8, inner=8)).encode(
            torch.zeros(1, 15, 8)
        )


@pytest.mark.parametrize(
    "build",
    [
        lambda: PspDims(size_px=48),
        lambda: PspDims(width=0),
        lambda: PspDims(units=(1, 1, 0, 1)),
        lambda: ContentDims(frames=31),
        lambda: ContentDims(size_px=100),
        lambda: ContentDims(width=0),
        lambda: ContentDims(blocks=(0, 1, 1)),
        lambda: StyleGruDims(hidden=0),
        lambda: TransformerDims(heads=0),
        lambda: StyleFlowDims(hidden=100),
    ],
)
def test_impossible_dimensions_are_refused(build: object) -> None:
    with pytest.raises(ValueError, match=r"not|cannot"):
        build()  # type: ignore[operator]
