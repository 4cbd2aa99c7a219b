"""Judgement of a fault in a cluster: what a client was told, beside what the store has. Pure.

Times are seconds of one monotonic clock. A stream's generation is in its epochs, so who spoke is
seen in every message. Only scores and events count; a snapshot repeats what was said before.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

GENERATION_BITS = 20
"""An epoch is its stream's generation, shifted left by so much, and a count."""

KEPT = frozenset({"verdict_changed", "track_ended", "incident_changed"})
"""Kinds of events of which none may be lost."""


@dataclass(frozen=True, slots=True)
class Heard:
    """One message of a stream, as it came.

    Attributes:
        at: when it came.
        stream: whose.
        generation: of who said it.
        number: of the event behind it.
        kind: `score`, or the kind of the event.
    """

    at: float
    stream: str
    generation: int
    number: int
    kind: str

    @property
    def key(self) -> tuple[str, int]:
        """The event that it is about, whoever told it."""
        return self.stream, self.number


def heard(message: Mapping[str, Any], at: float) -> Heard | None:
    """Return what a message of the WebSocket or of `/api/v1/events` says; None if it is neither."""
    if message["type"] not in ("score", "event"):
        return None
    kind = "score" if message["type"] == "score" else message["data"]["kind"]
    epoch = message["epoch"] or 0
    return Heard(at, message["stream"], epoch >> GENERATION_BITS, message["seq"], kind)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What one fault did.

    Attributes:
        fault: which.
        noticed_s: from the fault until somebody noticed; None if nobody did.
        again_s: by stream, from the fault to the first score that came after it; from a new owner
            where the old one was struck. None for a stream that is not scored again.
        unstored: events that were shown and are not stored.
        unshown: events that are stored and were not shown to a client that came back.
        split_brain: scores of an owner after the first of a later one, as shown.
        stored_late: stored events of an owner that happened after the first of a later one.
        repeated: events that were shown twice.
    """

    fault: str
    noticed_s: float | None
    again_s: Mapping[str, float | None]
    unstored: tuple[str, ...]
    unshown: tuple[str, ...]
    split_brain: int
    stored_late: int
    repeated: int

    @property
    def lost(self) -> int:
        """How many events are missing on either side."""
        return len(self.unstored) + len(self.unshown)

    @property
    def all_again_s(self) -> float | None:
        """When the last of the streams was scored again; None if one is not."""
        times = [time for time in self.again_s.values() if time is not None]
        return max(times, default=0.0) if len(times) == len(self.again_s) else None


def judge(
    fault: str,
    struck: float,
    told: Sequence[Heard],
    stored: Sequence[Heard],
    *,
    affected: Mapping[str, int],
    noticed: float | None,
    moves: bool,
    since: float,
    settled: float,
) -> Verdict:
    """Return what a fault did.

    Args:
        fault: its name.
        struck: when it happened.
        told: what a client was told, in the order in which it came.
        stored: what the store has of the time in question, in any order; at the time at which it
            was made.
        affected: streams that are to be scored again, with the generation that they had.
        noticed: when it was seen that something is gone.
        moves: whether the streams must get another owner, or only another gateway.
        since: what came before is none of this fault's business.
        settled: what came after may still be on its way to the store, or to the client.
    """
    return Verdict(
        fault=fault,
        noticed_s=None if noticed is None else noticed - struck,
        again_s={
            stream: _again(told, stream, struck, generation + 1 if moves else generation)
            for stream, generation in affected.items()
        },
        unstored=_missing((h for h in told if since <= h.at <= settled), stored),
        unshown=_missing((h for h in stored if since <= h.at <= settled), told),
        split_brain=late(h for h in told if h.kind == "score" and h.at >= since),
        stored_late=late(sorted((h for h in stored if h.at >= since), key=lambda h: h.at)),
        repeated=_repeated(h for h in told if h.at >= since),
    )


def _again(told: Iterable[Heard], stream: str, struck: float, least: int) -> float | None:
    for each in told:
        is_score = each.stream == stream and each.kind == "score"
        if is_score and each.at > struck and each.generation >= least:
            return each.at - struck
    return None


def _missing(wanted: Iterable[Heard], found: Iterable[Heard]) -> tuple[str, ...]:
    """Return the events that must not be lost and are on one side alone."""
    known = {each.key for each in found}
    missing = {each.key: each for each in wanted if each.kind in KEPT and each.key not in known}
    return tuple(f"{each.stream}/{each.number} {each.kind}" for each in missing.values())


def late(told: Iterable[Heard]) -> int:
    """Count what an owner said after the first word of a later one."""
    newest: dict[str, int] = {}
    count = 0
    for each in told:
        if each.generation < newest.get(each.stream, 0):
            count += 1
        newest[each.stream] = max(each.generation, newest.get(each.stream, 0))
    return count


def _repeated(told: Iterable[Heard]) -> int:
    events = [each.key for each in told if each.kind in KEPT]
    return len(events) - len(set(events))


@dataclass(frozen=True, slots=True)
class Spread:
    """How some times are spread.

    Attributes:
        median: of those that are known.
        known_worst: the longest of those that are known.
        missing: how many are not known, because what was waited for never came.
    """

    median: float
    known_worst: float
    missing: int

    @property
    def worst(self) -> float:
        """The longest of all; not a number when one is missing."""
        return math.nan if self.missing else self.known_worst


def spread(times: Collection[float | None]) -> Spread:
    """Return how times are spread; without any, they are not numbers."""
    known = [time for time in times if time is not None]
    missing = len(times) - len(known)
    if not known:
        return Spread(math.nan, math.nan, missing)
    return Spread(median(known), max(known), missing)
