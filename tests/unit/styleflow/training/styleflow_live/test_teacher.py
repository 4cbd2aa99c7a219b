"""A teacher's lessons: labels are not looked at, and the student comes to say the same."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from styleflow.data.index import Entry
from styleflow.data.video import FacePath
from styleflow.detectors.gend.live import GendDetector
from styleflow.detectors.gend.network import GendDims
from styleflow.detectors.gend.published import PUBLISHED
from styleflow.detectors.layers.seeding import seed_weights
from styleflow.detectors.styleflow_live.network import StyleFlowLive, StyleFlowLiveDims
from styleflow.detectors.styleflow_live.style_encoder import StyleEncoderDims
from styleflow.errors import DetectorWeightsMissing, LabelsMissing, RecipeInvalid
from styleflow.faces.crops.gend import gend_crop
from styleflow.training.loop import LoopSettings, train
from styleflow.training.methods import read_recipe, takes_of, taught_by
from styleflow.training.styleflow_live.recipe import StyleFlowLiveRecipe
from styleflow.training.styleflow_live.stages import Stages
from styleflow.training.styleflow_live.teacher import (
    TEACHERS,
    DistilTask,
    Lesson,
    LessonSettings,
    agreement,
    called,
    lessons,
    weights_of,
)
from styleflow.training.styleflow_live.windows import WindowSpec
from styleflow.weights.checkpoint import build, save
from styleflow.weights.importing import import_files
from styleflow.weights.places import fetched_path
from tests.support.clips import face_clip
from tests.support.foundation import SLIM, write_authors_files

NAME = "gend-clip-l14"
SPEC = WindowSpec(6, 2, 64)
FEW = LessonSettings(windows=6, per_video=2, looks=2, frames=3, clips=4)
DIMS = StyleFlowLiveDims(
    encoder=StyleEncoderDims(
        size_px=32, widths=(4, 4, 6, 8, 8), expansion=2, pyramid=8, levels=(2, 2, 3), latent=4
    ),
    hidden=8,
    frames=4,
    shrink=2,
    content=None,
    evidence_half_life=20.0,
)


@pytest.fixture(autouse=True)
def _toy_encoder(monkeypatch: pytest.MonkeyPatch) -> None:
    files = PUBLISHED[NAME]
    dims = replace(files.tensors.dimensions, encoder=SLIM[NAME])
    small = replace(files, tensors=replace(files.tensors, dimensions=dims))
    monkeypatch.setitem(PUBLISHED, NAME, small)


@dataclass(frozen=True)
class ToyVideo:
    """A clip in memory; asking for its label fails, for nobody may."""

    seed: int
    lost: tuple[int, ...] = ()

    @property
    def entry(self) -> Entry:
        raise AssertionError("a label was looked at")

    @property
    def path(self) -> FacePath:
        found = np.ones(12, bool)
        found[list(self.lost)] = False
        return FacePath(face_clip(12, self.seed).meshes, found)

    @property
    def times(self) -> NDArray[np.float64]:
        return np.arange(12) / 25

    def frames(self, numbers: object) -> NDArray[np.uint8]:
        return face_clip(12, self.seed).frames[list(numbers)]  # type: ignore[call-overload]


@pytest.fixture
def teacher(tmp_path: Path) -> GendDetector:
    checkpoint, _ = import_files(write_authors_files(NAME, tmp_path), NAME)
    detector = build(checkpoint)
    assert isinstance(detector, GendDetector)
    assert detector.model.dims.encoder == GendDims(encoder=SLIM[NAME]).encoder
    return detector


def student() -> StyleFlowLive:
    network = StyleFlowLive(DIMS)
    seed_weights(network, 3)
    return network


def test_a_lesson_is_the_teachers_opinion_of_its_own_crops(teacher: GendDetector) -> None:
    """Two frames of the window, cut out as GenD sees faces; the student's crops are its own."""
    video, said = ToyVideo(1), []
    made = lessons([video], teacher, SPEC, replace(FEW, per_video=1), 5, said.append)
    assert [lesson.crops.shape for lesson in made] == [(3, 64, 64, 3)]
    clip, logits = face_clip(12, 1), []
    for start in range(7):
        crops = [gend_crop(clip.frames[i], video.path.points(i)) for i in (start, start + 5)]
        images = torch.from_numpy(np.stack(crops))
        probability = teacher.judge(images).sigmoid().mean()
        logits.append(float(torch.logit(probability)))
    assert min(abs(made[0].logit - logit) for logit in logits) < 1e-4


def test_labels_are_not_looked_at_and_lost_faces_teach_nothing(teacher: GendDetector) -> None:
    videos = [ToyVideo(1), ToyVideo(2, lost=(3, 8)), ToyVideo(3)]
    made = lessons(videos, teacher, SPEC, FEW, 5, lambda _: None)
    assert len(made) == 4  # two of each video that shows a face throughout
    again = lessons(videos, teacher, SPEC, FEW, 5, lambda _: None)
    assert all(a.logit == b.logit for a, b in zip(made, again, strict=True))
    few = lessons(videos, teacher, SPEC, replace(FEW, windows=1), 5, lambda _: None)
    assert len(few) == 1


