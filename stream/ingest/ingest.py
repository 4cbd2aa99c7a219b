"""One stream, from its URL to sampled frames: open, log, decode, place in time, sample, retry.

Theory of operation. `run` is a blocking loop that the supervisor gives a thread of its own. It
owns everything of the stream except three things that other threads touch under a lock: the
connection's state (`tick` notices a stall while `run` blocks in the network), the counters and the
packet log. It never sleeps by itself: all waiting goes through the `wait` it was handed, which
also tells it to stop, and a blocked network read ends by its own deadline.
"""

from __future__ import annotations

import random
import sys
import threading
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from stream.clock import Clock
from stream.errors import SourceError, SourceUrlInvalid
from stream.events import EpochCause, EpochStarted, Frame, ReasonCode, StreamChanged
from stream.ingest.backoff import Backoff
from stream.ingest.connection import Changes, Connection
from stream.ingest.decode import Decoder, Picture
from stream.ingest.file import FileSource
from stream.ingest.open import OpenSource, open_source
from stream.ingest.packets import PacketLog, PacketLogCounters
from stream.ingest.source import CallingSource, Packet, Source, SourceSettings
from stream.ingest.timeline import Damage, Discard, Moment, Stamp, Timeline
from styleflow.sampling import GridSampler

Emit = Callable[[Frame | StreamChanged | EpochStarted], None]
Wait = Callable[[float], bool]


