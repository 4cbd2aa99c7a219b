"""Every published method from a folder of videos to weights, by the command a user types."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from cli import prepare as prepare_command
from cli import train as train_command
from cli.errors import Exit
from cli.main import app
from styleflow.detectors.layers.style_gru import StyleGRU, StyleGruDims
from styleflow.digest import file_digest
from styleflow.training.styleflow.stage1 import write
from styleflow.weights import importing
from styleflow.weights.checkpoint import load
from tests.support.clips import MiddleFinder, write_video
from tests.support.style_videos import psp_file

CADDM = """
method: caddm
dimensions: {backbone: resnet34}
prepare: {frames: 12}
frames: 2
made: [self_blend]
batch: 2
fake_share: 0.5
validation_frames: 1
"""
FAKESTORMER = """
method: fakestormer
detector: fakestormer-c40
dimensions:
  {image_px: 32, patch_px: 8, width: 16, depth: 1, heads: 2, frames: 4, repaired: true}
prepare: {frames: 12}
batch: 1
validation_clips: 1
loop: {steps: 50, accumulate: 1, bf16: false, sharpness: 0.05, log_every: 1, validate_every: 25}
turns: {time: 1, space: 1}
"""
STYLE_GRU = """
method: stylegru
psp: psp_ffhq_encode.pt
levels: coarse
hidden: 8
head: 4
clips: {frames: 8, hop: 4, most: 2}
prepare: {frames: 12}
triplets: 2
loop: {steps: 50, bf16: false, log_every: 1, validate_every: 25}
"""
STYLEFLOW = """
method: styleflow
psp: psp_ffhq_encode.pt
style_gru: stylegru.pth
content: {frames: 8, size_px: 16, width: 2, blocks: [1, 1, 1]}
heads: 2
head_width: 8
inner: 16
clips: {frames: 8, hop: 8, most: 1}
prepare: {frames: 12}
batch: 2
head_alone: {steps: 50, bf16: false, log_every: 1}
together: {steps: 50, bf16: false, log_every: 1, validate_every: 25}
turns: {time: 1, space: 1}
"""


@pytest.fixture
def videos(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two real videos and two fake ones, of four people, and the parts that stages start from."""
    monkeypatch.setattr(prepare_command, "load_finder", MiddleFinder)
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "videos"
    folder.mkdir()
    rows = ["file,split,label,group"]
    for number, split in enumerate(("train", "train", "val", "val")):
        rng = np.random.default_rng(number)
        tiles = rng.integers(40, 216, (12, 12, 12, 3), dtype=np.uint8)
        write_video(folder / f"{number}.mp4", tiles.repeat(8, 1).repeat(8, 2))
        rows.append(f"{number}.mp4,{split},{'fake' if number % 2 else 'real'},person-{number}")
    (folder / "manifest.csv").write_text("\n".join(rows))
    psp_file(tmp_path)
    with torch.random.fork_rng():
        torch.manual_seed(3)
        gru = StyleGRU(StyleGruDims(features=3 * 16, hidden=8, head=4, flow=7))
    write(gru, 1, tmp_path / "stylegru.pth")
    return folder


def _train(videos: Path, recipe: str, *options: str, code: int = 0) -> str:
    Path("recipe.yaml").write_text(recipe)
    arguments = ("--recipe", "recipe.yaml", "--work", "work", "--processes", "1", "--steps", "1")
    out = ("--out", "made.safetensors")
    ran = CliRunner().invoke(
        app, ["train", str(videos), *arguments, *out, *options], env={"COLUMNS": "160"}
    )
    assert ran.exit_code == code, ran.output + repr(ran.exception)
    return " ".join(ran.stderr.split())


@pytest.mark.parametrize(
    ("recipe", "detector", "stages"),
    [
        # The published backbone at its size; its training is tested small beside its code.
        pytest.param(CADDM, "caddm-resnet34", ("caddm",), marks=pytest.mark.slow),
        (FAKESTORMER, "fakestormer-c40", ("fakestormer",)),
        (STYLEFLOW, "styleflow", ("head_alone", "together")),
    ],
    ids=["caddm", "fakestormer", "styleflow"],
)
def test_a_trial_goes_from_videos_to_weights(
    videos: Path,
    recipe: str,
    detector: str,
    stages: tuple[str, ...],
) -> None:
    """Each stage has a bar that ends at the trial's steps, and `--weights` takes what is made."""
    said = _train(videos, recipe)
    assert said.endswith("wrote made.safetensors")
    for stage in stages:
        assert f"{stage} ━" in said
        with Path(f"work/trial-1/{stage}/log.csv").open(newline="") as file:
            steps = {int(row["step"]) for row in csv.DictReader(file)}
        assert max(steps) == 1
    assert "1/1" in said
    assert load(Path("made.safetensors")).kind == detector
    importing.weights([Path("made.safetensors")], detector)


def test_stage_one_writes_what_stage_two_reads(videos: Path) -> None:
    said = _train(videos, STYLE_GRU, "--out", "stylegru.pth")
    assert "stylegru ━" in said
    assert "1/1" in said
    _train(videos, STYLEFLOW)
    assert file_digest(Path("stylegru.pth")) in load(Path("made.safetensors")).provenance


@pytest.mark.parametrize(
    ("device", "said"),
    [
        ("cuda", "there is no cuda here"),
        ("cuda:7", "there is no cuda:7 here"),
        ("tpu", "a device is cpu, cuda or cuda:N"),
    ],
)
def test_a_device_that_is_not_there_is_one_line(
    videos: Path, monkeypatch: pytest.MonkeyPatch, device: str, said: str
) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    assert said in _train(videos, STYLE_GRU, "--device", device, code=Exit.ERROR)
    assert not Path("work").exists()


def test_styleflow_live_takes_no_device(videos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    said = _train(videos, "method: styleflow-live", "--device", "cuda", code=Exit.ERROR)
    assert "is followed on the processor" in said


@pytest.mark.parametrize("recipe", [FAKESTORMER, STYLE_GRU, STYLEFLOW])
def test_the_device_reaches_the_method(
    videos: Path, monkeypatch: pytest.MonkeyPatch, recipe: str
) -> None:
    """A method is handed the device; `meta` is one on which nothing can be computed."""
    monkeypatch.setattr(train_command, "check_device", lambda wanted, method: None)
    Path("recipe.yaml").write_text(recipe)
    arguments = ["train", str(videos), "--recipe", "recipe.yaml", "--steps", "1"]
    ran = CliRunner().invoke(app, [*arguments, "--processes", "1", "--device", "meta"])
    assert isinstance(ran.exception, (NotImplementedError, RuntimeError))
    assert "meta" in str(ran.exception)
