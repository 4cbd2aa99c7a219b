"""Promises of the whole way from clips to a checkpoint, on a miniature of the real layout."""

from dataclasses import dataclass, field, replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from styleflow.cards import TrainingStatus
from styleflow.data.index import read_manifest, read_stills
from styleflow.data.prepared import PreparedVideo, prepare_entries
from styleflow.data.pseudo_fakes.kinds import KINDS
from styleflow.data.video import read_frames, read_still
from styleflow.detectors.styleflow_live.content import ContentDims
from styleflow.detectors.styleflow_live.network import StyleFlowLive, StyleFlowLiveDims
from styleflow.detectors.styleflow_live.style_encoder import StyleEncoderDims
from styleflow.errors import LabelsMissing
from styleflow.training.loop import LoopSettings
from styleflow.training.methods import takes_real
from styleflow.training.styleflow_live import stages, window_making
from styleflow.training.styleflow_live.footage import shrunk
from styleflow.training.styleflow_live.recipe import StyleFlowLiveRecipe, WindowCounts
from styleflow.training.styleflow_live.resynthesis import PatchAutoencoderDims
from styleflow.training.styleflow_live.teacher import LessonSettings
from styleflow.training.styleflow_live.train import make_windows, run
from styleflow.training.styleflow_live.window_store import read_shards
from styleflow.training.styleflow_live.windows import WindowSpec
from styleflow.weights import cache as published
from styleflow.weights.checkpoint import build, load
from tests.support.backbone import backbone
from tests.support.clips import MiddleFinder, face_clip, write_video

SHORT = LoopSettings(2, 1e-3, bf16=False, log_every=1)
RECIPE = StyleFlowLiveRecipe(
    held_out=("cleo",),
    dimensions=StyleFlowLiveDims(
        encoder=StyleEncoderDims(
            size_px=32, widths=(4, 4, 6, 8, 8), expansion=2, pyramid=8, levels=(2, 2, 3), latent=4
        ),
        hidden=6,
        frames=4,
        shrink=2,
        content=ContentDims(top=0, left=0, size_px=64, rank=2),
        attention=4,
        evidence_half_life=20.0,
    ),
    redraws=(PatchAutoencoderDims((4, 8), 3, "nearest"),),
    patch_px=16,
    patch_batch=2,
    windows=WindowSpec(6, 2, 64),
    validation_windows=WindowSpec(6, 2, 64),
    counts=WindowCounts(training=2, fakes=2, validation=1, per_shard=1),
    redrawing=SHORT,
    style=SHORT,
    style_batch=2,
    content=SHORT,
    content_pairs=2,
    fusion=SHORT,
    fusion_pairs=1,
    fusion_frames=3,
)


@pytest.fixture(autouse=True)
def _backbone(monkeypatch):
    monkeypatch.setattr(published, "backbone", backbone)


@pytest.fixture
def clips(tmp_path):
    folder = tmp_path / "clips"
    folder.mkdir()
    rows = ["file,split,label,group"]
    for seed, who in enumerate(("anna", "bert", "cleo")):
        write_video(folder / f"{who}.mp4", face_clip(8, seed).frames)
        rows.append(f"{who}.mp4,train_real,real,{who}")
    rows.append("anna.mp4,train_fake,fake,anna")
    (folder / "manifest.csv").write_text("\n".join(rows))
    stills = ["file,group"]
    for seed in range(3):
        picture = face_clip(1, 10 + seed, 64).frames[0]
        cv2.imwrite(str(folder / f"{seed}.png"), picture)
        stills.append(f"{seed}.png,still{seed}")
    (folder / "faces.csv").write_text("\n".join(stills))
    return folder


@dataclass(frozen=True)
class _Prepared:
    """The miniature after `styleflow prepare`, and the folder of a run on it."""

    training: tuple[PreparedVideo, ...]
    held_out: tuple[PreparedVideo, ...]
    work: Path
    said: list[str] = field(default_factory=list)

    def make_windows(self, *share: int) -> None:
        make_windows(
            RECIPE, self.training, self.held_out, self.work, self.said.append, share or (0, 1)
        )

    def run(self) -> Path:
        return run(RECIPE, self.training, self.held_out, self.work, self.said.append)


@pytest.fixture
def prepared(clips, tmp_path):
    entries = tuple(e for e in read_manifest(clips / "manifest.csv").entries if takes_real(e))
    stills = read_stills(clips / "faces.csv")
    everything = prepare_entries(
        (*entries, *stills), RECIPE.prepare, tmp_path / "videos", MiddleFinder
    )
    held_out = tuple(v for v in everything.videos if v.entry.group in RECIPE.held_out)
    training = tuple(v for v in everything.videos if v not in held_out)
    return _Prepared(training, held_out, tmp_path / "work")


