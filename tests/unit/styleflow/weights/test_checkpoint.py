"""Promises of the one file that holds a detector."""

import dataclasses
import json
from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file

from styleflow.calibration import Calibration
from styleflow.cards import TemporalMode, TrainingStatus
from styleflow.errors import CheckpointInvalid
from styleflow.weights import checkpoint as checkpoints
from styleflow.weights.checkpoint import (
    Checkpoint,
    build,
    digest,
    load,
    save,
    seeded_untrained,
    shipped,
)
from tests.support.models import TOY, crops, toy_checkpoint


@pytest.fixture(scope="module")
def stored(tmp_path_factory) -> bytes:
    path = tmp_path_factory.mktemp("stored") / "toy.safetensors"
    save(toy_checkpoint(), path)
    return path.read_bytes()


def _written(tmp_path: Path, **changes: object) -> Path:
    path = tmp_path / "changed.safetensors"
    save(dataclasses.replace(toy_checkpoint(), **changes), path)
    return path


def _manifest(path: Path) -> tuple[dict[str, torch.Tensor], dict]:
    with checkpoints.safe_open(path, framework="pt") as file:
        tensors = {name: file.get_tensor(name).clone() for name in file.keys()}  # noqa: SIM118
        return tensors, json.loads(file.metadata()["styleflow"])


def _forge(path: Path, tensors: dict[str, torch.Tensor], manifest: object) -> Path:
    """Write a file whose seal is right, as somebody with other code would."""
    text = json.dumps(manifest, sort_keys=True)
    save_file(tensors, path, {"styleflow": text, "seal": checkpoints.seal_of(text)})
    return path


def test_what_is_saved_comes_back(tmp_path):
    saved = dataclasses.replace(
        toy_checkpoint(),
        calibration=Calibration(1.5, -0.25, 1.0, fitted=True),
        status=TrainingStatus.TRAINED,
        provenance="trained on «clips» of 2026",
    )
    path = tmp_path / "deep" / "toy.safetensors"
    save(saved, path)
    loaded = load(path)
    for name in ("kind", "version", "dimensions", "calibration", "status", "provenance", "sha256"):
        assert getattr(loaded, name) == getattr(saved, name)
    assert all(torch.equal(loaded.tensors[n], t) for n, t in saved.tensors.items())
    assert [p.name for p in path.parent.iterdir()] == ["toy.safetensors"]


def test_the_card_names_the_weights():
    card = toy_checkpoint(seed=3).card
    assert (card.name, card.version) == ("styleflow-live", "untrained-3")
    assert (card.mode, card.status) == (TemporalMode.CAUSAL, TrainingStatus.UNTRAINED)
    assert card.sha256 == digest(toy_checkpoint(seed=3).tensors)


def test_a_digest_covers_names_shapes_types_and_values():
    one = {"a": torch.zeros(2, 3)}
    others = [
        {"b": torch.zeros(2, 3)},
        {"a": torch.zeros(3, 2)},
        {"a": torch.zeros(2, 3, dtype=torch.int32)},
        {"a": torch.full((2, 3), 1e-30)},
    ]
    assert len({digest(one), *map(digest, others)}) == 5
    assert digest(one) == digest({"a": torch.zeros(3, 2).T})


def test_a_built_detector_gives_the_logits_of_its_weights():
    checkpoint = toy_checkpoint()
    detector = build(checkpoint)
    assert detector.card == checkpoint.card
    state = detector.init_state(1)
    row = torch.tensor([0])
    for frame in crops(0, 3):
        detector.push(state, row, frame[None], torch.tensor([0]))
    again = build(checkpoint)
    torch.testing.assert_close(
        detector.rate(state, row), again.score_clip(crops(0, 1, 3))[:, -1], atol=1e-5, rtol=1e-5
    )


def test_building_does_not_touch_the_checkpoint():
    checkpoint = toy_checkpoint()
    build(checkpoint, dtype=torch.bfloat16)
    assert digest(checkpoint.tensors) == checkpoint.sha256


