"""Sink of log lines: whoever logs is never held up and never sees an error.

Lines go through a bounded queue to one thread, which alone touches standard error. A disk that is
full, a reader that has gone or one that has stopped reading cost lines, which are counted, and
nothing else. Lines of one kind are limited, so that no stranger fills the disk with them.
"""

from __future__ import annotations

import logging
import os
import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import IO, Any, TextIO

from stream.clock import SystemClock

MAX_LINES = 2048
"""Lines that may wait for standard error; a further one is lost and counted."""

MAX_LINE = 64 * 1024
"""Characters of one line, traceback included."""

MAX_OF_A_KIND = 20
"""Lines of one kind within `WINDOW_S`; further ones are left out and counted."""

WINDOW_S = 10.0
MAX_KINDS = 512


class LineSink:
    """A writable object whose `write` only queues.

    Args:
        stream: where a thread of its own writes the lines.

    Attributes:
        lost: lines that were not written, because the queue was full or writing failed.
    """

    def __init__(self, stream: TextIO) -> None:
        self.lost = 0
        self._stream = stream
        self._lines: deque[str] = deque()
        self._changed = threading.Condition()
        self._writing = False
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="log", daemon=True)
        self._thread.start()

    def write(self, text: str) -> int:
        """Queue a text; returns at once, whatever becomes of it."""
        with self._changed:
            if self._closed or len(self._lines) >= MAX_LINES:
                self.lost += 1
            else:
                self._lines.append(text if len(text) <= MAX_LINE else text[:MAX_LINE] + "…\n")
                self._changed.notify_all()
        return len(text)

    def flush(self) -> None:
        """Do nothing: what is queued is written as soon as possible."""

    def close(self, within_s: float = 1.0) -> None:
        """Take no more lines, and give those that wait a moment to be written."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
            self._changed.wait_for(lambda: not self._lines and not self._writing, within_s)

    def _run(self) -> None:
        told = 0
        while True:
            with self._changed:
                self._writing = False
                self._changed.notify_all()
                self._changed.wait_for(lambda: self._lines or self._closed)
                if not self._lines:
                    return
                text = self._lines.popleft()
                self._writing = True
                lost = self.lost
            if lost > told:
                text = f"({lost - told} log lines were lost before this one)\n{text}"
            if self._put(text):
                told = lost
            else:
                with self._changed:
                    self.lost += 1

    def _put(self, text: str) -> bool:
        """Write a text past all buffers, which would keep what failed; False when it failed."""
        try:
            number = self._stream.fileno()
        except (OSError, ValueError, AttributeError):
            return self._put_in_stream(text)
        rest = text.encode("utf-8", "backslashreplace")
        try:
            while rest:
                rest = rest[os.write(number, rest) :]
        except OSError:
            return False
        return True

    def _put_in_stream(self, text: str) -> bool:
        try:
            self._stream.write(text)
            self._stream.flush()
        except (OSError, ValueError):
            return False
        return True


class RateLimit:
    """At most so many lines of one kind in a while. Safe to use from several threads.

    Args:
        monotonic: where time comes from; the system's clock if left out.

    Attributes:
        left_out: lines that were too many.
    """

    def __init__(self, monotonic: Callable[[], float] | None = None) -> None:
        self.left_out = 0
        self._monotonic = monotonic or SystemClock().monotonic
        self._lock = threading.Lock()
        self._kinds: dict[object, list[float]] = {}

    def __len__(self) -> int:
        return len(self._kinds)

    def admit(self, kind: object) -> int | None:
        """Return how many lines of this kind were left out before this one; None for this, too."""
        now = self._monotonic()
        with self._lock:
            begin, count = self._kinds.pop(kind, (now, 0.0))
            missing = 0
            if now - begin >= WINDOW_S:
                missing = max(int(count) - MAX_OF_A_KIND, 0)
                begin, count = now, 0.0
            self._kinds[kind] = [begin, count + 1]
            if len(self._kinds) > MAX_KINDS:
                del self._kinds[next(iter(self._kinds))]
            if count >= MAX_OF_A_KIND:
                self.left_out += 1
                return None
            return missing


class QuietStream:
    """A stream as it is, but writing to it raises nothing when it is full or gone.

    Args:
        stream: what is written to.
    """

    def __init__(self, stream: IO[str]) -> None:
        self._stream = stream

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        """Write a text, or lose it."""
        with suppress(OSError, ValueError):
            self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        """Write what is buffered, or lose it."""
        with suppress(OSError, ValueError):
            self._stream.flush()


class LineRing:
    """A writable object that keeps the newest lines for another process to fetch.

    Lines come from any thread, and are read on the event loop.

    Args:
        size: lines that are kept; the oldest gives way.
    """

    def __init__(self, size: int = MAX_LINES) -> None:
        self._lines: deque[str] = deque(maxlen=size)
        self._end = 0
        self._lock = threading.Lock()

    def write(self, text: str) -> int:
        """Keep a text."""
        with self._lock:
            self._lines.append(text if len(text) <= MAX_LINE else text[:MAX_LINE] + "…\n")
            self._end += 1
        return len(text)

    def flush(self) -> None:
        """Do nothing."""

    def read(self, position: int) -> tuple[int, tuple[str, ...]]:
        """Return the lines from a position on, and where to go on.

        What gave way is said in a line; a position of an earlier process means the beginning.
        """
        with self._lock:
            begin, end = self._end - len(self._lines), self._end
            lines = tuple(self._lines)
        if position > end:
            position = 0
        lost = max(begin - position, 0)
        told = (f"({lost} log lines were lost before this one)\n",) if lost else ()
        return end, told + lines[max(position - begin, 0) :]


class SinkHandler(logging.Handler):
    """Handler of the standard library's logging that puts lines into a sink.

    Args:
        sink: where lines go.
        limit: which lines are too many.
    """

    def __init__(self, sink: LineSink | LineRing, limit: RateLimit) -> None:
        super().__init__()
        self._sink = sink
        self._limit = limit

    def emit(self, record: logging.LogRecord) -> None:
        """Queue a record; whatever is wrong with it is not the caller's concern."""
        try:
            kind = (record.name, record.levelno, str(record.msg)[:80].partition("\n")[0])
            missing = self._limit.admit(kind)
            if missing is None:
                return
            more = f" ({missing} more like this were left out)" if missing else ""
            self._sink.write(f"{self.format(record)}{more}\n")
        except Exception as error:
            self._sink.write(f"a log line could not be made: {type(error).__name__}\n")
