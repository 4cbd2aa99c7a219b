"""The command `styleflow challenge`."""

from __future__ import annotations

from typing import Annotated, Literal

import typer
from rich.console import Console

from cli.commands import readable


@readable
def challenge(
    stream: Annotated[str, typer.Argument(help="Id of the stream.")],
    task: Annotated[
        Literal["random", "turn", "look_up", "closer", "cover", "flash"],
        typer.Option(help="What is asked, among something random; flash needs the caller's page."),
    ] = "random",
    analyzer: Annotated[
        str, typer.Option(help="Address of the running analyzer.")
    ] = "http://127.0.0.1:8000",
    token: Annotated[
        str | None, typer.Option(envvar="STYLEFLOW_TOKEN", help="Bearer token of the analyzer.")
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the result as it travels on the wire.")
    ] = False,
) -> None:
    """Have the person in a stream asked for something that a recording cannot know.

    Prints what to read out, when it is due, and then what was seen: whether the video followed,
    with what delay, and whether the ratings rose meanwhile. The result is context beside the score
    and never changes it. Exits with 0 when the video followed, 3 when it did not, 4 when that
    could not be judged.
    """
    from cli.challenge import run

    raise typer.Exit(run(stream, task, analyzer, token, Console(), as_json=as_json))
