"""`styleflow evaluate compare` and `check`: evaluations side by side, and against a promise."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from rich.console import Console

from cli.errors import Exit
from styleflow.evaluation.comparison import cells, differences, markdown, read_metrics


def compare(results: Sequence[Path], out: Path | None, console: Console) -> None:
    """Print a table of models and data sets, and write it where that is wanted.

    Args:
        results: `metrics.json` files, or folders that hold them.
        out: folder for `table.md` and `table.json`.
        console: where the table is printed.
    """
    table = cells([read_metrics(path) for path in results])
    text = markdown(table)
    console.print(text, markup=False, highlight=False, soft_wrap=True, end="")
    if out is not None:
        out.mkdir(parents=True, exist_ok=True)
        (out / "table.md").write_text(text, encoding="utf-8")
        raw = json.dumps([asdict(cell) for cell in table], indent=1, ensure_ascii=False)
        (out / "table.json").write_text(raw + "\n", encoding="utf-8")


def check(results: Path, committed: Path, console: Console) -> Exit:
    """Say in what an evaluation differs from committed figures."""
    found = differences(read_metrics(results), read_metrics(committed))
    for each in found:
        allowed = "" if each.tolerance is None else f", {each.tolerance:g} allowed"
        said = f"{each.name}: {each.found} now, {each.committed} committed{allowed}"
        console.print(said, style="red", markup=False, highlight=False, soft_wrap=True)
    if not found:
        console.print(f"every figure is that of {committed.name}", markup=False, highlight=False)
    return Exit.ERROR if found else Exit.OK
