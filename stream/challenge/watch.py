"""Watch: what the device thread measures of streams that are being asked for something.

A plain object with one lock, between the device thread and the event loop. While nobody is asked
for anything, a frame costs the look into an empty dictionary.
"""

from __future__ import annotations

import threading
from collections import deque

from stream.challenge.observing import Observation

MAX_OBSERVATIONS = 2048
"""Observations of one stream that are kept; the oldest gives way and is counted."""


class Watch:
    """Observations of the streams that are watched.

    Attributes:
        dropped: observations that gave way to newer ones.
    """

    def __init__(self, most: int = MAX_OBSERVATIONS) -> None:
        self.dropped = 0
        self._most = most
        self._lock = threading.Lock()
        self._seen: dict[str, deque[Observation]] = {}

    def begin(self, stream: str) -> None:
        """Have a stream's frames measured from now on."""
        with self._lock:
            self._seen[stream] = deque(maxlen=self._most)

    def end(self, stream: str) -> None:
        """Measure it no more, and forget what was measured; one that is not watched is fine."""
        with self._lock:
            self._seen.pop(stream, None)

    def watched(self, stream: str) -> bool:
        """Return whether a stream is watched; cheap enough for every frame."""
        return stream in self._seen

    def offer(self, stream: str, observation: Observation) -> None:
        """Keep an observation of a stream, if it is watched."""
        with self._lock:
            seen = self._seen.get(stream)
            if seen is None:
                return
            self.dropped += len(seen) == self._most
            seen.append(observation)

    def seen(self, stream: str) -> tuple[Observation, ...]:
        """Return what was observed of a stream since it is watched, oldest first."""
        with self._lock:
            return tuple(self._seen.get(stream, ()))
