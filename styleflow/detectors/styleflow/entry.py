"""Registry entry of the published StyleFlow."""

from __future__ import annotations

from styleflow.cards import TemporalMode
from styleflow.detectors.entry import DetectorEntry

_FOLDER = "styleflow.detectors.styleflow"

ENTRIES = (
    DetectorEntry(
        name="styleflow",
        mode=TemporalMode.EXACT,
        dimensions_at=f"{_FOLDER}.network:StyleFlowDims",
        network_at=f"{_FOLDER}.live:DeployableStyleFlow",
        published_at=f"{_FOLDER}.parts:PUBLISHED",
        method="styleflow",
    ),
)
