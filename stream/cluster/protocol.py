"""Questions and answers of workers, gateways and the director.

A *worker* owns its streams from the packet on: ingest, perception, engine, device, store,
incidents. Video never leaves it. A *gateway* talks to people and programs. The *director* decides
which worker owns which stream, and notices when one is gone.

A stream's *generation* rises by one whenever it is given to a worker. Whoever hears of two owners
believes the higher generation, so a worker that was thought dead and speaks again is not heard.

Every method of a handle crosses processes: arguments and results are values that pickle, and
anything may raise `WorkerGone`. Errors of `stream.errors` cross as themselves.

While an upgrade rolls on, the two sides may be of different versions. New fields are therefore
added at the end and have a default: a value without them takes it, and a side that does not know
them yet passes over them.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import MISSING, dataclass, field, fields
from typing import Any, Protocol

from stream.analyzer.streams import Health, StreamSpec, StreamStatus
from stream.engine.settings import EngineSettings
from stream.event_log.event_log import StampedEvent
from stream.store.owners import EPOCHS_PER_GENERATION as EPOCHS_PER_GENERATION
from stream.webrtc.calls import ANYBODY, Publisher
from styleflow.cards import ModelCard


def _take(self: Any, state: list[Any]) -> None:
    """Take the values of the fields as they crossed; what the other side lacks is as by default."""
    known = iter(state)
    for each in fields(self):
        value = next(known, MISSING)
        if value is MISSING:
            value = each.default if each.default is not MISSING else None
            if each.default_factory is not MISSING:
                value = each.default_factory()
        object.__setattr__(self, each.name, value)


@dataclass(frozen=True, slots=True)
class WorkerCard:
    """A worker as it introduces itself; it does not change while the worker lives.

    Attributes:
        name: unique among all that live, such as `worker-2`.
        node: the machine's name, as Ray calls it.
        pid: of its process.
        version: of this program.
        labels: what streams may be pinned to, such as `{"gpu": "true", "site": "north"}`.
        device: what it computes on, such as `cpu` or `cuda:0`.
        max_streams: how many it takes at most.
        models: the models that score its streams, the first one first.
        incarnation: unguessable; another one means that the process is another one.
        made_of: digest of the settings and the version that it was started with; empty when that is
            not known. It tells whether they are others, and nothing of them.
    """

    name: str
    node: str
    pid: int
    version: str
    labels: Mapping[str, str]
    device: str
    max_streams: int
    models: tuple[ModelCard, ...]
    incarnation: str
    made_of: str = ""

    __setstate__ = _take


def is_called(worker: str, name: str) -> bool:
    """Say whether a worker has a name with a number after it, as those of a gateway; or any."""
    return not name or worker.rpartition("-")[0] == name


@dataclass(frozen=True, slots=True)
class Beat:
    """How a worker is doing, answered whenever it is asked.

    Attributes:
        incarnation: of the process that answers.
        busy: share of time that its device thread computed lately, 0..1.
        degradation: level of what it leaves out, 0 none.
        refuses: whether it takes no further stream because it is full.
        owned: streams that it runs now, with their generations.
        health: of its analyzer; not `live` means that its device hangs.
        sent: position after the newest event in its feed.
        called: those of its streams that a peer is sending now.
        holders: credentials on which its streams are sent, or were created by calls.
    """

    incarnation: str
    busy: float
    degradation: int
    refuses: bool
    owned: Mapping[str, int]
    health: Health
    sent: int
    called: frozenset[str] = frozenset()
    holders: Mapping[str, Hashable] = field(default_factory=dict)

    __setstate__ = _take


@dataclass(frozen=True, slots=True)
class Told:
    """One event of a worker's stream, with the generation of the stream's ownership."""

    generation: int
    stamped: StampedEvent

    __setstate__ = _take


@dataclass(frozen=True, slots=True)
class Batch:
    """Events of a worker, in the order in which it logged them.

    Attributes:
        incarnation: of the process that answers; positions of another one mean nothing.
        position: where to go on from.
        told: the events; a recap of every stream when `fresh`.
        fresh: the reader asked without a position, or fell behind: what follows begins anew with a
            recap, so earlier events are to be had from the store only.
        lost: events that the reader fell behind by.
    """

    incarnation: str
    position: int
    told: tuple[Told, ...]
    fresh: bool = False
    lost: int = 0

    __setstate__ = _take


class WorkerHandle(Protocol):
    """A worker, as the director and gateways call it."""

    async def card(self) -> WorkerCard:
        """Return who it is."""
        ...

    async def beat(self) -> Beat:
        """Return how it is doing; quick, whatever else goes on."""
        ...

    async def own(self, spec: StreamSpec, generation: int) -> StreamStatus:
        """Start a stream that the director has given to it.

        Epochs begin at `generation * EPOCHS_PER_GENERATION`, and event numbers above all that were
        given away before. Owning what it owns already with a lower generation restarts it.

        Raises what `StreamEditor.add` raises.
        """
        ...

    async def disown(self, stream: str, generation: int, *, moved: bool) -> None:
        """Stop a stream up to this generation; nothing happens if it is not there.

        Args:
            stream: its id.
            generation: what it has at most; a newer ownership is left alone.
            moved: it goes on elsewhere, so nobody is told that it was removed.
        """
        ...

    async def ask(self, service: str, method: str, *args: Any, **named: Any) -> Any:
        """Call a method of one of its parts, by a closed list: `stream.cluster.services`.

        Raises what the method raises.
        """
        ...

    async def feed(self, position: int | None, incarnation: str, wait_s: float) -> Batch:
        """Return events from a position on; waits for the first one, but not longer than asked.

        None as a position asks for a recap: of every stream what a reader must know to follow it.
        """
        ...

    async def metrics(self) -> str:
        """Return its figures in Prometheus's text format."""
        ...


