"""Faults of a cluster, again and again: how soon they are noticed, mended, and what is lost.

    python -m benchmarks.cluster_faults [--times N] [--streams N] [--faults NAMES] [--minutes M]
        [--scripted]

Three Ray nodes in network namespaces of this machine, joined by a bridge: `head` with Ray's control
service, the director and two gateways, `left` and `right` with a worker each. A WebSocket client
here follows every stream and goes to the other gateway when its own is gone. The faults:

* `worker`: kill -9 of the worker that has most streams;
* `node`: kill -9 of everything on its machine;
* `gateway`: kill -9 of the gateway that the client has;
* `partition`: the cable of the worker's machine is pulled for ten seconds (`ip link set down`).

Streams are files that every machine can read, played at their own pace and again and again; every
second one is short, so that faces end and verdicts change all the time. All machines share this
one's cores and files: a store in a file stands for a database that every machine reaches.

With `--scripted` workers look at no video and make up events, see `benchmarks.scripted_workers`:
what is left is the time that noticing, placing and telling take, without that of loading models,
receiving video and filling a detector's window.
"""

from __future__ import annotations

import math
import os
import signal
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import httpx
import typer
import yaml
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from benchmarks.cameras import render
from benchmarks.cluster_program import Client, Gateway, end_on_signals, play
from benchmarks.fault_judge import Heard, Spread, Verdict, heard, judge, spread
from benchmarks.hardware import hardware
from benchmarks.result import write_result
from stream.clock import Clock, SystemClock
from tests.support.namespaces import Namespaces, missing
from tests.support.ray_nodes import RayNodes

