"""The commands under `styleflow incidents`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer
from rich.console import Console

from cli.commands import ConfigOption, readable

incidents_app = typer.Typer(
    no_args_is_help=True, help="See what was found suspect, and take operators' labels along."
)

JsonOption = Annotated[bool, typer.Option("--json", help="As it travels on the wire.")]


@incidents_app.command("list")
@readable
def incidents_list(
    stream: Annotated[str | None, typer.Option(help="Only those of this stream.")] = None,
    status: Annotated[
        Literal["open", "closed"] | None, typer.Option(help="Only those that are so.")
    ] = None,
    severity: Annotated[
        Literal["hint", "low", "medium", "high"] | None,
        typer.Option(help="Only those of this severity."),
    ] = None,
    label: Annotated[
        Literal["true", "false", "unclear"] | None, typer.Option(help="Only those labelled so.")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="At most so many.")] = 50,
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Print incidents from the store, newest first; the analyzer may run meanwhile."""
    from cli.incidents import show_list
    from cli.settings import environment, load
    from stream.incident import IncidentStatus, Label, Severity
    from stream.incidents.records import Wanted

    wanted = Wanted(
        stream=stream,
        status=IncidentStatus(status) if status else None,
        severity=Severity[severity.upper()] if severity else None,
        label=Label(label) if label else None,
    )
    show_list(load(config, environment()).store, wanted, limit, Console(), as_json=as_json)


@incidents_app.command("show")
@readable
def incidents_show(
    incident: Annotated[str, typer.Argument(help="Its id, as `incidents list` prints it.")],
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Print one incident with its comments and who did what."""
    from cli.incidents import show
    from cli.settings import environment, load

    show(load(config, environment()).store, incident, Console(), as_json=as_json)


@incidents_app.command("export")
@readable
def incidents_export(
    file: Annotated[Path, typer.Argument(help="The manifest to write, a .csv.")],
    evidence: Annotated[
        Path | None,
        typer.Option(help="Folder of the clips; the configuration's `evidence.folder` if none."),
    ] = None,
    split: Annotated[
        str, typer.Option(help="What the column says: train, val, dev, …; empty is trained on.")
    ] = "",
    stream: Annotated[
        list[str] | None, typer.Option(help="Only this stream's; repeat for several.")
    ] = None,
    config: ConfigOption = None,
) -> None:
    """Write labelled clips as a manifest for `styleflow evaluate` and `styleflow train`.

    Incidents labelled true are fakes, those labelled false are real; unclear ones and those
    without a clip are left out and counted.
    """
    from cli.incidents import evidence_folder, export
    from cli.settings import environment, load

    settings = load(config, environment())
    folder = evidence or evidence_folder(settings.evidence)
    export(settings.store, file, folder, split, stream or (), Console())
