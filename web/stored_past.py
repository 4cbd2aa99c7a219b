"""Past events for WebSockets that come back: pages from the store, through places of their own."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from concurrent.futures import Future

from sqlalchemy import Connection

from stream.publish.past_events import MAX_PAST_EVENTS
from stream.store.access import StoreAccess
from stream.store.stored_events import after, count_after
from web.store_reads import StoreReads

PAGE = 256
"""Events of one page; a client never has more of them in memory."""

COMMIT_S = 2.0
"""Seconds to wait for the writer when the store seems to have no more."""


class StoredPast:
    """Stored events, see `PastEvents`.

    Args:
        store: what is read.
        reads: places for that.
    """

    def __init__(self, store: StoreAccess, reads: StoreReads) -> None:
        self._store = store
        self._reads = reads

    async def reachable(self, points: Mapping[str, int]) -> frozenset[str]:
        """Return the streams of which every event above a number is stored; bounded in all."""

        def query(connection: Connection) -> frozenset[str]:
            found, left = set(), MAX_PAST_EVENTS
            for stream, seq in points.items():
                count = count_after(connection, stream, seq, left + 1)
                if count is not None and count <= left:
                    found.add(stream)
                    left -= count
            return frozenset(found)

        await self._commit()  # memory may have lost what is not on disk yet
        return await self._reads.read(query)

    async def after(self, stream: str, seq: int) -> Sequence[tuple[int, str]]:
        """Return the next page; before it is empty, the writer is waited for."""
        page = await self._page(stream, seq)
        if page:
            return page
        await self._commit()
        return await self._page(stream, seq)

    async def _page(self, stream: str, seq: int) -> Sequence[tuple[int, str]]:
        return await self._reads.read(lambda connection: after(connection, stream, seq, PAGE))

    async def _commit(self) -> None:
        """Wait until everything that has happened so far is on disk, but not for long."""
        future: Future[None] = self._store.submit(lambda connection: None)
        try:
            async with asyncio.timeout(COMMIT_S):
                await asyncio.wrap_future(future)
        except TimeoutError:
            return