@dataclass(frozen=True, slots=True)
class WorkerView:
    """A worker, as the director sees it; what `/api/v1/workers` shows.

    Attributes:
        card: who it is.
        busy: share of time that its device thread computed lately, 0..1.
        degradation: level of what it leaves out, 0 none.
        full: whether it takes no further stream.
        draining: whether its streams are being moved away, and none are given to it.
        alive: whether it answers.
        quiet_s: seconds since it answered last.
        streams: what it owns, and what it still runs that others own now, in order.
        details: one short sentence per check of its health.
    """

    card: WorkerCard
    busy: float
    degradation: int
    full: bool
    draining: bool
    alive: bool
    quiet_s: float
    streams: tuple[str, ...]
    details: Mapping[str, str]

    __setstate__ = _take


@dataclass(frozen=True, slots=True)
class Owned:
    """A stream and its owner.

    Attributes:
        spec: as it was given.
        generation: of the newest ownership that a worker has begun; 0 before the first.
        worker: name of its owner; empty while nobody has it.
        waiting: why nobody has it, in words.
        thresholds: what it is judged by where that was changed; None as all others.
    """

    spec: StreamSpec
    generation: int
    worker: str
    waiting: str = ""
    thresholds: EngineSettings | None = None

    __setstate__ = _take


@dataclass(frozen=True, slots=True)
class Table:
    """Everything that the director knows; gateways follow it.

    Attributes:
        version: rises with every change of streams, owners and workers (not with `busy`).
        workers: by name.
        streams: by id.
        counts: what was done so far: `moves`, `deaths`, `adoptions`, `refusals`,
            `inherited`.
        thresholds: what all streams are judged by where that was changed; None as configured.
        director: number of the director; another one means that it has begun anew.
        drained: workers that are drained, those that are not there included, and by whom.
        made_of: digest of what the director was started with, as in `WorkerCard`.
    """

    version: int
    workers: Mapping[str, WorkerView]
    streams: Mapping[str, Owned]
    counts: Mapping[str, int] = field(default_factory=dict)
    thresholds: EngineSettings | None = None
    director: int = 0
    drained: Mapping[str, str] = field(default_factory=dict)
    made_of: str = ""

    __setstate__ = _take


class DirectorHandle(Protocol):
    """The director, as gateways call it."""

    async def table(self, version: int, wait_s: float) -> Table:
        """Return the table once its version is above the given one, or after waiting so long.

        Versions of a director are above those of all before it, and `Table.director` is another
        number then.
        """
        ...

    async def block(self) -> int:
        """Return a start epoch that nobody else has, above all that were given away before.

        Generations are taken from the same count.
        """
        ...

    async def want(self, specs: Sequence[StreamSpec]) -> None:
        """Have streams that are configured or were stored; those that exist stay as they are.

        One that no worker can take now waits for one that can.
        """
        ...

    async def retune(self, settings: EngineSettings, stream: str | None) -> None:
        """Judge one stream, or all, by other thresholds from now on, wherever they move.

        Raises StreamUnknown.
        """
        ...

    async def add(self, spec: StreamSpec) -> StreamStatus:
        """Give a stream to a worker.

        Raises:
            StreamExists: the id is taken.
            TooManyStreams: the limit is reached.
            Overloaded: every worker is full.
            PlacementImpossible: no worker has the labels that it asks for.
        """
        ...

    async def change(self, spec: StreamSpec) -> StreamStatus:
        """Give a stream other settings; see `StreamEditor.change`. Raises StreamUnknown."""
        ...

    async def remove(self, stream: str) -> None:
        """Stop and forget a stream. Raises StreamUnknown."""
        ...

    async def claim(self, stream: str, publisher: Publisher = ANYBODY) -> str:
        """Return the worker for a call: the stream's owner, or the one that is to create it.

        Raises what `add` raises, and PublisherFull where the publisher holds as many others at all
        workers as it may.
        """
        ...

    async def drain(
        self, worker: str, *, draining: bool, why: str = "", force: bool = False
    ) -> None:
        """Move a worker's streams away and give it no more, or take that back.

        It is remembered when the director or the worker is restarted. Calls are waited for: each
        ends by itself, or after `webrtc.max_session_s`.

        Args:
            worker: its name.
            draining: whether it is to be drained.
            why: who asked for it, in a word; empty for people.
            force: move configured streams that are being called, too, which ends these calls.

        Raises WorkerUnknown.
        """
        ...

    async def fill(self, worker: str) -> int:
        """Give a worker that has little to do its share of the others' streams, calls excepted.

        Returns:
            How many streams are being moved.

        Raises WorkerUnknown.
        """
        ...
