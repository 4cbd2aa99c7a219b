"""A cluster of three machines that benchmarks hurt, and one fault of it after the other.

Three Ray nodes in network namespaces of this machine, joined by a bridge: `head` with Ray's control
service and the director, `left` and `right` with a worker each. `keeper` has what has to outlive
them: Redis for the head, PostgreSQL for events.
"""

from __future__ import annotations

import os
import signal
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx
import yaml

from benchmarks.cameras import render
from benchmarks.cluster_program import Client, Gateway, play
from benchmarks.fault_judge import Heard, Verdict, heard, judge
from stream.clock import Clock
from tests.support.databases import Postgres
from tests.support.namespaces import Namespaces
from tests.support.ray_nodes import RayNodes
from tests.support.redis import Redis

CPUS = {"head": 0, "left": 1, "right": 1}
"""Workers that a machine has room for."""

MACHINES = tuple(CPUS)
KEEPER = "keeper"
PORTS = (8001, 8002)
PARTITION_S = 10.0
AGAIN_S = 45.0
"""Longest time for which a stream is waited for after a fault."""

READY_S = 120.0
"""Longest time for everything to work before a fault."""

FRESH_S = 3.0
"""A stream is scored when its newest score is younger."""

SETTLE_S = 4.0
"""Time for events to be stored and shown before both are compared."""

POLL_S = 0.1
LONG_S, SHORT_S = 60.0, 8.0
"""Lengths of the files that streams play."""


@dataclass(frozen=True, slots=True)
class Trial:
    """One fault, and what it did.

    Attributes:
        number: which of its kind.
        verdict: on what was told and stored.
        streams: how many it concerned.
        resumed_s: until the client had a gateway again, where it lost its own.
        silent_s: longest time without a score of a stream, where streams are to go on.
        moved_s: from the end of an outage until a drained worker's streams were scored elsewhere.
        refused: questions that no gateway answered during an outage.
    """

    number: int
    verdict: Verdict
    streams: int
    resumed_s: float | None = None
    silent_s: float | None = None
    moved_s: float | None = None
    refused: int = 0


@dataclass(slots=True)
class Sight:
    """What the gateways say of the workers, looked at again and again in a thread.

    Attributes:
        seen: by time, workers by name.
    """

    gateways: tuple[Gateway, ...]
    clock: Clock
    seen: list[tuple[float, dict[str, dict[str, Any]]]] = field(default_factory=list)
    _stop: threading.Event = field(default_factory=threading.Event)

    @contextmanager
    def running(self) -> Iterator[None]:
        """Look until this is left."""
        thread = threading.Thread(target=self._run, daemon=True)
        thread.start()
        try:
            yield
        finally:
            self._stop.set()
            thread.join(10)

    def _run(self) -> None:
        while not self._stop.wait(POLL_S):
            for gateway in self.gateways:
                with suppress(httpx.HTTPError, RuntimeError, ValueError):
                    answer = gateway.get("/api/v1/workers")
                    workers = {worker["name"]: worker for worker in answer["workers"]}
                    self.seen.append((self.clock.monotonic(), workers))
                    del self.seen[:-3000]
                    break

    @property
    def newest(self) -> dict[str, dict[str, Any]]:
        """The workers as they were seen last, by name."""
        return self.seen[-1][1] if self.seen else {}

    def missed(self, name: str, pid: int, since: float) -> float | None:
        """Return when a worker was first seen to be gone after a time."""
        for at, workers in list(self.seen):
            if at > since:
                worker = workers.get(name)
                if worker is None or not worker["alive"] or worker["pid"] != pid:
                    return at
        return None