def test_an_untrained_checkpoint_says_so_and_moves_with_what_it_sees():
    checkpoint = seeded_untrained()
    assert checkpoint.status is TrainingStatus.UNTRAINED
    assert not checkpoint.calibration.fitted
    detector = build(checkpoint)
    size = detector.clip.size_px
    generator = torch.Generator().manual_seed(0)
    shades = torch.randint(0, 256, (2, 8, 1, 1, 3), generator=generator)
    texture = torch.randint(-20, 20, (2, 8, size, size, 3), generator=generator)
    clips = (shades + texture).clamp(0, 255).to(torch.uint8)
    with torch.no_grad():
        logits = detector.score_clip(clips)
    assert logits.shape == (2, 2)  # every fourth frame is looked at
    assert logits.abs().max() < 8
    assert logits.std() > 1e-3
    assert not torch.equal(logits[0], logits[1])


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(CheckpointInvalid, match=r"nowhere\.safetensors: there is no such file"):
        load(tmp_path / "nowhere.safetensors")


def test_another_programs_safetensors_are_refused(tmp_path):
    path = tmp_path / "other.safetensors"
    save_file({"a": torch.zeros(1)}, path)
    with pytest.raises(CheckpointInvalid, match="no manifest"):
        load(path)


def test_a_pickle_is_refused_and_not_run(tmp_path):
    path = tmp_path / "weights.pt"
    torch.save({"a": torch.zeros(1)}, path)
    with pytest.raises(CheckpointInvalid, match="not a safetensors file"):
        load(path)


def test_missing_and_unexpected_tensors_are_named(tmp_path):
    tensors = dict(toy_checkpoint().tensors)
    del tensors["face.bias"], tensors["face.weight"]
    with pytest.raises(CheckpointInvalid, match=r"2 tensors missing: face\.bias, face\.weight"):
        load(_written(tmp_path, tensors=tensors))
    tensors = {**toy_checkpoint().tensors, "spy": torch.zeros(1)}
    with pytest.raises(CheckpointInvalid, match="1 tensors unexpected: spy"):
        load(_written(tmp_path, tensors=tensors))


def test_a_wrong_shape_and_a_wrong_type_are_quoted(tmp_path):
    tensors = {**toy_checkpoint().tensors, "flow_head.weight": torch.zeros(1, 7)}
    with pytest.raises(CheckpointInvalid, match=r"flow_head\.weight: expected shape \(1, 6\), got"):
        load(_written(tmp_path, tensors=tensors))
    tensors["flow_head.weight"] = torch.zeros(1, 6, dtype=torch.float16)
    with pytest.raises(CheckpointInvalid, match=r"flow_head\.weight: expected torch\.float32"):
        load(_written(tmp_path, tensors=tensors))


def test_weights_of_other_dimensions_are_refused(tmp_path):
    with pytest.raises(CheckpointInvalid, match="expected shape"):
        load(_written(tmp_path, dimensions=dataclasses.replace(TOY, hidden=12)))


@pytest.mark.parametrize("name", ["encoder", "shrink", "content"])
def test_a_checkpoint_of_a_network_that_is_gone_says_what_to_do(tmp_path, name):
    """Versions 1 and 2 of the default had dimensions that this one does not know."""
    tensors, manifest = _manifest(_written(tmp_path))
    manifest["dimensions"][name] = {}
    manifest["version"] = "2"
    path = _forge(tmp_path / "old.safetensors", tensors, manifest)
    with pytest.raises(CheckpointInvalid, match=r"styleflow-live 2, whose network.*no longer has"):
        load(path)
    with pytest.raises(CheckpointInvalid, match="styleflow train"):
        load(path)


def test_impossible_dimensions_are_named(tmp_path):
    tensors, manifest = _manifest(_written(tmp_path))
    manifest["dimensions"]["hidden"] = 0
    with pytest.raises(CheckpointInvalid, match=r"hidden lies in 1\.\.8192"):
        load(_forge(tmp_path / "f.safetensors", tensors, manifest))


