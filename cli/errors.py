"""Exit codes, errors of the command line, and how an error becomes a line on the terminal."""

from __future__ import annotations

import errno
import socket
from dataclasses import dataclass, replace
from enum import IntEnum
from pathlib import Path

from rich.console import Console

from stream.problems import Problem
from styleflow.errors import StyleFlowError


class Exit(IntEnum):
    """Outcome of a command, for scripts."""

    OK = 0  # analyze: every face that could be judged is clear
    ERROR = 1  # something failed; one line on standard error says what to change
    USAGE = 2  # the command line or the configuration is wrong
    SUSPECT = 3  # analyze: at least one face is suspect
    NO_VERDICT = 4  # analyze: there was not enough evidence, or the model is untrained


@dataclass(eq=False)
class ConfigInvalid(StyleFlowError):
    """A configuration cannot be used; one line per thing to change."""

    code = "config_invalid"
    title = "The configuration cannot be used"
    hint = "Change the keys that are named; `styleflow config defaults` explains every key"
    status = 422
    exit_code = Exit.USAGE

    origin: str
    faults: tuple[str, ...]

    def __str__(self) -> str:
        return "\n".join(f"{self.origin}: {fault}" for fault in self.faults)


@dataclass(eq=False)
class FolderNeeded(StyleFlowError):
    """An optional part needs a folder to write in, and has none.

    Attributes:
        part: who needs it.
        folder: where it looked first.
        variable: environment variable that names another.
    """

    code = "folder_needed"
    title = "A folder to write in is needed"
    hint = "Name one that can be written with the environment variable that is told"
    status = 500

    part: str
    folder: Path
    variable: str

    def __post_init__(self) -> None:
        self.hint = f"Name one with {self.variable}, or leave out what is drawn"

    def __str__(self) -> str:
        return f"{self.part} can write neither in {self.folder} nor in a temporary folder"


@dataclass(eq=False)
class CallNotTaken(StyleFlowError):
    """A WHIP endpoint does not take a call; what it says about that is passed on."""

    code = "whip"
    title = "The call was not taken"
    hint = "Check the address; it ends in /whip/STREAM"
    status = 502

    said: Problem

    def __post_init__(self) -> None:
        self.code, self.title, self.hint = self.said.code, self.said.title, self.said.hint
        self.status, self.retry = self.said.status, self.said.retry

    def __str__(self) -> str:
        return self.said.detail


def problem_of(error: BaseException) -> Problem:
    """Return what an error means to the person at the terminal."""
    if isinstance(error, OSError) and error.filename is None:
        return _of_the_network(error) or _unnumbered(error) or Problem.of(error)
    return Problem.of(error)


def _unnumbered(error: OSError) -> Problem | None:
    """Return what a library says in words alone; the command line has no log that says more."""
    said = " ".join(str(error).split())
    if error.errno is not None or not said or "://" in said:
        return None
    return Problem("file_unusable", "A file cannot be used", f"{said[:300]}", "")


def _of_the_network(error: OSError) -> Problem | None:
    """Return what an error about a port or an address means."""
    unknown = isinstance(error, socket.gaierror)
    found = ADDRESS_UNKNOWN if unknown else NETWORK_PROBLEMS.get(error.errno or 0)
    return replace(found, detail=str(error.strerror)) if found else None


ADDRESS_UNKNOWN = Problem("address", "The address is not known", "", "Check --host")

_PORT_FORBIDDEN = Problem(
    "port_forbidden", "This port may not be used", "", "Choose one from 1024 on with --port"
)

NETWORK_PROBLEMS: dict[int, Problem] = {
    errno.EADDRINUSE: Problem(
        "port_busy",
        "The port is taken",
        "",
        "Choose another with --port, or stop the program that holds it",
    ),
    errno.EADDRNOTAVAIL: Problem(
        "address", "The address is not this machine's", "", "Check --host"
    ),
    errno.EACCES: _PORT_FORBIDDEN,
    errno.EPERM: _PORT_FORBIDDEN,
}
"""Errors of the operating system about a port or an address, by their number."""


def report(error: BaseException, console: Console) -> Exit:
    """Print one readable line per fault and return the exit code."""
    if isinstance(error, ConfigInvalid):
        for line in str(error).splitlines():
            console.print(line, style="red", markup=False, highlight=False, soft_wrap=True)
        return Exit.USAGE
    problem = problem_of(error)
    console.print(problem.line, style="red", markup=False, highlight=False, soft_wrap=True)
    return Exit(problem.exit_code)
