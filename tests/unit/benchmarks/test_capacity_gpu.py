"""Promises of the GPU's capacity benchmark: what is searched, what is written, and when not."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
import typer
from typer.testing import CliRunner

from benchmarks import capacity, capacity_gpu
from benchmarks.capacity_gpu import TARGETS, GpuMissing, Target, document, reach, run, settings_of
from benchmarks.hardware import hardware
from benchmarks.held import Load
from benchmarks.latency import Spread
from cli.settings import Settings

needs_no_gpu = pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")


def holding(edge: int, asked: list[int] | None = None) -> capacity_gpu.LoadOf:
    """Return what holds up to so many streams."""

    def load_of(settings: Settings, streams: int, clip: Path) -> Load:
        if asked is not None:
            asked.append(streams)
        p95 = 50.0 if streams <= edge else 900.0
        spread = Spread(100, 20.0, p95, p95)
        return Load(streams, spread, float(streams), 0.0, 4.0, 2.0, 1.0)

    return load_of


def test_the_targets_are_those_that_were_set() -> None:
    assert [(t.detector, t.streams, t.cadence_hz) for t in TARGETS] == [
        ("styleflow-live", 72, None),
        ("styleflow", 16, None),
        ("gend-clip-l14", 30, 2.0),
    ]


@pytest.mark.parametrize("target", TARGETS)
def test_settings_name_the_detector_the_device_and_room_for_every_face(target: Target) -> None:
    settings = settings_of(target, "cuda:1")
    (detector,) = settings.detectors
    assert (detector.name, detector.cadence_hz) == (target.detector, target.cadence_hz)
    assert settings.model.device == "cuda:1"
    assert settings.model.slots >= 2 * target.streams


@pytest.mark.parametrize("edge", [0, 5, 71, 72, 73, 100, 144, 500])
def test_the_edge_is_found_to_one_stream_and_the_search_begins_at_the_target(edge: int) -> None:
    asked: list[int] = []
    found = reach(TARGETS[0], "cpu", Path("clip"), holding(edge, asked))
    assert found.held == min(edge, 144)
    assert found.met is (edge >= 72)
    assert asked[0] == 72
    assert len(asked) == len(set(asked)) == len(found.loads)


def test_what_is_known_is_written_target_by_target(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(capacity_gpu, "render", lambda path, size: path)
    told: list[str] = []
    path = run(
        TARGETS[:2],
        hardware(),
        tmp_path,
        holding(20),
        seconds=1.0,
        device="cpu",
        told=lambda one: told.append(one.target.name),
    )
    written = json.loads(path.read_text())
    assert told == ["default", "exact"]
    assert [(t["target"]["streams"], t["held"], t["met"]) for t in written["targets"]] == [
        (72, 20, False),
        (16, 20, True),
    ]
    assert set(written["targets"][0]["fallen_back"]) == {"full", "refused", "differs"}
    shown = capacity_gpu.table([reach(TARGETS[2], "cpu", Path("clip"), holding(31))])
    assert shown.row_count == 1
    assert document([], hardware(), 1.0)["targets"] == []


@needs_no_gpu
def test_without_a_gpu_nothing_is_measured_and_that_is_said(tmp_path: Path) -> None:
    with pytest.raises(GpuMissing):
        run(TARGETS, hardware(), tmp_path, holding(20), seconds=1.0)
    program = typer.Typer()
    program.command()(capacity.main)
    done = CliRunner().invoke(program, ["--gpu", "--out", str(tmp_path)])
    assert done.exit_code == 1
    assert "nothing was measured" in " ".join(done.output.split())
    assert list(tmp_path.iterdir()) == []


def test_a_strange_target_is_refused() -> None:
    program = typer.Typer()
    program.command()(capacity.main)
    done = CliRunner().invoke(program, ["--gpu", "--only-target", "fast"])
    assert done.exit_code == 2
    assert "foundation" in done.output
