"""One prepared video: who is in it, where the face is in every frame, and its pictures."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from styleflow.data.index import Entry
from styleflow.data.video import FacePath, Frames, Times


class Video(Protocol):
    """A video of a data set after `styleflow prepare`."""

    @property
    def entry(self) -> Entry:
        """Its label, group, kind and pair."""
        ...

    @property
    def path(self) -> FacePath:
        """Landmarks of every frame, `(T, 468, 2)`, in pixels of the pictures."""
        ...

    @property
    def times(self) -> Times:
        """Media seconds of every frame since the first, `(T,)`."""
        ...

    def frames(self, numbers: Sequence[int]) -> Frames:
        """Return some frames in the order asked for, `(n, H, W, 3)` RGB uint8."""
        ...
