"""Files of published weights in the user's cache: where they are, and whether they are unharmed.

Fetching and converting them is `styleflow.data`'s business; whoever builds a network only reads
what has been put here. Beside every file lies a receipt with its digest.
"""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Mapping
from pathlib import Path

import safetensors
import safetensors.torch
from torch import Tensor

from styleflow.digest import file_digest
from styleflow.errors import WeightsMissing, WeightsUnusable
from styleflow.weights.places import cache_dir

REMEDY = "styleflow models fetch"
DINOV2 = "foundation network"
"""Name of DINOv2's weights in messages."""

_DINOV2_FILE = "dinov2-vits14-1.safetensors"  # counts up when tensors are renamed


def dinov2_path() -> Path:
    """Return the file of the published foundation network."""
    return cache_dir() / _DINOV2_FILE


def dinov2() -> dict[str, Tensor]:
    """Return the published DINOv2 ViT-S/14: tensors by the names of `VisionTransformer`.

    Raises:
        WeightsMissing: it has not been fetched on this machine.
        WeightsUnusable: the file is there but harmed.
    """
    path = dinov2_path()
    if not path.is_file():
        raise WeightsMissing(DINOV2, path, REMEDY)
    if not is_intact(path):
        raise WeightsUnusable(DINOV2, f"{path} is damaged; run: {REMEDY}")
    try:
        return safetensors.torch.load_file(path)
    except safetensors.SafetensorError as error:
        raise WeightsUnusable(DINOV2, f"{path} is damaged; run: {REMEDY}") from error


def store(path: Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> None:
    """Write weights and their receipt; each file appears complete or not at all.

    Raises:
        OSError: they cannot be written.
    """
    data = safetensors.torch.save(
        {name: tensor.contiguous() for name, tensor in tensors.items()}, dict(metadata)
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    _write_atomically(path, data)
    _write_atomically(_receipt(path), json.dumps({"sha256": sha256(data)}).encode())


def is_intact(path: Path) -> bool:
    """Say whether a file is what its receipt says."""
    try:
        recorded = json.loads(_receipt(path).read_text())
        return bool(recorded["sha256"] == file_digest(path))
    except (OSError, ValueError, KeyError, TypeError):
        return False  # missing or harmed either way: fetched anew


def sha256(data: bytes) -> str:
    """Return a digest, hexadecimal."""
    return hashlib.sha256(data).hexdigest()


def _receipt(path: Path) -> Path:
    return path.with_suffix(".json")


def _write_atomically(path: Path, data: bytes) -> None:
    with tempfile.NamedTemporaryFile(dir=path.parent, prefix=path.name, delete=False) as file:
        file.write(data)
    try:
        Path(file.name).chmod(0o644)  # temporary files are private, a cache need not be
        Path(file.name).replace(path)
    except OSError:
        Path(file.name).unlink(missing_ok=True)
        raise
