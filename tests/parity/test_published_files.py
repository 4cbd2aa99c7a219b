"""From the authors' file to a live rating, full size: written in their layout, imported, run."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from styleflow.checkpoint import build, load, save
from styleflow.importing import import_file
from styleflow.models.port import LAYOUTS
from tests.parity.fill import filled_state, reference

pytestmark = pytest.mark.slow  # writes and reads some hundred megabytes


def authors_file(name: str, folder: Path) -> Path:
    """A file of known weights as the authors lay it out, wrapped for data parallelism."""
    layout = LAYOUTS[name]
    state = filled_state(layout.expected())
    path = folder / layout.publication.file
    torch.save({layout.wrapper: {f"module.{k}": v for k, v in state.items()}, "epoch": 7}, path)
    return path


def imported(name: str, folder: Path) -> Path:
    checkpoint, report = import_file(authors_file(name, folder), name)
    assert report.fits
    save(checkpoint, folder / f"{name}.safetensors")
    return folder / f"{name}.safetensors"


def test_caddm(tmp_path: Path) -> None:
    """The live rating of the stored crop is the published program's (case D)."""
    stored = reference("caddm", "parity_resnet34.npz")
    crop = reference("caddm", "parity_preprocess.npz")["test_crop_fake"]
    detector = build(load(imported("caddm-resnet34", tmp_path)))
    state, row = detector.init_state(1), torch.tensor([0])
    rgb = torch.from_numpy(crop[..., ::-1].copy())[None]
    detector.push(state, row, rgb, torch.tensor([0]))
    real, fake = stored["D_logits"][0]
    assert detector.rate(state, row).item() == pytest.approx(fake - real, abs=1e-2)


def test_fakestormer(tmp_path: Path) -> None:
    """Black crops, then white ones: a finite rating once four are there, and not before."""
    detector = build(load(imported("fakestormer-c23", tmp_path)))
    state, row = detector.init_state(1), torch.tensor([0])
    ratings = []
    for value in (0, 0, 255, 255):
        crop = torch.full((1, 224, 224, 3), value, dtype=torch.uint8)
        detector.push(state, row, crop, torch.tensor([0]))
        ratings.append(detector.rate(state, row))
    assert [bool(r.isfinite()) for r in ratings] == [False, False, False, True]
