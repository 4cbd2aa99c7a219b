"""`styleflow doctor`: a table of what the analyzer needs, what is here, and what to do."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from cli.errors import Exit, problem_of
from cli.finding import Check, Finding, State
from cli.settings import ConfigInvalid, Settings, environment, load

STYLES = {State.FINE: "green", State.NOTE: "yellow", State.WRONG: "bold red"}


def run(config: Path | None, out: Console, *, as_json: bool) -> Exit:
    """Look at everything and print it; the exit code is 1 when something is wrong.

    Args:
        config: the file that `serve` would be given.
        out: where to print.
        as_json: an object rather than a table.
    """
    from cli.doctor_checks import CHECKS

    findings = examine(config, CHECKS)
    healthy = all(finding.state is not State.WRONG for finding in findings)
    if as_json:
        document = {"healthy": healthy, "checks": [asdict(finding) for finding in findings]}
        out.print(json.dumps(document), markup=False, highlight=False, soft_wrap=True)
    else:
        out.print(table(findings))
    return Exit.OK if healthy else Exit.ERROR


def examine(config: Path | None, checks: Sequence[tuple[str, Check]]) -> list[Finding]:
    """Return what every check found; one that fails says so and stops none of the others."""
    findings = []
    try:
        settings = load(config, environment())
        findings.append(Finding("configuration", State.FINE, str(config or "built-in defaults")))
    except ConfigInvalid as error:
        todo = "change these keys; `styleflow config defaults` explains them"
        said = "; ".join(error.faults)
        findings.append(Finding("configuration", State.WRONG, f"{error.origin}: {said}", todo))
        settings = Settings()
    for part, check in checks:
        try:
            findings.extend(check(settings))
        except Exception as error:  # whatever it is, it belongs into the table
            problem = problem_of(error)
            said = problem.detail or problem.title
            findings.append(Finding(part, State.WRONG, said, problem.hint))
    return findings


def table(findings: Sequence[Finding]) -> Table:
    """Return the findings for a terminal."""
    shown = Table(box=box.SIMPLE_HEAD, expand=True, padding=(0, 1))
    shown.add_column("part", no_wrap=True)
    shown.add_column("state", no_wrap=True)
    shown.add_column("found", overflow="fold", ratio=3)
    shown.add_column("what to do", overflow="fold", ratio=2)
    for finding in findings:
        state = Text(finding.state.value, STYLES[finding.state])
        shown.add_row(finding.part, state, Text(finding.found), Text(finding.todo))
    return shown