RESULTS = Path(__file__).parent / "results"
FAULTS = ("worker", "node", "gateway", "partition")
_NAMES = {
    "worker": "a worker is killed",
    "node": "a machine is lost",
    "gateway": "a gateway is killed",
    "partition": "the network is cut for 10 s",
}
MACHINES = ("head", "left", "right")
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
    """One fault, and what it did."""

    number: int
    verdict: Verdict
    streams: int
    resumed_s: float | None = None
    problem: str = ""


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
        machines: the network.
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
        self._machines = machines
        self._nodes = nodes
        self._gateways = gateways
        self._client = client
        self._sight = sight
        self._streams = streams
        self._clock = clock
        self._pause = threading.Event()

    def await_ready(self) -> None:
        """Wait until two workers live and every stream is scored.

        Raises:
            TimeoutError: that takes too long.
        """

        def ready() -> bool:
            living = [w for w in self._sight.newest.values() if w["alive"]]
            now = self._clock.monotonic()
            fresh = self._newest()
            return len(living) >= 2 and all(
                now - fresh.get(s, -99) < FRESH_S for s in self._streams
            )

        if not self._wait(ready, READY_S):
            states = {n: (w["alive"], w["streams"]) for n, w in self._sight.newest.items()}
            raise TimeoutError(f"not everything works: {states}, scored {self._newest()}")

    def _newest(self) -> dict[str, float]:
        """Return when each stream was scored last."""
        newest: dict[str, float] = {}
        for each in self._client.told[-3000:]:
            if each.kind == "score":
                newest[each.stream] = each.at
        return newest

    def _wait(self, done: Callable[[], bool], within_s: float) -> bool:
        until = self._clock.monotonic() + within_s
        while not (is_done := done()) and self._clock.monotonic() < until:
            self._pause.wait(POLL_S)
        return is_done

    def trial(self, fault: str, number: int) -> Trial:
        """Let something go wrong, wait until all is well, and say what happened."""
        self.await_ready()
        since = self._clock.monotonic()
        self._pause.wait(1.0)
        workers = self._sight.newest
        name = max(workers, key=lambda n: (workers[n]["alive"], len(workers[n]["streams"])))
        pid = int(workers[name]["pid"])
        machine = self._machine(pid)
        moves = fault != "gateway"
        concerned = workers[name]["streams"] if moves else self._streams
        owners = {h.stream: h.generation for h in self._client.told}
        affected = {stream: owners[stream] for stream in concerned if stream in owners}
        cuts = len(self._client.cut)
        struck = self._clock.monotonic()
        mend = self._strike(fault, pid, machine)
        self._wait(lambda: self._are_scored(affected, struck, moves=moves), AGAIN_S)
        if fault == "partition":
            self._pause.wait(max(0.0, struck + PARTITION_S - self._clock.monotonic()))
        mend()
        noticed = self._noticed(fault, name, pid, struck, affected, cuts)
        self._pause.wait(SETTLE_S + (PARTITION_S / 2 if fault == "partition" else 0))
        stored = self._stored(since - 30)
        told = [h for h in self._client.told if h.at >= since - 30]
        verdict = judge(
            fault,
            struck,
            told,
            stored,
            affected=affected,
            noticed=noticed,
            moves=moves,
            since=since,
            settled=self._clock.monotonic() - SETTLE_S / 2,
        )
        back = [at for at in self._client.back if at > struck]
        resumed = back[0] - struck if fault == "gateway" and back else None
        return Trial(number, verdict, len(affected), resumed)

    def _machine(self, pid: int) -> str:
        for name in MACHINES:
            if pid in self._machines.processes(name):
                return name
        raise LookupError(f"process {pid} runs on no machine of the network")

    def _strike(self, fault: str, pid: int, machine: str) -> Callable[[], None]:
        """Do it, and return what undoes it."""
        if fault == "worker":
            os.kill(pid, signal.SIGKILL)
            return lambda: None
        if fault == "node":
            self._nodes.kill(machine)
            return lambda: self._nodes.start(machine, 1)
        if fault == "partition":
            self._machines.cut(machine)
            return lambda: self._machines.cut(machine, cut=False)
        gateway = self._gateways[self._client.at % len(self._gateways)]
        gateway.kill()

        def again() -> None:
            gateway.start()
            gateway.wait()

        return again

    def _are_scored(self, affected: Mapping[str, int], struck: float, *, moves: bool) -> bool:
        again = {
            each.stream
            for each in self._client.told[-3000:]
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
            return next(iter(self._client.cut[cuts:]), None)
        times = [
            each.at
            for each in self._client.told
            if each.at > struck and each.generation > affected.get(each.stream, 1 << 60)
        ]
        seen = self._sight.missed(name, pid, struck)
        return min([*times[:1], *([seen] if seen is not None else [])], default=None)

    def _stored(self, since: float) -> list[Heard]:
        """Return the stored events since a time, asked of any gateway."""
        ahead = self._clock.utc().timestamp() - self._clock.monotonic()
        for gateway in self._gateways:
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
def rig(streams: int, clock: Clock, say: Callable[[str], None], *, scripted: bool) -> Iterator[Rig]:
    """Build a cluster, and take it down again."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="sff-")))
        config = folder / "styleflow.yaml"
        say("making clips")
        ids = _configure(config, streams, folder, scripted=scripted)
        machines = stack.enter_context(Namespaces(MACHINES))
        env = {"XDG_DATA_HOME": str(folder), "STYLEFLOW__OVERLOAD__ENABLED": "false"}
        nodes = stack.enter_context(RayNodes(machines, env=env))
        for name in MACHINES:
            say(f"starting Ray on {name}")
            nodes.start(name, 0 if name == "head" else 1)
        if scripted:
            say("starting scripted workers")
            play(machines.under("head"), nodes.address, nodes.env, ["--store", _store(folder)])
        words = ["serve", "--config", str(config), "--host", "0.0.0.0", "--cluster", nodes.address]
        words += [] if scripted else ["--workers", "2"]
        under, address = machines.under("head"), machines.address("head")
        gateways = tuple(
            stack.enter_context(Gateway(under, address, port, words, nodes.env, folder))
            for port in PORTS
        )
        say("starting gateways, and workers")
        for gateway in gateways:
            gateway.start()
        for gateway in gateways:
            gateway.wait()
        sight = Sight(gateways, clock)
        stack.enter_context(sight.running())
        client = stack.enter_context(Client([gateway.url for gateway in gateways], clock))
        yield Rig(machines, nodes, gateways, client, sight, ids, clock)


def _store(folder: Path) -> str:
    return f"sqlite:///{folder}/styleflow.db"


def _configure(path: Path, streams: int, folder: Path, *, scripted: bool) -> tuple[str, ...]:
    """Write a configuration with some streams and what they play, and return their ids."""
    ids = tuple(f"stream-{number}" for number in range(streams))
    clips = (folder / "long.mp4", folder / "short.mp4")
    for clip, seconds in zip(clips, (LONG_S, SHORT_S), strict=True):
        if not scripted:
            render(clip, seconds)
    document = {
        "web": {"insecure": True},
        "store": {"url": _store(folder)},
        "streams": [
            {"id": stream, "source": {"url": str(clips[number % 2]), "loop": True}}
            for number, stream in enumerate(ids)
        ],
    }
    path.write_text(yaml.safe_dump(document), encoding="utf-8")
    return ids


def summary(trials: list[Trial]) -> dict[str, dict[str, Any]]:
    """Return what all faults of a kind did, by kind."""
    kinds = dict.fromkeys(trial.verdict.fault for trial in trials)
    return {kind: _summary([t for t in trials if t.verdict.fault == kind]) for kind in kinds}


def _summary(trials: list[Trial]) -> dict[str, Any]:
    verdicts = [trial.verdict for trial in trials]
    every = [time for verdict in verdicts for time in verdict.again_s.values()]
    return {
        "times": len(trials),
        "noticed_s": asdict(spread([verdict.noticed_s for verdict in verdicts])),
        "again_s": asdict(spread(every)),
        "unstored": sum(len(verdict.unstored) for verdict in verdicts),
        "unshown": sum(len(verdict.unshown) for verdict in verdicts),
        "split_brain": sum(verdict.split_brain for verdict in verdicts),
        "stored_late": sum(verdict.stored_late for verdict in verdicts),
        "repeated": sum(verdict.repeated for verdict in verdicts),
    }


def faults_of(trials: list[Trial]) -> list[dict[str, Any]]:
    """Return the summary as docs/scaling.md shows it, a line per kind of fault."""
    return [
        {
            "fault": _NAMES[kind],
            "times": found["times"],
            "noticed_s": _span(Spread(**found["noticed_s"])),
            "scored_s": _span(Spread(**found["again_s"])),
            "events_lost": found["unstored"] + found["unshown"],
            "split_brain_scores": found["split_brain"],
        }
        for kind, found in summary(trials).items()
    ]


def _span(times: Spread) -> dict[str, float] | None:
    if math.isnan(times.median):
        return None
    found = {"p50": round(times.median, 2), "most": round(times.known_worst, 2)}
    return found | ({"never": times.missing} if times.missing else {})


def table(trials: list[Trial]) -> Table:
    """Return the summary as people read it."""
    made = Table("fault", "times", "noticed", "scored again", "lost", "split brain")
    for kind, found in summary(trials).items():
        lost = f"{found['unstored']} unstored, {found['unshown']} unshown"
        late = f"{found['split_brain']} shown, {found['stored_late']} stored"
        noticed, again = Spread(**found["noticed_s"]), Spread(**found["again_s"])
        made.add_row(kind, str(found["times"]), _time(noticed), _time(again), lost, late)
    return made


def _time(times: Spread) -> str:
    missing = f", {times.missing} never" if times.missing else ""
    return f"{times.median:.2f} s, at most {times.worst:.2f} s{missing}"


def run(
    faults: tuple[str, ...], times: int, streams: int, seconds: float, *, scripted: bool = False
) -> tuple[list[Trial], str]:
    """Let faults happen in turns, and return what they did and why it ended early, if it did."""
    clock, trials = SystemClock(), list[Trial]()
    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True)) as progress:
        task = progress.add_task("building a network")

        def say(what: str) -> None:
            progress.update(task, description=what)

        try:
            with rig(streams, clock, say, scripted=scripted) as made:
                until = clock.monotonic() + seconds
                for number in range(times):
                    for fault in faults:
                        if clock.monotonic() > until:
                            return trials, "the time was up"
                        say(f"{fault}, {number + 1} of {times}")
                        trials.append(made.trial(fault, number))
                        progress.console.print(_line(trials[-1]))
        except KeyboardInterrupt:
            return trials, "interrupted"
        except (TimeoutError, RuntimeError, LookupError, OSError) as error:
            return trials, f"{type(error).__name__}: {error}"
    return trials, ""


def _line(trial: Trial) -> str:
    found = trial.verdict
    noticed = "never" if found.noticed_s is None else f"{found.noticed_s:.2f} s"
    again = "never" if found.all_again_s is None else f"{found.all_again_s:.2f} s"
    return (
        f"{found.fault} {trial.number + 1}: noticed {noticed}, {trial.streams} streams again after "
        f"{again}, {found.lost} lost, {found.split_brain} + {found.stored_late} of old owners"
    )


def main(
    out: Annotated[Path, typer.Option(help="Folder for the JSON.")] = RESULTS,
    *,
    times: Annotated[int, typer.Option(min=1, max=100, help="How often each fault.")] = 10,
    streams: Annotated[int, typer.Option(min=1, max=16, help="How many.")] = 4,
    faults: Annotated[str, typer.Option(help="Which, in this order.")] = ",".join(FAULTS),
    minutes: Annotated[float, typer.Option(min=0.5, help="No fault begins after.")] = 15.0,
    scripted: Annotated[bool, typer.Option(help="Workers that only make up events.")] = False,
) -> None:
    """Hurt a cluster again and again, and say what that does."""
    if reason := missing():
        raise SystemExit(reason)
    chosen = tuple(faults.split(","))
    if unknown := set(chosen) - set(FAULTS):
        raise SystemExit(f"there is no {', '.join(sorted(unknown))}; there are {', '.join(FAULTS)}")
    end_on_signals()
    where = hardware()
    trials, ended = run(chosen, times, streams, minutes * 60, scripted=scripted)
    console = Console()
    if ended:
        console.print(f"ended early: {ended}", soft_wrap=True)
    if not trials:
        raise SystemExit("there was no fault; nothing was written")
    name = "scripted-faults" if scripted else "cluster-faults"
    path = out / f"{name}-{where.commit.rstrip('+')}.json"
    document = {
        "benchmark": "cluster_faults",
        "hardware": where.to_json(),
        "scripted": scripted,
        "streams": streams,
        "ended_early": ended,
        "faults": faults_of(trials),
        "summary": summary(trials),
        "trials": [asdict(trial) for trial in trials],
    }
    write_result(document, path)
    console.print(table(trials))
    console.print(f"{path}", soft_wrap=True)


if __name__ == "__main__":
    typer.run(main)
