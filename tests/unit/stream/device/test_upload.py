"""Crops reach the device unharmed, however many and however often."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from stream.device.upload import Uploader
from tests.support.models import crop

DEVICES = [
    "cpu",
    pytest.param(
        "cuda",
        marks=[
            pytest.mark.gpu,
            pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU"),
        ],
    ),
]


@pytest.mark.parametrize("device", DEVICES)
def test_pictures_arrive_as_they_are_and_stay(device: str) -> None:
    """Also when the next ones follow at once, fewer or more of them."""
    send = Uploader(torch.device(device))
    sent = [(count, send([crop(n + count) for n in range(count)])) for count in (3, 1, 8, 2)]
    for count, pictures in sent:
        assert pictures.device.type == device
        expected = np.stack([crop(n + count) for n in range(count)])
        np.testing.assert_array_equal(pictures.cpu().numpy(), expected)
