"""Queue of compressed pictures from a WebRTC peer to its stream's ingest thread.

Theory of operation. A stream that is called has one `PeerAccess` for its whole life. Each peer that
is connected to it brings a `PictureQueue`, which is bounded: the event loop puts, the ingest thread
takes. So a call passes through the same decoder, timeline and sampler as a camera, and nothing of
it is decoded on the event loop.

Pictures refer to earlier ones, so a full queue cannot drop just any: it lets everything go, refuses
what follows until the next keyframe, and asks for one. That bounds its memory in pictures and in
bytes, and what is taken from it is never older than it holds. It starts nothing; whoever blocks
here was given the thread to block in.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, replace

from stream.clock import Clock
from stream.errors import SourceError
from stream.events import ReasonCode
from stream.ingest.open import Wait
from stream.ingest.source import Packet, SourceSettings, SourceTraits

CAPACITY = 120
"""Pictures that may wait: two seconds at 60 per second."""

MAX_BYTES = 8 << 20

PATIENCE_S = 0.25
"""Seconds that a reader blocks before it asks whether it should stop."""


@dataclass(frozen=True, slots=True)
class PictureQueueCounters:
    """Totals of a picture queue; every figure only grows.

    Attributes:
        accepted: pictures taken in.
        dropped: pictures let go because the reader was too slow, or refused after that.
        overflows: times that it was full.
    """

    accepted: int
    dropped: int
    overflows: int


class PictureQueue:
    """Compressed pictures of one peer; `put`, `end` on one thread, `take`, `abandon` on another.

    Args:
        capacity: pictures that may wait.
        max_bytes: bytes that may wait.
        layers: sizes in which the peer offers its video.

    Attributes:
        layers: sizes in which the peer offers its video.
    """

    def __init__(
        self, capacity: int = CAPACITY, max_bytes: int = MAX_BYTES, *, layers: int = 1
    ) -> None:
        self.layers = layers
        self._capacity = capacity
        self._max_bytes = max_bytes
        self._changed = threading.Condition()
        self._packets: deque[Packet] = deque()
        self._bytes = 0
        self._awaiting_keyframe = True
        self._wanted = True
        self._end: SourceError | None = None
        self._abandoned = False
        self._accepted = self._dropped = self._overflows = 0

    def put(self, packet: Packet) -> bool:
        """Add a picture; return False when it could not be kept."""
        with self._changed:
            if self._end is not None or self._abandoned:
                return False
            if self._full(packet):
                self._dropped += len(self._packets)
                self._overflows += 1
                self._packets.clear()
                self._bytes = 0
                self._awaiting_keyframe = True
            if self._awaiting_keyframe and not packet.keyframe:
                self._dropped += 1
                self._wanted = True
                return False
            self._awaiting_keyframe = False
            self._packets.append(packet)
            self._bytes += len(packet.data)
            self._accepted += 1
            if packet.keyframe:
                self._wanted = False
            self._changed.notify_all()
            return True

    def end(self, why: SourceError) -> None:
        """Let the reader have what is left, and then this; the first end counts."""
        with self._changed:
            self._end = self._end or why
            self._changed.notify_all()

    def take(self, patience_s: float = PATIENCE_S) -> Packet | None:
        """Return the next picture, or None when none came in time.

        Raises:
            SourceError: the queue has ended, and why.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._packets or self._end is not None, patience_s)
            if self._packets:
                packet = self._packets.popleft()
                self._bytes -= len(packet.data)
                return packet
            if self._end is not None:
                raise replace(self._end)
            return None

    def restart(self) -> None:
        """Refuse what follows until the next keyframe: something before it was given up."""
        with self._changed:
            self._awaiting_keyframe = self._wanted = True

    def want_keyframe(self) -> None:
        """Say that nothing that comes is of use before the next keyframe."""
        with self._changed:
            self._wanted = not any(packet.keyframe for packet in self._packets)

    def abandon(self) -> None:
        """Say that nobody will take anything any more."""
        with self._changed:
            self._abandoned = True
            self._packets.clear()
            self._bytes = 0

    @property
    def keyframe_wanted(self) -> bool:
        """Whether the peer should be asked for a keyframe."""
        return self._wanted

    @property
    def abandoned(self) -> bool:
        """Whether the reader has gone."""
        return self._abandoned

    @property
    def counters(self) -> PictureQueueCounters:
        """What has been done so far."""
        with self._changed:
            return PictureQueueCounters(self._accepted, self._dropped, self._overflows)

    def __len__(self) -> int:
        return len(self._packets)

    def _full(self, packet: Packet) -> bool:
        if len(self._packets) >= self._capacity:
            return True
        return bool(self._packets) and self._bytes + len(packet.data) > self._max_bytes


class PeerAccess:
    """Hands the peers of one stream to its ingest, one after another.

    `connect` and `close` belong to the event loop, `ready` and `open` to the ingest thread.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._next: PictureQueue | None = None
        self._closed = False

    def connect(self, pictures: PictureQueue) -> None:
        """Have a peer's pictures read next."""
        with self._changed:
            self._next = pictures
            self._changed.notify_all()

    def close(self) -> None:
        """Let nobody wait any longer."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def ready(self, wait: Wait) -> bool:
        """Block until a peer is there; return False when the stream should stop."""
        while not wait(0.0):
            with self._changed:
                self._changed.wait_for(lambda: self._next or self._closed, PATIENCE_S)
                if self._closed:
                    return False
                if self._next is not None:
                    return True
        return False

    def open(self, settings: SourceSettings, clock: Clock, wait: Wait) -> CallSource:
        """Return the pictures of the peer that is there; an `OpenSource` for `Ingest`."""
        with self._changed:
            pictures, self._next = self._next, None
        if pictures is None:
            pictures = PictureQueue()
            pictures.end(SourceError(ReasonCode.ENDED, "the peer has gone before it came"))
        return CallSource(pictures, wait)


class CallSource:
    """One peer's pictures as a source.

    Attributes:
        traits: nothing is missing unless a packet says so: peers skip pictures at will.
    """

    def __init__(self, pictures: PictureQueue, wait: Wait) -> None:
        self.traits = SourceTraits(call=True, tells_losses=True, layers=pictures.layers)
        self._pictures = pictures
        self._wait = wait

    def packets(self) -> Iterator[Packet]:
        """Yield pictures until the peer goes. Raises SourceError with the reason."""
        while True:
            packet = self._pictures.take()
            if packet is not None:
                yield packet
            elif self._wait(0.0):
                return

    def want_keyframe(self) -> None:
        """Say that what was decoded is damaged until the next keyframe."""
        self._pictures.want_keyframe()

    def close(self) -> None:
        """Let the peer know that nobody listens any more."""
        self._pictures.abandon()
