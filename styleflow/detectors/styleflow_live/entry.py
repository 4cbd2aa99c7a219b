"""Registry entry of `styleflow-live`."""

from __future__ import annotations

from styleflow.cards import TemporalMode
from styleflow.detectors.entry import DetectorEntry

_FOLDER = "styleflow.detectors.styleflow_live"

ENTRIES = (
    DetectorEntry(
        name="styleflow-live",
        mode=TemporalMode.CAUSAL,
        dimensions_at=f"{_FOLDER}.network:StyleFlowLiveDims",
        network_at=f"{_FOLDER}.live:StyleFlowLiveDetector",
        published_at=None,
        method="styleflow-live",
        built_in=True,
        retired=frozenset({"encoder", "shrink", "content"}),
    ),
)
