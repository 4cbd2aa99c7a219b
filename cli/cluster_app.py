"""The commands under `styleflow cluster`."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.console import Console

from cli.commands import ConfigOption, UntrainedOption, readable

cluster_app = typer.Typer(no_args_is_help=True, help="Look after the workers of a Ray cluster.")


@cluster_app.command("upgrade")
@readable
def upgrade(
    config: ConfigOption = None,
    cluster: Annotated[
        str | None,
        typer.Option(metavar="ADDRESS", help="The Ray cluster, as host:port or `auto`."),
    ] = None,
    everybody: Annotated[
        bool, typer.Option("--all", help="Also replace workers that are up to date.")
    ] = False,
    force: Annotated[
        bool,
        typer.Option("--force", help="Do not wait for calls to configured streams: they end."),
    ] = False,
    drain_s: Annotated[
        float, typer.Option(min=1.0, help="Longest wait until a worker is empty, in seconds.")
    ] = 900.0,
    untrained: UntrainedOption = False,
) -> None:
    """Replace workers one after the other by such with the present settings and version.

    Each is drained, started anew, and given streams again; those that are up to date are passed
    over. Interrupt it at any time: the same command goes on where it was.
    """
    from cli.settings import environment, load
    from cli.upgrade import run

    settings = load(config, environment(), {"cluster": {"address": cluster}})
    if not settings.cluster.address:
        raise typer.BadParameter("name the cluster with --cluster or cluster.address")
    origin = str(config or "configuration")
    wanted = {"everybody": everybody, "force": force, "drain_s": drain_s}
    run(settings, Console(stderr=True), wanted, untrained=untrained, origin=origin)
