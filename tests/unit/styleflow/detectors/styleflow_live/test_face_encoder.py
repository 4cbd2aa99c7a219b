"""Statistics of patch tokens: what they are, and where mouth and eyes lie."""

import numpy as np
import pytest
import torch

from styleflow.detectors.styleflow_live.face_encoder import STATISTICS, FaceEncoder
from styleflow.errors import ShapeMismatch
from styleflow.faces.align import template
from styleflow.runtime import Compiled
from styleflow.runtime_settings import Precision, RuntimeSettings
from tests.support.models import TOY, crops, toy_network


@pytest.fixture
def encoder() -> FaceEncoder:
    encoder = toy_network().encoder
    assert encoder is not None
    return encoder


def test_mean_and_spread_are_those_of_the_patch_tokens(encoder):
    images = crops(0, 2)
    statistics, _ = encoder(images)
    assert statistics.shape == (2, 2, len(STATISTICS), 12)
    mean, std = (
        torch.tensor(v).view(3, 1, 1) for v in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
    )
    pictures = (images.permute(0, 3, 1, 2).float() / 255 - mean) / std
    for number, tokens in enumerate(encoder.trunk.streams(pictures, TOY.blocks)):
        patches = tokens[:, 1:]
        torch.testing.assert_close(statistics[:, number, 0], patches.mean(1), atol=1e-5, rtol=1e-4)
        spread = patches.std(1, correction=0)
        torch.testing.assert_close(statistics[:, number, 1], spread, atol=1e-5, rtol=1e-4)


def test_mouth_and_eyes_lie_where_the_template_has_them():
    """In a crop of 224 px: 16 x 16 patches of 14 px."""
    encoder = FaceEncoder(TOY.backbone, (1,), 64)
    assert encoder.cells == 16
    _, mouth, eyes = (row.view(16, 16) for row in encoder.looks_at)
    left_eye, right_eye, nose, left_corner, right_corner = np.floor(template(16)).astype(int)
    for column, row in (left_eye, right_eye):
        assert eyes[row, column] > 0
        assert mouth[row, column] <= 0
    for column, row in (left_corner, right_corner):
        assert mouth[row, column] > 0
        assert eyes[row, column] <= 0
    assert mouth[nose[1], nose[0]] < 0
    assert eyes[nose[1], nose[0]] < 0
    assert mouth[0, 0] == eyes[0, 0] == 0  # neither face nor background beside it counts
    torch.testing.assert_close(encoder.looks_at.sum(1), torch.tensor([1.0, 0.0, 0.0]))


def test_the_map_is_what_pointing_says_of_every_patch(encoder):
    with torch.no_grad():
        encoder.pointing.copy_(torch.arange(24.0).view(2, 12))
    statistics, maps = encoder(crops(0, 1))
    assert maps.shape == (1, 8, 8)
    expected = (statistics[0, :, 0] * encoder.pointing).sum()
    torch.testing.assert_close(maps.mean(), expected, atol=1e-3, rtol=1e-4)


def test_crops_of_another_size_are_refused(encoder):
    with pytest.raises(ShapeMismatch, match="32, 32, 3"):
        encoder(torch.zeros(1, 28, 28, 3, dtype=torch.uint8))


@pytest.mark.parametrize(
    ("precision", "off"), [(Precision.FLOAT32, 1e-4), (Precision.BFLOAT16, 0.05)]
)
def test_compiled_it_answers_alike(encoder, precision, off):
    images = crops(1, 3)
    statistics, maps = encoder(images)
    compiled = Compiled(encoder, RuntimeSettings(precision=precision))
    close = {"atol": off, "rtol": off}
    answers = compiled(images)
    torch.testing.assert_close(answers[0], statistics, **close)
    torch.testing.assert_close(answers[1], maps, **close)