def taught(seed: int, count: int) -> list[Lesson]:
    """Windows that blink or do not, and a teacher who is sure that blinking is fake."""
    rng, made = np.random.default_rng(seed), []
    for number in range(count):
        crops = np.repeat(rng.integers(0, 256, (1, 64, 64, 3), dtype=np.uint8), 4, 0)
        if number % 2:
            crops[1::2] = 255 - crops[1::2]
        made.append(Lesson(crops, 3.0 if number % 2 else -3.0))
    return made


def test_the_student_comes_to_say_what_the_teacher_says(tmp_path: Path) -> None:
    network, held_out = student(), taught(9, 8)
    before = {n: p.clone() for n, p in network.state_dict().items()}
    task = DistilTask(network, taught(8, 24), held_out, replace(FEW, frames=4, clips=8))
    settings = LoopSettings(60, 2e-2, bf16=False, average=0.8, validate_every=20)
    trained = train(task, settings, 1, tmp_path)
    assert agreement(trained, held_out) > 0.8
    after = trained.state_dict()
    assert all(torch.equal(after[n], p) for n, p in before.items() if n.startswith("encoder."))
    assert any(not torch.equal(after[n], p) for n, p in before.items() if "style_gru" in n)


def test_without_windows_there_is_nothing_to_learn() -> None:
    with pytest.raises(LabelsMissing):
        DistilTask(student(), [], taught(1, 2), FEW)
    with pytest.raises(LabelsMissing):
        DistilTask(student(), taught(1, 2), [], FEW)


def test_a_student_that_says_always_the_same_agrees_with_nobody() -> None:
    network = student()
    network.head.weight.data.zero_()
    assert agreement(network, taught(1, 4)) == 0.0


def test_a_recipe_needs_one_line_for_a_teacher(tmp_path: Path) -> None:
    path = tmp_path / "recipe.yaml"
    path.write_text(f"teacher: {NAME}\n")
    recipe = read_recipe(path)
    assert recipe.teacher == NAME
    fake = Entry(Path("a.mp4"), "train", 1, "anna")
    assert takes_of(recipe)(fake)
    assert not takes_of(StyleFlowLiveRecipe())(fake)
    assert not takes_of(recipe)(replace(fake, split="test"))
    assert taught_by(StyleFlowLiveRecipe(), NAME, path) == recipe
    path.write_text("teacher: styleflow\n")
    with pytest.raises(RecipeInvalid, match="teacher is one of caddm-resnet34"):
        read_recipe(path)
    path.write_text("method: caddm\n")
    with pytest.raises(RecipeInvalid, match="leave out --teacher"):
        taught_by(read_recipe(path), NAME, path)
    assert {"gend-clip-l14", "gend-pe-l", "gend-dinov3-l"} < set(TEACHERS)


def test_without_its_file_a_teacher_says_what_to_fetch(tmp_path: Path) -> None:
    with pytest.raises(DetectorWeightsMissing) as refused:
        called(NAME, tmp_path / "teacher.safetensors")
    said = f"{refused.value} {refused.value.hint}"
    assert "model.safetensors at https://huggingface.co/yermandy/GenD_CLIP_L_14" in said
    assert "styleflow checkpoints import gend-clip-l14 model.safetensors config.json" in said


def test_a_recipes_teacher_teaches_a_trained_network(tmp_path: Path) -> None:
    """The stage of the recipe: its file is read, videos are judged, and the loop runs."""
    checkpoint, _ = import_files(write_authors_files(NAME, tmp_path), NAME)
    save(checkpoint, tmp_path / "teacher.safetensors")
    recipe = StyleFlowLiveRecipe(
        dimensions=DIMS,
        windows=SPEC,
        teacher=NAME,
        teacher_weights=tmp_path / "teacher.safetensors",
        lessons=FEW,
        distil=LoopSettings(2, 1e-3, bf16=False, log_every=1),
    )
    said: list[str] = []
    stages = Stages(recipe, tmp_path / "work", said.append)
    network = stages.learn_from_teacher(student(), [ToyVideo(1), ToyVideo(3)], [ToyVideo(2)])
    assert isinstance(network, StyleFlowLive)
    assert "ranks windows as gend-clip-l14 does" in said[-1]
    assert (tmp_path / "work" / "distil" / "log.csv").is_file()


def test_weights_lie_in_the_work_tree_or_where_they_were_fetched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a recipe names wins, then the folder `weights`, then the cache."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("STYLEFLOW_CACHE", str(tmp_path / "cache"))
    name = "gend-clip-l14"
    near, kept = Path("weights") / f"{name}.safetensors", fetched_path(name)
    assert weights_of(name) == near
    kept.parent.mkdir(parents=True)
    kept.touch()
    assert weights_of(name) == kept
    near.parent.mkdir()
    near.touch()
    assert weights_of(name) == near
    assert weights_of(name, Path("mine.safetensors")) == Path("mine.safetensors")
