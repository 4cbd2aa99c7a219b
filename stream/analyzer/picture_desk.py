"""Pictures for people: kept while somebody asks, made one at a time."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from stream.clock import Clock
from stream.errors import OverlayUnavailable
from stream.explain.pictures import Pictures
from stream.explain.stills import Still
from stream.offline.analysis import DetectorUnknown
from styleflow.overlay import PointsAt


class PictureDesk:
    """Makes pictures in a worker thread, never more than one at a time.

    Args:
        pictures: the frames that are kept.
        pointers: what each detector can point at; None where it cannot.
        clock: where time comes from.
    """

    def __init__(
        self, pictures: Pictures, pointers: Mapping[str, PointsAt | None], clock: Clock
    ) -> None:
        self.pointers = pointers
        self._pictures = pictures
        self._clock = clock
        self._drawing = asyncio.Semaphore(1)

    async def picture(
        self, stream: str, width: int, overlay: str | None = None, *, drawn: bool = False
    ) -> Still | None:
        """Return the newest picture of a stream, and have more of them kept for a while.

        Raises:
            DetectorUnknown: there is no detector of the overlay's name.
            OverlayUnavailable: that detector cannot point at anything.
            OverlaysBusy: too many overlays are asked for.
        """
        if overlay is not None:
            self._check(overlay)
        self._pictures.watch(stream, self._clock.monotonic(), overlay)
        done = self._pictures.ready(stream, width, overlay, drawn=drawn)
        if done is not None:
            return done
        async with self._drawing:
            return await asyncio.to_thread(
                self._pictures.still, stream, width, overlay, drawn=drawn
            )

    def _check(self, detector: str) -> None:
        if detector not in self.pointers:
            raise DetectorUnknown(detector, tuple(self.pointers))
        if self.pointers[detector] is None:
            able = [name for name, points_at in self.pointers.items() if points_at is not None]
            raise OverlayUnavailable(detector, able)
