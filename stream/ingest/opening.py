"""A say in what FFmpeg does while it opens a connection.

PyAV gives FFmpeg a deadline for opening. FFmpeg asks whether it has passed, in the thread that
opens, before every write and read and ten times a second while it waits, and gives up when it has.
PyAV looks the time up in the `time` of its module `av.container.core`, so that is where the
question can be answered otherwise: for a thread that should stop, the deadline has passed. A unit
test fails when a new version of PyAV no longer asks there.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator

import av.container.core

from stream.clock import SystemClock

GoesOn = Callable[[], bool]
"""Says whether FFmpeg may go on; called in the thread that waits for it."""

LATE_S = 1e9
"""Later than any deadline."""


class _Asked:
    """The question of one thread, and the time that it brings about."""

    def __init__(self, goes_on: GoesOn) -> None:
        self._goes_on = goes_on
        self._lateness_s = 0.0

    def lateness_s(self) -> float:
        """Return how late it is made out to be; more each time, once it is late.

        PyAV also notes with this when a deadline begins, and the next answer must be past that.
        """
        try:
            goes_on = self._goes_on()
        except Exception:  # nobody would hear of it, and FFmpeg would go on
            goes_on = False
        if not goes_on:
            self._lateness_s += LATE_S
        return self._lateness_s


class _AskingClock:
    """The `time` of PyAV's containers, which asks whoever opens one."""

    def __init__(self) -> None:
        self._clock = SystemClock()
        self._asked: dict[int, _Asked] = {}

    @contextlib.contextmanager
    def asking(self, goes_on: GoesOn) -> Iterator[None]:
        thread = threading.get_ident()
        self._asked[thread] = _Asked(goes_on)
        try:
            yield
        finally:
            self._asked.pop(thread, None)

    def monotonic(self) -> float:
        asked = self._asked.get(threading.get_ident())
        return self._clock.monotonic() + (0.0 if asked is None else asked.lateness_s())


_clock = _AskingClock()
vars(av.container.core)["time"] = _clock  # its stub tells of no `time`


def asking(goes_on: GoesOn) -> contextlib.AbstractContextManager[None]:
    """Let FFmpeg do nothing more on this thread, within, once `goes_on` says no.

    It is asked where PyAV was given a timeout: for opening, for reading, or for both.
    """
    return _clock.asking(goes_on)
