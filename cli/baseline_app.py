"""The commands under `styleflow baseline`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from cli.commands import ConfigOption, UntrainedOption, readable

baseline_app = typer.Typer(
    no_args_is_help=True,
    help="Say which video of a stream was real; a budget then compares with it.",
)

StreamArgument = Annotated[str, typer.Argument(help="Id of the stream; it need not be there now.")]


@baseline_app.command("add")
@readable
def baseline_add(
    stream: StreamArgument,
    file: Annotated[
        Path, typer.Option("--from", help="A video or recorded trace of the same camera or person.")
    ],
    name: Annotated[str, typer.Option(help="What people call it; the id if left out.")] = "",
    seconds: Annotated[
        float | None, typer.Option(min=1, help="Take so much media time at most.")
    ] = None,
    untrained: UntrainedOption = False,
    config: ConfigOption = None,
) -> None:
    """Make a stream's baseline of known-real video; an earlier one gives way.

    Only statistics are kept. An analyzer that runs takes it in within seconds.
    """
    from cli.baseline import add
    from cli.settings import environment, load

    settings = load(config, environment())
    add(settings, stream, file, name, Console(), seconds=seconds, untrained=untrained)


@baseline_app.command("list")
@readable
def baseline_list(
    as_json: Annotated[bool, typer.Option("--json", help="All that is kept, as JSON.")] = False,
    config: ConfigOption = None,
) -> None:
    """Print the baselines that are kept."""
    from cli.baseline import show
    from cli.settings import environment, load

    show(load(config, environment()), Console(), as_json=as_json)


@baseline_app.command("remove")
@readable
def baseline_remove(stream: StreamArgument, config: ConfigOption = None) -> None:
    """Forget a stream's baseline; its trials are compared with all known real video again."""
    from cli.baseline import remove
    from cli.settings import environment, load

    remove(load(config, environment()), stream, Console())
