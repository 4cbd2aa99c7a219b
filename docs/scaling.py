"""Figures of `docs/scaling.md`, written from the newest results of three benchmarks.

`python -m docs.scaling` writes them anew, and a test compares the committed page with what is
written, so that no figure stands there that no result has.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "scaling.md"
RESULTS = ROOT / "benchmarks" / "results"

Result = Mapping[str, Any]


def newest(name: str, results: Path = RESULTS) -> tuple[str, Result] | None:
    """Return the newest result of a benchmark and the stem of its file, or None without one."""
    found = {
        path.stem: json.loads(path.read_text(encoding="utf-8"))
        for path in sorted(results.glob(f"{name}-*.json"))
    }
    if not found:
        return None
    stem = max(found, key=lambda one: (found[one]["hardware"]["measured"], one))
    return stem, found[stem]


def written(page: str, results: Path = RESULTS) -> str:
    """Return the page with its parts as the newest results have them."""
    for name, part in {"capacity": capacity, "gateways": gateways, "faults": faults}.items():
        text = "\n".join(part(results))
        pattern = rf"(<!-- {name}: .*? -->\n).*?(<!-- end -->)"
        page, times = re.subn(pattern, rf"\g<1>\n{text}\n\n\g<2>", page, flags=re.DOTALL)
        if times != 1:
            raise ValueError(f"the page has {times} places for {name}")
    return page


def capacity(results: Path) -> Iterator[str]:
    """Yield the lines on what workers hold, and on what they would."""
    found = newest("capacity-cores", results)
    if found is None:
        yield "Not measured yet: no result of it is committed, so nothing is projected either."
        return
    stem, result = found
    hardware, law = result["hardware"], result["law"]
    yield f"![streams over cores](../benchmarks/results/{stem}.png)"
    yield ""
    yield (
        f"On {hardware['cpu']}, {result['seconds']:g} s per load, "
        f"[{stem}.json](../benchmarks/results/{stem}.json):"
    )
    yield ""
    yield "| | streams held, by round | p95 there | CPU: gateway, workers, other, client |"
    yield "|---|---|---|---|"
    for point in result["points"]:
        yield _point(point)
    if ratio := result["ratio"]:
        yield ""
        yield (
            f"{ratio['what'].capitalize()}: {ratio['value']:g} times the streams; the aim is "
            f"{ratio['target']:g} times."
        )
    if law:
        yield ""
        yield from _law(result, law)


def _point(point: Result) -> str:
    workers, cores = point["workers"], point["cores"]
    what = f"{workers} worker{'s' * (workers != 1)}" if workers else "one process without Ray"
    name = f"{what}, {cores} core{'s' * (cores != 1)}"
    held = [one for one in point["loads"] if one["holds"]]
    if not held:
        return f"| {name} | none | – | – |"
    most = max(held, key=lambda one: one["streams"])
    cpu = most["cpu"]
    parts = ", ".join(f"{cpu[part]:.2f}" for part in ("server", "workers", "others", "client"))
    rounds = ", ".join(map(str, point["held"]))
    return f"| {name} | {rounds} | {most['latency']['p95_ms']:.0f} ms | {parts} |"


def _law(result: Result, law: Result) -> Iterator[str]:
    """Yield the fit, and what it says of more cores."""
    spare, gateways = law["spare"], any(one["gateways"] for one in law["projected"])
    a, s = law["law"]["a"], law["law"]["s"]
    yield (
        f"**A projection, not a measurement:** Amdahl's law, {law['formula']}, goes through these "
        f"points with a = {a:.1f} and s = {s:.3f} (between {law['least_s']:.3f} and "
        f"{law['most_s']:.3f}, when each count is moved within what was measured, up to the first "
        "load that did not hold)."
    )
    if spare <= 0:
        yield (
            "It has as many parameters as there are points, so it fits exactly, whatever is true: "
            "nothing here says how well it describes more cores, and memory bandwidth is not in it."
        )
    yield ""
    yield "| cores, a worker each | streams, projected | range |" + " gateways |" * gateways
    yield "|---|---|---|" + "---|" * gateways
    for one in law["projected"]:
        line = f"| {one['cores']} | {one['streams']} | {one['least']} to {one['most']} |"
        yield line + (f" {one['gateways']} |" if gateways else "")
    if gateways:
        yield ""
        yield (
            "Gateways by the CPU time per stream of the one that was measured, at 0.8 of a core "
            "each, with one client."
        )


def faults(results: Path) -> Iterator[str]:
    """Yield the lines on how long failures take."""
    found = newest("cluster-faults", results)
    scripted = newest("scripted-faults", results)
    if found is None and scripted is None:
        yield "How long each takes was not measured: no result of it is committed."
        return
    yield (
        "Three nodes of Ray in network namespaces of one machine; median and longest. What has no "
        "line was not measured."
    )
    for one, what in (
        (found, "Streams of video"),
        (scripted, "Workers that make up events, so without loading models and filling windows"),
    ):
        if one is not None:
            stem, result = one
            where = result["hardware"]
            yield ""
            yield (
                f"{what}, on {where['cpu']} at load {where['load_1m']:g}, "
                f"[{stem}.json](../benchmarks/results/{stem}.json):"
            )
            yield ""
            yield (
                "| failure | times | until noticed | until scored again | events lost | "
                "scores of two owners |"
            )
            yield "|---|---|---|---|---|---|"
            yield from map(_fault, result["faults"])
            for outage in (one for one in result["faults"] if one.get("silent_s")):
                yield ""
                yield _outage(outage)


def _outage(one: Result) -> str:
    """Return how streams went on in an outage, and whether they moved again after it."""
    silent = f"no stream was without a score for more than {one['silent_s']['most']:.1f} s"
    moved = one["moved_s"]
    said = f"While {one['fault']}, {silent}"
    if moved is None:
        return f"{said}, and what was told then was stored after it."
    again = (
        f"the streams of a worker that was drained then were scored elsewhere after {_span(moved)}"
    )
    return f"{said}; once it was back, {again}."


def _fault(one: Result) -> str:
    spans = " | ".join(_span(one[key]) for key in ("noticed_s", "scored_s"))
    lost, split = (_number(one[key]) for key in ("events_lost", "split_brain_scores"))
    return f"| {one['fault']} | {one['times']} | {spans} | {lost} | {split} |"


def _span(seconds: Mapping[str, float] | None) -> str:
    if seconds is None:
        return "–"
    never = f", {seconds['never']} times never" if seconds.get("never") else ""
    return f"{seconds['p50']:.1f} s, at most {seconds['most']:.1f} s{never}"


def _number(count: int | None) -> str:
    return "–" if count is None else str(count)


def gateways(results: Path) -> Iterator[str]:
    """Yield the lines on how many clients gateways serve."""
    found = newest("gateways", results)
    if found is None:
        yield "How many clients a gateway serves was not measured: no result of it is committed."
        return
    stem, result = found
    ages = ", ".join(f"{name} {_ms(result['age_s'][name])}" for name in ("p50", "p99"))
    flat = [one["flat"] for one in result["memory"] if one is not None]
    yield (
        f"Two gateways and {result['connected']} WebSocket clients of one stream each, on "
        f"{result['hardware']['cpu']}, the clients on the same cores "
        f"([{stem}.json](../benchmarks/results/{stem}.json)): {result['streams']} streams whose "
        f"events two workers made up, {result['messages_per_s']:.0f} messages a second, age of a "
        f"score at a client {ages}. Of {result['slow']} clients that never read, "
        f"{result['slow_cut']} were cut off; memory was flat at {sum(flat)} of {len(flat)} "
        "gateways."
    )


def _ms(seconds: float | None) -> str:
    return "unknown" if seconds is None else f"{1e3 * seconds:.0f} ms"


def main() -> None:
    """Write the page anew."""
    PAGE.write_text(written(PAGE.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
