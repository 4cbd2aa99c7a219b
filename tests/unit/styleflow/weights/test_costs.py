"""What detectors cost here is measured, kept, and never taken over from elsewhere."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from styleflow.cards import TrainingStatus
from styleflow.detectors.gend.network import GendDims
from styleflow.detectors.gend.published import PUBLISHED
from styleflow.runtime_settings import Precision, RuntimeSettings
from styleflow.weights import costs
from styleflow.weights.costs import Cost, keep, known, measure, place
from styleflow.weights.importing import untrained

NAME = "gend-clip-l14"


@pytest.fixture(autouse=True)
def _cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STYLEFLOW_CACHE", str(tmp_path))


def cost(**changes: Any) -> Cost:
    made = Cost(place("cpu"), "published-1", "float32", 312.5, 0.25, repetitions=5)
    return replace(made, **changes)


def test_a_detector_is_measured_where_it_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    small = replace(PUBLISHED[NAME].tensors, dimensions=GendDims(encoder="clip-slim"))
    monkeypatch.setitem(PUBLISHED, NAME, replace(PUBLISHED[NAME], tensors=small))
    said: list[str] = []
    checkpoint = untrained(NAME)
    assert checkpoint.status is TrainingStatus.UNTRAINED
    found = measure(checkpoint, "cpu", said.append)
    assert found.place == place("cpu")
    assert found.place.torch == torch.__version__
    assert found.frame_ms > 0
    assert found.gpu_mb is None
    assert found.precision == "float32"
    assert found.weights == "untrained-0"
    assert said[-1] == "measuring"


def test_the_asked_precision_is_the_measured_one(monkeypatch: pytest.MonkeyPatch) -> None:
    small = replace(PUBLISHED[NAME].tensors, dimensions=GendDims(encoder="clip-slim"))
    monkeypatch.setitem(PUBLISHED, NAME, replace(PUBLISHED[NAME], tensors=small))
    used: list[RuntimeSettings] = []
    monkeypatch.setattr(costs, "accelerate", lambda _, settings: used.append(settings))
    found = measure(untrained(NAME), precision=Precision.INT8)
    assert found.precision == "int8"
    assert [settings.precision for settings in used] == [Precision.INT8]


def test_nothing_is_known_before_it_was_measured() -> None:
    assert known(NAME, "cpu") is None
    keep(NAME, "cpu", cost())
    assert known(NAME, "cpu") == cost()
    assert known("caddm-resnet34", "cpu") is None


@pytest.mark.parametrize("changed", ["device", "torch", "openvino", "styleflow"])
def test_what_another_machine_or_version_measured_does_not_count(changed: str) -> None:
    elsewhere = replace(place("cpu"), **{changed: "another"})
    keep(NAME, "cpu", cost(place=elsewhere))
    assert known(NAME, "cpu") is None


def test_a_cpu_and_a_gpu_are_kept_beside_one_another(monkeypatch: pytest.MonkeyPatch) -> None:
    keep(NAME, "cpu", cost())
    path = keep(NAME, "cuda", cost(gpu_mb=1500.0))
    assert set(json.loads(path.read_text())) == {"cpu", "cuda"}
    assert known(NAME, "cpu") == cost()
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert known(NAME, "cuda") is None


@pytest.mark.parametrize("text", ["", "{", "[]", '{"cpu": 7}', '{"cpu": {"frame_ms": 1}}'])
def test_a_harmed_file_counts_as_not_measured(text: str) -> None:
    path = costs.costs_path(NAME)
    path.parent.mkdir(parents=True)
    path.write_text(text)
    assert known(NAME, "cpu") is None
    keep(NAME, "cpu", cost())
    assert known(NAME, "cpu") == cost()


def test_a_file_that_is_too_large_is_not_read() -> None:
    path = keep(NAME, "cpu", cost())
    path.write_text(path.read_text() + " " * costs.MAX_FILE_BYTES)
    assert known(NAME, "cpu") is None