def test_clips_become_a_checkpoint_and_an_interruption_changes_no_bit_of_it(prepared, monkeypatch):
    """Each stage that is done is found again, whatever stopped the run after it."""
    other = replace(prepared, work=prepared.work.with_name("other"))
    for name in ("train_content", "train_fusion"):

        def interrupted(*_):
            raise KeyboardInterrupt

        with monkeypatch.context() as patched:
            patched.setattr(stages.Stages, name, interrupted)
            with pytest.raises(KeyboardInterrupt):
                other.run()
    whole, again = load(prepared.run()), load(other.run())
    assert again.calibration == whole.calibration
    for name, tensor in whole.tensors.items():
        assert torch.equal(again.tensors[name], tensor), name
    assert "2 real clips of 2 groups and 3 stills" in whole.provenance
    detector = build(whole)
    assert detector.card.status is TrainingStatus.EXPERIMENTAL
    assert detector.card.version == "local"
    assert detector.calibration.fitted
    assert isinstance(detector, StyleFlowLive)
    assert torch.isfinite(
        detector.score_clip(torch.zeros(1, 3, 64, 64, 3, dtype=torch.uint8))
    ).all()


def test_people_who_are_held_out_are_in_no_training_window(prepared):
    prepared.make_windows()
    windows = prepared.work / "windows"
    training = read_shards(sorted(windows.glob("training-*.npz")))
    validation = read_shards(sorted(windows.glob("validation-*.npz")))
    assert {f.group for f in training} <= {"anna", "bert"}
    assert {f.group for f in validation} == {"cleo"}
    assert [w.kind for w in validation[0].fakes] == list(KINDS)


def test_shares_of_several_commands_are_the_whole(prepared):
    windows = prepared.work / "windows"
    prepared.make_windows(1, 2)
    assert [p.name for p in windows.iterdir()] == ["training-0001.npz"]
    alone = (windows / "training-0001.npz").read_bytes()
    prepared.make_windows(0, 2)
    prepared.make_windows()
    assert len(list(windows.iterdir())) == 3
    assert (windows / "training-0001.npz").read_bytes() == alone


def test_the_style_decoder_is_trained_before_the_windows_that_it_draws_for(prepared, monkeypatch):
    asked = []

    def make_family(clip, times, kinds, materials, *rest):
        state = torch.load(prepared.work / "style" / "state.pt", weights_only=True)
        faces = np.zeros((1, 32, 32, 3), np.uint8)
        asked.append((state["step"], materials.styles.draw(materials.styles.read(faces)).shape))
        return family(clip, times, kinds, materials, *rest)

    family = window_making.make_family
    monkeypatch.setattr(window_making, "make_family", make_family)
    prepared.make_windows()
    assert len(asked) > 2
    assert set(asked) == {(RECIPE.style.steps, (1, 32, 32, 3))}


def test_styles_are_learned_from_stills_and_clips_of_people_who_are_trained_on(
    prepared, monkeypatch
):
    seen = {}

    def task(network, faces, held_out, *rest):
        seen.update(faces=faces, held_out=held_out)
        return real(network, faces, held_out, *rest)

    real = stages.StyleAutoencoderTask
    monkeypatch.setattr(stages, "StyleAutoencoderTask", task)
    prepared.make_windows()
    # Of eight frames 0, 2, 4, 6 and the last are sampled, and every second of these is kept.
    assert seen["faces"].shape == (3 + 2 * 3, 32, 32, 3)
    assert seen["held_out"].shape == (3, 32, 32, 3)


def test_whole_pictures_are_learned_from_exactly(clips, prepared):
    anna = prepared.training[0]
    assert np.array_equal(anna.frames(range(8)), read_frames(anna.entry.path))
    still = next(v for v in prepared.training if v.entry.split == "stills")
    assert np.array_equal(still.frames([0])[0], read_still(still.entry.path))


def test_nobody_held_out_is_said(prepared):
    with pytest.raises(LabelsMissing, match="validation"):
        run(RECIPE, prepared.training, (), prepared.work, prepared.said.append)


def test_crops_are_shrunk_as_the_detector_shrinks_them():
    crops = np.random.default_rng(0).integers(0, 256, (2, 64, 64, 3), dtype=np.uint8)
    network = StyleFlowLive(RECIPE.dimensions)
    assert np.array_equal(shrunk(crops, 2), network.shrunk(torch.from_numpy(crops)).numpy())


def test_a_teacher_has_the_last_word_and_the_checkpoint_says_so(prepared, monkeypatch):
    """One line in the recipe: what comes before is as without it, and calibration comes after."""
    from styleflow.detectors.caddm.live import DeployableCaddm
    from styleflow.detectors.caddm.network import CaddmDims

    toy = DeployableCaddm(CaddmDims(backbone="resnet10-slim", window=3))
    monkeypatch.setattr(stages, "called", lambda name, file: toy.deploy())
    few = LessonSettings(windows=4, per_video=2, looks=1, frames=3, clips=2)
    recipe = replace(RECIPE, teacher="caddm-resnet34", lessons=few, distil=SHORT)
    videos = prepared.training, prepared.held_out
    path = run(recipe, *videos, prepared.work, prepared.said.append)
    taught = load(path)
    assert "Then taught by caddm-resnet34 on 2 videos" in taught.provenance
    assert any("ranks windows as caddm-resnet34 does" in line for line in prepared.said)
    plain = load(run(RECIPE, *videos, prepared.work, prepared.said.append))
    changed = {n for n, t in plain.tensors.items() if not torch.equal(taught.tensors[n], t)}
    assert changed
    assert all(name.startswith(("style_gru.", "fusion.")) for name in changed)
    assert isinstance(build(taught), StyleFlowLive)
