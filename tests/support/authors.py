"""Files of weights as the authors lay them out, with values that follow from the tensors' names."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from styleflow.detectors.authors_files import SingleFile
from styleflow.detectors.caddm.published import PUBLISHED as CADDM
from styleflow.detectors.fakestormer.published import PUBLISHED as FAKESTORMER
from styleflow.detectors.styleflow.cnn3d import ContentDims
from styleflow.detectors.styleflow.network import StyleFlow, StyleFlowDims
from styleflow.detectors.styleflow.psp import PspDims
from styleflow.detectors.styleflow.style_levels import StyleLevels
from tests.parity.fill import built, filled_state

TOY_STYLEFLOW = StyleFlowDims(
    psp=PspDims(size_px=32, width=2, units=(1, 2, 3, 1)),
    levels=StyleLevels("middle+"),
    hidden=16,
    gru_head=8,
    content=ContentDims(size_px=224, width=2, blocks=(2, 1, 2)),
    heads=1,
    head=16,
    inner=24,
)
"""As little as still tells its dimensions by its shapes."""


def single_file(name: str) -> SingleFile:
    """Return the layout of a detector that is published as one file."""
    return (CADDM | FAKESTORMER)[name]


def shrink(monkeypatch: pytest.MonkeyPatch, toys: Mapping[str, Any]) -> None:
    """Give published files the dimensions of toys, by the detectors' names, during one test."""
    for name, dimensions in toys.items():
        table = CADDM if name in CADDM else FAKESTORMER
        monkeypatch.setitem(table, name, replace(table[name], dimensions=dimensions))


def authors_files(name: str, folder: Path) -> list[Path]:
    """Write what the authors of a detector publish, wrapped as they wrap it."""
    return _styleflow_files(folder) if name == "styleflow" else [_one_file(name, folder)]


def _one_file(name: str, folder: Path) -> Path:
    layout = single_file(name)
    state = filled_state(layout.expected())
    path = folder / f"{layout.name}.pkl"
    torch.save({layout.wrapper: {f"module.{k}": v for k, v in state.items()}, "epoch": 7}, path)
    return path


def _styleflow_files(folder: Path) -> list[Path]:
    network = built(lambda: StyleFlow(TOY_STYLEFLOW))
    encoder = {f"encoder.{n}": t for n, t in network.psp.encoder.state_dict().items()}
    gru = {f"module.model.{n}": t for n, t in network.style_gru.state_dict().items()}
    contents: dict[str, Any] = {
        "psp.pt": {
            "state_dict": encoder | {"decoder.style.1.weight": torch.zeros(2, 2)},
            "latent_avg": network.psp.latent_avg,
            "opts": {"encoder_type": "GradualStyleEncoder"},
        },
        "stylegru.pth": {"epoch": 7, "state_dict": gru},
        "stage2.pth": {n: t for n, t in network.state_dict().items() if n.startswith("resnet.")},
    }
    for file, content in contents.items():
        torch.save(content, folder / file)
    return [folder / file for file in contents]
