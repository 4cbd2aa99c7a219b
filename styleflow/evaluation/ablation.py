"""Ablation: a detector that can be asked to judge without one of its cues."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from styleflow.detectors.protocol import Detector


@runtime_checkable
class Ablating(Protocol):
    """A detector made of cues that can be taken away one at a time."""

    @property
    def cues(self) -> tuple[str, ...]:
        """What it looks at, in words for a report, for example `content` and `style flow`."""
        ...

    def without(self, cue: str) -> Detector:
        """Return the same detector, ready for inference, that ignores one of its cues.

        Raises:
            ValueError: it has no such cue.
        """
        ...
