"""Workers and streams as placement keeps them: what was heard of each, and what was decided."""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass, field

from stream.analyzer.streams import StreamSpec
from stream.cluster.protocol import Beat, Owned, WorkerCard, WorkerView
from stream.engine.settings import EngineSettings

SETTLE_S = 10.0
"""Time after which a worker's measured share includes a stream that was given to it: a camera is
connected, a face found and rated, and the share is a mean over the last seconds."""


@dataclass(slots=True)
class Member:
    """A worker.

    Attributes:
        card: who it is.
        heard: when it answered last.
        alive: whether it answers, and its device works.
        draining: whether its streams are being moved away.
        forced: whether those that are being called are, too.
        busy: measured share of time that its device thread computes.
        degradation: level of what it leaves out.
        refuses: whether it said that it is full.
        details: a sentence per check of its health.
        holds: streams that it runs, with generations, as it said or as an order has changed since.
        settled: when an order about a stream was carried out; older answers do not know of it.
        called: streams that a peer is sending to it, as it said last.
        holders: credentials on which streams are sent to it, or were created, as it said last.
        hot_since: since when it is busier than it should be; None when it is not.
    """

    card: WorkerCard
    heard: float
    alive: bool = True
    draining: bool = False
    forced: bool = False
    busy: float = 0.0
    degradation: int = 0
    refuses: bool = False
    details: Mapping[str, str] = field(default_factory=dict)
    holds: dict[str, int] = field(default_factory=dict)
    settled: dict[str, float] = field(default_factory=dict)
    called: frozenset[str] = frozenset()
    holders: Mapping[str, Hashable] = field(default_factory=dict)
    hot_since: float | None = None

    @property
    def name(self) -> str:
        """Its name."""
        return self.card.name

    def has(self, labels: Mapping[str, str]) -> bool:
        """Say whether it has all of these labels."""
        return labels.items() <= self.card.labels.items()

    def takes(self, spec: StreamSpec) -> bool:
        """Say whether a stream may be given to it, if there is room."""
        return self.alive and not self.draining and self.has(spec.placement)

    def keeps(self, place: Place) -> bool:
        """Say whether a stream has to stay until its call is over."""
        return not place.kept or (place.spec.id in self.called and not self.forced)

    def report(self, beat: Beat, asked: float) -> None:
        """Take what it said about its streams, except where orders are newer than the question."""
        newer = {stream for stream, at in self.settled.items() if at >= asked}
        holds = {stream: held for stream, held in beat.owned.items() if stream not in newer}
        holds |= {stream: held for stream, held in self.holds.items() if stream in newer}
        self.holds = holds
        self.settled = {stream: self.settled[stream] for stream in newer}

    def view(self, now: float, streams: Iterable[str]) -> WorkerView:
        """Return it as others see it, with the streams that it owns, and those that it still runs.

        Args:
            now: monotonic seconds.
            streams: what it owns. A worker that drains is empty once it has let go of everything.
        """
        owned = set(streams)
        runs = owned | set(self.holds) if self.alive else owned
        return WorkerView(
            card=self.card,
            busy=self.busy,
            degradation=self.degradation,
            full=self.refuses or len(owned) >= self.card.max_streams,
            draining=self.draining,
            alive=self.alive,
            quiet_s=max(now - self.heard, 0.0),
            streams=tuple(sorted(runs)),
            details=self.details,
        )


@dataclass(slots=True)
class Place:
    """A stream and where it is.

    Attributes:
        spec: as it was given.
        kept: whether somebody wants it until it is removed; a stream that a call has made is
            forgotten with the call.
        worker: its owner; empty while it waits for one.
        generation: of the newest ownership; 0 before the first.
        carried: generation under which a worker was last known to run it. Others are told of this
            one: if this director dies, a generation that was decided on and never carried out would
            bar the owner that there is.
        waiting: why it waits.
        thresholds: what it is judged by, where that was changed.
        placed: when it was given to its owner.
        moved: when it was moved for balance.
        rests: until when it is not tried again, after a worker could not start it.
        failures: how often in a row it could not be started.
    """

    spec: StreamSpec
    kept: bool = True
    worker: str = ""
    generation: int = 0
    carried: int = 0
    waiting: str = ""
    thresholds: EngineSettings | None = None
    placed: float = -math.inf
    moved: float = -math.inf
    rests: float = -math.inf
    failures: int = 0

    @property
    def is_call(self) -> bool:
        """Whether a peer calls it; moving it ends the call."""
        return self.spec.source.url.is_call

    def view(self) -> Owned:
        """Return it as others see it."""
        return Owned(self.spec, self.carried, self.worker, self.waiting, self.thresholds)
