"""The fence: who may speak of a stream when several workers claim to own it. Pure.

A stream's generation rises whenever it is given to a worker. The highest one that anybody has heard
of is the owner's; what a lower one says is dropped. A worker that was taken for dead and wakes up
again says what it has to say with the generation that it had.
"""

from __future__ import annotations

MAX_STREAMS = 65_536


class Fence:
    """The highest generation of every stream that was heard of; it falls by `reset` alone.

    Args:
        max_streams: streams that are remembered, gone ones among them; the one that was heard of
            longest ago gives way.

    Attributes:
        fenced: events that were dropped; only grows.
    """

    def __init__(self, max_streams: int = MAX_STREAMS) -> None:
        self.fenced = 0
        self._max_streams = max_streams
        self._highest: dict[str, int] = {}

    def of(self, stream: str) -> int:
        """Return the least generation that may speak of a stream."""
        return self._highest.get(stream, 0)

    def hear(self, stream: str, generation: int) -> None:
        """Take note of a stream's generation; a lower one than before changes nothing."""
        highest = max(self._highest.pop(stream, 0), generation)
        self._highest[stream] = highest  # at the end of the line
        while len(self._highest) > self._max_streams:
            del self._highest[next(iter(self._highest))]

    def reset(self, stream: str, generation: int) -> None:
        """Take a stream's generation for the highest, also where a higher one was announced.

        For an announcement that came to nothing, because the director ended before its order was
        carried out; never below a generation that has spoken.
        """
        self._highest.pop(stream, None)
        self.hear(stream, generation)

    def close(self, stream: str, generation: int) -> None:
        """Bar all owners up to a generation, because everybody was told that the stream is gone."""
        self.hear(stream, generation + 1)

    def passes(self, stream: str, generation: int) -> bool:
        """Return whether an event may pass; from then on no lower generation's may."""
        if generation < self.of(stream):
            self.fenced += 1
            return False
        self.hear(stream, generation)
        return True
