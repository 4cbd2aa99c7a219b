"""Event numbers that rise across restarts, whatever the wall clock does.

A process start takes a *block* of 2**32 numbers: its start epoch, shifted left. The epoch of the
next start is kept in a small file in the user's data directory, which is locked while it is read
and replaced atomically, so two processes never share a block. Whoever uses up a block takes
another one. All numbers fit the integers that JavaScript holds exactly, for two million starts.

The first epoch lies above the numbers of older versions, which were milliseconds since 1970. Where
the file cannot be used, a block is made from the wall clock, above all counted ones: such numbers
are unique as long as no two starts share a millisecond, and rise as long as the clock does.
"""

from __future__ import annotations

import itertools
import os
import tempfile
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import structlog
from filelock import FileLock

from stream.clock import Clock

log = structlog.get_logger(__name__)

EPOCH_FILE = "next-start-epoch"
"""Name of the file in the user's data directory."""

BLOCK_BITS = 32
"""A block holds 2**32 numbers: seven weeks at a thousand events a second."""

FIRST_EPOCH = 1024
"""The first block begins at 4.4e12; milliseconds since 1970 reach that in 2109."""

LIMIT = 1 << 53
"""Numbers stay below this, so that JavaScript holds them exactly."""

CLOCK_BLOCKS = 1 << 52
"""Numbers from here on come from the wall clock, those below are counted."""

_PER_MILLISECOND_BITS = 13
_CLOCK_BEGAN = datetime(2026, 1, 1, tzinfo=UTC)
_LOCK_S = 5.0

TakeBlock = Callable[[], range]
"""Returns numbers that nobody else has had or will have."""


def block_of(epoch: int) -> range:
    """Return the numbers of a start epoch."""
    return range(epoch << BLOCK_BITS, (epoch + 1) << BLOCK_BITS)


class BlocksInMemory:
    """Blocks for a process whose numbers nobody keeps: replays, one-off commands and tests."""

    def __init__(self) -> None:
        self._epochs = itertools.count(FIRST_EPOCH)

    def __call__(self) -> range:
        """Return the next block of this process."""
        return block_of(next(self._epochs))


class BlocksInFile:
    """Blocks that all process starts of a user share, counted in one file.

    Args:
        path: the file; it and its folder are made when they are missing.
        clock: makes blocks where the file cannot be used.
        above: a number that was given away before, whatever the file says: it may be another one,
            or a copy from a backup.

    Attributes:
        fallbacks: blocks that came from the wall clock, because the file could not be used.
    """

    def __init__(self, path: Path, clock: Clock, above: int = 0) -> None:
        self.path = path
        self.fallbacks = 0
        self._clock = clock
        self._least = (above >> BLOCK_BITS) + 1 if above < CLOCK_BLOCKS else 0

    def __call__(self) -> range:
        """Take a block. Falls back to the wall clock, with a warning; never raises."""
        try:
            return block_of(self._take())
        except (OSError, ValueError) as error:
            self.fallbacks += 1
            if self.fallbacks == 1:
                log.warning(
                    "event numbers come from the wall clock: their file cannot be used",
                    path=str(self.path),
                    error=str(error),
                )
            return _block_of_clock(self._clock)

    def _take(self) -> int:
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with FileLock(f"{self.path}.lock", timeout=_LOCK_S):
            epoch = max(self._read(), self._least)
            _replace(self.path, f"{epoch + 1}\n")
        return epoch

    def _read(self) -> int:
        if not self.path.exists():
            return FIRST_EPOCH
        epoch = int(self.path.read_text(encoding="ascii"))
        if not FIRST_EPOCH <= epoch < CLOCK_BLOCKS >> BLOCK_BITS:
            raise ValueError(f"{epoch} is no start epoch")
        return epoch


class EventIds:
    """Numbers that only rise, taken block by block.

    Args:
        take: where blocks come from; blocks of this process alone when left out. The first one is
            taken at once.
    """

    def __init__(self, take: TakeBlock | None = None) -> None:
        self._take = take or BlocksInMemory()
        self._last = 0
        self._go_on(self._take())

    def begin(self, block: range) -> None:
        """Go on in a block that somebody else has taken, unless the present one is above it."""
        if block.start > self._began:
            self._go_on(block)

    def _go_on(self, block: range) -> None:
        self._began = block.start
        # A block of the wall clock may begin below the one that is used up.
        self._block = iter(range(max(block.start, self._last + 1), block.stop))

    def next(self) -> int:
        """Return a number above all before it."""
        number = next(self._block, None)
        while number is None:
            self._go_on(self._take())
            number = next(self._block, None)
        self._last = number
        return number


def _block_of_clock(clock: Clock) -> range:
    """Return the numbers from this millisecond on, 2**13 for each."""
    milliseconds = round((clock.utc() - _CLOCK_BEGAN).total_seconds() * 1000)
    return range(CLOCK_BLOCKS + (max(milliseconds, 0) << _PER_MILLISECOND_BITS), LIMIT)


def _replace(path: Path, text: str) -> None:
    """Write a file so that it is either whole or as before, even when the machine stops."""
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=path.name)
    try:
        with os.fdopen(handle, "w", encoding="ascii") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
