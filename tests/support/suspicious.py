"""An analyzer's configuration with which every face is taken for synthesised.

The detector is the default one with a calibration of the test's own: what is shown is the way of an
incident, never what the model sees.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml


def suspicious_config(folder: Path, **more: Any) -> Path:
    """Write the configuration, with its database and its evidence below a folder.

    Args:
        folder: where to.
        more: further sections, or other values of those that are here.
    """
    settings = {
        "store": {"url": f"sqlite:///{folder / 'styleflow.db'}"},
        "evidence": {"folder": str(folder / "evidence"), "before_s": 5, "after_s": 1},
        "incidents": {"experimental_alarms": True, "quiet_s": 3, "merge_s": 3},
        "detectors": [
            {"name": "styleflow-live", "calibration": {"scale": 0.01, "bias": 8, "spread": 0.1}}
        ],
        **more,
    }
    path = folder / "styleflow.yaml"
    path.write_text(yaml.safe_dump(settings))
    return path