class Rig:
    """A cluster that works, and ways to hurt it.

    Args:
        machines: the network, with `keeper`.
        nodes: Ray on them.
        gateways: two of them.
        client: follows every stream.
        sight: looks at the workers.
        streams: ids.
        clock: where time comes from.
    """

    def __init__(
        self,
        machines: Namespaces,
        nodes: RayNodes,
        gateways: tuple[Gateway, ...],
        client: Client,
        sight: Sight,
        streams: tuple[str, ...],
        clock: Clock,
    ) -> None:
        self.machines = machines
        self.nodes = nodes
        self.gateways = gateways
        self.client = client
        self.sight = sight
        self.streams = streams
        self.clock = clock
        self.pause = threading.Event()

    def await_ready(self) -> None:
        """Wait until two workers live and every stream is scored.

        Raises:
            TimeoutError: that takes too long.
        """

        def ready() -> bool:
            living = [w for w in self.sight.newest.values() if w["alive"]]
            now = self.clock.monotonic()
            fresh = self.newest()
            return len(living) >= 2 and all(now - fresh.get(s, -99) < FRESH_S for s in self.streams)

        if not self.wait(ready, READY_S):
            states = {n: (w["alive"], w["streams"]) for n, w in self.sight.newest.items()}
            raise TimeoutError(f"not everything works: {states}, scored {self.newest()}")

    def newest(self) -> dict[str, float]:
        """Return when each stream was scored last."""
        newest: dict[str, float] = {}
        for each in self.client.told[-3000:]:
            if each.kind == "score":
                newest[each.stream] = each.at
        return newest

    def wait(self, done: Callable[[], bool], within_s: float) -> bool:
        """Wait until something holds, but not for longer, and return whether it does."""
        until = self.clock.monotonic() + within_s
        while not (is_done := done()) and self.clock.monotonic() < until:
            self.pause.wait(POLL_S)
        return is_done

    def trial(self, fault: str, number: int) -> Trial:
        """Let something go wrong, wait until all is well, and say what happened."""
        self.await_ready()
        since = self.clock.monotonic()
        self.pause.wait(1.0)
        workers = self.sight.newest
        name = max(workers, key=lambda n: (workers[n]["alive"], len(workers[n]["streams"])))
        pid = int(workers[name]["pid"])
        machine = self.machine(pid)
        moves = fault != "gateway"
        concerned = workers[name]["streams"] if moves else self.streams
        owners = {h.stream: h.generation for h in self.client.told}
        affected = {stream: owners[stream] for stream in concerned if stream in owners}
        cuts = len(self.client.cut)
        struck = self.clock.monotonic()
        mend = self._strike(fault, pid, machine)
        self.wait(lambda: self._are_scored(affected, struck, moves=moves), AGAIN_S)
        if fault == "partition":
            self.pause.wait(max(0.0, struck + PARTITION_S - self.clock.monotonic()))
        mend()
        noticed = self._noticed(fault, name, pid, struck, affected, cuts)
        self.pause.wait(SETTLE_S + (PARTITION_S / 2 if fault == "partition" else 0))
        stored = self.stored(since - 30)
        told = [h for h in self.client.told if h.at >= since - 30]
        verdict = judge(
            fault,
            struck,
            told,
            stored,
            affected=affected,
            noticed=noticed,
            moves=moves,
            since=since,
            settled=self.clock.monotonic() - SETTLE_S / 2,
        )
        back = [at for at in self.client.back if at > struck]
        resumed = back[0] - struck if fault == "gateway" and back else None
        return Trial(number, verdict, len(affected), resumed)

    def machine(self, pid: int) -> str:
        """Return the machine that a process runs on. Raises LookupError."""
        for name in MACHINES:
            if pid in self.machines.processes(name):
                return name
        raise LookupError(f"process {pid} runs on no machine of the network")

    def _strike(self, fault: str, pid: int, machine: str) -> Callable[[], None]:
        """Do it, and return what undoes it."""
        if fault == "worker":
            os.kill(pid, signal.SIGKILL)
            return lambda: None
        if fault == "node":
            self.nodes.kill(machine)
            return lambda: self.nodes.start(machine, CPUS[machine])
        if fault == "partition":
            self.machines.cut(machine)
            return lambda: self.machines.cut(machine, cut=False)
        gateway = self.gateways[self.client.at % len(self.gateways)]
        gateway.kill()

        def again() -> None:
            gateway.start()
            gateway.wait()

        return again

    def _are_scored(self, affected: Mapping[str, int], struck: float, *, moves: bool) -> bool:
        again = {
            each.stream
            for each in self.client.told[-3000:]
            if each.kind == "score"
            and each.at > struck
            and each.generation >= affected.get(each.stream, 0) + moves
        }
        return again >= affected.keys()

    def _noticed(
        self,
        fault: str,
        name: str,
        pid: int,
        struck: float,
        affected: Mapping[str, int],
        cuts: int,
    ) -> float | None:
        """Return when it was seen that something is gone: by the gateways, or by the client."""
        if fault == "gateway":
            return next(iter(self.client.cut[cuts:]), None)
        times = [
            each.at
            for each in self.client.told
            if each.at > struck and each.generation > affected.get(each.stream, 1 << 60)
        ]
        seen = self.sight.missed(name, pid, struck)
        return min([*times[:1], *([seen] if seen is not None else [])], default=None)

    def stored(self, since: float) -> list[Heard]:
        """Return the stored events since a time, asked of any gateway."""
        ahead = self.clock.utc().timestamp() - self.clock.monotonic()
        for gateway in self.gateways:
            with suppress(httpx.HTTPError):
                return list(_stored(gateway, since + ahead, ahead))
        raise RuntimeError("no gateway says what is stored")


