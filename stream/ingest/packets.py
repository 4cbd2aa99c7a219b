"""Packet log: a stream's last compressed packets, as received, for evidence and replay.

Bounded in seconds and in bytes, both strictly. It always begins on a keyframe, so whatever it
holds can be decoded from its first packet; what has to give way goes by whole groups of pictures,
oldest first, and is counted.
"""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import dataclass

from stream.ingest.source import Packet


@dataclass(frozen=True, slots=True)
class PacketLogCounters:
    """How full the log is, and what it let go since the start.

    Attributes:
        packets: packets held now.
        bytes: bytes held now.
        let_go_packets: packets that gave way to newer ones, or came before a keyframe.
        let_go_bytes: their bytes.
    """

    packets: int
    bytes: int
    let_go_packets: int
    let_go_bytes: int


class PacketLog:
    """The newest packets of one stream; safe to read from another thread.

    Args:
        max_seconds: arrival time between the oldest and the newest packet, at most.
        max_bytes: compressed bytes held, at most.
    """

    def __init__(self, max_seconds: float = 60.0, max_bytes: int = 32 << 20) -> None:
        if max_seconds <= 0 or max_bytes < 1:
            raise ValueError(f"an empty packet log: {max_seconds} s, {max_bytes} bytes")
        self.max_seconds = max_seconds
        self.max_bytes = max_bytes
        self._lock = threading.Lock()
        self._packets: deque[Packet] = deque()
        self._bytes = 0
        self._let_go_packets = 0
        self._let_go_bytes = 0

    def append(self, packet: Packet) -> None:
        """Add the newest packet; older groups of pictures make room for it."""
        with self._lock:
            if not self._packets and not packet.keyframe:
                self._count(packet)
                return
            self._packets.append(packet)
            self._bytes += len(packet.data)
            while self._packets and self._is_over(packet.arrived):
                self._drop_oldest_group()

    def snapshot(self) -> tuple[Packet, ...]:
        """Return what is held now, oldest first."""
        with self._lock:
            return tuple(self._packets)

    @property
    def counters(self) -> PacketLogCounters:
        """How full it is, and what it let go."""
        with self._lock:
            return PacketLogCounters(
                len(self._packets), self._bytes, self._let_go_packets, self._let_go_bytes
            )

    def _is_over(self, now: float) -> bool:
        too_old = now - self._packets[0].arrived > self.max_seconds
        return too_old or self._bytes > self.max_bytes

    def _drop_oldest_group(self) -> None:
        while self._packets:
            packet = self._packets.popleft()
            self._bytes -= len(packet.data)
            self._count(packet)
            if self._packets and self._packets[0].keyframe:
                return

    def _count(self, packet: Packet) -> None:
        self._let_go_packets += 1
        self._let_go_bytes += len(packet.data)
