"""Settings of a cluster of workers; values only."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from stream.analyzer.streams import Labels
from stream.errors import SettingInvalid


def _unless_auto(value: Any) -> Any:
    """Return what says how many, or None where that is to be found out."""
    return None if value == "auto" else value


@dataclass(frozen=True, slots=True)
class ClusterSettings:
    """How many workers there are, where, and when streams move between them.

    Attributes:
        workers: processes that analyze streams, each with a device of its own; 0 means that this
            process does everything itself, auto one worker per GPU, or per CPU core without one.
            Needs the extra `cluster`, as does `address`.
        address: of a Ray cluster to join, as host:port; empty means that `workers` run here.
        name: what this process's workers are called, with a number after it.
        labels: what streams may be pinned to with `placement`, as in {gpu: true, site: north}.
        beat_s: seconds between two questions to a worker how it is.
        lost_s: seconds without an answer after which a worker counts as lost and its streams are
            given to others.
        high: share of time that a worker's device computes, above which a stream is moved away.
        low: share below which a worker takes such a stream.
        high_for_s: seconds for which a worker must have been above `high`.
        moves_per_minute: streams that are moved per minute for balance at most; 0 moves none.
            Streams of a worker that is lost or drained move at once.
        estimate: share of a worker's time that a stream is taken to cost until it is measured.
        feed_events: events of a worker that wait for gateways; one that falls further behind
            begins anew.
    """

    workers: Annotated[
        Annotated[int, Field(ge=0, le=256)] | None, BeforeValidator(_unless_auto)
    ] = 0
    address: Annotated[str, Field(max_length=256)] = ""
    name: Annotated[
        str, Field(max_length=48, pattern=r"^[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?$")
    ] = "worker"
    labels: Labels = field(default_factory=dict)
    beat_s: Annotated[float, Field(ge=0.05, le=60)] = 0.5
    lost_s: Annotated[float, Field(ge=0.2, le=600)] = 2.5
    high: Annotated[float, Field(gt=0, le=1)] = 0.85
    low: Annotated[float, Field(ge=0, lt=1)] = 0.6
    high_for_s: Annotated[float, Field(ge=1, le=86_400)] = 60.0
    moves_per_minute: Annotated[int, Field(ge=0, le=60)] = 1
    estimate: Annotated[float, Field(gt=0, le=1)] = 0.08
    feed_events: Annotated[int, Field(ge=256, le=1_000_000)] = 16_384

    def __post_init__(self) -> None:
        if self.lost_s < 2 * self.beat_s:
            rule = f"must be at most half of lost_s ({self.lost_s})"
            raise SettingInvalid("beat_s", self.beat_s, rule)
        if not self.low < self.high:
            raise SettingInvalid("low", self.low, f"must be below high ({self.high})")
