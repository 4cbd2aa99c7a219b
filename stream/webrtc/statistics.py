"""Statistics of one peer: what it has sent, and how well its packets arrive. Pure."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from stream.events import LinkQuality
from stream.webrtc.datagrams import DatagramRefusal

GREEDY_S = 10.0
"""Seconds above 1.5 x `max_kbps` before the peer is disconnected."""


@dataclass(frozen=True, slots=True)
class PeerCounters:
    """What one peer has sent so far; every figure only grows.

    Attributes:
        pictures: whole compressed pictures received.
        dropped: pictures let go because nobody kept up.
        audio: audio frames received and let go.
        losses: times that a part of the video was lost for good.
        keyframes_asked: keyframe requests sent, aiortc's own among them.
        bytes: bytes of media and data received with the peer's key.
        refused: datagrams at the call's ports that were let go, from anybody, by reason.
    """

    pictures: int = 0
    dropped: int = 0
    audio: int = 0
    losses: int = 0
    keyframes_asked: int = 0
    bytes: int = 0
    refused: Counter[DatagramRefusal] = field(default_factory=Counter)


@dataclass(frozen=True, slots=True)
class LinkSample:
    """Figures of the link at one moment, since the call began.

    Attributes:
        at: monotonic seconds.
        bytes: received with the peer's key.
        expected: packets of the video that its numbers say were sent.
        received: packets of the video that arrived.
        jitter_s: how unevenly they arrive (RFC 3550).
    """

    at: float
    bytes: int
    expected: int
    received: int
    jitter_s: float


class LinkMeter:
    """Measures a link by comparing samples of its counters.

    Args:
        max_kbps: kilobits per second that the peer may send.

    Attributes:
        quality: how packets arrive; None before the second sample.
    """

    def __init__(self, max_kbps: int) -> None:
        self.quality: LinkQuality | None = None
        self._max_kbps = max_kbps
        self._newest: LinkSample | None = None
        self._greedy_since: float | None = None

    def update(self, sample: LinkSample, rtt_s: float | None) -> None:
        """Take in the newest sample and the newest round trip, if one is known."""
        before, self._newest = self._newest, sample
        if before is None or sample.at <= before.at:
            return
        expected = sample.expected - before.expected
        lost = expected - (sample.received - before.received)
        self.quality = LinkQuality(
            loss=min(max(lost / expected, 0.0), 1.0) if expected > 0 else 0.0,
            jitter_s=sample.jitter_s,
            rtt_s=rtt_s,
            kbps=(sample.bytes - before.bytes) * 8e-3 / (sample.at - before.at),
        )

    def is_greedy(self, now: float) -> bool:
        """Say whether the peer has long been sending far more than it may; ask regularly."""
        if self.quality is None or self.quality.kbps <= 1.5 * self._max_kbps:
            self._greedy_since = None
            return False
        self._greedy_since = self._greedy_since or now
        return now - self._greedy_since > GREEDY_S
