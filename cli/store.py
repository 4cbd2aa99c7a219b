"""Work of `styleflow store`: what is remembered, looked at, copied and deleted."""

from __future__ import annotations

import getpass
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath

import typer
from platformdirs import user_data_path
from rich.console import Console
from rich.table import Table

from cli.settings import environment, load
from stream.clock import SystemClock
from stream.evidence.shelf import Shelf
from stream.store import audit
from stream.store import backup as backups
from stream.store.database import HEAD, Database, connect, open_database, prepare, revision
from stream.store.figures import COUNTED_TO, figures
from stream.store.purge import PurgeWish, reclaim
from stream.store.purge import purge as purge_rows
from stream.store.secret_box import KEY_FILE


@contextmanager
def open_store(config: Path | None) -> Iterator[Database]:
    """Give the configured store, with today's tables."""
    settings = load(config, environment())
    database = open_database(settings.store.url.get_secret_value(), user_data_path("styleflow"))
    try:
        yield database
    finally:
        database.close()


def print_info(database: Database, console: Console) -> int:
    """Print what the store holds; return 1 when its audit log was tampered with."""
    with database.reading() as connection:
        found, checked = figures(connection), audit.verify(connection)
    table = Table("table", "rows", box=None)
    for name, count in sorted(found.rows.items()):
        table.add_row(name, f"{count:,}" + (" or more" if count >= COUNTED_TO else ""))
    console.print(f"store   {database.shown}", markup=False, highlight=False)
    console.print(f"tables  revision {HEAD}", highlight=False)
    console.print(f"size    {found.bytes / 2**20:.1f} MiB", highlight=False)
    console.print(f"from    {found.oldest or '-'}", highlight=False)
    console.print(f"to      {found.newest or '-'}", highlight=False)
    whole = "whole" if checked.intact else checked.fault
    console.print(f"audit   {checked.entries} entries, {whole}", markup=False, highlight=False)
    console.print(table)
    return 0 if checked.intact else 1


def migrate(config: Path | None, console: Console) -> None:
    """Bring the tables up to date and say from where."""
    settings = load(config, environment())
    database = connect(settings.store.url.get_secret_value(), user_data_path("styleflow"))
    try:
        before = _revision(database)
        prepare(database)
    finally:
        database.close()
    said = "are up to date" if before == HEAD else f"brought from {before or 'nothing'} to {HEAD}"
    console.print(f"tables of {database.shown} {said}", markup=False, highlight=False)


def _revision(database: Database) -> str | None:
    if database.file is not None and not database.file.exists():
        return None
    with database.reading() as connection:
        return revision(connection)


def backup(database: Database, file: Path, console: Console) -> None:
    """Write a backup and say what is not in it."""
    backups.backup(database, file, environment())
    size = file.stat().st_size / 2**20
    console.print(f"wrote {file} ({size:.1f} MiB)", markup=False, highlight=False)
    console.print(
        f"The key of stored credentials is not in it: copy {KEY_FILE} to another place",
        highlight=False,
    )


def restore(database: Database, file: Path, console: Console) -> None:
    """Restore a backup and note it in the audit log."""
    backups.restore(database, file, environment())
    with database.writing() as connection:
        audit.append(
            connection,
            SystemClock().utc(),
            command_line_user(),
            "store.restored",
            "store",
            {"file": file.name},
        )
    console.print(f"restored {file}", markup=False, highlight=False)


def wish_of(
    incident: str | None, stream: str | None, begin: str | None, end: str | None
) -> PurgeWish:
    """Return what is to be deleted.

    Raises:
        typer.BadParameter: nothing is named, or things that do not go together.
    """
    if incident is None and stream is None and begin is None and end is None:
        raise typer.BadParameter("name an --incident, a --stream, or a time with --from and --to")
    if incident is not None and (stream or begin or end):
        raise typer.BadParameter("--incident goes alone: it says which stream and time are meant")
    return PurgeWish(incident, stream, _moment(begin, "--from"), _moment(end, "--to"))


def purge(
    database: Database, wish: PurgeWish, folder: Path, console: Console, *, even_open: bool = False
) -> None:
    """Delete, and say how much; `folder` is that of the evidence."""
    done = purge_rows(database, wish, SystemClock().utc(), command_line_user(), even_open=even_open)
    for name, count in sorted(done.rows.items()):
        if count:
            console.print(f"{count:>10,}  {name}", highlight=False)
    _delete_evidence(done.files, folder, console)
    reclaim(database)


def _delete_evidence(files: list[str], folder: Path, console: Console) -> None:
    """Delete what lies beside clips that are no longer referred to, and them."""
    shelf = Shelf(folder)
    for name in files:
        shelf.delete(PurePosixPath(name).parts[0])
    if files:
        console.print(f"{len(files):>10,}  videos of incidents", highlight=False)


def _moment(text: str | None, option: str) -> datetime | None:
    if text is None:
        return None
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter(f"{option} is no time: write 2026-03-01T12:00:00Z") from None
    return at if at.tzinfo else at.replace(tzinfo=UTC)


def command_line_user() -> str:
    """Return who runs the command."""
    try:
        return f"command line ({getpass.getuser()})"
    except (OSError, KeyError):
        return "command line"
