"""Past events of streams, from before what is in memory: where they come from, in which order.

A subscription that resumes from a point which memory has lost catches up: pages of stored events
are read for it, one at a time and only when the page before is sent, until memory has what follows.
Meanwhile nothing newer of that stream is sent to it. Pure: whoever owns the subscription reads.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from stream.publish.send_queues import Backlog

MAX_PAST_EVENTS = 10_000
"""Stored events that one subscription may catch up with, of all its streams."""


class PastEvents(Protocol):
    """Stored events of streams. Both wait for the database without holding up the event loop."""

    async def reachable(self, points: Mapping[str, int]) -> frozenset[str]:
        """Return the streams of which every event above a number is stored, as far as is known.

        Those that are named first count first against `MAX_PAST_EVENTS`.

        Args:
            points: the numbers, by stream.

        Raises:
            StyleFlowError: the store cannot be asked.
        """
        ...

    async def after(self, stream: str, seq: int) -> Sequence[tuple[int, str]]:
        """Return number and text of the next events of a stream; none when there are no more.

        Raises:
            StyleFlowError: the store cannot be asked.
        """
        ...


@dataclass(frozen=True, slots=True)
class Wanted:
    """A page that is to be read: events of a stream above a number."""

    stream: str
    seq: int


class CatchUp:
    """Streams of one subscription that are behind memory, and the page that is being sent."""

    def __init__(self) -> None:
        self._seqs: dict[str, int] = {}
        self._exhausted: set[str] = set()
        self._page: deque[tuple[int, str]] = deque()
        self._page_of = ""

    def __contains__(self, stream: str) -> bool:
        return stream in self._seqs

    def __bool__(self) -> bool:
        return bool(self._seqs)

    def begin(self, stream: str, seq: int) -> None:
        """Catch up with the events of a stream above a number."""
        self._seqs[stream] = seq

    def end(self, stream: str) -> None:
        """Go on without stored events of a stream."""
        self._seqs.pop(stream, None)
        self._exhausted.discard(stream)
        if self._page_of == stream:
            self._page.clear()

    def clear(self) -> None:
        """Go on without stored events."""
        for stream in list(self._seqs):
            self.end(stream)

    @property
    def wanted(self) -> Wanted | None:
        """The page to read next; None while one is being sent, or when none is needed."""
        if self._page:
            return None
        return next((Wanted(s, n) for s, n in self._seqs.items() if s not in self._exhausted), None)

    def supply(self, stream: str, page: Sequence[tuple[int, str]]) -> None:
        """Take a page that was wanted; an empty one says that there are no more."""
        if stream not in self._seqs:
            return
        self._page_of = stream
        self._page.extend(page)
        if not page:
            self._exhausted.add(stream)

    def take(self) -> tuple[str, str] | None:
        """Return the stream and the text of the next stored event; None when none is loaded."""
        if not self._page:
            return None
        self._seqs[self._page_of], text = self._page.popleft()
        return self._page_of, text

    def place_in(self, stream: str, backlog: Backlog) -> int | None:
        """Return the ordinal from which memory has what follows; None while it has not.

        Raises:
            LookupError: what lies between is neither stored nor in memory.
        """
        seq = self._seqs[stream]
        if self._page and self._page_of == stream:
            return None
        place = backlog.after(seq)
        if place is not None:
            return place
        if stream not in self._exhausted:
            return None
        if backlog.first:
            raise LookupError(stream)
        return 0  # memory has lost nothing: the stream began after the point

    def sent(self, stream: str) -> int:
        """Return the number of the newest event that was sent of a stream."""
        return self._seqs[stream]
