"""Outages that leave workers alive: of Ray's head, with Redis, and of the way to the store.

While one lasts, every stream is to be scored on and gateways are to answer. Then the head is to
place streams again, which a worker that is drained shows, and what was told is to be in the store.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from itertools import pairwise
from typing import Any

import httpx

from benchmarks.cluster_program import Gateway
from benchmarks.cluster_rig import AGAIN_S, CPUS, KEEPER, SETTLE_S, Rig, Trial
from benchmarks.fault_judge import Heard, Verdict, judge

OUTAGES = ("control", "head", "store")
AWAY_S = 10.0
_WORDS = {
    "control": "does not answer for",
    "head": "does not answer for",
    "store": r'styleflow_store_up\{worker="[^"]+"\} 0',
}
"""What gateways say during an outage, in `/readyz` or `/metrics`."""

ASK_S = 0.25
"""Pause between two questions to the gateways during an outage."""

STORED_S = 40.0
"""Longest time until what was told during an outage is stored: a writer that has failed tries again
after at most ten seconds."""


def outage(rig: Rig, fault: str, number: int) -> Trial:
    """Let a part be away for ten seconds, and say what that did.

    Raises:
        TimeoutError: not everything worked before.
    """
    rig.await_ready()
    since = rig.clock.monotonic()
    rig.pause.wait(1.0)
    workers = rig.sight.newest
    name = max(workers, key=lambda n: (workers[n]["alive"], len(workers[n]["streams"])))
    owners = {h.stream: h.generation for h in rig.client.told}
    struck = rig.clock.monotonic()
    mend = _strike(rig, fault, int(workers[name]["pid"]))
    noticed, refused = _asked(rig, struck, fault)
    mend()
    back = rig.clock.monotonic()
    silent = longest_silence(rig.client.told, rig.streams, struck, back)
    moved = _moved(rig, name, owners) if fault != "store" else None
    rig.pause.wait(SETTLE_S)
    verdict = _judged(rig, fault, struck, since, owners, noticed)
    if fault == "store":
        rig.wait(lambda: not _judged(rig, fault, struck, since, owners, noticed).lost, STORED_S)
        verdict = _judged(rig, fault, struck, since, owners, noticed)
    return Trial(number, verdict, len(rig.streams), None, silent, moved, refused)


def _strike(rig: Rig, fault: str, pid: int) -> Callable[[], None]:
    """Do it, and return what undoes it."""
    if fault == "control":
        rig.nodes.kill_control()
        return rig.nodes.start_control
    if fault == "head":
        rig.nodes.kill("head")
        return lambda: rig.nodes.start("head", CPUS["head"])
    machine = rig.machine(pid)
    rig.machines.part(machine, KEEPER)
    return lambda: rig.machines.part(machine, KEEPER, cut=False)


def _asked(rig: Rig, struck: float, fault: str) -> tuple[float | None, int]:
    """Ask the gateways until the outage is to end.

    Returns:
        When one said that something is missing, and how many questions none answered.
    """
    noticed, refused = None, 0
    while rig.clock.monotonic() < struck + AWAY_S:
        for gateway in rig.gateways:
            answers = [_get(gateway, path) for path in ("/readyz", "/metrics", "/api/v1/streams")]
            refused += answers.count(None)
            if noticed is None and _says_so(answers, fault):
                noticed = rig.clock.monotonic()
        rig.pause.wait(ASK_S)
    return noticed, refused


def _get(gateway: Gateway, path: str) -> str | None:
    with suppress(httpx.HTTPError):
        answer = httpx.get(f"{gateway.url}{path}", timeout=2)
        if answer.status_code == 200:
            return answer.text
    return None


def _says_so(answers: Collection[str | None], fault: str) -> bool:
    """Return whether a gateway has said that the director, or a worker's store, does not answer."""
    said = " ".join(answer or "" for answer in answers)
    return re.search(_WORDS[fault], said) is not None


def longest_silence(
    told: Collection[Heard], streams: Collection[str], since: float, until: float
) -> float:
    """Return the longest time for which a stream had no score."""
    longest = 0.0
    for stream in streams:
        scores = [h.at for h in told if h.stream == stream and h.kind == "score"]
        times = [since, *(at for at in scores if since < at < until), until]
        longest = max(longest, *(b - a for a, b in pairwise(times)))
    return longest


def _moved(rig: Rig, worker: str, owners: Mapping[str, int]) -> float | None:
    """Drain a worker, and return after how long all its streams were scored elsewhere.

    It is asked for again and again, for as long as nobody hears that. None if they never are.
    """
    began = rig.clock.monotonic()
    path = f"/api/v1/workers/{worker}/drain"
    streams = rig.sight.newest[worker]["streams"]

    def are_moved() -> bool:
        newest: dict[str, int] = {}
        for each in rig.client.told[-3000:]:
            if each.kind == "score":
                newest[each.stream] = each.generation
        if all(newest.get(stream, 0) > owners[stream] for stream in streams):
            return True
        _tell(rig, "PUT", path)
        return False

    done = rig.wait(are_moved, AGAIN_S)
    took = rig.clock.monotonic() - began
    rig.wait(lambda: _tell(rig, "DELETE", path), AGAIN_S)
    return took if done else None


def _tell(rig: Rig, method: str, path: str) -> bool:
    """Ask any gateway for something, and return whether one has done it."""
    for gateway in rig.gateways:
        with suppress(httpx.HTTPError):
            if httpx.request(method, f"{gateway.url}{path}", timeout=5).is_success:
                return True
    return False


def _judged(
    rig: Rig,
    fault: str,
    struck: float,
    since: float,
    owners: Mapping[str, int],
    noticed: float | None,
) -> Verdict:
    told = [h for h in rig.client.told if h.at >= since - 30]
    facts: dict[str, Any] = {"affected": {s: owners[s] for s in rig.streams}, "noticed": noticed}
    settled = rig.clock.monotonic() - SETTLE_S / 2
    stored = rig.stored(since - 30)
    return judge(fault, struck, told, stored, moves=False, since=since, settled=settled, **facts)
