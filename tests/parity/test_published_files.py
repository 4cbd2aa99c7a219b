"""From the authors' file to a live rating, full size: written in their layout, imported, run."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from styleflow.detectors.protocol import Detector
from styleflow.weights.checkpoint import build, load, save
from styleflow.weights.importing import import_files
from tests.parity.fill import filled_state, reference
from tests.support.authors import single_file

# Writes and reads up to two gigabytes; four minutes each while others use the machine too.
pytestmark = [pytest.mark.huge, pytest.mark.timeout(900)]


def authors_file(name: str, folder: Path, gain: float = 1.0) -> Path:
    """A file of known weights as the authors lay it out, wrapped for data parallelism.

    Args:
        name: the detector.
        folder: where it is written.
        gain: multiplies the backbone's matrices, as in the stored cases.
    """
    layout = single_file(name)
    state = filled_state(layout.expected())
    for key, tensor in state.items():
        if key.startswith("base_model.") and tensor.ndim >= 2:
            tensor.mul_(gain)
    path = folder / layout.publication.file
    torch.save({layout.wrapper: {f"module.{k}": v for k, v in state.items()}, "epoch": 7}, path)
    return path


def detector_of(theirs: Path, name: str) -> Detector:
    """Import a file, write our checkpoint, and build from that; both files are removed."""
    checkpoint, report = import_files([theirs], name)
    assert report.fits
    ours = theirs.with_suffix(".safetensors")
    save(checkpoint, ours)
    theirs.unlink()
    detector = build(load(ours))
    ours.unlink()
    return detector


@pytest.mark.parametrize(
    ("backbone", "gain", "tolerance"),
    [("resnet34", 1.0, 1e-2), ("efficientnet-b3", 1.1, 2e-4), ("efficientnet-b4", 1.1, 2e-4)],
)
def test_caddm(backbone: str, gain: float, tolerance: float, tmp_path: Path) -> None:
    """The live rating of the stored crop is the published program's (case D)."""
    stored, name = reference("caddm", f"parity_{backbone}.npz"), f"caddm-{backbone}"
    crop = reference("caddm", "parity_preprocess.npz")["test_crop_fake"]
    detector = detector_of(authors_file(name, tmp_path, gain), name)
    state, row = detector.init_state(1), torch.tensor([0])
    rgb = torch.from_numpy(crop[..., ::-1].copy())[None]
    detector.push(state, row, rgb, torch.tensor([0]))
    real, fake = stored["D_logits"][0]
    assert detector.rate(state, row).item() == pytest.approx(fake - real, abs=tolerance)


def test_fakestormer(tmp_path: Path) -> None:
    """Black crops, then white ones: a finite rating once four are there, and not before."""
    detector = detector_of(authors_file("fakestormer-c23", tmp_path), "fakestormer-c23")
    state, row = detector.init_state(1), torch.tensor([0])
    ratings = []
    for value in (0, 0, 255, 255):
        crop = torch.full((1, 224, 224, 3), value, dtype=torch.uint8)
        detector.push(state, row, crop, torch.tensor([0]))
        ratings.append(detector.rate(state, row))
    assert [bool(r.isfinite()) for r in ratings] == [False, False, False, True]
