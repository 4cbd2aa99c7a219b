"""Streams that publishers hold at all workers together: each may hold so many.

A worker knows who sends or has created its own streams, and says so in its beat. Between a call
that is sent to a worker and the beat that knows of it, the call counts as a claim. Pure.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping

from stream.errors import PublisherFull
from stream.webrtc.calls import Publisher

CLAIMED_S = 10.0
"""How long a call counts that no worker knows of yet."""

MAX_CLAIMED = 1024
"""Such calls that are remembered; the oldest gives way."""


class Publishers:
    """Who holds which streams, as far as workers have said, or calls were sent to them."""

    def __init__(self) -> None:
        self._claimed: dict[str, tuple[Hashable, float]] = {}

    def claim(
        self,
        stream: str,
        publisher: Publisher,
        held: Iterable[Mapping[str, Hashable]],
        now: float,
    ) -> None:
        """Count a call for its publisher.

        Args:
            stream: that is to be called.
            publisher: who calls.
            held: credentials by stream, as each living worker has said last.
            now: monotonic seconds.

        Raises:
            PublisherFull: the publisher holds as many others as it may.
        """
        self._claimed = {id: claim for id, claim in self._claimed.items() if claim[1] > now}
        found = [*((id, whose) for id, (whose, _) in self._claimed.items())]
        found += [pair for each in held for pair in each.items()]
        others = {id for id, whose in found if whose == publisher.credential} - {stream}
        limit = publisher.max_streams
        if limit is not None and len(others) >= limit:
            raise PublisherFull(limit)
        self._claimed.pop(stream, None)
        self._claimed[stream] = publisher.credential, now + CLAIMED_S
        while len(self._claimed) > MAX_CLAIMED:
            del self._claimed[next(iter(self._claimed))]
