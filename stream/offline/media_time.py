"""Media seconds of a whole source, across its epochs. Pure; no clock is read."""

from __future__ import annotations

from stream.events import Notice

MAX_EPOCHS = 1_000
"""So many epochs' beginnings are remembered; tracks of older ones have long ended."""


class MediaTime:
    """Running total of the media seconds of a source that is read once.

    Epochs follow each other one step apart, whatever their stamps say.

    Args:
        step_s: media seconds from one epoch's last picture to the next one's first.

    Attributes:
        elapsed_s: media seconds from the first picture to the newest.
        notices: what is worth knowing of it beside.
    """

    def __init__(self, step_s: float) -> None:
        self.elapsed_s = 0.0
        self.notices: tuple[Notice, ...] = ()
        self._step_s = step_s
        self._begins: dict[int, float] = {}
        self._empty = True

    def begin(self, epoch: int) -> None:
        """Let an epoch begin after everything before it."""
        self._begins[epoch] = 0.0 if self._empty else self.elapsed_s + self._step_s
        if len(self._begins) > MAX_EPOCHS:
            del self._begins[next(iter(self._begins))]

    def advance(self, epoch: int, at: float) -> float:
        """Take note of a picture and return the media seconds up to it."""
        self._empty = False
        self.elapsed_s = max(self.elapsed_s, self.at(epoch, at))
        return self.elapsed_s

    def at(self, epoch: int, at: float) -> float:
        """Return where a moment of an epoch lies in the whole."""
        return self._begins.get(epoch, 0.0) + at
