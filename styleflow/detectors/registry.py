"""Registry of detectors: every one by its name.

A new detector is a folder beside this file, with `entry.py`, `network.py`, `live.py` and, where its
weights come from somebody else, `published.py`; and one line in the table below. Reading the
registry loads no network and no torch.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from styleflow.detectors.caddm.entry import ENTRIES as CADDM
from styleflow.detectors.entry import DetectorEntry
from styleflow.detectors.fakestormer.entry import ENTRIES as FAKESTORMER
from styleflow.detectors.gend.entry import ENTRIES as GEND
from styleflow.detectors.styleflow.entry import ENTRIES as STYLEFLOW
from styleflow.detectors.styleflow_live.entry import ENTRIES as STYLEFLOW_LIVE
from styleflow.errors import DetectorNotFound

DETECTORS: Mapping[str, DetectorEntry] = MappingProxyType(
    {entry.name: entry for entry in (*STYLEFLOW_LIVE, *STYLEFLOW, *CADDM, *FAKESTORMER, *GEND)}
)
"""Every detector by name, in the order in which they are listed."""

BUILT_IN = next(name for name, entry in DETECTORS.items() if entry.built_in)
"""The detector whose weights travel inside the package."""

PUBLISHED = tuple(name for name, entry in DETECTORS.items() if entry.published_at)
"""Detectors whose weights come from their authors."""


def find(name: str) -> DetectorEntry:
    """Return the entry of a detector.

    Raises:
        DetectorNotFound: no detector has this name; the error lists those that exist.
    """
    if name not in DETECTORS:
        raise DetectorNotFound(name, list(DETECTORS))
    return DETECTORS[name]
