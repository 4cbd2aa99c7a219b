"""Check for regressions: measures ratios of three benchmarks anew, beside the committed ones.

    make bench-check                            # or: python -m benchmarks.check [--slack SHARE]

Seconds say more about the machine than about the code, so only ratios are compared that are taken
side by side within one run: the causal step against the recomputed window (`benchmarks.step`),
compiled networks and batches against PyTorch and single frames (`benchmarks.hotpath`), and help
against an interpreter that does nothing (`benchmarks.startup`). A ratio that has lost more than the
slack is a regression, and the exit code is 1.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "benchmarks" / "results"
SLACK = 0.3
COMMANDS: Mapping[str, tuple[str, ...]] = {
    "step": (),
    "hotpath": ("--rounds", "5"),
    "startup": ("--servers", "1"),
}


@dataclass(frozen=True, slots=True)
class Comparison:
    """One ratio, then and now.

    Attributes:
        name: which ratio.
        committed: as in the newest committed result.
        now: as measured anew; None when it is not measured any more.
    """

    name: str
    committed: float
    now: float | None

    def holds(self, slack: float) -> bool:
        """Whether no more than `slack` of the ratio is lost."""
        return self.now is not None and self.now >= self.committed * (1 - slack)


def ratios(document: Mapping[str, Any]) -> dict[str, float]:
    """Return the ratios of a result by name; more is better.

    Raises:
        ValueError: the benchmark has none that are compared.
    """
    match document["benchmark"]:
        case "step":
            return {
                f"step: {one['what']}, {one['tracks']} track(s)": one["ratio"]
                for one in document["comparisons"]
            }
        case "hotpath":
            return {f"hotpath: {one['side']}": one["ratio"] for one in document["sides"][1:]}
        case "startup":
            target = document["target"]
            return {
                f"startup: {target:g} times python -c pass over {one['program']}": round(
                    target / one["ratio"], 2
                )
                for one in document["starts"]
                if one["program"] not in ("nothing", "serve")
            }
        case other:
            raise ValueError(f"{other} has no ratios to compare")


def newest(benchmark: str, folder: Path) -> Mapping[str, Any]:
    """Return the result of a benchmark that was measured last.

    Raises:
        FileNotFoundError: there is none.
    """
    found = [json.loads(path.read_text()) for path in sorted(folder.glob(f"{benchmark}-*.json"))]
    if not found:
        raise FileNotFoundError(f"{folder} has no result of {benchmark}; run `make bench`")
    document: Mapping[str, Any] = max(found, key=lambda one: one["hardware"]["measured"])
    return document


def compare(committed: Mapping[str, Any], now: Mapping[str, Any]) -> list[Comparison]:
    """Return every committed ratio beside the one measured now."""
    measured = ratios(now)
    return [Comparison(name, then, measured.get(name)) for name, then in ratios(committed).items()]


def table(found: list[Comparison], slack: float) -> Table:
    """Return the comparisons for a terminal."""
    shown = Table("ratio", "committed", "now", "")
    for one in found:
        now = "gone" if one.now is None else f"{one.now:.2f}"
        shown.add_row(one.name, f"{one.committed:.2f}", now, "" if one.holds(slack) else "slower")
    return shown


def main(
    results: Annotated[Path, typer.Option(help="Folder of the committed results.")] = RESULTS,
    *,
    slack: Annotated[
        float, typer.Option(min=0, max=1, help="Share of a ratio that may be lost.")
    ] = SLACK,
) -> None:
    """Compare ratios with the committed ones."""
    console, found = Console(), []
    for benchmark, options in COMMANDS.items():
        committed = newest(benchmark, results)
        with tempfile.TemporaryDirectory() as folder:
            command = [sys.executable, "-m", f"benchmarks.{benchmark}", "--out", folder, *options]
            if subprocess.run(command, cwd=ROOT).returncode:
                raise SystemExit(f"benchmarks.{benchmark} failed; see above")
            found += compare(committed, newest(benchmark, Path(folder)))
    console.print(table(found, slack))
    slower = sum(not one.holds(slack) for one in found)
    if slower:
        console.print(f"{slower} of {len(found)} ratios have lost more than {slack:.0%}")
        raise SystemExit(1)


if __name__ == "__main__":
    typer.run(main)
