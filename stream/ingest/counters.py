"""Counters of one stream's ingest: advanced by the thread that reads, read by any other."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from stream.events import ReasonCode
from stream.ingest.packets import PacketLogCounters
from stream.ingest.timeline import Damage, Discard, Moment
from styleflow.pictures.fallback import Fallback


@dataclass(frozen=True, slots=True)
class IngestCounters:
    """Totals of one stream's ingest since it began; every figure only grows.

    Attributes:
        packets: packets received.
        bytes: compressed bytes received.
        decoded: pictures decoded.
        sampled: frames emitted.
        discarded: pictures without a place in media time, by why.
        contaminated: pictures decoded but damaged, by why.
        missing: source frames that the PTS say were lost.
        refused: packets that the decoder refused.
        before_keyframe: packets dropped while waiting for a keyframe.
        attempts: connections tried.
        ends: connections ended, by reason.
        log: how full the packet log is and what it let go.
        newest: monotonic seconds at which the newest decoded picture arrived, or None.
        on_gpu: packets that a GPU's decoder was given.
        fallbacks: decoders that were meant to be a GPU's and are the processor's, by why.
    """

    packets: int
    bytes: int
    decoded: int
    sampled: int
    discarded: Mapping[Discard, int]
    contaminated: Mapping[Damage, int]
    missing: int
    refused: int
    before_keyframe: int
    attempts: int
    ends: Mapping[ReasonCode, int]
    log: PacketLogCounters
    newest: float | None = None
    on_gpu: int = 0
    fallbacks: Mapping[Fallback, int] = field(default_factory=dict)

    def plus(self, later: IngestCounters) -> IngestCounters:
        """Return the totals of this ingest and of a later one that has the same packet log."""
        return IngestCounters(
            packets=self.packets + later.packets,
            bytes=self.bytes + later.bytes,
            decoded=self.decoded + later.decoded,
            sampled=self.sampled + later.sampled,
            discarded=Counter(self.discarded) + Counter(later.discarded),
            contaminated=Counter(self.contaminated) + Counter(later.contaminated),
            missing=self.missing + later.missing,
            refused=self.refused + later.refused,
            before_keyframe=self.before_keyframe + later.before_keyframe,
            attempts=self.attempts + later.attempts,
            ends=Counter(self.ends) + Counter(later.ends),
            log=later.log,
            newest=self.newest if later.newest is None else later.newest,
            on_gpu=self.on_gpu + later.on_gpu,
            fallbacks=Counter(self.fallbacks) + Counter(later.fallbacks),
        )


class Tally:
    """Counts what one ingest does; every method may be called on any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._packets = self._bytes = self._decoded = self._sampled = self._missing = 0
        self._refused = self._before_keyframe = self._attempts = 0
        self._discarded: Counter[Discard] = Counter()
        self._contaminated: Counter[Damage] = Counter()
        self._ends: Counter[ReasonCode] = Counter()
        self._newest: float | None = None
        self._on_gpu = 0
        self._fallbacks: Counter[Fallback] = Counter()

    def attempt(self) -> None:
        """Count a connection that is tried."""
        with self._lock:
            self._attempts += 1

    def end(self, code: ReasonCode) -> None:
        """Count a connection that has ended."""
        with self._lock:
            self._ends[code] += 1

    def packet(self, size: int) -> None:
        """Count a packet of so many bytes."""
        with self._lock:
            self._packets += 1
            self._bytes += size

    def before_keyframe(self) -> None:
        """Count a packet that cannot be decoded yet."""
        with self._lock:
            self._before_keyframe += 1

    def refused(self, packets: int) -> None:
        """Count packets that the decoder refused."""
        with self._lock:
            self._refused += packets

    def given_to_gpu(self) -> None:
        """Count a packet that a GPU's decoder is given."""
        with self._lock:
            self._on_gpu += 1

    def fell_back(self, reason: Fallback) -> None:
        """Count a decoder that is the processor's and was meant to be a GPU's."""
        with self._lock:
            self._fallbacks[reason] += 1

    def picture(self, moment: Moment | Discard, arrived: float) -> None:
        """Count a decoded picture, with what its place in media time says and when it arrived."""
        with self._lock:
            self._decoded += 1
            self._newest = arrived
            if isinstance(moment, Discard):
                self._discarded[moment] += 1
                return
            self._missing += moment.missing
            if moment.damage is not None:
                self._contaminated[moment.damage] += 1

    def sampled(self) -> None:
        """Count a frame that is emitted."""
        with self._lock:
            self._sampled += 1

    @property
    def decoded(self) -> int:
        """Pictures decoded so far."""
        with self._lock:
            return self._decoded

    @property
    def placed(self) -> int:
        """Pictures so far that have a place in media time."""
        with self._lock:
            return self._decoded - self._discarded.total()

    def counters(self, log: PacketLogCounters) -> IngestCounters:
        """Return all totals, with those of the packet log beside them."""
        with self._lock:
            return IngestCounters(
                packets=self._packets,
                bytes=self._bytes,
                decoded=self._decoded,
                sampled=self._sampled,
                discarded=dict(self._discarded),
                contaminated=dict(self._contaminated),
                missing=self._missing,
                refused=self._refused,
                before_keyframe=self._before_keyframe,
                attempts=self._attempts,
                ends=dict(self._ends),
                log=log,
                newest=self._newest,
                on_gpu=self._on_gpu,
                fallbacks=dict(self._fallbacks),
            )
