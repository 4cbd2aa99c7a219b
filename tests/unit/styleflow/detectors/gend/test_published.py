"""GenD's published files: a model of the hub becomes a checkpoint, and nothing is guessed."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from styleflow.cards import TrainingStatus
from styleflow.detectors.gend.entry import NAMES
from styleflow.detectors.gend.network import GendDims
from styleflow.detectors.gend.published import PUBLISHED
from styleflow.errors import CheckpointInvalid
from styleflow.weights import importing
from styleflow.weights.checkpoint import build, load, save
from styleflow.weights.importing import import_files
from tests.support.foundation import (
    HOLDERS,
    SLIM,
    authors_tensors,
    write_authors_files,
)

each = pytest.mark.parametrize("name", NAMES)
CLIP = "gend-clip-l14"


@pytest.fixture(autouse=True)
def _toy_encoders(monkeypatch: pytest.MonkeyPatch) -> None:
    """Published layouts around encoders of toy size."""
    for name, files in list(PUBLISHED.items()):
        dims = replace(files.tensors.dimensions, encoder=SLIM[name])
        small = replace(files, tensors=replace(files.tensors, dimensions=dims))
        monkeypatch.setitem(PUBLISHED, name, small)


def crop(seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (1, 224, 224, 3), dtype=torch.uint8, generator=generator)


@each
def test_the_two_files_become_a_checkpoint_that_rates(name: str, tmp_path: Path) -> None:
    checkpoint, report = import_files(write_authors_files(name, tmp_path), name)
    assert report.fits
    assert checkpoint.dimensions == GendDims(encoder=SLIM[name])
    save(checkpoint, tmp_path / "ours.safetensors")
    again = load(tmp_path / "ours.safetensors")
    assert again.sha256 == checkpoint.sha256
    assert again.dimensions == checkpoint.dimensions
    assert again.status is TrainingStatus.UNCALIBRATED
    assert "Licence" in again.provenance
    assert "of length one, as config.json says" in again.provenance
    detector = build(again)
    state, row = detector.init_state(1), torch.tensor([0])
    detector.push(state, row, crop(), torch.tensor([0]))
    assert detector.rate(state, row).isfinite().all()


@each
def test_the_configuration_says_whether_features_have_length_one(name: str, tmp_path: Path) -> None:
    plain, _ = import_files(write_authors_files(name, tmp_path / "a", head="linear"), name)
    unit, _ = import_files(write_authors_files(name, tmp_path / "b", head="LinearNorm"), name)
    assert (plain.dimensions.unit_length, unit.dimensions.unit_length) == (False, True)
    assert plain.sha256 == unit.sha256


def test_class_one_is_fake_and_the_probability_a_softmax(tmp_path: Path) -> None:
    checkpoint, _ = import_files(write_authors_files(CLIP, tmp_path), CLIP)
    detector = build(checkpoint)
    state, row = detector.init_state(1), torch.tensor([0])
    detector.push(state, row, crop(), torch.tensor([0]))
    network = detector.model  # type: ignore[attr-defined]
    with torch.no_grad():
        logits = network(network.network_input(crop()))
    wanted = logits.softmax(1)[0, 1]
    torch.testing.assert_close(detector.rate(state, row).sigmoid()[0], wanted)
    assert abs(wanted - 0.5) > 1e-3


@each
def test_a_model_wrapped_again_is_the_same(name: str, tmp_path: Path) -> None:
    """As older and newer versions of the libraries nest it, and data parallelism on top."""
    plain, _ = import_files(write_authors_files(name, tmp_path / "plain"), name)
    holder = HOLDERS[name]
    inner = holder.removeprefix("feature_extractor.")
    nested = {
        n.replace(holder, holder + inner, 1) if n.startswith(holder) else n: t
        for n, t in authors_tensors(name).items()
    }
    twice, _ = import_files(write_authors_files(name, tmp_path / "nested", nested), name)
    module = {f"module.{n}": t for n, t in authors_tensors(name).items()}
    parallel, _ = import_files(write_authors_files(name, tmp_path / "module", module), name)
    assert plain.sha256 == twice.sha256 == parallel.sha256


def test_older_files_of_dinov3_are_read_too(tmp_path: Path) -> None:
    """Transformers 5 put `model.` in front of the layers; the published file is older."""
    name = "gend-dinov3-l"
    tensors = authors_tensors(name)
    older = {n.replace("backbone.model.layer.", "backbone.layer."): t for n, t in tensors.items()}
    assert older.keys() != tensors.keys()
    new, _ = import_files(write_authors_files(name, tmp_path / "new", tensors), name)
    old, _ = import_files(write_authors_files(name, tmp_path / "old", older), name)
    assert new.sha256 == old.sha256


def test_what_no_feature_depends_on_may_be_there_or_not(tmp_path: Path) -> None:
    tensors = authors_tensors(CLIP)
    lean = {n: t for n, t in tensors.items() if "visual_projection" not in n}
    ids = {"feature_extractor.vision_model.embeddings.position_ids": torch.arange(257)[None]}
    want, _ = import_files(write_authors_files(CLIP, tmp_path / "lean", lean), CLIP)
    got, _ = import_files(write_authors_files(CLIP, tmp_path / "rich", tensors | ids), CLIP)
    assert got.sha256 == want.sha256


def test_positions_are_brought_to_224_px_once(tmp_path: Path) -> None:
    name = "gend-pe-l"
    checkpoint, _ = import_files(write_authors_files(name, tmp_path), name)
    positions = checkpoint.tensors["encoder.positions"]
    assert positions.shape == (1, 1 + 16 * 16, 32)
    theirs = authors_tensors(name)["feature_extractor.backbone.pos_embed"]
    assert torch.equal(positions[:, 0], theirs[:, 0])


def test_the_configuration_is_found_beside_the_tensors(tmp_path: Path) -> None:
    weights, config = write_authors_files(CLIP, tmp_path, head="linear")
    named, _ = import_files([weights, config], CLIP)
    found, _ = import_files([weights], CLIP)
    assert found.dimensions == named.dimensions
    assert not found.dimensions.unit_length


def test_without_a_configuration_nothing_is_guessed(tmp_path: Path) -> None:
    weights, config = write_authors_files(CLIP, tmp_path)
    config.unlink()
    with pytest.raises(CheckpointInvalid, match=r"needs one config\.json beside it"):
        import_files([weights], CLIP)


def test_a_configuration_alone_is_no_detector(tmp_path: Path) -> None:
    _, config = write_authors_files(CLIP, tmp_path)
    with pytest.raises(CheckpointInvalid, match="holds no tensors"):
        import_files([config], CLIP)


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        ({"backbone": "facebook/dinov3-vitl16", "head": "LinearNorm"}, "not that of gend-clip-l14"),
        ({"backbone": "openai/clip-vit-large-patch14", "head": "MLP"}, "known are linear"),
        ({"model_type": "clip"}, "names no backbone and head"),
        ([], "names no backbone and head"),
    ],
)
def test_another_configuration_is_refused(said: object, reason: str, tmp_path: Path) -> None:
    weights, config = write_authors_files(CLIP, tmp_path)
    config.write_text(json.dumps(said), encoding="utf-8")
    with pytest.raises(CheckpointInvalid, match=reason):
        import_files([weights, config], CLIP)


@pytest.mark.parametrize("text", ["{", "[" * 100_000, '"' + "x" * (2 << 20) + '"', "\xff"])
def test_a_harmed_configuration_is_refused(text: str, tmp_path: Path) -> None:
    weights, config = write_authors_files(CLIP, tmp_path)
    config.write_bytes(text.encode("latin-1"))
    with pytest.raises(CheckpointInvalid, match=r"config\.json"):
        import_files([weights, config], CLIP)


def test_tensors_that_are_missing_left_over_or_of_another_shape_are_named(tmp_path: Path) -> None:
    tensors = authors_tensors(CLIP)
    tensors["feature_extractor.vision_model.odd"] = torch.zeros(1)
    tensors["model.linear.weight"] = torch.zeros(3, 32)
    del tensors["feature_extractor.vision_model.post_layernorm.bias"]
    with pytest.raises(CheckpointInvalid) as refused:
        import_files(write_authors_files(CLIP, tmp_path, tensors), CLIP)
    said = str(refused.value)
    assert "1 missing: encoder.norm.bias" in said
    assert "not known to the network: feature_extractor.vision_model.odd" in said
    assert "head.weight (expected (2, 32), got (3, 32))" in said


def test_another_detectors_file_is_known_for_what_it_is(tmp_path: Path) -> None:
    weights, _ = write_authors_files("gend-pe-l", tmp_path / "pe")
    _, config = write_authors_files(CLIP, tmp_path / "clip")
    with pytest.raises(CheckpointInvalid, match="is gend-pe-l, not gend-clip-l14"):
        import_files([weights, config], CLIP)


@each
def test_each_file_is_recognised(name: str, tmp_path: Path) -> None:
    weights, config = write_authors_files(name, tmp_path)
    whole = [like.what for like in importing.likenesses(importing.read(weights)) if like.whole]
    assert whole == [name]
    (likeness,) = importing.likenesses(importing.read(config))
    assert likeness.what == name
    assert likeness.certain


def test_configuration_reaches_the_detector(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Cadence and precision, from the settings to what runs."""
    from cli import wiring
    from cli.settings import DetectorConfig, Settings
    from stream.clock import ManualClock
    from styleflow.runtime_settings import Precision, RuntimeSettings
    from tests.support.path import CentreFinder

    checkpoint, _ = import_files(write_authors_files(CLIP, tmp_path), CLIP)
    save(checkpoint, tmp_path / "ours.safetensors")
    seen: list[RuntimeSettings] = []
    monkeypatch.setattr(wiring, "accelerate", lambda made, settings: seen.append(settings))
    wanted = DetectorConfig(
        name=CLIP,
        checkpoint=tmp_path / "ours.safetensors",
        cadence_hz=4.0,
        precision=Precision.INT8,
    )
    made = wiring.detector(wanted, Settings())
    assert (made.clip.cadence_hz, made.clip.frames) == (4.0, 32)
    plain = wiring.detector(wanted.model_copy(update={"cadence_hz": None}), Settings())
    assert (plain.clip.cadence_hz, plain.clip.frames) == (2.0, 16)
    assert [settings.precision for settings in seen] == [Precision.INT8] * 2
    monkeypatch.setattr(wiring, "load_finder", lambda *_: CentreFinder())
    theirs = [tmp_path / "model.safetensors"]  # straight from the authors' files
    settings = Settings(detectors=(wanted,))
    (device,) = wiring.from_files(settings, ManualClock(), CLIP, theirs).devices
    assert device.detector.clip.cadence_hz == 4.0
    assert seen[-1].precision is Precision.INT8
