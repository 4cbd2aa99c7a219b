"""Faults of a cluster, again and again: how soon they are noticed, mended, and what is lost.

    python -m benchmarks.cluster_faults [--times N] [--streams N] [--faults NAMES] [--minutes M]
        [--scripted]

Three Ray nodes in network namespaces of this machine, joined by a bridge: `head` with Ray's control
service, the director and two gateways, `left` and `right` with a worker each. A WebSocket client
here follows every stream and goes to the other gateway when its own is gone. The faults:

* `worker`: kill -9 of the worker that has most streams;
* `node`: kill -9 of everything on its machine;
* `gateway`: kill -9 of the gateway that the client has;
* `partition`: the cable of the worker's machine is pulled for ten seconds (`ip link set down`);
* `control`: kill -9 of Ray's control service, which is started again after ten seconds;
* `head`: kill -9 of everything on its machine, on which Ray is started again after ten seconds;
* `store`: what the worker's machine and PostgreSQL send to each other is lost for ten seconds.

Streams are files that every machine can read, played at their own pace and again and again; every
second one is short, so that faces end and verdicts change all the time. All machines share this
one's cores and files: a store in a file stands for a database that every machine reaches.

With `--scripted` workers look at no video and make up events, see `benchmarks.scripted_workers`:
what is left is the time that noticing, placing and telling take, without that of loading models,
receiving video and filling a detector's window.

For `control` and `head` the head keeps in Redis who is where, and gateways run beside the workers.
With `store` among the faults, events are stored in a PostgreSQL on a machine of its own.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from benchmarks.cluster_program import end_on_signals
from benchmarks.cluster_rig import Rig, Trial, rig
from benchmarks.fault_judge import Spread, spread
from benchmarks.hardware import hardware
from benchmarks.outages import OUTAGES, outage
from benchmarks.result import write_result
from stream.clock import SystemClock
from tests.support.databases import PROGRAMS
from tests.support.namespaces import missing
from tests.support.redis import missing as missing_redis

RESULTS = Path(__file__).parent / "results"
OF_THE_HEAD = ("control", "head")
FAULTS = ("worker", "node", "gateway", "partition", *OUTAGES)
_NAMES = {
    "worker": "a worker is killed",
    "node": "a machine is lost",
    "gateway": "a gateway is killed",
    "partition": "the network is cut for 10 s",
    "control": "Ray's control service is away for 10 s, with Redis",
    "head": "the machine of Ray's head is lost for 10 s, with Redis",
    "store": "a worker's machine does not reach PostgreSQL for 10 s",
}


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
        "refused": sum(trial.refused for trial in trials),
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
            **_outage_of([trial for trial in trials if trial.verdict.fault == kind]),
        }
        for kind, found in summary(trials).items()
    ]


def _outage_of(trials: list[Trial]) -> dict[str, Any]:
    """Return how long streams were silent in an outage, and until they moved again after it."""
    silent = [trial.silent_s for trial in trials]
    if None in silent:
        return {}
    moved = [trial.moved_s for trial in trials if trial.verdict.fault in OF_THE_HEAD]
    return {"silent_s": _span(spread(silent)), "moved_s": _span(spread(moved))}


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
    trials = list[Trial]()
    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True)) as progress:
        task = progress.add_task("building a network")

        def say(what: str) -> None:
            progress.update(task, description=what)

        try:
            for build, chosen in _rigs(faults, streams, say, scripted=scripted):
                with build as made:
                    until = made.clock.monotonic() + seconds
                    for number in range(times):
                        for fault in chosen:
                            if made.clock.monotonic() > until:
                                return trials, "the time was up"
                            say(f"{fault}, {number + 1} of {times}")
                            try_one = outage if fault in OUTAGES else Rig.trial
                            trials.append(try_one(made, fault, number))
                            progress.console.print(_line(trials[-1]))
        except KeyboardInterrupt:
            return trials, "interrupted"
        except (TimeoutError, RuntimeError, LookupError, OSError) as error:
            return trials, f"{type(error).__name__}: {error}"
    return trials, ""


def _rigs(
    faults: tuple[str, ...], streams: int, say: Callable[[str], None], *, scripted: bool
) -> Iterator[tuple[AbstractContextManager[Rig], tuple[str, ...]]]:
    """Yield clusters that are still to be built, each with the faults that it is for."""
    clock = SystemClock()
    of_others = tuple(fault for fault in faults if fault not in OF_THE_HEAD)
    if of_others:
        postgres = "store" in faults
        yield rig(streams, clock, say, scripted=scripted, postgres=postgres), of_others
    if of_the_head := tuple(fault for fault in faults if fault in OF_THE_HEAD):
        beside = ("left", "right")
        yield rig(streams, clock, say, scripted=scripted, gateways=beside, redis=True), of_the_head


def _line(trial: Trial) -> str:
    found = trial.verdict
    noticed = "never" if found.noticed_s is None else f"{found.noticed_s:.2f} s"
    again = "never" if found.all_again_s is None else f"{found.all_again_s:.2f} s"
    line = (
        f"{found.fault} {trial.number + 1}: noticed {noticed}, {trial.streams} streams again after "
        f"{again}, {found.lost} lost, {found.split_brain} + {found.stored_late} of old owners"
    )
    if trial.silent_s is None:
        return line
    line += f", silent {trial.silent_s:.2f} s, {trial.refused} refused"
    if found.fault not in OF_THE_HEAD:
        return line
    moved = "never" if trial.moved_s is None else f"after {trial.moved_s:.2f} s"
    return f"{line}, moved again {moved}"


def main(
    out: Annotated[Path, typer.Option(help="Folder for the JSON.")] = RESULTS,
    *,
    times: Annotated[int, typer.Option(min=1, max=100, help="How often each fault.")] = 10,
    streams: Annotated[int, typer.Option(min=1, max=16, help="How many.")] = 4,
    faults: Annotated[str, typer.Option(help="Which, in this order.")] = ",".join(FAULTS),
    minutes: Annotated[
        float, typer.Option(min=0.5, help="No fault begins after, by cluster.")
    ] = 30,
    scripted: Annotated[bool, typer.Option(help="Workers that only make up events.")] = False,
) -> None:
    """Hurt a cluster again and again, and say what that does."""
    if reason := missing():
        raise SystemExit(reason)
    chosen = tuple(faults.split(","))
    if set(chosen) & set(OF_THE_HEAD) and (reason := missing_redis()):
        raise SystemExit(reason)
    if "store" in chosen and not PROGRAMS.exists():
        raise SystemExit("there is no PostgreSQL here (apt install postgresql-15)")
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
