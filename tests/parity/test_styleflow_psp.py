"""The pSp encoder against the reference, on weights derived from names."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from styleflow.detectors.styleflow.psp import GradualStyleEncoder, PspDims, PspFeatures
from tests.parity.fill import (
    built,
    reference_case,
    reference_shapes,
    shapes,
    uniform_input,
)


@pytest.fixture(scope="module")
def encoder() -> GradualStyleEncoder:
    return built(lambda: GradualStyleEncoder(PspDims()))


@pytest.fixture(scope="module")
def pictures() -> Tensor:
    return (uniform_input(1, 3, 256, 256) - 0.5) / 0.5


@pytest.fixture(scope="module")
def features(encoder: GradualStyleEncoder, pictures: Tensor) -> PspFeatures:
    return encoder.features(pictures)


def test_the_input_is_the_one_that_the_reference_saw() -> None:
    probe = reference_case("styleflow", "psp_encoder")["input_probe"]
    assert np.array_equal(uniform_input(1, 3, 256, 256)[0, :, :2, :4].numpy(), probe)


def test_names_and_shapes_are_those_of_the_published_file() -> None:
    with torch.device("meta"):
        encoder = GradualStyleEncoder(PspDims())
    assert shapes(encoder) == reference_shapes("styleflow", "psp_gradual_style_encoder")


def test_codes_equal_the_reference(encoder: GradualStyleEncoder, features: PspFeatures) -> None:
    """Tolerance 2e-6; RGB taken for BGR would show as 8e-2, a wrong upsampling as 1.7e-2."""
    codes = torch.stack([encoder.styles[i](features.for_style(i)) for i in range(18)], dim=1)
    expected = torch.from_numpy(reference_case("styleflow", "psp_encoder")["codes"])
    torch.testing.assert_close(codes, expected, atol=2e-6, rtol=0)


def test_trunk_equals_the_reference(encoder: GradualStyleEncoder, pictures: Tensor) -> None:
    case = reference_case("styleflow", "psp_encoder")
    c1, c2, c3 = encoder.trunk(pictures)
    stem = encoder.input_layer(pictures)
    body0 = encoder.body[0](stem)
    for got, name in (
        (stem[0, ::8, ::32, ::32], "stem"),
        (body0[0, ::8, ::16, ::16], "body0"),
        (c1[0, ::16, ::8, ::8], "c1"),
        (c2[0, ::16, ::4, ::4], "c2"),
        (c3[0, ::16, ::4, ::4], "c3"),
    ):
        torch.testing.assert_close(
            got, torch.from_numpy(case[name]), atol=1e-4, rtol=0, msg=lambda m, n=name: f"{n}: {m}"
        )


def test_pyramid_equals_the_reference(features: PspFeatures) -> None:
    case = reference_case("styleflow", "psp_encoder")
    assert features.p2 is not None
    assert features.p1 is not None
    p2, p1 = features.p2[0, ::32, ::4, ::4], features.p1[0, ::32, ::8, ::8]
    torch.testing.assert_close(p2, torch.from_numpy(case["p2"]), atol=1e-4, rtol=0)
    torch.testing.assert_close(p1, torch.from_numpy(case["p1"]), atol=1e-4, rtol=0)


def test_fewer_styles_are_the_same_styles(
    encoder: GradualStyleEncoder, features: PspFeatures
) -> None:
    """Leaving heads and the pyramid out changes nothing in what is left."""
    coarse = encoder.features((uniform_input(1, 3, 256, 256) - 0.5) / 0.5, deepest_style=2)
    assert coarse.p2 is None
    assert coarse.p1 is None
    torch.testing.assert_close(coarse.c3, features.c3, atol=0, rtol=0)