def _stored(gateway: Gateway, since: float, ahead: float) -> Iterator[Heard]:
    query: dict[str, Any] = {"from": since, "limit": 500}
    while True:
        page = gateway.get("/api/v1/events", **query)
        for message in page["events"]:
            at = datetime.fromisoformat(message["ts_emit"]).timestamp() - ahead
            if (found := heard(message, at)) is not None:
                yield found
        if page["next"] is None:
            return
        query["cursor"] = page["next"]


@contextmanager
def rig(
    streams: int,
    clock: Clock,
    say: Callable[[str], None],
    *,
    scripted: bool,
    gateways: Sequence[str] = ("head", "head"),
    redis: bool = False,
    postgres: bool = False,
    env: Mapping[str, str] | None = None,
) -> Iterator[Rig]:
    """Build a cluster, and take it down again.

    Args:
        streams: how many.
        clock: where time comes from.
        say: is told what is being done.
        scripted: workers only make up events.
        gateways: machines on which they run.
        redis: the head keeps there who is where.
        postgres: events are stored there, rather than in a file that every machine reaches.
        env: further variables of everything that runs there.
    """
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="sff-")))
        config = folder / "styleflow.yaml"
        machines = stack.enter_context(Namespaces((*MACHINES, KEEPER)))
        keeper = machines.under(KEEPER), machines.address(KEEPER)
        store = _store(folder)
        if postgres:
            say("starting PostgreSQL")
            store = stack.enter_context(Postgres(*keeper)).migrated()
        say("making clips")
        ids = _configure(config, streams, folder, store, scripted=scripted)
        kept = stack.enter_context(Redis(*keeper)).at if redis else ""
        own = {"XDG_DATA_HOME": str(folder), "STYLEFLOW__OVERLOAD__ENABLED": "false"}
        own |= env or {}
        nodes = stack.enter_context(RayNodes(machines, env=own, redis=kept))
        for name in MACHINES:
            say(f"starting Ray on {name}")
            nodes.start(name, CPUS[name])
        if scripted:
            say("starting scripted workers")
            play(machines.under("head"), nodes.address, nodes.env, ["--store", store])
        words = ["serve", "--config", str(config), "--host", "0.0.0.0", "--cluster", nodes.address]
        words += [] if scripted else ["--workers", "2"]
        made = tuple(
            stack.enter_context(
                Gateway(machines.under(at), machines.address(at), port, words, nodes.env, folder)
            )
            for at, port in zip(gateways, PORTS, strict=True)
        )
        say("starting gateways, and workers")
        for gateway in made:
            gateway.start()
        for gateway in made:
            gateway.wait()
        sight = Sight(made, clock)
        stack.enter_context(sight.running())
        client = stack.enter_context(Client([gateway.url for gateway in made], clock))
        yield Rig(machines, nodes, made, client, sight, ids, clock)


def _store(folder: Path) -> str:
    return f"sqlite:///{folder}/styleflow.db"


def _configure(
    path: Path, streams: int, folder: Path, store: str, *, scripted: bool
) -> tuple[str, ...]:
    """Write a configuration with some streams and what they play, and return their ids."""
    ids = tuple(f"stream-{number}" for number in range(streams))
    clips = (folder / "long.mp4", folder / "short.mp4")
    for clip, seconds in zip(clips, (LONG_S, SHORT_S), strict=True):
        if not scripted:
            render(clip, seconds)
    document = {
        "web": {"insecure": True},
        "store": {"url": store},
        "streams": [
            {"id": stream, "source": {"url": str(clips[number % 2]), "loop": True}}
            for number, stream in enumerate(ids)
        ],
    }
    path.write_text(yaml.safe_dump(document), encoding="utf-8")
    return ids
