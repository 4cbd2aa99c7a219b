"""Importing the authors' files: what fits, what does not, and what must never run."""

from __future__ import annotations

import io
import os
import pickle
import zipfile
from collections import OrderedDict
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file
from torch import Tensor, nn

from styleflow.cards import TrainingStatus
from styleflow.detectors.authors_files import SingleFile, unwrap
from styleflow.detectors.caddm.network import Caddm, CaddmDims
from styleflow.detectors.fakestormer.backbone import FakeStormerDims
from styleflow.detectors.fakestormer.network import FakeStormer
from styleflow.detectors.registry import PUBLISHED
from styleflow.errors import CheckpointInvalid
from styleflow.weights import importing
from styleflow.weights import unpickle as safe_pickle
from styleflow.weights.checkpoint import build, load, save
from styleflow.weights.importing import DetectorUnknown, import_files, untrained
from tests.support.authors import shrink, single_file

CADDM, FAKESTORMER = "caddm-resnet34", "fakestormer-c23"
TOYS = {
    CADDM: CaddmDims(backbone="resnet10-slim"),
    FAKESTORMER: FakeStormerDims(image_px=16, patch_px=8, width=8, depth=1, heads=1, frames=2),
}
both = pytest.mark.parametrize("name", [CADDM, FAKESTORMER])


@pytest.fixture(autouse=True)
def _toy_layouts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Published layouts around networks of toy size."""
    shrink(monkeypatch, TOYS)


def network(layout: SingleFile) -> torch.nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(1)
        return layout.network(layout.dimensions)


def published(name: str) -> dict[str, Any]:
    """A file's content in the authors' layout, optimiser state and all."""
    layout = single_file(name)
    state = OrderedDict(network(layout).state_dict())
    rest = {"opt_state": {"state": {0: {"step": 3, "exp_avg": torch.zeros(2)}}}}
    return {layout.wrapper: state, "epoch": 12, **rest}


def written(path: Path, content: object) -> Path:
    torch.save(content, path)
    return path


@both
def test_a_published_file_becomes_a_checkpoint(name: str, tmp_path: Path) -> None:
    """Imported, saved and loaded, it holds the authors' tensors and says where they are from."""
    content = published(name)
    checkpoint, report = import_files([written(tmp_path / "theirs.pkl", content)], name)
    assert report.fits
    assert report.fitting == len(single_file(name).expected())
    save(checkpoint, tmp_path / "ours.safetensors")
    again = load(tmp_path / "ours.safetensors")
    state = content[single_file(name).wrapper]
    assert again.tensors.keys() == state.keys()
    assert all(torch.equal(again.tensors[key], state[key]) for key in state)
    assert again.status is TrainingStatus.UNCALIBRATED
    assert "theirs.pkl" in again.provenance
    assert "Licence" in again.provenance


@both
def test_an_imported_detector_rates(name: str, tmp_path: Path) -> None:
    checkpoint, _ = import_files([written(tmp_path / "theirs.pkl", published(name))], name)
    detector = build(checkpoint)
    state, row = detector.init_state(1), torch.tensor([0])
    size = detector.clip.size_px
    for value in (10, 200):
        crop = torch.full((1, size, size, 3), value, dtype=torch.uint8)
        detector.push(state, row, crop, torch.tensor([0]))
    assert detector.rate(state, row).isfinite().all()


@both
def test_other_wrappings_of_the_same_tensors(name: str, tmp_path: Path) -> None:
    """Bare, or with the prefix of data parallelism, in torch's old format, in half precision."""
    state = published(name)[single_file(name).wrapper]
    want, _ = import_files([written(tmp_path / "plain", state)], name)
    prefixed = {f"module.{key}": value for key, value in state.items()}
    wrapped = {single_file(name).wrapper: prefixed}
    got, _ = import_files([written(tmp_path / "prefixed", wrapped)], name)
    assert got.sha256 == want.sha256
    torch.save(state, tmp_path / "old", _use_new_zipfile_serialization=False)
    old, _ = import_files([tmp_path / "old"], name)
    assert old.sha256 == want.sha256
    halves = {k: v.half() if v.is_floating_point() else v for k, v in state.items()}
    half, _ = import_files([written(tmp_path / "half", halves)], name)
    assert all(t.dtype in (torch.float32, torch.int64) for t in half.tensors.values())


