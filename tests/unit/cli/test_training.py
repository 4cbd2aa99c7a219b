"""`prepare`, `train` and `preview`: what they make, say, and leave behind when interrupted."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import field
from io import StringIO
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest
from pydantic import ConfigDict
from pydantic.dataclasses import dataclass as checked_dataclass
from rich.console import Console
from torch import nn
from typer.testing import CliRunner

from cli import prepare as prepare_command
from cli import preview as preview_command
from cli.errors import Exit
from cli.main import app
from cli.progress import ProgressBoard
from styleflow.data.prepared import PrepareSettings
from styleflow.data.prepared_video import Video
from styleflow.detectors.layers.seeding import seed_weights
from styleflow.detectors.layers.vision_transformer import VisionTransformer
from styleflow.training.loop import LoopSettings, train
from styleflow.training.methods import METHODS, Method
from styleflow.training.progress import StepText, telling
from styleflow.weights.cache import dinov2_path, store
from styleflow.weights.checkpoint import load
from tests.support.clips import MiddleFinder, face_clip, write_video
from tests.support.models import TOY

RUNNER = CliRunner()


@checked_dataclass(frozen=True, config=ConfigDict(extra="forbid"))
class _ToyRecipe:
    """Learns the mean brightness of its videos."""

    prepare: PrepareSettings = field(default_factory=lambda: PrepareSettings(frames=3))
    learning: LoopSettings = field(
        default_factory=lambda: LoopSettings(6, 1e-2, bf16=False, log_every=2)
    )


class _Brightness:
    def __init__(self, videos: Sequence[Video]) -> None:
        self.network: nn.Module = nn.Linear(1, 1)
        nn.init.zeros_(self.network.weight)
        nn.init.zeros_(self.network.bias)
        self._goal = float(np.mean([v.frames([0, 2]).mean() / 255 for v in videos]))

    def loss(self, rng: np.random.Generator) -> Any:
        import torch

        return ((self.network(torch.ones(1, 1)) - self._goal) ** 2).mean(), {"goal": self._goal}

    def validate(self, network: nn.Module) -> float:
        raise AssertionError("this recipe does not validate")


def _run(
    recipe: _ToyRecipe, training: Any, validation: Any, work: Path, tell: Any, device: str
) -> Path:
    tell(f"{len(training)} to train on, {len(validation)} to validate with")
    task = _Brightness(training)
    train(task, recipe.learning, 0, work / "learning", telling(tell, "learning", recipe.learning))
    made = work / "toy.safetensors"
    made.write_bytes(b"toy")
    return made


@pytest.fixture
def places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, list[str]]:
    """A data set of five clips, and the options of a toy method that trains on it."""
    monkeypatch.setitem(METHODS, "toy", Method(_ToyRecipe, _run))  # type: ignore[arg-type]
    monkeypatch.setattr(prepare_command, "load_finder", MiddleFinder)
    monkeypatch.chdir(tmp_path)
    clips = tmp_path / "clips"
    clips.mkdir()
    rows = ["file,split,label,group"]
    for number, split in enumerate(("train", "train", "val", "test")):
        write_video(clips / f"{number}.mp4", face_clip(4, number).frames)
        rows.append(f"{number}.mp4,{split},{'fake' if number % 2 else 'real'},g{number}")
    (clips / "broken.mp4").write_bytes(b"no video")
    rows += ["broken.mp4,train,real,x", "gone.mp4,train,real,y"]
    (clips / "manifest.csv").write_text("\n".join(rows))
    (tmp_path / "toy.yaml").write_text("method: toy")
    return clips, ["--recipe", "toy.yaml", "--work", "work", "--processes", "1"]


def _invoke(*arguments: str, code: int = 0) -> str:
    result = RUNNER.invoke(app, [*arguments], env={"COLUMNS": "200"})
    assert result.exit_code == code, result.output + repr(result.exception)
    return " ".join(result.stderr.split())


def test_prepare_keeps_videos_and_names_what_is_left_out(places: Any) -> None:
    clips, options = places
    said = _invoke("prepare", str(clips), *options)
    assert "training: 2 real and 1 fake videos of 3 groups" in said
    assert "validation: 1 real and 0 fake videos of 1 groups" in said
    assert "1 the file is missing" in said
    assert "1 the video cannot be read" in said
    assert "gone.mp4: the file is missing" in said
    assert len(list(Path("work/videos").glob("*/about.npz"))) == 3  # the test video is left alone
    with Path("work/refused.csv").open(newline="") as file:
        assert {row["file"] for row in csv.DictReader(file)} == {"gone.mp4", "broken.mp4"}


def test_check_opens_everything_and_writes_nothing(places: Any) -> None:
    clips, options = places
    said = _invoke("prepare", str(clips), *options, "--check")
    assert "broken.mp4: the video cannot be read" in said
    assert "gone.mp4: the file is missing" in said
    assert not Path("work").exists()


def test_train_follows_the_recipe_and_writes_checkpoint_log_and_picture(places: Any) -> None:
    clips, options = places
    said = _invoke("train", str(clips), *options, "--out", "made/toy.safetensors")
    assert "2 to train on, 1 to validate with" in said
    assert "wrote made/toy.safetensors" in said
    assert Path("made/toy.safetensors").read_bytes() == b"toy"
    assert Path("work/training.png").read_bytes().startswith(b"\x89PNG")
    assert "2,loss," in Path("work/learning/log.csv").read_text()


def test_a_trial_is_short_and_leaves_the_real_run_alone(places: Any) -> None:
    clips, options = places
    _invoke("train", str(clips), *options, "--steps", "2")
    assert not Path("work/learning").exists()
    log = Path("work/trial-2/learning/log.csv").read_text()
    assert "2,loss," in log
    assert "4,loss," not in log
    assert Path("out/toy.safetensors").is_file()


LIVE = """
method: styleflow-live
dimensions:
  backbone: {patch_px: 4, width: 12, depth: 2, heads: 2, mlp: 24, grid: 8}
  blocks: [1, 2]
  size_px: 32
  look_every: 2
  latent: 3
  hidden: 6
