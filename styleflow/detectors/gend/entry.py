"""Registry entries of the published GenD detectors."""

from __future__ import annotations

from styleflow.cards import TemporalMode
from styleflow.detectors.entry import DetectorEntry

_FOLDER = "styleflow.detectors.gend"

NAMES = ("gend-clip-l14", "gend-pe-l", "gend-dinov3-l")
"""The published detectors; what follows `gend-` is the encoder."""

ENTRIES = tuple(
    DetectorEntry(
        name=name,
        mode=TemporalMode.EXACT,
        dimensions_at=f"{_FOLDER}.network:GendDims",
        network_at=f"{_FOLDER}.live:DeployableGend",
        published_at=f"{_FOLDER}.published:PUBLISHED",
        method=None,
    )
    for name in NAMES
)