WRAPPED: dict[str, Any] = {
    "state_dict": lambda state: {"state_dict": state, "epoch": 3},
    "model": lambda state: {"model": state, "optimizer": {}},
    "model_state_dict": lambda state: {"model_state_dict": state},
    "two deep": lambda state: {"model": {"state_dict": state}},
    "model.": lambda state: {"network": {f"model.{k}": v for k, v in state.items()}},
    "module.model.": lambda state: {f"module.model.{k}": v for k, v in state.items()},
}


@both
@pytest.mark.parametrize("wrapping", WRAPPED)
def test_wrappings_of_other_programs(name: str, wrapping: str, tmp_path: Path) -> None:
    """Whoever trains on saves in a layout of his own; the names inside are what counts."""
    state = published(name)[single_file(name).wrapper]
    want, _ = import_files([written(tmp_path / "plain", state)], name)
    got, _ = import_files([written(tmp_path / "wrapped", WRAPPED[wrapping](state))], name)
    assert got.sha256 == want.sha256


def test_a_file_that_holds_itself_is_refused(tmp_path: Path) -> None:
    endless: dict[str, Any] = {}
    endless["model"] = endless
    with pytest.raises(CheckpointInvalid, match="holds nothing of caddm-resnet34, but model"):
        import_files([written(tmp_path / "endless.pkl", endless)], CADDM)


def crossed(tensor: Tensor) -> Tensor:
    """The same values, stored by columns."""
    return tensor.transpose(0, 1).contiguous().transpose(0, 1) if tensor.ndim > 1 else tensor


def test_how_tensors_are_stored_does_not_matter(tmp_path: Path) -> None:
    """By columns, as parameters, in one flat buffer, as doubles, in safetensors."""
    state = published(CADDM)["network"]
    want, _ = import_files([written(tmp_path / "plain", state)], CADDM)
    flat = torch.cat([t.flatten().double() for t in state.values()])
    parts = flat.split([t.numel() for t in state.values()])
    stored = {
        "columns": {k: crossed(v) for k, v in state.items()},
        "parameters": {k: nn.Parameter(v, requires_grad=v.ndim > 1) for k, v in state.items()}
        | {k: v for k, v in state.items() if not v.is_floating_point()},
        "flat": {
            k: part.view(v.shape) if v.is_floating_point() else v
            for (k, v), part in zip(state.items(), parts, strict=True)
        },
    }
    for name, content in stored.items():
        got, _ = import_files([written(tmp_path / name, content)], CADDM)
        assert got.sha256 == want.sha256, name
    save_file(dict(state), tmp_path / "theirs.safetensors")
    got, _ = import_files([tmp_path / "theirs.safetensors"], CADDM)
    assert got.sha256 == want.sha256


def test_bfloat16_becomes_float32_of_the_same_values(tmp_path: Path) -> None:
    state = published(CADDM)["network"]
    brief = {k: v.bfloat16() if v.is_floating_point() else v for k, v in state.items()}
    got, _ = import_files([written(tmp_path / "brief", brief)], CADDM)
    assert all(torch.equal(got.tensors[k], v.to(got.tensors[k].dtype)) for k, v in brief.items())
    assert got.tensors["fc.weight"].dtype == torch.float32