heads: [{statistics: [mean]}]
flow: {steps: 2, bf16: false, log_every: 1}
flow_batches: {clips: 4, looks: 3}
"""


@pytest.fixture
def live(places: Any, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, list[str]]:
    """A folder of clips, and the options of a tiny default that is trained from it."""
    monkeypatch.setenv("STYLEFLOW_CACHE", str(Path("cache").resolve()))
    trunk = VisionTransformer(TOY.backbone)
    seed_weights(trunk, 1)
    store(dinov2_path(), trunk.state_dict(), {})
    clips = Path("filmed")
    clips.mkdir()
    rows = ["file,split,label,group"]
    for number in range(8):
        label = "fake" if number % 2 else "real"
        split = "val" if number >= 4 else f"train_{label}"
        write_video(clips / f"{number}.mp4", face_clip(12, number).frames)
        rows.append(f"{number}.mp4,{split},{label},g{number}")
    (clips / "manifest.csv").write_text("\n".join([*rows, "0.mp4,dev,real,g0"]))
    Path("live.yaml").write_text(LIVE)
    return clips, ["--recipe", "live.yaml", "--work", "work", "--processes", "1"]


@pytest.fixture
def openings(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """How often each file is opened by a decoder, by its name."""
    counted: Counter[str] = Counter()

    def counting(opened: Callable[..., Any]) -> Callable[..., Any]:
        def count(path: Any, *arguments: Any, **options: Any) -> Any:
            if isinstance(path, str | Path):  # degradations encode and decode in memory
                counted[Path(path).name] += 1
            return opened(path, *arguments, **options)

        return count

    monkeypatch.setattr(av, "open", counting(av.open))
    monkeypatch.setattr(cv2, "imread", counting(cv2.imread))
    return counted


def test_the_default_is_trained_like_any_other(live: Any, openings: Counter[str]) -> None:
    """From clips to a checkpoint; each file is decoded once, and never again."""
    clips, options = live
    said = _invoke("prepare", str(clips), *options)
    assert "training: 2 real and 2 fake videos of 4 groups" in said
    assert "validation: 2 real and 2 fake videos of 4 groups" in said
    once = {f"{number}.mp4": 1 for number in range(8)}
    assert openings == once
    assert len(list(Path("work/looks").iterdir())) == 8
    said = _invoke("train", str(clips), *options, "--steps", "1", "--version", "mine")
    assert "flow ━" in said
    (log,) = Path("work/trial-1").glob("flow-*/log.csv")
    assert "1,loss," in log.read_text()
    assert load(Path("out/styleflow-live.safetensors")).version == "mine"
    assert openings == once


def test_a_video_is_decoded_once(places: Any, openings: Counter[str]) -> None:
    """Whatever is kept of it: pictures, landmarks and aligned crops."""
    clips, options = places
    Path("toy.yaml").write_text("method: toy\nprepare: {frames: 3, crop_px: 32}")
    _invoke("prepare", str(clips), *options)
    assert openings == {"0.mp4": 1, "1.mp4": 1, "2.mp4": 1, "broken.mp4": 1}
    _invoke("train", str(clips), *options)
    assert openings == {"0.mp4": 1, "1.mp4": 1, "2.mp4": 1, "broken.mp4": 2}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["train", "celebs=clips"], "there is no data set 'celebs'; known: manifest.csv, ffpp-c0"),
        (["prepare", "nowhere"], "NAME=FOLDER"),
        (["prepare", "dfdc=nowhere"], "is no folder"),
        (["train", "clips", "--recipe", "none.yaml"], "recipe none.yaml"),
    ],
)
def test_what_is_wrong_is_one_line(places: Any, arguments: list[str], said: str) -> None:
    options = ["--recipe", "toy.yaml"] if "--recipe" not in arguments else []
    told = _invoke(*arguments, *options, "--work", "work", code=Exit.ERROR)
    assert said in told
    assert "Traceback" not in told


def test_nothing_to_train_on_is_said(places: Any) -> None:
    clips, options = places
    (clips / "manifest.csv").write_text("file,split,label\nbroken.mp4,train,real\n")
    assert "no video is left" in _invoke("train", str(clips), *options, code=Exit.ERROR)


def test_the_preview_is_a_picture_of_every_kind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(preview_command, "load_finder", MiddleFinder)
    video = write_video(tmp_path / "v.mp4", face_clip(6).frames)
    other = write_video(tmp_path / "o.mp4", face_clip(6, 1).frames)
    out = tmp_path / "deep" / "sheet.png"
    said = _invoke("preview", str(video), "--other", str(other), "--out", str(out))
    assert "wrote" in said
    picture = cv2.imread(str(out))
    assert picture is not None
    assert picture.shape[0] > 9 * 160


def test_the_preview_needs_a_face(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(preview_command, "load_finder", MiddleFinder)
    black = write_video(tmp_path / "black.mp4", np.zeros((4, 64, 64, 3), np.uint8))
    assert "shows no face" in _invoke("preview", str(black), code=Exit.ERROR)


@pytest.mark.parametrize("command", ["prepare", "train", "preview"])
def test_help_teaches(command: str) -> None:
    result = RUNNER.invoke(app, [command, "--help"])
    assert result.exit_code == 0
    assert len(result.stdout.split()) > 60
    assert ("celeb-df-v2" in result.stdout) == (command != "preview")


def test_the_board_draws_stages_and_says_the_rest() -> None:
    console = Console(width=160, force_terminal=False)
    with console.capture() as capture, ProgressBoard(console) as board:
        board.tell("looking for faces")
        board.tell(StepText("style 3/9: loss 0.5", "style", 3, 9))
        board.counting("preparing")(2, 4)
    text = capture.get()
    assert "looking for faces" in text
    assert "style" in text
    assert "3/9" in text
    assert "loss 0.5" in text
    assert "2/4" in text


def test_a_run_in_the_background_says_how_far_it_is_and_not_only_at_its_end() -> None:
    """Its file was empty for half an hour: bars that cannot be drawn anew come at the end."""
    said = StringIO()
    with ProgressBoard(Console(file=said, width=80)) as board:
        looks = board.counting("looks")
        for done in range(1, 41):
            looks(done, 40)
        board.tell(StepText("flow 300/600: validation 0.6", "flow", 300, 600))
        lines = said.getvalue().splitlines()
    assert lines == [
        *(f"looks {done}/40" for done in range(4, 41, 4)),
        "flow 300/600: validation 0.6",
    ]


def test_a_teacher_without_weights_is_noticed_before_anything_is_prepared(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One line says which file to bring, from where, and how."""
    recipe = Path("configs/train/styleflow-live.yaml").resolve()
    monkeypatch.chdir(tmp_path)
    arguments = ["train", "nowhere", "--recipe", str(recipe), "--work", str(tmp_path / "work")]
    refused = RUNNER.invoke(app, [*arguments, "--teacher", "gend-clip-l14"])
    assert refused.exit_code != 0
    said = " ".join(refused.output.split())
    assert "gend-clip-l14 has no weights" in said
    assert "weights/gend-clip-l14.safetensors is not there" in said
    assert "huggingface.co/yermandy/GenD_CLIP_L_14" in said
    assert not (tmp_path / "work").exists()
    refused = RUNNER.invoke(app, [*arguments, "--teacher", "styleflow"])
    assert "teacher is one of" in " ".join(refused.output.split())


def test_an_autoencoder_that_is_not_there_is_noticed_before_anything_is_prepared(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipes = Path("configs/train").resolve()
    monkeypatch.chdir(tmp_path)
    arguments = ["train", "nowhere", "--autoencoder", "folder", "--work", str(tmp_path / "work")]
    refused = RUNNER.invoke(app, [*arguments, "--recipe", str(recipes / "styleflow-live.yaml")])
    assert refused.exit_code != 0
    said = " ".join(refused.output.split())
    assert "there is no folder/taef2_encoder.safetensors" in said
    assert not (tmp_path / "work").exists()
    refused = RUNNER.invoke(app, [*arguments, "--recipe", str(recipes / "caddm.yaml")])
    assert "makes no round trips" in " ".join(refused.output.split())
