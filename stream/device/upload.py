"""Crops on their way to the device: one copy per run."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from styleflow.faces.device_picture import Pixels
from styleflow.faces.face import Image


class Uploader:
    """Copies pictures to a device, on the lane of whoever calls.

    To a GPU they travel through page-locked memory, so that the copy runs beside the computation
    and the thread goes on. It is torch's own pool that lends this memory, and lends it again only
    when the copy has left it. Pictures that are on the device already stay there.

    Args:
        device: where the pictures go.
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device

    def __call__(self, images: Sequence[Pixels]) -> Tensor:
        """Return pictures of one shape, `(H, W, 3)` uint8, as `(B, H, W, 3)` on the device."""
        brought = [image for image in images if isinstance(image, np.ndarray)]
        if len(brought) == len(images):
            return self._bring(brought)
        arrived = iter(self._bring(brought) if brought else ())
        return torch.stack(
            [next(arrived) if isinstance(image, np.ndarray) else image.pixels() for image in images]
        )

    def _bring(self, images: Sequence[Image]) -> Tensor:
        if self._device.type != "cuda":
            return torch.from_numpy(np.stack(images)).to(self._device)
        shape = (len(images), *images[0].shape)
        staged = torch.empty(shape, dtype=torch.uint8, pin_memory=True)
        np.stack(images, out=staged.numpy())
        return staged.to(self._device, non_blocking=True)
