"""The commands under `styleflow evidence`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from cli.commands import ConfigOption, readable

evidence_app = typer.Typer(
    no_args_is_help=True, help="Take what is known of an incident along, and check what came."
)

IncidentArgument = Annotated[str, typer.Argument(help="Its id, as `incidents list` prints it.")]
FolderOption = Annotated[
    Path | None,
    typer.Option("--folder", help="Folder of the videos; that of the configuration if none."),
]


@evidence_app.command("key")
@readable
def evidence_key() -> None:
    """Print the public key that signs bundles, and its fingerprint; made at first use."""
    from cli.evidence import show_key

    show_key(Console())


@evidence_app.command("export")
@readable
def evidence_export(
    incident: IncidentArgument,
    file: Annotated[Path, typer.Argument(help="The zip file to write.")],
    folder: FolderOption = None,
    config: ConfigOption = None,
) -> None:
    """Write a signed bundle of video, scores, events, configuration, model and audit log."""
    from cli.evidence import export
    from cli.settings import environment, load

    export(load(config, environment()), incident, file, folder, Console())


@evidence_app.command("verify")
@readable
def evidence_verify(
    file: Annotated[Path, typer.Argument(help="A bundle.")],
    key: Annotated[
        list[str] | None,
        typer.Option(help="Fingerprint of a key to trust instead of this user's; repeat it."),
    ] = None,
) -> None:
    """Say what of a bundle is as it was signed, what is not, and who signed.

    It needs neither the store nor a network. Exit codes: 0 as it was signed by a key that is
    known, 1 changed, or refused, 4 as it was signed by a key that is not known.
    """
    from cli.evidence import check

    raise typer.Exit(check(file, key or (), Console()))


@evidence_app.command("replay")
@readable
def evidence_replay(
    file: Annotated[Path, typer.Argument(help="A bundle.")],
    key: Annotated[
        list[str] | None,
        typer.Option(help="Fingerprint of a key to trust instead of this user's; repeat it."),
    ] = None,
    weights: Annotated[
        list[Path] | None,
        typer.Option(help="File of weights that the scores were made with; repeat it."),
    ] = None,
    rows: Annotated[int, typer.Option(min=0, help="Lines of the table, at most.")] = 60,
    config: ConfigOption = None,
) -> None:
    """Score the packets of a bundle again and compare with the recorded scores.

    Scores can be the same to the last bit where the video holds the beginning of the connection,
    on the same CPU and runtime; otherwise a tolerance is said. Exit codes: 0 the same within
    tolerance, 1 not, or refused, 4 nothing could be compared.
    """
    from cli.evidence_replay import run
    from cli.settings import environment, load

    settings = load(config, environment())
    raise typer.Exit(run(settings, file, key or (), weights or (), rows, Console()))


@evidence_app.command("report")
@readable
def evidence_report(
    incident: IncidentArgument,
    file: Annotated[Path, typer.Argument(help="The HTML file to write.")],
    folder: FolderOption = None,
    config: ConfigOption = None,
) -> None:
    """Write one page for people who will not open a bundle: picture, timeline, facts, limits."""
    from cli.evidence import write_report
    from cli.settings import environment, load

    write_report(load(config, environment()), incident, file, folder, Console())
