"""The content branch, style attention and the temporal transformer against the reference."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from styleflow.detectors.styleflow.cnn3d import spatial_mean
from styleflow.detectors.styleflow.network import (
    IMAGENET_MEAN,
    IMAGENET_STD,
    Ftcn,
    StyleFlowDims,
    StyleFlowTrunk,
)
from tests.parity.fill import built, reference_case, reference_shapes, shapes, uniform_input


class Stage2(nn.Module):
    """What a stage-2 file holds: everything under `resnet`."""

    def __init__(self) -> None:
        super().__init__()
        self.resnet = StyleFlowTrunk(StyleFlowDims())


@pytest.fixture(scope="module")
def ftcn() -> Ftcn:
    return built(lambda: Ftcn(StyleFlowDims()))


@pytest.fixture(scope="module")
def stage2() -> Stage2:
    return built(Stage2)


def normalised(clip: Tensor) -> Tensor:
    mean = torch.tensor(IMAGENET_MEAN)[:, None, None, None]
    return (clip - mean) / torch.tensor(IMAGENET_STD)[:, None, None, None]


def stored(case: str, name: str) -> Tensor:
    return torch.from_numpy(reference_case("styleflow", case)[name])


def close(got: Tensor, case: str, name: str) -> None:
    torch.testing.assert_close(
        got, stored(case, name), atol=1e-4, rtol=0, msg=lambda m: f"{name}: {m}"
    )


def test_names_and_shapes_are_those_of_the_published_files() -> None:
    with torch.device("meta"):
        assert shapes(Ftcn(StyleFlowDims())) == reference_shapes("styleflow", "ftcn_r50_tt")
        assert shapes(Stage2()) == reference_shapes("styleflow", "styleflow_stage2")


def test_a_clip_equals_the_reference_step_by_step(ftcn: Ftcn) -> None:
    """Tolerance 1e-4, with every intermediate feature probed."""
    clip = uniform_input(1, 3, 32, 224, 224)
    close(clip[0, :, :2, 0, :4], "ftcn", "input_probe")
    net = ftcn.resnet
    s1 = net.s1(normalised(clip))
    close(s1[0, ::8, ::4, ::14, ::14], "ftcn", "s1")
    s2 = net.s2(s1)
    close(s2[0, ::32, ::4, ::14, ::14], "ftcn", "s2")
    pool = net.pathway0_pool(s2)
    close(pool[0, ::32, ::2, ::14, ::14], "ftcn", "pool")
    s3 = net.s3(pool)
    close(s3[0, ::64, ::2, ::7, ::7], "ftcn", "s3")
    s4 = net.s4(s3)
    close(s4[0, ::64, :, ::7, ::7], "ftcn", "s4")
    tokens = spatial_mean(s4)
    close(tokens[0], "ftcn", "tokens")
    close(net.head.time_T.encode(tokens)[0], "ftcn", "tt")
    logit = net.head(tokens)
    close(logit[:, None], "ftcn", "logit")
    close(logit[:, None].sigmoid(), "ftcn", "prob")


@pytest.mark.slow
def test_a_longer_clip_equals_the_reference(ftcn: Ftcn) -> None:
    """64 frames in one piece, the zero padding only at its far ends."""
    tokens = ftcn.resnet.features(normalised(uniform_input(1, 3, 64, 224, 224)))
    close(tokens[0], "ftcn_stream64", "tokens")


@pytest.mark.parametrize("suffix", ["", "_b"])
def test_style_attention_and_head_equal_the_reference(stage2: Stage2, suffix: str) -> None:
    """Once on the tokens of a real clip, once on uniform noise."""
    code = 2 * uniform_input(1, 16384) - 1
    tokens = stored("ftcn", "tokens")[None] if suffix == "" else uniform_input(1, 16, 1024)
    head = stage2.resnet.head
    attention, style = head.STA.attend(tokens, code)
    said = head.STA.say(attention, style)
    close(code[0, :8], "stage2", "codes_probe")
    close(attention[0], "stage2", f"score{suffix}")
    close(said[0, :, ::16], "stage2", f"sam_out{suffix}")
    if suffix == "":
        close(head.STA(tokens, code)[0, :, ::16], "stage2", "fused")
    close(head(tokens, code)[:, None], "stage2", f"logit{suffix}")