def test_one_memory_under_two_names_is_kept_twice(tmp_path: Path) -> None:
    """Tied weights cannot be written as they are: safetensors keeps each tensor by itself."""
    state = dict(published(CADDM)["network"])
    tied = [k for k in state if k.endswith("bn1.running_var") and state[k].shape == (32,)][:2]
    state[tied[1]] = state[tied[0]]
    checkpoint, _ = import_files([written(tmp_path / "tied.pkl", state)], CADDM)
    save(checkpoint, tmp_path / "ours.safetensors")
    again = load(tmp_path / "ours.safetensors")
    assert torch.equal(again.tensors[tied[0]], again.tensors[tied[1]])
    assert again.sha256 == checkpoint.sha256


def test_our_own_checkpoint_is_not_imported_again(tmp_path: Path) -> None:
    """It would lose its calibration and claim to come from the authors."""
    ours = tmp_path / "ours.safetensors"
    save(import_files([written(tmp_path / "theirs.pkl", published(CADDM))], CADDM)[0], ours)
    with pytest.raises(CheckpointInvalid, match="is a checkpoint already"):
        import_files([ours], CADDM)
    ours.write_bytes(ours.read_bytes()[:200])
    with pytest.raises(CheckpointInvalid):
        importing.weights([ours], CADDM)


@pytest.mark.parametrize(
    ("beginning", "what"),
    [
        (b"\n<!DOCTYPE html><html><title>Google Drive", "web page"),
        (b"version https://git-lfs.github.com/spec/v1\n", "Git LFS"),
        (b"", "cut short"),
    ],
)
def test_what_downloads_bring_instead_is_named(beginning: bytes, what: str, tmp_path: Path) -> None:
    (tmp_path / "got.pkl").write_bytes(beginning)
    with pytest.raises(CheckpointInvalid, match=what):
        import_files([tmp_path / "got.pkl"], CADDM)


def test_an_archive_of_files_is_to_be_unpacked(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "drive.zip", "w") as archive:
        archive.writestr("resnet34.pkl", b"weights")
    with pytest.raises(CheckpointInvalid, match=r"\(resnet34\.pkl\): unpack it"):
        import_files([tmp_path / "drive.zip"], CADDM)


def test_missing_extra_and_misshapen_tensors_are_named(tmp_path: Path) -> None:
    content = published(CADDM)
    state = content["network"]
    del state["fc.bias"]
    state["fc.surplus"] = torch.zeros(1)
    state["fc.weight"] = torch.zeros(3, 3)
    state["adm.adm_extra_layers.3.conv1.bias"][0] = float("nan")
    with pytest.raises(CheckpointInvalid) as caught:
        import_files([written(tmp_path / "bad.pkl", content)], CADDM)
    said = str(caught.value)
    assert "1 missing: fc.bias" in said
    assert "1 not known to the network: fc.surplus" in said
    assert "fc.weight (expected (2, 32), got (3, 3))" in said
    assert "adm.adm_extra_layers.3.conv1.bias (expected finite values" in said


def test_tensors_without_effect_may_be_missing(tmp_path: Path) -> None:
    """The ImageNet classifier and batch counters; the report says so."""
    content = published(CADDM)
    state = content["network"]
    for key in [k for k in state if k.endswith("num_batches_tracked")] + ["base_model.fc.weight"]:
        del state[key]
    checkpoint, report = import_files([written(tmp_path / "lean.pkl", content)], CADDM)
    assert "base_model.fc.weight" in report.dead
    assert "missing but never used" in str(report)
    assert not checkpoint.tensors["base_model.fc.weight"].any()


def test_a_file_of_another_detector_is_refused(tmp_path: Path) -> None:
    """It says whose it is."""
    path = written(tmp_path / "other.pth", published(FAKESTORMER))
    with pytest.raises(CheckpointInvalid, match="is fakestormer-c23, not caddm-resnet34"):
        import_files([path], CADDM)
    with pytest.raises(CheckpointInvalid, match="is fakestormer-c23 and none of StyleFlow's"):
        importing.import_files([path], "styleflow")


