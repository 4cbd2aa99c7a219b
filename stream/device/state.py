"""The tensors behind the slots, and the guard that no stale slot ever reaches them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from stream.device.slots import Slot, StaleSlot
from styleflow.detectors.protocol import Detector, Explaining, Looking
from styleflow.lanes import sent
from styleflow.overlay import Patch


class State:
    """What all tracks have gathered, one row each.

    Every row knows the generation that it holds. `clear` begins a generation; every other
    operation must name exactly the one that is there.

    Args:
        detector: owns the meaning of the tensors.
        slots: how many rows there are.
        device: where the detector's weights live.
    """

    def __init__(self, detector: Detector, slots: int, device: torch.device) -> None:
        self._detector = detector
        # Asked once: whether an object fits a protocol costs Python more than a small push.
        self._looking = detector if isinstance(detector, Looking) else None
        self._device = device
        self._tensors = detector.init_state(slots)
        self._generations = [0] * slots
        self._looked = [False] * slots

    def clear(self, slots: Sequence[Slot]) -> None:
        """Make rows forget everything and begin the slots' generations.

        Raises:
            StaleSlot: a row is already in a later generation; nothing is cleared.
        """
        for slot in slots:
            if slot.generation < self._generations[slot.row]:
                raise StaleSlot(slot, self._generations[slot.row])
        for slot in slots:
            self._generations[slot.row] = slot.generation
            self._looked[slot.row] = False
        self._detector.clear(self._tensors, self._tensor([slot.row for slot in slots]))

    def push(
        self,
        slots: Sequence[Slot],
        images: Tensor,
        missing: Sequence[int],
        looks: Sequence[bool] | None = None,
        seen: tuple[Tensor, ...] | None = None,
    ) -> None:
        """Push one frame, `(B, S, S, 3)` uint8 on the device, to each slot; see `Detector.push`.

        Args:
            slots: where to.
            images: one of each.
            missing: grid slots before each.
            looks: which are looked at, by a detector that looks at few; as it likes when None. A
                row's first frame is looked at in any case.
            seen: what was seen in those, when it was begun before; see `begin_looks`.

        Raises:
            StaleSlot: a slot is of another generation than its row; nothing is fed.
        """
        rows, gaps = self._rows(slots), self._tensor(missing)
        if looks is not None and self._looking is not None:
            known = [
                look or not self._looked[slot.row] for slot, look in zip(slots, looks, strict=True)
            ]
            self._looking.push_looks(self._tensors, rows, images, gaps, known, seen)
            for slot in slots:
                self._looked[slot.row] = True
        else:
            self._detector.push(self._tensors, rows, images, gaps)

    def begin_looks(self, images: Tensor) -> Callable[[], tuple[Tensor, ...]] | None:
        """Begin to look at crops, by a detector that looks at few; None when it does not."""
        return None if self._looking is None else self._looking.begin_looks(images)

    def reanchor(self, slots: Sequence[Slot], images: Tensor) -> None:
        """Replace the newest frame of each slot; see `Detector.reanchor`.

        Raises:
            StaleSlot: a slot is of another generation than its row; nothing is replaced.
        """
        self._detector.reanchor(self._tensors, self._rows(slots), images)

    def rate(self, slots: Sequence[Slot]) -> Tensor:
        """Return the logits of slots, `(B,)` on the device.

        Raises:
            StaleSlot: a slot is of another generation than its row.
        """
        return self._detector.rate(self._tensors, self._rows(slots))

    def patches(self, slots: Sequence[Slot]) -> tuple[tuple[Patch, ...], ...]:
        """Return what the detector points at in each slot's newest crop; see `Explaining`.

        Raises:
            StaleSlot: a slot is of another generation than its row.
        """
        if not isinstance(self._detector, Explaining):
            return ((),) * len(slots)
        return self._detector.patches(self._tensors, self._rows(slots))

    def _rows(self, slots: Sequence[Slot]) -> Tensor:
        for slot in slots:
            if slot.generation != self._generations[slot.row]:
                raise StaleSlot(slot, self._generations[slot.row])
        return self._tensor([slot.row for slot in slots])

    def _tensor(self, values: Sequence[int]) -> Tensor:
        return sent(values, self._device)
