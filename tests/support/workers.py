"""Cards, beats and specs of workers and streams, for tests of placement."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import replace
from typing import Any

from stream.analyzer.streams import Health, Priority, StreamSpec, StreamStatus
from stream.cluster.protocol import Batch, Beat, WorkerCard
from stream.engine.settings import EngineSettings
from stream.errors import StreamUnknown
from stream.events import ConnectionState
from stream.ingest.source import SourceSettings, SourceUrl


def spec(
    id: str,
    placement: Mapping[str, str] | None = None,
    *,
    url: str = "demo://authentic",
    priority: Priority = Priority.NORMAL,
) -> StreamSpec:
    """Return a stream's settings."""
    source = SourceSettings(SourceUrl.parse(url))
    return StreamSpec(id, source, priority=priority, placement=placement or {})


def card(
    name: str,
    incarnation: str = "",
    labels: Mapping[str, str] | None = None,
    max_streams: int = 16,
) -> WorkerCard:
    """Return a worker's card; its incarnation is named after it unless given."""
    return WorkerCard(
        name=name,
        node="machine",
        pid=1,
        version="1.0",
        labels=labels or {},
        device="cpu",
        max_streams=max_streams,
        models=(),
        incarnation=incarnation or f"{name}-1",
    )


def beat(
    of: WorkerCard,
    owned: Mapping[str, int] | None = None,
    busy: float = 0.0,
    *,
    refuses: bool = False,
    live: bool = True,
    called: frozenset[str] = frozenset(),
    holders: Mapping[str, Hashable] | None = None,
) -> Beat:
    """Return what a worker says of itself."""
    details = {"device": "computes" if live else "hangs"}
    health = Health(live, live, details)
    return Beat(of.incarnation, busy, 0, refuses, owned or {}, health, 0, called, holders or {})


class PaperWorker:
    """A worker that runs nothing: it writes down what it is told, and answers.

    Attributes:
        incarnation: of its process.
        owned: specs of its streams, with generations.
        thresholds: what a stream is judged by, `""` for all others.
        busy: share of time that it says to compute.
        live: whether its device works.
        refuses: what it raises when it is given a stream.
        called: its streams that a peer is sending.
        made_of: digest of what it was started with.
        told: what it was told, in order.
        inherits: who it was told lives, each time it was to take over what others left.
    """

    def __init__(self, name: str, labels: Mapping[str, str] | None = None, room: int = 16) -> None:
        self.name = name
        self.labels = labels or {}
        self.room = room
        self.lives = 1
        self.owned: dict[str, tuple[StreamSpec, int]] = {}
        self.thresholds: dict[str, EngineSettings] = {}
        self.busy = 0.0
        self.live = True
        self.refuses: Exception | None = None
        self.called: frozenset[str] = frozenset()
        self.made_of = ""
        self.inherits: list[tuple[str, ...]] = []
        self.told: list[tuple[str, str, int]] = []

    @property
    def incarnation(self) -> str:
        """Of its process."""
        return f"{self.name}-{self.lives}"

    def restart(self) -> None:
        """Be another process, which knows nothing."""
        self.lives += 1
        self.owned.clear()
        self.thresholds.clear()
        self.live = True

    async def card(self) -> WorkerCard:
        """Return who it is."""
        made = card(self.name, self.incarnation, self.labels, self.room)
        return replace(made, made_of=self.made_of)

    async def beat(self) -> Beat:
        """Return how it is doing."""
        owned = {id: generation for id, (_, generation) in self.owned.items()}
        return beat(
            await self.card(), owned, self.busy, live=self.live, called=self.called & owned.keys()
        )

    async def own(self, spec: StreamSpec, generation: int) -> StreamStatus:
        """Write a stream down."""
        self.told.append(("own", spec.id, generation))
        if self.refuses is not None:
            raise self.refuses
        self.owned[spec.id] = spec, generation
        return status(spec)

    async def disown(self, stream: str, generation: int, *, moved: bool) -> None:
        """Strike a stream out."""
        self.told.append(("move" if moved else "end", stream, generation))
        if stream in self.owned and self.owned[stream][1] <= generation:
            del self.owned[stream]

    async def ask(self, service: str, method: str, *args: Any, **named: Any) -> Any:
        """Answer what the director asks."""
        if (service, method) == ("alerts", "inherit"):
            self.inherits.append(args[0])
            return 1
        if service != "control":
            raise LookupError(service)
        return getattr(self, f"answer_{method}")(*args, **named)

    def answer_specs(self) -> tuple[StreamSpec, ...]:
        """Return the settings of its streams."""
        return tuple(spec for spec, _ in self.owned.values())

    def answer_thresholds(self, stream: str = "") -> EngineSettings:
        """Return what a stream is judged by."""
        general = self.thresholds.get("", EngineSettings())
        return self.thresholds.get(stream, general)

    def answer_retune(self, thresholds: EngineSettings, stream: str | None) -> None:
        """Judge by other thresholds."""
        if stream is not None and stream not in self.owned:
            raise StreamUnknown(stream)
        self.thresholds[stream or ""] = thresholds

    def answer_change(self, spec: StreamSpec) -> StreamStatus:
        """Take other settings of a stream."""
        if self.refuses is not None:
            raise self.refuses
        self.owned[spec.id] = spec, self.owned[spec.id][1]
        return status(spec)

    async def feed(self, position: int | None, incarnation: str, wait_s: float) -> Batch:
        """Return no events."""
        return Batch(self.incarnation, 0, ())

    async def metrics(self) -> str:
        """Return no figures."""
        return ""


def status(of: StreamSpec) -> StreamStatus:
    """Return how a stream stands that has just begun."""
    return StreamStatus(
        id=of.id,
        name=of.label,
        source=of.source.url.redacted,
        demo=False,
        state=ConnectionState.CONNECTING,
        code=None,
        detail="",
        retry_in_s=None,
        epoch=0,
        fps=None,
        loss=None,
        age_s=None,
        reconnects=0,
        reasons=(),
        models=(),
        scores=(),
    )
