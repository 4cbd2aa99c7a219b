"""Matplotlib, loaded when something is drawn: it wants a folder to write in as soon as it is."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cli.errors import FolderNeeded
from cli.settings import environment

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def load() -> None:
    """Load matplotlib, to draw into files alone.

    Raises:
        FolderNeeded: there is no folder for its list of fonts.
    """
    logging.getLogger("matplotlib").setLevel(logging.ERROR)  # it warns of what is told here
    try:
        import matplotlib as mpl
    except OSError as error:  # it has neither number nor name of a file
        wanted = environment().get("MPLCONFIGDIR") or Path.home() / ".config" / "matplotlib"
        raise FolderNeeded("matplotlib", Path(wanted), "MPLCONFIGDIR") from error
    mpl.use("Agg")


def figure(**options: Any) -> Figure:
    """Return an empty picture. Raises FolderNeeded."""
    load()
    from matplotlib.figure import Figure

    return Figure(**options)
