"""A teacher's opinions: labels are not looked at, and the student comes to rank alike."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from styleflow.data.index import Entry
from styleflow.detectors.gend.live import GendDetector
from styleflow.detectors.gend.network import GendDims
from styleflow.detectors.gend.published import PUBLISHED
from styleflow.errors import DetectorWeightsMissing, RecipeInvalid, VideosMissing
from styleflow.faces.crops.gend import gend_crop
from styleflow.faces.mesh import five_points
from styleflow.training.methods import read_recipe, taught_by
from styleflow.training.styleflow_live import teacher as teaching
from styleflow.training.styleflow_live.looks import LookedAt, LookSpec, sampled_pictures
from styleflow.training.styleflow_live.recipe import StyleFlowLiveRecipe
from styleflow.training.styleflow_live.teacher import (
    TEACHERS,
    LessonSettings,
    Teacher,
    agreement,
    called,
    opinion,
    weights_of,
)
from styleflow.weights.checkpoint import save
from styleflow.weights.importing import import_files
from styleflow.weights.places import fetched_path
from tests.support.clips import MiddleFinder, face_clip, write_video
from tests.support.foundation import SLIM, write_authors_files

NAME = "gend-clip-l14"
SPEC = LookSpec(size_px=28, cadence_hz=12.5, every=2, seconds=1.0)


@pytest.fixture(autouse=True)
def _toy_encoder(monkeypatch: pytest.MonkeyPatch) -> None:
    files = PUBLISHED[NAME]
    dims = replace(files.tensors.dimensions, encoder=SLIM[NAME])
    small = replace(files, tensors=replace(files.tensors, dimensions=dims))
    monkeypatch.setitem(PUBLISHED, NAME, small)
    monkeypatch.setattr(teaching, "load_finder", MiddleFinder)


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    checkpoint, _ = import_files(write_authors_files(NAME, tmp_path), NAME)
    save(checkpoint, tmp_path / "teacher.safetensors")
    return tmp_path / "teacher.safetensors"


@pytest.fixture
def teacher(weights: Path) -> GendDetector:
    detector = called(NAME, weights)
    assert isinstance(detector, GendDetector)
    assert detector.model.dims.encoder == GendDims(encoder=SLIM[NAME]).encoder
    return detector


def clips(folder: Path, labels: str) -> list[LookedAt]:
    """Return clips with these labels; what is kept of their looks is not there."""
    made = []
    for number, label in enumerate(labels):
        video = folder / f"{number}.mp4"
        if not video.is_file():
            write_video(video, face_clip(12, number).frames)
        entry = Entry(video, "train", int(label), f"g{number}")
        made.append(LookedAt(entry, folder / f"kept-{number}.npz"))
    return made


def test_an_opinion_is_of_the_teachers_own_crops(teacher: GendDetector, tmp_path: Path) -> None:
    """Two pictures, first and last, cut out as GenD sees faces."""
    video = clips(tmp_path, "0")[0].entry.path
    said = opinion(teacher, video, SPEC, MiddleFinder(), 2)
    pictures = [sampled.item[-1] for sampled in sampled_pictures(video, SPEC)]
    (face,) = MiddleFinder().find(pictures[0])
    points = five_points(face.mesh)
    crops = [gend_crop(picture, points) for picture in (pictures[0], pictures[-1])]
    expected = teacher.judge(torch.from_numpy(np.stack(crops))).sigmoid().mean()
    assert said == pytest.approx(float(expected), abs=1e-5)


def test_labels_are_not_looked_at(weights: Path, tmp_path: Path) -> None:
    made = []
    for labels in ("0101", "1010"):
        few = LessonSettings(clips=8, pictures=1)
        asked = Teacher(NAME, weights, few, SPEC, tmp_path / f"work-{labels}")
        training, validation = clips(tmp_path, labels)[:3], clips(tmp_path, labels)[3:]
        made.append(asked.lessons(training, validation, 5, lambda _: None))
    assert np.isfinite(made[0].training).all()
    assert np.array_equal(made[0].training, made[1].training)
    assert np.array_equal(made[0].validation, made[1].validation)


def test_a_teacher_is_asked_about_so_many_clips_and_no_clip_twice(
    weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    few = LessonSettings(clips=2, pictures=1)
    training = clips(tmp_path, "0101")
    asked = Teacher(NAME, weights, few, SPEC, tmp_path / "work")
    first = asked.lessons(training, training[:1], 5, said.append)
    assert np.isfinite(first.training).sum() == 2
    assert said[1] == "the teacher has judged 2 of 2 clips"
    monkeypatch.setattr(teaching, "opinion", lambda *_: pytest.fail("asked twice"))
    again = asked.lessons(training, training[:1], 5, said.append)
    assert np.array_equal(first.training, again.training, equal_nan=True)


def test_clips_without_a_face_teach_nothing(weights: Path, tmp_path: Path) -> None:
    write_video(tmp_path / "0.mp4", np.zeros((12, 96, 96, 3), np.uint8))
    training = clips(tmp_path, "01")
    asked = Teacher(NAME, weights, LessonSettings(), SPEC, tmp_path / "work")
    made = asked.lessons(training, training, 5, lambda _: None)
    assert np.isnan(made.training).tolist() == [True, False]
    with pytest.raises(VideosMissing, match="the teacher can judge"):
        asked.lessons(training[:1], training, 5, lambda _: None)


def test_agreement_is_a_rank_correlation_of_what_both_speak_of() -> None:
    theirs = np.array([0.1, 0.2, np.nan, 0.9])
    assert agreement(np.array([-5.0, 1.0, 99.0, 1e6]), theirs) == pytest.approx(1)
    assert agreement(np.array([3.0, 2.0, 0.0, 1.0]), theirs) == pytest.approx(-1)


def test_a_student_that_says_always_the_same_agrees_with_nobody() -> None:
    assert agreement(np.zeros(4), np.array([0.1, 0.2, 0.3, 0.9])) == 0.0
    assert agreement(np.arange(4.0), np.full(4, np.nan)) == 0.0


def test_a_recipe_needs_one_line_for_a_teacher(tmp_path: Path) -> None:
    path = tmp_path / "recipe.yaml"
    path.write_text(f"teacher: {NAME}\n")
    recipe = read_recipe(path)
    assert recipe.teacher == NAME
    assert taught_by(StyleFlowLiveRecipe(), NAME, path) == recipe
    path.write_text("teacher: styleflow\n")
    with pytest.raises(RecipeInvalid, match="teacher is one of caddm-resnet34"):
        read_recipe(path)
    path.write_text("method: caddm\n")
    with pytest.raises(RecipeInvalid, match="leave out --teacher"):
        taught_by(read_recipe(path), NAME, path)
    assert {"gend-clip-l14", "gend-pe-l", "gend-dinov3-l"} < set(TEACHERS)


@pytest.mark.parametrize("line", ["distil: 0", "lessons: {clips: 0}", "lessons: {pictures: 101}"])
def test_lessons_without_bounds_are_refused(tmp_path: Path, line: str) -> None:
    path = tmp_path / "recipe.yaml"
    path.write_text(f"teacher: {NAME}\n{line}\n")
    with pytest.raises(RecipeInvalid):
        read_recipe(path)


def test_sources_without_labels_need_a_teacher(tmp_path: Path) -> None:
    path = tmp_path / "recipe.yaml"
    path.write_text("unlabelled: [owner/videos]\n")
    with pytest.raises(RecipeInvalid, match="without a teacher"):
        read_recipe(path)


def test_without_its_file_a_teacher_says_what_to_fetch(tmp_path: Path) -> None:
    with pytest.raises(DetectorWeightsMissing) as refused:
        called(NAME, tmp_path / "teacher.safetensors")
    said = f"{refused.value} {refused.value.hint}"
    assert "model.safetensors at https://huggingface.co/yermandy/GenD_CLIP_L_14" in said
    assert "styleflow checkpoints import gend-clip-l14 model.safetensors config.json" in said


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