@pytest.mark.parametrize(
    ("key", "value", "reason"),
    [
        ("format", 2, "format 2; this program reads format 1"),
        ("kind", "magic", "kind 'magic' is not one of "),
        ("status", "excellent", "status: "),
        ("sha256", "0" * 64, "its tensors are damaged"),
        ("surprise", 1, "surprise: "),
    ],
)
def test_a_manifest_we_cannot_read_says_why(tmp_path, key, value, reason):
    tensors, manifest = _manifest(_written(tmp_path))
    with pytest.raises(CheckpointInvalid, match=reason):
        load(_forge(tmp_path / "f.safetensors", tensors, {**manifest, key: value}))


@pytest.mark.parametrize("manifest", [[], 1, None, "x", {}])
def test_a_manifest_that_is_no_object_is_refused(tmp_path, manifest):
    with pytest.raises(CheckpointInvalid):
        load(_forge(tmp_path / "f.safetensors", dict(toy_checkpoint().tensors), manifest))


def test_a_changed_manifest_breaks_the_seal(tmp_path, stored):
    """Raising an untrained model's status takes more than an editor."""
    changed = stored.replace(b"untrained-0", b"wellknown-0")
    assert changed != stored
    path = tmp_path / "edited.safetensors"
    path.write_bytes(changed)
    with pytest.raises(CheckpointInvalid, match="seal"):
        load(path)


def _refused_or_intact(path: Path) -> None:
    """Either the damage is found, or it changed nothing that matters (such as a space)."""
    try:
        loaded = load(path)
    except CheckpointInvalid:
        return
    assert loaded.sha256 == toy_checkpoint().sha256
    assert loaded.status is TrainingStatus.UNTRAINED


FUZZ = settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@FUZZ
@given(st.data())
def test_a_truncated_file_is_refused(tmp_path, stored, data):
    path = tmp_path / "short.safetensors"
    path.write_bytes(stored[: data.draw(st.integers(0, len(stored) - 1))])
    with pytest.raises(CheckpointInvalid):
        load(path)


@FUZZ
@given(st.data())
def test_a_mutated_file_is_refused(tmp_path, stored, data):
    """Half of the mutations hit the header, which is a small part of the file."""
    header = 8 + int.from_bytes(stored[:8], "little")
    places = st.integers(0, header - 1) | st.integers(0, len(stored) - 1)
    changed = bytearray(stored)
    for place, byte in data.draw(st.lists(st.tuples(places, st.integers(0, 255)), min_size=1)):
        changed[place] = byte
    path = tmp_path / "mutated.safetensors"
    path.write_bytes(changed)
    _refused_or_intact(path)


@FUZZ
@given(st.binary(max_size=300))
def test_any_bytes_are_refused(tmp_path, data):
    path = tmp_path / "any.safetensors"
    path.write_bytes(data)
    with pytest.raises(CheckpointInvalid):
        load(path)


@FUZZ
@given(
    st.dictionaries(
        st.sampled_from(["format", "kind", "dimensions", "calibration", "status", "version"]),
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
            lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner),
            max_leaves=5,
        ),
        min_size=1,
    )
)
def test_a_hostile_manifest_with_a_right_seal_is_no_crash(tmp_path, changes):
    tensors, manifest = _manifest(_written(tmp_path))
    path = _forge(tmp_path / "hostile.safetensors", tensors, {**manifest, **changes})
    try:
        loaded = load(path)
    except CheckpointInvalid:
        return
    assert isinstance(loaded, Checkpoint)
    assert loaded.dimensions == TOY


def test_the_shipped_default_is_trained_calibrated_and_small():
    checkpoint = shipped()
    assert checkpoint.status is TrainingStatus.EXPERIMENTAL
    assert checkpoint.calibration.fitted
    weights = sum(t.numel() * t.element_size() for t in checkpoint.tensors.values())
    assert weights <= 20e6
