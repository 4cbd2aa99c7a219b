"""Values that a stream hands to its ingest: how its source is obtained, and what it has kept."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field

from stream.ingest.open import OpenSource, Wait, open_source
from stream.ingest.packets import PacketLog
from styleflow.pictures.hardware import Decoding


def _at_once(wait: Wait) -> bool:
    """Let a source be opened without waiting for anything."""
    return True


def _no_loss() -> float:
    """Return that no loss is known."""
    return 0.0


@dataclass(frozen=True, slots=True)
class SourceAccess:
    """The way to a stream's source.

    Attributes:
        open: returns a source that has not been opened yet.
        ready: blocks until a connection can be tried; returns False when the stream should stop.
        loss: returns the share of packets lately lost on the way; for any thread.
        max_pixels: larger pictures end the connection; None lets the decoder decide.
    """

    open: OpenSource = open_source
    ready: Callable[[Wait], bool] = _at_once
    loss: Callable[[], float] = _no_loss
    max_pixels: int | None = None


@dataclass(frozen=True, slots=True)
class IngestContext:
    """Everything that one ingest is given beside its stream's id, its source and the time.

    Attributes:
        cadence_hz: sampled frames per media second.
        rng: jitters the backoff.
        log: where packets are kept. It belongs to the stream, so an ingest that replaces another
            writes to the same log.
        access: the way to the source.
        first_epoch: number of its first epoch; an ingest that replaces another counts on.
        decoding: where video is decoded and where its pictures lie.
    """

    cadence_hz: float
    rng: random.Random
    log: PacketLog = field(default_factory=PacketLog)
    access: SourceAccess = field(default_factory=SourceAccess)
    first_epoch: int = 1
    decoding: Decoding = field(default_factory=Decoding)