@pytest.mark.parametrize(
    "content",
    [3, [torch.zeros(2)], {1: torch.zeros(2)}, "words", None, {"network": 3}],
)
def test_content_without_named_tensors_is_refused(content: object, tmp_path: Path) -> None:
    with pytest.raises(CheckpointInvalid):
        import_files([written(tmp_path / "odd.pkl", content)], CADDM)


@pytest.mark.parametrize(
    "value",
    [
        "text",
        torch.zeros(2, 32, dtype=torch.complex64),
        torch.zeros(2, 32, dtype=torch.int64),
        torch.zeros(2, 32).to_sparse(),
        torch.zeros(2, 32, device="meta"),
    ],
    ids=["text", "complex", "integer", "sparse", "meta"],
)
def test_values_that_are_no_weights_are_refused(value: object, tmp_path: Path) -> None:
    content = published(CADDM)
    content["network"]["fc.weight"] = value
    with pytest.raises(CheckpointInvalid, match=r"fc\.weight"):
        import_files([written(tmp_path / "odd.pkl", content)], CADDM)


def test_unknown_detector_names_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(DetectorUnknown, match="caddm-efficientnet-b4"):
        import_files([tmp_path / "any"], "caddm-vgg")


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(CheckpointInvalid, match="no such file"):
        import_files([tmp_path / "nowhere.pkl"], CADDM)


# --- hostile files --------------------------------------------------------------------------


class Hostile:
    """Unpickled by a reader that trusts it, this creates a directory."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return os.mkdir, (str(self.trace),)


def hostile_files(folder: Path, trace: Path) -> list[Path]:
    """The same trap as a bare pickle, in torch's two formats, and hidden among real weights."""
    bare = folder / "bare.pkl"
    bare.write_bytes(pickle.dumps({"network": Hostile(trace)}))
    new = written(folder / "new.pkl", {"network": Hostile(trace)})
    old = folder / "old.pkl"
    torch.save({"network": Hostile(trace)}, old, _use_new_zipfile_serialization=False)
    hidden = written(folder / "hidden.pkl", published(CADDM) | {"opt_state": [Hostile(trace)]})
    return [bare, new, old, hidden]


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
def test_a_hostile_file_runs_nothing(tmp_path: Path) -> None:
    trace = tmp_path / "ran"
    for path in hostile_files(tmp_path, trace):
        with pytest.raises(CheckpointInvalid) as caught:
            import_files([path], CADDM)
        assert not trace.exists(), path.name
        assert "\n" not in str(caught.value)


def test_the_trap_does_work(tmp_path: Path) -> None:
    """A reader that trusts the file springs it; otherwise the test above would prove nothing."""
    trace = tmp_path / "ran"
    hidden = hostile_files(tmp_path, trace)[-1]
    torch.load(hidden, weights_only=False)
    assert trace.is_dir()


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
def test_the_environment_cannot_lift_the_restriction(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD", "1")
    trace = tmp_path / "ran"
    for path in hostile_files(tmp_path, trace):
        with pytest.raises(CheckpointInvalid):
            import_files([path], CADDM)
    assert not trace.exists()


def test_refusal_names_what_was_asked_for(tmp_path: Path) -> None:
    path = hostile_files(tmp_path, tmp_path / "ran")[1]
    with pytest.raises(CheckpointInvalid, match=r"mkdir.*nothing was run"):
        safe_pickle.read(path)


def test_a_compressed_archive_is_refused(tmp_path: Path) -> None:
    """A few kilobytes could unfold to any number of gigabytes."""
    plain = written(tmp_path / "plain.pkl", {"network": torch.zeros(4096)})
    folded = tmp_path / "folded.pkl"
    with zipfile.ZipFile(plain) as source, zipfile.ZipFile(folded, "w") as target:
        for entry in source.infolist():
            target.writestr(entry.filename, source.read(entry), zipfile.ZIP_DEFLATED)
    with pytest.raises(CheckpointInvalid, match="compressed"):
        safe_pickle.read(folded)


def test_an_endless_program_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = written(tmp_path / "long.pkl", {str(i): i for i in range(2000)})
    monkeypatch.setattr(safe_pickle, "MAX_PROGRAM_BYTES", 1000)
    with pytest.raises(CheckpointInvalid, match="too long"):
        safe_pickle.read(path)
    monkeypatch.setattr(safe_pickle, "MAX_FILE_BYTES", 1000)
    with pytest.raises(CheckpointInvalid, match="at most 1000"):
        safe_pickle.read(path)


def test_a_small_storage_posing_as_a_large_tensor_is_refused(tmp_path: Path) -> None:
    """Stride 0 makes a shape of any size out of one number; the shape is checked first."""
    content = published(CADDM)
    content["network"]["fc.weight"] = torch.zeros(1).expand(1 << 20, 1 << 20)
    with pytest.raises(CheckpointInvalid, match=r"fc\.weight"):
        import_files([written(tmp_path / "wide.pkl", content)], CADDM)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data(), old_format=st.booleans())
