"""Scores on their way from the device: one copy per run, and the only wait in it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from styleflow.lanes import here


class Downloader:
    """Copies the numbers of a run from a device.

    They are gathered there and travel together into page-locked memory, so that the thread goes on
    until it wants to know them. That memory is kept and grows to the largest run. One run is under
    way at a time.

    Args:
        device: where the numbers come from.

    Attributes:
        transfers: copies so far.
    """

    def __init__(self, device: torch.device) -> None:
        self.transfers = 0
        self._pinned = device.type == "cuda"
        self._device = device
        self._room = torch.empty(0)

    def begin(self, parts: Sequence[Tensor]) -> Callable[[], list[float]]:
        """Begin to copy numbers, each part `(B,)`, and return what waits for all, in order."""
        if not parts:
            return list
        gathered = torch.cat([part.float() for part in parts])
        count = len(gathered)
        if len(self._room) < count:
            with torch.inference_mode(mode=False):  # it is written in any mode later
                self._room = torch.empty(count, pin_memory=self._pinned)
        room = self._room[:count]
        room.copy_(gathered, non_blocking=True)
        self.transfers += 1
        arrived = here(self._device)

        def finish() -> list[float]:
            arrived.wait()
            values: list[float] = room.tolist()
            return values

        return finish
