"""Crops on their way to the device: one copy per run."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from styleflow.faces.device_picture import Pixels, stacked


class Uploader:
    """Copies pictures to a device.

    To a GPU they travel through page-locked memory, so that the copy runs beside the computation
    and the thread goes on. That memory is kept and grows to the largest run; it is written again
    only when the copy before has left it.

    Args:
        device: where the pictures go.
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._staged = torch.empty(0, dtype=torch.uint8)
        self._left: torch.cuda.Event | None = None

    def __call__(self, images: Sequence[Pixels]) -> Tensor:
        """Return pictures of one shape, `(H, W, 3)` uint8, as `(B, H, W, 3)` on the device.

        Those that are there already stay there.
        """
        here = [image for image in images if isinstance(image, np.ndarray)]
        if len(here) < len(images):
            return stacked(images, self._device)
        if self._device.type != "cuda":
            return torch.from_numpy(np.stack(here)).to(self._device)
        if self._left is not None:
            self._left.synchronize()
        staged = self._room(len(here) * here[0].size).view(len(here), *here[0].shape)
        np.stack(here, out=staged.numpy())
        sent = staged.to(self._device, non_blocking=True)
        self._left = torch.cuda.Event()  # type: ignore[no-untyped-call]
        self._left.record()
        return sent

    def _room(self, size: int) -> Tensor:
        if self._staged.numel() < size:
            self._staged = torch.empty(size, dtype=torch.uint8, pin_memory=True)
        return self._staged[:size]
