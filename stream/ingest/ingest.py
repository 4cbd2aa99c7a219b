"""Ingest of one stream, from its URL to sampled frames: open, log, decode, place, sample, retry.

Theory of operation. `run` is a blocking loop that the analyzer gives a thread of its own. It
owns everything of the stream except three things that other threads touch under a lock: the
connection's state (`tick` notices a stall while `run` blocks in the network), the counters and the
packet log. It never sleeps by itself: all waiting goes through the `wait` it was handed, which
also tells it to stop, and a blocked network read ends by its own deadline or with `close`.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable

from stream.clock import Clock
from stream.errors import SourceError, SourceUrlInvalid
from stream.events import EpochStarted, Frame, ReasonCode, StreamChanged
from stream.ingest.backoff import Backoff
from stream.ingest.connection import Changes, Connection
from stream.ingest.context import IngestContext, SourceAccess
from stream.ingest.counters import IngestCounters, Tally
from stream.ingest.frame_builder import FrameBuilder, KeyframeNeeded, Output
from stream.ingest.open import Wait
from stream.ingest.packets import PacketLog
from stream.ingest.source import KeyframeSource, Packet, Source, SourceSettings

FIRST_PICTURE_S = 15.0
"""So long a camera has, from the first attempt to connect, for a picture that can be decoded."""

Emit = Callable[[Frame | StreamChanged | EpochStarted], None]


class Ingest:
    """The ingest of one stream.

    Args:
        stream: id of the stream.
        settings: its source.
        clock: where time comes from.
        context: everything else that its stream decides.
    """

    def __init__(
        self, stream: str, settings: SourceSettings, clock: Clock, context: IngestContext
    ) -> None:
        self.stream = stream
        self.settings = settings
        self._clock = clock
        self._log = context.log
        self._access = context.access
        self._lock = threading.Lock()
        self._connection = Connection(stream)
        self._connection.epoch = context.first_epoch - 1
        self._backoff = Backoff(context.rng)
        self._tally = Tally()
        self._frames = FrameBuilder(stream, context, self._tally)
        self._traits = settings.url.traits
        self._closed = False
        self._source: Source | None = None
        self._due: float | None = None  # by when a camera has to have sent a picture
        self._overdue = False

    def run(self, emit: Emit, wait: Wait) -> None:
        """Deliver frames and events until told to stop, or until a file has played to its end.

        Args:
            emit: takes frames and events, in order, on this thread.
            wait: blocks for some seconds and returns True when the stream should stop.
        """
        while not self._stopped(wait) and self._access.ready(wait):
            self._tally.attempt()
            self._change(emit, lambda: self._connection.connecting(self._clock.monotonic()))
            error = self._read(emit, wait)
            if self._stopped(wait):
                return
            self._tally.end(error.code)
            if self._traits.call:
                self._end(emit, error.detail, error.code)
                continue
            if error.code is ReasonCode.ENDED and not self._traits.live:
                if self.settings.loop:
                    continue
                self._end(emit, error.detail)
                return
            if wait(self._fail(emit, error)):
                return

    def tick(self, now: float) -> Changes:
        """Return the transitions that the passing of time alone brings; for another thread."""
        with self._lock:
            late = self._due is not None and now >= self._due
            if late:
                self._due, self._overdue = None, True
            source, changes = self._source, self._connection.tick(now)
        if late and source is not None:
            source.close()
        return changes

    def close(self) -> None:
        """Make `run` return soon; for another thread, in any state, more than once."""
        self._closed = True
        with self._lock:
            source = self._source
        if source is not None:
            source.close()

    @property
    def log(self) -> PacketLog:
        """The newest packets of the stream; it outlives this ingest."""
        return self._log

    @property
    def counters(self) -> IngestCounters:
        """What has been done so far; for any thread."""
        return self._tally.counters(self._log.counters)

    # --- one attempt --------------------------------------------------------------------------

    def _read(self, emit: Emit, wait: Wait) -> SourceError:
        """Read one connection to its end and return why it ended."""
        decoded, placed = self._tally.decoded, self._tally.placed
        try:
            source = self._access.open(self.settings, self._clock, wait)
        except SourceUrlInvalid as error:
            return SourceError(ReasonCode.NOT_FOUND, error.reason)
        self._traits = source.traits
        self._frames.connected(source.traits)
        self._watch(source)
        try:
            for packet in source.packets():
                if self._closed:  # another ingest may write to the log meanwhile
                    break
                self._take(packet, source, emit)
                if self._stopped(wait):
                    break
            ending = SourceError(ReasonCode.ENDED, "the source was closed")
        except SourceError as error:
            ending = error
        finally:
            self._watch(None)
            source.close()
        if not self._closed:
            self._deliver(self._frames.finish(), source, emit)
        if self._overdue:
            detail = f"the camera has sent no picture that can be decoded for {FIRST_PICTURE_S:g} s"
            return SourceError(ReasonCode.TIMEOUT, detail)
        if ending.code is ReasonCode.ENDED and self._tally.placed == placed:
            return self._without_picture(ending, decoded=self._tally.decoded > decoded)
        return ending

    def _watch(self, source: Source | None) -> None:
        """Let other threads close this source, and give a camera its time for the first picture."""
        with self._lock:
            self._source = source
            if source is None:
                self._due = None
                return
            self._overdue = False
            live = source.traits.live
            self._due = self._clock.monotonic() + FIRST_PICTURE_S if live else None
        if self._closed:
            source.close()

    def _without_picture(self, ending: SourceError, *, decoded: bool) -> SourceError:
        """Return what it means that a connection ended without one picture.

        An empty file must not be looped over at full speed, nor pass for one well played.
        """
        ends_anyhow = self._traits.live or self._traits.call
        code = ReasonCode.ENDED if ends_anyhow else ReasonCode.CORRUPT
        lack = "has a time stamp; a container has them" if decoded else "can be decoded"
        return SourceError(code, f"{ending.detail} without one picture that {lack}")

    def _take(self, packet: Packet, source: Source, emit: Emit) -> None:
        self._tally.packet(len(packet.data))
        self._log.append(packet)
        self._change(
            emit, lambda: self._connection.packet(packet.arrived, keyframe=packet.keyframe)
        )
        self._deliver(self._frames.take(packet), source, emit)

    def _deliver(self, outputs: Iterable[Output], source: Source, emit: Emit) -> None:
        """Act on what packets lead to."""
        for output in outputs:
            if isinstance(output, KeyframeNeeded):
                if isinstance(source, KeyframeSource):
                    source.want_keyframe()
                continue
            if isinstance(output, EpochStarted):
                with self._lock:
                    self._due = None
                    self._connection.epoch = output.epoch
            emit(output)

    # --- state ----------------------------------------------------------------------------------

    def _fail(self, emit: Emit, error: SourceError) -> float:
        """Say that the attempt failed and return how long to wait for the next."""
        now = self._clock.monotonic()
        delay = self._backoff.after(error.code, self._connection.healthy_s(now))
        self._change(emit, lambda: self._connection.failed(error.code, error.detail, delay))
        return delay

    def _end(self, emit: Emit, detail: str, code: ReasonCode = ReasonCode.ENDED) -> None:
        self._change(emit, lambda: self._connection.ended(detail, code))

    def _change(self, emit: Emit, transition: Callable[[], Changes]) -> None:
        with self._lock:
            changes = transition()
        for change in changes:
            emit(change)

    def _stopped(self, wait: Wait) -> bool:
        return self._closed or wait(0.0)


__all__ = [
    "Emit",
    "Ingest",
    "IngestContext",
    "IngestCounters",
    "PacketLog",
    "SourceAccess",
    "Wait",
]
