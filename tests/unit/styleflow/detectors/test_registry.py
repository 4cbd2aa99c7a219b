"""The registry of detectors: one table from which every other one follows."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
from torch import nn

import styleflow.detectors
from styleflow.calibration import Calibration
from styleflow.cards import ModelCard, TrainingStatus
from styleflow.detectors.registry import BUILT_IN, DETECTORS, PUBLISHED, find
from styleflow.errors import DetectorNotFound
from styleflow.training.methods import METHODS

FOLDERS = Path(styleflow.detectors.__file__).parent

each = pytest.mark.parametrize("name", DETECTORS)


@each
def test_an_entry_builds_its_network_on_the_meta_device(name: str) -> None:
    """Import strings lead somewhere, and what they lead to goes together."""
    import torch

    entry = find(name)
    published = entry.published()
    dimensions = entry.dimensions()() if published is None else published.dimensions
    card = ModelCard(name, "1", entry.mode, TrainingStatus.UNTRAINED, "")
    with torch.device("meta"):
        network = entry.network()(dimensions, card, Calibration())
    assert isinstance(network, nn.Module)
    assert isinstance(dimensions, entry.dimensions())
    assert dataclasses.is_dataclass(dimensions)
    assert network.card == card
    assert callable(network.deploy)


@each
def test_a_method_trains_it_or_it_is_published_only(name: str) -> None:
    entry = find(name)
    assert entry.method in METHODS or (entry.method is None and entry.published_at)


def test_weights_come_from_the_package_or_from_authors() -> None:
    assert [name for name, entry in DETECTORS.items() if entry.built_in] == [BUILT_IN]
    assert set(DETECTORS) == {BUILT_IN, *PUBLISHED}


def test_every_folder_of_a_detector_is_registered() -> None:
    """A folder with a network has an entry, and an entry's parts lie in its own folder."""
    folders = {path.parent.name for path in FOLDERS.glob("*/network.py")}
    found = {entry.network_at.split(".")[2] for entry in DETECTORS.values()}
    assert folders == found
    for entry in DETECTORS.values():
        parts = filter(None, (entry.dimensions_at, entry.network_at, entry.published_at))
        assert len({part.split(".")[2] for part in parts}) == 1


def test_an_unknown_name_is_answered_with_those_that_exist() -> None:
    with pytest.raises(DetectorNotFound, match=r"no detector 'caddm'.*styleflow-live, styleflow"):
        find("caddm")
