"""Stamps that a file gives in decoding order, put into the order of presentation. Pure.

AVI, and files written without composition offsets, tell when a packet is to be decoded and not when
its picture is to be shown. With B-frames the pictures then come out of the decoder with their
stamps shuffled. But a picture that is shown as the n-th has the n-th smallest stamp, and that is
all that has to be known. Where the stamps are those of presentation, the smallest one is the
picture's own, and nothing changes.
"""

from __future__ import annotations

from collections import deque

REORDERING = frozenset({"h264", "hevc", "mpeg4", "msmpeg4v3", "mpeg2video", "vc1", "wmv3"})
"""Codecs with B-frames, whose every packet yields a picture; others have hidden pictures."""

MAX_REORDER = 16
"""Pictures that a decoder holds back at most; a stamp that waits longer has no picture."""


class DecodeOrder:
    """Decides on the stamps of pictures from those of the packets of one file.

    A packet that yields no picture leaves its stamp behind; it is let go once no picture can come
    for it any more, so memory is bounded.
    """

    def __init__(self) -> None:
        self._newest: int | None = None
        self._rising = True
        self._waiting: deque[int] = deque()  # given to no picture yet; rising
        self._due: dict[
            int, int
        ] = {}  # stamps whose own packet's picture has not come: for how long

    def take(self, pts: int | None) -> None:
        """Take in a packet's stamp, in decoding order."""
        if pts is None or (self._newest is not None and pts <= self._newest):
            # These stamps are those of presentation, or no order at all.
            self._rising = False
            self._waiting.clear()
            self._due.clear()
        if self._rising and pts is not None:
            self._newest = pts
            self._waiting.append(pts)
            self._due[pts] = 0

    def forget(self, pts: int | None) -> None:
        """Let go of the stamp of a packet that the decoder has refused."""
        if pts is not None and self._due.pop(pts, None) is not None and pts in self._waiting:
            self._waiting.remove(pts)

    def stamp(self, pts: int | None) -> int | None:
        """Return the stamp of the next picture in order of presentation.

        Args:
            pts: the stamp that its own packet had.
        """
        if not self._rising or pts is None:
            return pts
        self._due.pop(pts, None)
        self._let_go()
        return self._waiting.popleft() if self._waiting else pts

    def _let_go(self) -> None:
        for stamp in self._due:
            self._due[stamp] += 1
        for stamp in [one for one, waited in self._due.items() if waited > MAX_REORDER]:
            del self._due[stamp]
            if self._waiting and stamp <= self._waiting[-1]:
                self._drop(stamp)

    def _drop(self, stamp: int) -> None:
        """Let go of one waiting stamp: its own, or the oldest, which went to another picture."""
        if stamp in self._waiting:
            self._waiting.remove(stamp)
        else:
            self._waiting.popleft()
