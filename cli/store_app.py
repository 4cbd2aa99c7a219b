"""The commands under `styleflow store`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from cli.commands import ConfigOption, readable

store_app = typer.Typer(no_args_is_help=True, help="Look after what is remembered.")

YesOption = Annotated[bool, typer.Option("--yes", help="Do not ask.")]


@store_app.command()
@readable
def info(config: ConfigOption = None) -> None:
    """Say where the store is, how large, from when to when, and whether its audit log is whole."""
    from cli.store import open_store, print_info

    with open_store(config) as database:
        raise typer.Exit(print_info(database, Console()))


@store_app.command()
@readable
def migrate(config: ConfigOption = None) -> None:
    """Bring the tables up to date, as `serve` does when it starts."""
    from cli.store import migrate

    migrate(config, Console())


@store_app.command()
@readable
def backup(
    file: Annotated[Path, typer.Argument(help="Where to; must not be there yet.")],
    config: ConfigOption = None,
) -> None:
    """Write the store to one file; the analyzer may run. Keep the key file apart from it."""
    from cli.store import backup, open_store

    with open_store(config) as database:
        backup(database, file, Console())


@store_app.command()
@readable
def restore(
    file: Annotated[Path, typer.Argument(help="A file that `styleflow store backup` has written.")],
    config: ConfigOption = None,
    yes: YesOption = False,
) -> None:
    """Put a backup in place of what the store holds. Stop the analyzer before."""
    from cli.store import open_store, restore

    if not yes:
        typer.confirm("Everything that the store holds now is replaced. Go on?", abort=True)
    with open_store(config) as database:
        restore(database, file, Console())


@store_app.command()
@readable
def purge(
    incident: Annotated[
        str | None, typer.Option(help="An incident, and the scores of its faces meanwhile.")
    ] = None,
    stream: Annotated[str | None, typer.Option(help="Everything of a stream.")] = None,
    begin: Annotated[
        str | None, typer.Option("--from", help="From this time on: ISO 8601, UTC without a zone.")
    ] = None,
    end: Annotated[str | None, typer.Option("--to", help="Until this time.")] = None,
    even_open: Annotated[
        bool,
        typer.Option("--open", help="Incidents that go on, too: only while no analyzer runs."),
    ] = False,
    config: ConfigOption = None,
    yes: YesOption = False,
) -> None:
    """Delete what is remembered of somebody; the audit log says that it was done.

    `--from` and `--to` go with `--stream`, or alone for all streams. An incident that is open, or
    whose video is gathered, is refused: the analyzer would write it again.
    """
    from cli.incidents import evidence_folder
    from cli.settings import environment, load
    from cli.store import open_store, purge, wish_of

    wish = wish_of(incident, stream, begin, end)
    if not yes:
        typer.confirm("This cannot be undone. Go on?", abort=True)
    with open_store(config) as database:
        folder = evidence_folder(load(config, environment()).evidence)
        purge(database, wish, folder, Console(), even_open=even_open)
