"""What all commands share: how errors end them, and options that several take."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Annotated, ParamSpec, TypeVar

import typer
from rich.console import Console

from cli.errors import report
from styleflow.errors import StyleFlowError

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
    """Turn the errors that people can cause into one line and an exit code."""

    @wraps(command)
    def run(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return command(*args, **kwargs)
        except (StyleFlowError, OSError) as error:
            raise typer.Exit(report(error, Console(stderr=True))) from None
        except KeyboardInterrupt:
            raise typer.Exit(130) from None

    return run
