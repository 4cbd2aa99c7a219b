"""Shared parts of the commands: their end in an error, and options that several take."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Annotated, ParamSpec, TypeVar

import typer
from rich.console import Console

P = ParamSpec("P")
R = TypeVar("R")

ConfigOption = Annotated[
    Path | None,
    typer.Option("--config", "-c", help="YAML file; configs/default.yaml explains every key."),
]


UntrainedOption = Annotated[
    bool,
    typer.Option(
        "--untrained",
        help="Give detectors without weights random ones: shows the path, means nothing.",
    ),
]


def readable(command: Callable[P, R]) -> Callable[P, R]:
    """Turn the errors that people can cause into one line and an exit code.

    Nothing that knows errors is loaded before there is one: help needs none of it.
    """

    @wraps(command)
    def run(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return command(*args, **kwargs)
        except KeyboardInterrupt:
            raise typer.Exit(130) from None
        except typer.Exit:
            raise
        except Exception as error:
            from cli.errors import report
            from styleflow.errors import StyleFlowError

            if not isinstance(error, StyleFlowError | OSError):
                raise
            raise typer.Exit(report(error, Console(stderr=True))) from None

    return run
