"""Promises of the whole way from clips to a checkpoint, on a miniature of the real layout."""

import av
import cv2
import numpy as np
import pytest
import torch

from styleflow.cards import TrainingStatus
from styleflow.data.pseudo_fakes.kinds import KINDS
from styleflow.detectors.styleflow_live.content import ContentDims
from styleflow.detectors.styleflow_live.network import StyleFlowLive, StyleFlowLiveDims
from styleflow.detectors.styleflow_live.style_encoder import StyleEncoderDims
from styleflow.faces.face import Box, Face
from styleflow.faces.mesh import five_points
from styleflow.training.loop import LoopSettings
from styleflow.training.recipe import StyleFlowLiveRecipe, WindowCounts
from styleflow.training.styleflow_live import pipeline
from styleflow.training.styleflow_live.pipeline import Workshop, shrunk
from styleflow.training.styleflow_live.resynthesis import PatchAutoencoderDims
from styleflow.training.styleflow_live.window_store import read_shards
from styleflow.training.styleflow_live.windows import WindowSpec
from styleflow.weights import cache as published
from styleflow.weights.checkpoint import build, load, save
from tests.support.backbone import backbone
from tests.support.clips import SIZE, face_clip, mesh_at

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


class _Finder:
    """Always sees one face in the middle."""

    def find(self, image, tiles=0, known=()):
        height = image.shape[0]
        mesh = mesh_at(height * 0.45, height * 0.4, height * 0.25).astype(np.float64)
        return (Face(Box(0, 0, height, height), five_points(mesh), 0.9, mesh),)

    def follow(self, image, faces):
        return self.find(image)


def _write_clip(path, seed):
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.width = stream.height = SIZE
        for frame in face_clip(8, seed).frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode())


@pytest.fixture
def clips(tmp_path):
    folder = tmp_path / "clips"
    folder.mkdir()
    rows = ["file,split,label,group"]
    for seed, who in enumerate(("anna", "bert", "cleo")):
        _write_clip(folder / f"{who}.mp4", seed)
        rows.append(f"{who}.mp4,train_real,real,{who}")
    rows.append("gone.mp4,train_real,real,dora")
    (folder / "manifest.csv").write_text("\n".join(rows))
    stills = ["file,group"]
    for seed in range(3):
        picture = face_clip(1, 10 + seed, 64).frames[0]
        cv2.imwrite(str(folder / f"{seed}.png"), picture)
        stills.append(f"{seed}.png,still{seed}")
    (folder / "faces.csv").write_text("\n".join(stills))
    return folder


def _shop(clips, said=None):
    return Workshop(
        clips, clips.parent / "work", RECIPE, _Finder(), (said if said is not None else []).append
    )


def test_clips_become_a_checkpoint_that_can_be_used(clips, tmp_path):
    shop = _shop(clips)
    shop.prepare()
    checkpoint = shop.train("toy")
    save(checkpoint, tmp_path / "toy.safetensors")
    detector = build(load(tmp_path / "toy.safetensors"))
    assert detector.card.status is TrainingStatus.EXPERIMENTAL
    assert detector.calibration.fitted
    assert isinstance(detector, StyleFlowLive)
    assert torch.isfinite(
        detector.score_clip(torch.zeros(1, 3, 64, 64, 3, dtype=torch.uint8))
    ).all()


def test_people_who_are_held_out_are_in_no_training_window(clips):
    shop = _shop(clips)
    shop.prepare()
    windows = clips.parent / "work" / "windows"
    training = read_shards(sorted(windows.glob("training-*.npz")))
    validation = read_shards(sorted(windows.glob("validation-*.npz")))
    assert {f.group for f in training} <= {"anna", "bert"}
    assert {f.group for f in validation} == {"cleo"}
    assert [w.kind for w in validation[0].fakes] == list(KINDS)


def test_shares_of_several_processes_are_the_whole(clips):
    shop = _shop(clips)
    windows = clips.parent / "work" / "windows"
    shop.prepare(part=1, parts=2)
    assert [p.name for p in windows.iterdir()] == ["training-0001.npz"]
    alone = (windows / "training-0001.npz").read_bytes()
    shop.prepare(part=0, parts=2)
    shop.prepare()
    assert len(list(windows.iterdir())) == 3
    assert (windows / "training-0001.npz").read_bytes() == alone


def test_the_style_decoder_is_trained_before_the_windows_that_it_draws_for(clips, monkeypatch):
    asked = []

    def make_family(clip, kinds, materials, *rest):
        state = torch.load(clips.parent / "work" / "style" / "state.pt", weights_only=True)
        faces = np.zeros((1, 32, 32, 3), np.uint8)
        asked.append((state["step"], materials.styles.draw(materials.styles.read(faces)).shape))
        return family(clip, kinds, materials, *rest)

    family = pipeline.make_family
    monkeypatch.setattr(pipeline, "make_family", make_family)
    _shop(clips).prepare()
    assert len(asked) > 2
    assert set(asked) == {(RECIPE.style.steps, (1, 32, 32, 3))}


def test_styles_are_learned_from_stills_and_clips_of_people_who_are_trained_on(clips, monkeypatch):
    seen = {}

    def task(network, faces, held_out, *rest):
        seen.update(faces=faces, held_out=held_out)
        return real(network, faces, held_out, *rest)

    real = pipeline.StyleAutoencoderTask
    monkeypatch.setattr(pipeline, "StyleAutoencoderTask", task)
    _shop(clips).prepare()
    # Clips of eight frames, every second of which is sampled, and every second of these kept.
    assert seen["faces"].shape == (3 + 2 * 2, 32, 32, 3)
    assert seen["held_out"].shape == (2, 32, 32, 3)


def test_what_is_left_out_is_said(clips):
    said = []
    assert len(_shop(clips, said).training) == 2
    assert said == ["row 5 of the manifest is left out: the file is missing"]


def test_crops_are_shrunk_as_the_detector_shrinks_them():
    crops = np.random.default_rng(0).integers(0, 256, (2, 64, 64, 3), dtype=np.uint8)
    network = StyleFlowLive(RECIPE.dimensions)
    assert np.array_equal(shrunk(crops, 2), network._shrunk(torch.from_numpy(crops)).numpy())
