"""Words of a rolling upgrade, and what the command refuses."""

from __future__ import annotations

import pytest
from rich.console import Console
from typer.testing import CliRunner

from cli.main import app
from cli.upgrade import Teller, summary, words
from stream.cluster.upgrade import Phase, Report, Step


@pytest.mark.parametrize(
    ("step", "said"),
    [
        (Step("", Phase.RESTARTING), "director: being replaced"),
        (Step("", Phase.DONE), "director: replaced"),
        (Step("w-2", Phase.PASSED_OVER), "w-2: up to date"),
        (Step("w-1", Phase.DRAINING, 8, 0, 1, 2), "w-1 (1 of 2): draining, 8 to move"),
        (
            Step("w-1", Phase.DRAINING, 2, 1, 1, 2),
            "w-1 (1 of 2): draining, 2 to move, 1 of them wait for calls to end",
        ),
        (Step("w-1", Phase.DRAINING, 0, 0, 1, 2), "w-1 (1 of 2): draining, empty"),
        (
            Step("w-1", Phase.RESTARTING, 0, 0, 1, 2),
            "w-1 (1 of 2): starting with the present settings",
        ),
        (Step("w-1", Phase.FILLING, 4, 0, 1, 2), "w-1 (1 of 2): given 4 of the others' streams"),
        (Step("w-1", Phase.DONE, 0, 0, 1, 2), "w-1 (1 of 2): done"),
    ],
)
def test_every_step_is_told_in_words(step: Step, said: str) -> None:
    assert words(step) == said


def test_what_is_as_before_is_told_once() -> None:
    console = Console(record=True, quiet=True)
    tell = Teller(console)
    with console.capture() as captured:
        console.quiet = False
        for streams in (2, 2, 1):
            tell(Step("w-1", Phase.DRAINING, streams, 0, 1, 1))
    assert len(captured.get().splitlines()) == 2


def test_the_end_says_what_was_done() -> None:
    assert summary(Report()) == "Every worker is up to date."
    said = summary(Report(replaced=["w-1", "w-2"], moves=12))
    assert said == "Replaced: w-1, w-2. Streams were moved 12 times."


def test_the_command_needs_a_cluster() -> None:
    done = CliRunner().invoke(app, ["cluster", "upgrade"])
    assert done.exit_code == 2
    assert "--cluster" in done.output
