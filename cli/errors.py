"""Exit codes, and the one place where an error becomes a line on the terminal."""

from __future__ import annotations

import errno
import socket
import ssl
from collections.abc import Iterator
from enum import IntEnum

import httpx
from rich.console import Console
from websockets.exceptions import InvalidHandshake, InvalidStatus

from cli.settings import ConfigInvalid
from stream.errors import StreamError
from stream.problems import Problem, describe
from styleflow.errors import StyleflowError
from web.errors import Refusal


class Exit(IntEnum):
    """What a script learns from a command."""

    OK = 0  # analyze: every face that could be judged is clear
    ERROR = 1  # something failed; one line on standard error says what to change
    USAGE = 2  # the command line or the configuration is wrong
    SUSPECT = 3  # analyze: at least one face is suspect
    NO_VERDICT = 4  # analyze: there was not enough evidence, or the model is untrained


class AnalyzerAway(Exception):
    """A command needs a running analyzer, and there is none to be had.

    Attributes:
        address: where it was looked for, without credentials.
        reason: what is there instead.
        hint: what to do about it.
    """

    def __init__(self, address: str, reason: str, hint: str) -> None:
        super().__init__(f"{address}: {reason}")
        self.address = address
        self.reason = reason
        self.hint = hint


def no_answer(error: BaseException) -> str:
    """Return why nobody answered, in words, whichever library found out."""
    for cause in _causes(error):
        match cause:
            case socket.gaierror():
                return "this host is not known"
            case ConnectionRefusedError():
                return "nothing listens on this host and port"
            case ssl.SSLError():
                return "no secure connection comes about; is it http:// rather than https://?"
            case TimeoutError() | httpx.TimeoutException():
                return "it does not answer"
            case InvalidStatus():
                return f"what answers there is no analyzer: HTTP {cause.response.status_code}"
            case InvalidHandshake():
                return "what answers there is no analyzer"
    return "it cannot be connected to"


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Yield an error, then what led to it, the deepest last."""
    at: BaseException | None = error
    while at is not None:
        yield at
        at = at.__cause__ or at.__context__


def problem_of(error: BaseException) -> Problem:
    """Return what an error means to the person at the terminal."""
    if isinstance(error, AnalyzerAway):
        return Problem(
            "analyzer_away", "The analyzer cannot be reached", str(error), error.hint, retry=True
        )
    if isinstance(error, OSError):
        return _of_the_system(error)
    if isinstance(error, Refusal):
        return error.problem
    return describe(error)


def _of_the_system(error: OSError) -> Problem:
    """Return what an error of the operating system means: a port, an address or a file."""
    if isinstance(error, socket.gaierror):
        return Problem("address", "The address is not known", str(error.strerror), "Check --host")
    if error.errno == errno.EADDRINUSE:
        return Problem(
            "port_busy",
            "The port is taken",
            str(error.strerror),
            "Choose another with --port, or stop the program that holds it",
        )
    if error.errno == errno.EADDRNOTAVAIL:
        return Problem(
            "address", "The address is not this machine's", str(error.strerror), "Check --host"
        )
    if error.filename is None and error.errno in (errno.EACCES, errno.EPERM):
        return Problem(
            "port_forbidden",
            "This port may not be used",
            str(error.strerror),
            "Choose one from 1024 on with --port",
        )
    if error.filename is not None and not isinstance(error, FileNotFoundError):
        said = (error.strerror or type(error).__name__).lower()
        return Problem(
            "file_unusable",
            "A file cannot be used",
            f"{error.filename}: {said}",
            "Check the path, and that you may read and write there",
        )
    return describe(error)


def is_readable(error: BaseException) -> bool:
    """Say whether an error is told in one line; any other is a fault of the program."""
    faults = (StyleflowError, StreamError, ConfigInvalid, Refusal, AnalyzerAway, OSError)
    return isinstance(error, faults)


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
