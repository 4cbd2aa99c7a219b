"""Registry entries of the published CADDM detectors."""

from __future__ import annotations

from styleflow.cards import TemporalMode
from styleflow.detectors.entry import DetectorEntry

_FOLDER = "styleflow.detectors.caddm"

NAMES = ("caddm-resnet34", "caddm-efficientnet-b3", "caddm-efficientnet-b4")
"""The published detectors; what follows `caddm-` is the backbone."""

ENTRIES = tuple(
    DetectorEntry(
        name=name,
        mode=TemporalMode.EXACT,
        dimensions_at=f"{_FOLDER}.network:CaddmDims",
        network_at=f"{_FOLDER}.live:DeployableCaddm",
        published_at=f"{_FOLDER}.published:PUBLISHED",
        method="caddm",
    )
    for name in NAMES
)
