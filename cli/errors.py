"""Exit codes, and the one place where an error becomes a line on the terminal."""

from __future__ import annotations

import errno
from enum import IntEnum

from rich.console import Console

from cli.settings import ConfigInvalid
from stream.problems import Problem, describe
from web.errors import Refusal


class Exit(IntEnum):
    """What a script learns from a command."""

    OK = 0  # analyze: every face that could be judged is clear
    ERROR = 1  # something failed; one line on standard error says what to change
    USAGE = 2  # the command line or the configuration is wrong
    SUSPECT = 3  # analyze: at least one face is suspect
    NO_VERDICT = 4  # analyze: there was not enough evidence, or the model is untrained


def problem_of(error: BaseException) -> Problem:
    """Return what an error means to the person at the terminal."""
    if isinstance(error, OSError) and error.errno == errno.EADDRINUSE:
        return Problem(
            "port_busy",
            "The port is taken",
            str(error.strerror),
            "Choose another with --port, or stop the program that holds it",
        )
    if isinstance(error, OSError) and error.errno == errno.EADDRNOTAVAIL:
        return Problem(
            "address", "The address is not this machine's", str(error.strerror), "Check --host"
        )
    if isinstance(error, Refusal):
        return error.problem
    return describe(error)


def report(error: BaseException, console: Console) -> Exit:
    """Print one readable line per fault and return the exit code."""
    if isinstance(error, ConfigInvalid):
        for line in str(error).splitlines():
            console.print(line, style="red", markup=False, highlight=False, soft_wrap=True)
        return Exit.USAGE
    console.print(
        problem_of(error).line, style="red", markup=False, highlight=False, soft_wrap=True
    )
    return Exit.ERROR
