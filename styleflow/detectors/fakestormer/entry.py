"""Registry entries of the published FakeSTormer detectors."""

from __future__ import annotations

from styleflow.cards import TemporalMode
from styleflow.detectors.entry import DetectorEntry

_FOLDER = "styleflow.detectors.fakestormer"

NAMES = ("fakestormer-c0", "fakestormer-c23", "fakestormer-c40")
"""The published detectors: one network, trained on three compression levels of FaceForensics++."""

ENTRIES = tuple(
    DetectorEntry(
        name=name,
        mode=TemporalMode.EXACT,
        dimensions_at=f"{_FOLDER}.backbone:FakeStormerDims",
        network_at=f"{_FOLDER}.live:DeployableFakeStormer",
        published_at=f"{_FOLDER}.published:PUBLISHED",
        method="fakestormer",
    )
    for name in NAMES
)
