"""Places of downloaded weights: the hub, and folders on this machine.

Nothing heavy is loaded to know them.
"""

from __future__ import annotations

import os
from pathlib import Path

ENDPOINT = "https://huggingface.co"
"""Address of the Hugging Face hub; the variable `HF_ENDPOINT` names another, such as a mirror."""


def cache_dir() -> Path:
    """Return where downloaded models are kept: `STYLEFLOW_CACHE`, or below the user's cache."""
    chosen = os.environ.get("STYLEFLOW_CACHE")
    if chosen:
        return Path(chosen)
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "styleflow"


def detectors_dir() -> Path:
    """Return the folder of fetched detectors."""
    return cache_dir() / "detectors"


def fetched_path(name: str) -> Path:
    """Return where a fetched detector's checkpoint is, or would be."""
    return detectors_dir() / f"{name}.safetensors"


def fetched(name: str) -> Path | None:
    """Return a fetched detector's checkpoint; None when it is not on this machine."""
    path = fetched_path(name)
    return path if path.is_file() else None
