"""The commands under `styleflow checkpoints`."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from cli.commands import readable
from styleflow.clips import PspInput
from styleflow.runtime_settings import Precision

checkpoints_app = typer.Typer(
    no_args_is_help=True, help="Bring the published detectors' weights in, and look at files."
)


@checkpoints_app.command("list")
@readable
def checkpoints_list() -> None:
    """Say which files the detectors' authors publish, where, under which licence, and what is here.

    GPU memory and CPU time are those that `checkpoints measure` found on this machine.
    """
    from cli.checkpoints import show_published

    show_published(Console())


@checkpoints_app.command("info")
@readable
def checkpoints_info(
    file: Annotated[Path, typer.Argument(help="A checkpoint, or a file as it was published.")],
) -> None:
    """Say what a file of weights is, and what is missing or left over in it."""
    from cli.checkpoints import show_file

    show_file(file, Console())


YesOption = Annotated[
    bool, typer.Option("--yes", "-y", help="Agree to the licence that is shown; do not ask.")
]


@checkpoints_app.command("fetch")
@readable
def checkpoints_fetch(
    detector: Annotated[str, typer.Argument(help="A detector that is on the Hugging Face hub.")],
    yes: YesOption = False,
    again: Annotated[bool, typer.Option("--again", help="Fetch it anew if it is there.")] = False,
    library: Annotated[
        bool,
        typer.Option(
            "--library",
            help="Download through huggingface_hub: in parallel, but from the start every time.",
        ),
    ] = False,
) -> None:
    """Download a detector's weights from its authors' page, verify, import and keep them.

    Size and licence are shown and asked about before. A download that ends early is continued by
    the next call. `HF_ENDPOINT` names a mirror, `HF_TOKEN` an account for pages that ask.
    """
    from cli.fetch import run
    from cli.settings import environment

    run(detector, Console(), environment(), agreed=yes, again=again, library=library)


@checkpoints_app.command("measure")
@readable
def checkpoints_measure(
    detector: Annotated[str, typer.Argument(help="A published detector.")],
    device: Annotated[str, typer.Option(help="cpu, cuda or cuda:N.")] = "cpu",
    precision: Annotated[
        Precision, typer.Option(help="What OpenVINO computes in on a CPU, as when live.")
    ] = Precision.FLOAT32,
) -> None:
    """Measure what one face costs on this machine, and keep it for `checkpoints list`.

    Random weights are taken where none were fetched: they cost the same.
    """
    from cli.checkpoints import measure

    if not re.fullmatch(r"cpu|cuda(:\d+)?", device):
        raise typer.BadParameter("a device is cpu, cuda or cuda:N")
    measure(detector, device, precision, Console())


@checkpoints_app.command("import")
@readable
def checkpoints_import(
    detector: Annotated[str, typer.Argument(help="Which detector the weights belong to.")],
    files: Annotated[
        list[Path] | None, typer.Argument(help="The authors' file, or StyleFlow's three.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Where to write it; DETECTOR.safetensors when left out.")
    ] = None,
    psp_input: Annotated[
        PspInput,
        typer.Option(help="What StyleFlow's style encoder was fed: its clip's crop, or FFHQ's."),
    ] = PspInput.CLIP,
    fetch: Annotated[
        bool, typer.Option("--fetch", help="Download the files, as `checkpoints fetch` does.")
    ] = False,
    yes: YesOption = False,
) -> None:
    """Turn the authors' file into a verified checkpoint; nothing in the file is run."""
    if fetch == bool(files) or (fetch and out is not None):
        raise typer.BadParameter("give the authors' FILES, or --fetch alone to download them")
    if fetch:
        from cli.fetch import run
        from cli.settings import environment

        run(detector, Console(), environment(), agreed=yes)
        return
    from cli.checkpoints import bring_in

    path = out or Path(f"{detector}.safetensors")
    bring_in(detector, files or (), path, Console(), psp_input)
