"""The ingest worker: one stream's ingest and the thread that runs it, from start to abandonment.

A thread that hangs where nothing reaches it, such as in a name lookup, cannot be interrupted. It is
abandoned: whatever it still delivers is ignored, and a new ingest takes its place, which counts
epochs on and writes to the same packet log, for both belong to the stream.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

import structlog

from stream.analyzer.threads import StartThread, Thread, start_daemon
from stream.clock import Clock
from stream.events import EpochStarted, Frame, StreamChanged
from stream.ingest.connection import Changes
from stream.ingest.counters import IngestCounters
from stream.ingest.ingest import Emit, Ingest
from stream.ingest.packets import PacketLog

log = structlog.get_logger(__name__)

MakeIngest = Callable[[int, PacketLog], Ingest]
"""Makes an ingest whose first epoch has this number and that keeps its packets in this log."""


class IngestWorker:
    """One stream's ingest thread.

    Args:
        stream: id of the stream.
        make: makes an ingest.
        emit: takes frames and events, on the ingest's thread.
        clock: where time comes from.
        start_thread: runs an ingest.
        first_epoch: number of its first epoch.

    Attributes:
        log: the stream's newest packets; the same for every ingest of the stream.
        started_at: monotonic seconds at which the newest ingest was started.
        abandoned: threads that were given up, because they did not end.
    """

    def __init__(
        self,
        stream: str,
        make: MakeIngest,
        emit: Emit,
        clock: Clock,
        start_thread: StartThread = start_daemon,
        first_epoch: int = 1,
    ) -> None:
        self.stream = stream
        self.log = PacketLog()
        self.started_at = clock.monotonic()
        self.abandoned = 0
        self._make = make
        self._emit = emit
        self._clock = clock
        self._start_thread = start_thread
        self._past: IngestCounters | None = None
        self._ingest = make(first_epoch, self.log)
        self._stop = threading.Event()
        self._thread: Thread | None = None

    def start(self) -> None:
        """Start the thread."""
        self.started_at = self._clock.monotonic()
        ingest, stop = self._ingest, self._stop
        self._thread = self._start_thread(lambda: self._run(ingest, stop), f"ingest-{self.stream}")

    def stop(self) -> None:
        """Ask the thread to end; what it still delivers is ignored."""
        self._stop.set()
        self._ingest.close()

    def join(self, timeout: float) -> bool:
        """Wait for the thread; return False when it was abandoned because it did not end."""
        if self._thread is None:
            return True
        self._thread.join(timeout)
        if not self._thread.is_alive():
            return True
        self.abandoned += 1
        log.warning("ingest thread abandoned", stream=self.stream)
        return False

    def replace(self, epoch: int) -> None:
        """Abandon a thread that hangs, and start another one in the epoch after this one."""
        self.stop()
        self.abandoned += 1
        log.warning("a stalled ingest is replaced", stream=self.stream)
        self._past = self.counters
        self._ingest = self._make(epoch + 1, self.log)
        self._stop = threading.Event()
        self.start()

    def tick(self, now: float) -> Changes:
        """Return the transitions that the passing of time alone brings."""
        return self._ingest.tick(now)

    @property
    def counters(self) -> IngestCounters:
        """Totals of all ingests that this stream has had."""
        counters = self._ingest.counters
        return counters if self._past is None else self._past.plus(counters)

    def _run(self, ingest: Ingest, stop: threading.Event) -> None:
        """Read until told to stop; the body of the thread."""

        def emit(item: Frame | StreamChanged | EpochStarted) -> None:
            if not stop.is_set():  # afterwards nobody waits for it any more
                self._emit(item)

        try:
            ingest.run(emit, stop.wait)
        except Exception:
            log.exception("ingest thread failed", stream=self.stream)
            raise