@dataclass(frozen=True, slots=True)
class IngestCounters:
    """What one stream's ingest has done since it began; every figure only grows.

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


@dataclass(slots=True)
class _Tally:
    packets: int = 0
    bytes: int = 0
    decoded: int = 0
    sampled: int = 0
    missing: int = 0
    refused: int = 0
    before_keyframe: int = 0
    attempts: int = 0


class Ingest:
    """The ingest of one stream.

    Args:
        stream: id of the stream.
        settings: its source.
        cadence_hz: sampled frames per media second.
        clock: where time comes from.
        rng: jitters the backoff.
        open_source: how the source is obtained.
        log: where its packets are kept; a fresh one of a minute and 32 MiB by default.
        first_epoch: number of its first epoch; one that replaces another counts on.
        ready: blocks until a connection can be tried; returns False when the stream should stop.
        max_pixels: larger pictures end the connection; None lets the decoder decide.
        link_loss: returns the share of packets lately lost on the way; for any thread.
    """

    def __init__(
        self,
        stream: str,
        settings: SourceSettings,
        cadence_hz: float,
        clock: Clock,
        rng: random.Random,
        open_source: OpenSource = open_source,
        log: PacketLog | None = None,
        first_epoch: int = 1,
        ready: Callable[[Wait], bool] | None = None,
        max_pixels: int | None = None,
        link_loss: Callable[[], float] | None = None,
    ) -> None:
        self.stream = stream
        self.settings = settings
        self.log = log or PacketLog()
        self._clock = clock
        self._open_source = open_source
        self._lock = threading.Lock()
        self._connection = Connection(stream)
        self._backoff = Backoff(rng)
        self._timeline = Timeline(first_epoch)
        self._sampler: GridSampler[tuple[Picture, Moment]] = GridSampler(cadence_hz)
        self._decoder: Decoder | None = None
        self._ready = ready or _at_once
        self._max_pixels = max_pixels
        self._link_loss = link_loss or _no_loss
        self._source: Source | None = None
        self._whole = False
        self._closed = False
        self._tally = _Tally()
        self._discarded: Counter[Discard] = Counter()
        self._contaminated: Counter[Damage] = Counter()
        self._ends: Counter[ReasonCode] = Counter()

    def run(self, emit: Emit, wait: Wait) -> None:
        """Deliver frames and events until told to stop, or until a file has played to its end.

        Args:
            emit: takes frames and events, in order, on this thread.
            wait: blocks for some seconds and returns True when the stream should stop.
        """
        while not self._stopped(wait) and self._ready(wait):
            self._tally.attempts += 1
            self._change(emit, lambda: self._connection.connecting(self._clock.monotonic()))
            error = self._read(emit, wait)
            if self._stopped(wait):
                return
            with self._lock:
                self._ends[error.code] += 1
            if self.settings.url.is_call:
                self._end(emit, error.detail, error.code)
                continue
            if error.code is ReasonCode.ENDED and not self.settings.url.is_live:
                if self.settings.loop:
                    continue
                self._end(emit, error.detail)
                return
            if wait(self._fail(emit, error)):
                return

    def tick(self, now: float) -> Changes:
        """Return the transitions that the passing of time alone brings; for another thread."""
        with self._lock:
            return self._connection.tick(now)

    def close(self) -> None:
        """Make `run` return soon; for another thread, in any state, more than once."""
        self._closed = True

    @property
    def counters(self) -> IngestCounters:
        """What has been done so far; for any thread."""
        with self._lock:
            tally = self._tally
            return IngestCounters(
                packets=tally.packets,
                bytes=tally.bytes,
                decoded=tally.decoded,
                sampled=tally.sampled,
                discarded=dict(self._discarded),
                contaminated=dict(self._contaminated),
                missing=tally.missing,
                refused=tally.refused,
                before_keyframe=tally.before_keyframe,
                attempts=tally.attempts,
                ends=dict(self._ends),
                log=self.log.counters,
            )

    # --- one attempt --------------------------------------------------------------------------

    def _read(self, emit: Emit, wait: Wait) -> SourceError:
        """Read one connection to its end and return why it ended."""
        decoded_before, placed_before = self._tally.decoded, self._placed
        self._decoder = None
        try:
            source = self._open_source(self.settings, self._clock, wait)
        except SourceUrlInvalid as error:
            return SourceError(ReasonCode.NOT_FOUND, error.reason)
        self._source = source
        self._whole = isinstance(source, FileSource)  # nothing is lost on the way out of a file
        told = isinstance(source, CallingSource) and source.losses_are_told
        self._timeline.reconnected(losses_are_told=told)
        try:
            for packet in source.packets():
                self._take(packet, emit)
                if self._stopped(wait):
                    break
            ending = SourceError(ReasonCode.ENDED, "the source was closed")
        except SourceError as error:
            ending = error
        finally:
            source.close()
        self._finish(emit)
        if ending.code is ReasonCode.ENDED and self._placed == placed_before:
            # An empty file must not be looped over at full speed, nor pass for one well played.
            ends_anyhow = self.settings.url.is_live or self.settings.url.is_call
            code = ReasonCode.ENDED if ends_anyhow else ReasonCode.CORRUPT
            decoded = self._tally.decoded > decoded_before
            lack = "has a time stamp; a container has them" if decoded else "can be decoded"
            return SourceError(code, f"{ending.detail} without one picture that {lack}")
        return ending

    @property
    def _placed(self) -> int:
        """How many pictures got a place in media time."""
        return self._tally.decoded - self._discarded.total()

    def _take(self, packet: Packet, emit: Emit) -> None:
        with self._lock:
            self._tally.packets += 1
            self._tally.bytes += len(packet.data)
        self.log.append(packet)
        self._change(
            emit, lambda: self._connection.packet(packet.arrived, keyframe=packet.keyframe)
        )
        decoder = self._decoder_for(packet, emit)
        if decoder is None:
            with self._lock:
                self._tally.before_keyframe += 1
            return
        refused = decoder.refused
        try:
            pictures = decoder.decode(packet)
        finally:
            with self._lock:
                self._tally.refused += decoder.refused - refused
        for picture in pictures:
            self._check_size(picture)
            self._place(picture, emit)

    def _check_size(self, picture: Picture) -> None:
        width, height = picture.size
        if self._max_pixels is not None and width * height > self._max_pixels:
            detail = f"pictures of {width}x{height} are larger than is allowed"
            raise SourceError(ReasonCode.CODEC, detail)

    def _decoder_for(self, packet: Packet, emit: Emit) -> Decoder | None:
        """Return the decoder for this packet, or None while there is no keyframe to begin with."""
        if self._decoder is not None and self._decoder.format == packet.format:
            return self._decoder
        if self._decoder is not None:
            self._flush_decoder(emit)
        self._decoder = Decoder(packet.format) if packet.keyframe else None
        return self._decoder

    def _flush_decoder(self, emit: Emit) -> None:
        if self._decoder is not None:
            for picture in self._decoder.flush():
                self._place(picture, emit)
            self._decoder = None

    def _place(self, picture: Picture, emit: Emit) -> None:
        stamp = Stamp(
            pts=picture.pts,
            time_base=picture.time_base,
            codec=picture.codec,
            size=picture.size,
            keyframe=picture.keyframe,
            damaged=picture.damaged,
            corrupt=picture.corrupt,
            broken=picture.count.broken,
            vouched=sys.maxsize if self._whole else picture.count.up_to,
            bits=picture.bits,
        )
        moment = self._timeline.place(stamp)
        self._count(moment)
        if isinstance(moment, Discard):
            return
        if moment.damage is not None and isinstance(self._source, CallingSource):
            self._source.want_keyframe()
        if moment.began is not None:
            self._begin_epoch(moment.epoch, moment.began, emit)
        for sampled in self._sampler.push(moment.at, (picture, moment)):
            self._emit_frame(sampled.slot, *sampled.item, emit)

    def _begin_epoch(self, epoch: int, cause: EpochCause, emit: Emit) -> None:
        self._finish_sampling(emit)
        with self._lock:
            self._connection.epoch = epoch
        emit(EpochStarted(self.stream, epoch, cause))

    def _emit_frame(self, slot: int, picture: Picture, moment: Moment, emit: Emit) -> None:
        with self._lock:
            self._tally.sampled += 1
        emit(
            Frame(
                stream=self.stream,
                epoch=moment.epoch,
                slot=slot,
                at=moment.at,
                arrived=picture.arrived,
                image=picture.rgb(),
                contaminated=moment.damage is not None,
                source_fps=moment.source_fps,
                link_loss=self._link_loss(),
                bits_per_pixel=moment.bits_per_pixel,
            )
        )

    def _finish(self, emit: Emit) -> None:
        """Emit what is still held back when a connection ends."""
        if not self._closed:
            self._flush_decoder(emit)
            self._finish_sampling(emit)

    def _finish_sampling(self, emit: Emit) -> None:
        for sampled in self._sampler.finish():
            self._emit_frame(sampled.slot, *sampled.item, emit)

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

    def _count(self, moment: Moment | Discard) -> None:
        with self._lock:
            self._tally.decoded += 1
            if isinstance(moment, Discard):
                self._discarded[moment] += 1
                return
            self._tally.missing += moment.missing
            if moment.damage is not None:
                self._contaminated[moment.damage] += 1

    def _stopped(self, wait: Wait) -> bool:
        return self._closed or wait(0.0)


def _at_once(wait: Wait) -> bool:
    """Let a source be opened without waiting for anything."""
    return True


def _no_loss() -> float:
    """Return that nothing is known to be lost."""
    return 0.0