def test_damaged_files_are_refused(data: st.DataObject, old_format: bool, tmp_path: Path) -> None:
    """Cut short or with bytes changed: CheckpointInvalid and never anything else."""
    buffer = io.BytesIO()
    tensors: dict[str, Tensor] = {"a": torch.arange(6.0), "b": torch.ones(2, 2)}
    torch.save({"network": tensors}, buffer, _use_new_zipfile_serialization=not old_format)
    raw = bytearray(buffer.getvalue())
    for _ in range(data.draw(st.integers(0, 4))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    kept = data.draw(st.integers(0, len(raw)))
    path = tmp_path / "damaged.pkl"
    path.write_bytes(bytes(raw[:kept]))
    with pytest.raises(CheckpointInvalid):
        import_files([path], CADDM)


# --- parts ----------------------------------------------------------------------------------


def test_unwrap_keeps_a_prefix_that_not_every_name_has() -> None:
    content = {"module.a": 1, "b": 2}
    assert unwrap(content, "network") == content


def test_report_of_a_perfect_fit_is_short() -> None:
    state = network(single_file(CADDM)).state_dict()
    assert str(single_file(CADDM).compare(state)) == f"{len(state)} tensors fit"


@both
def test_untrained_says_so_and_reacts(name: str) -> None:
    checkpoint = untrained(name, seed=2)
    assert checkpoint.status is TrainingStatus.UNTRAINED
    assert checkpoint.sha256 == untrained(name, seed=2).sha256 != untrained(name, seed=3).sha256
    detector = build(checkpoint)
    size, logits = detector.clip.size_px, []
    for seed in range(2):
        generator = torch.Generator().manual_seed(seed)
        state, row = detector.init_state(1), torch.tensor([0])
        for _ in range(2):
            crop = torch.randint(0, 256, (1, size, size, 3), dtype=torch.uint8, generator=generator)
            detector.push(state, row, crop, torch.tensor([0]))
        logits.append(detector.rate(state, row).item())
    assert logits[0] != logits[1]
    assert all(abs(logit) < 1000 for logit in logits)


def test_every_published_detector_has_a_layout_and_a_licence() -> None:
    assert set(PUBLISHED) == {
        "styleflow",
        "caddm-resnet34",
        "caddm-efficientnet-b3",
        "caddm-efficientnet-b4",
        "fakestormer-c0",
        "fakestormer-c23",
        "fakestormer-c40",
        "gend-clip-l14",
        "gend-pe-l",
        "gend-dinov3-l",
    }
    for name in PUBLISHED:
        assert all(publication.licence for publication in importing.publications(name))
    for name in TOYS:
        assert single_file(name).name == name
        assert single_file(name).network in (Caddm, FakeStormer)
