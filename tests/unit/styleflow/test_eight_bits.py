"""Products of eight bits: what is measured, what is rounded, and for whose weights."""

from __future__ import annotations

from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from styleflow import eight_bits, runtime
from styleflow.detectors.styleflow_live.face_encoder import FaceEncoder
from styleflow.eight_bits import (
    SHIPPED,
    Range,
    Ranges,
    measure,
    quantise,
    ranges_of,
    read_ranges,
    shipped_ranges,
    weights_digest,
    write_ranges,
)
from styleflow.errors import WeightsUnusable
from styleflow.openvino_core import core
from styleflow.runtime import Compiled, convert
from styleflow.runtime_settings import Precision, RuntimeSettings
from tests.support.models import toy_network

if TYPE_CHECKING:
    import openvino

LOUD = 7


class TwoLayers(nn.Module):
    """Two layers whose input has one loud channel; the last layer is too small to be rounded."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.first = nn.Linear(192, 256)
        self.second = nn.Linear(256, 128)
        self.last = nn.Linear(128, 4)

    def forward(self, x: Tensor) -> Tensor:
        """Return four numbers per row."""
        hidden = functional.gelu(self.second(functional.gelu(self.first(x))))
        return self.last(hidden)  # type: ignore[no-any-return]


def items(count: int, seed: int = 0) -> Tensor:
    made = torch.randn(count, 192, generator=torch.Generator().manual_seed(seed)) * 0.1
    made[:, LOUD] = made[:, LOUD] * 60 + 4
    return made


def graph(net: nn.Module) -> openvino.Model:
    return convert(net.eval(), (items(1),))


def arrays(count: int = 40) -> list[NDArray[Any]]:
    return [np.asarray(item[None].numpy()) for item in items(count)]


def known(net: nn.Module) -> Ranges:
    with torch.no_grad():
        return measure(graph(net), arrays())


@torch.no_grad()
def answers(model: openvino.Model, values: Tensor) -> NDArray[Any]:
    properties = {"INFERENCE_PRECISION_HINT": "f32"}
    request = core().compile_model(model, "CPU", properties).create_infer_request()
    return np.concatenate([request.infer({0: v[None].numpy()})[0].copy() for v in values])


@torch.no_grad()
def test_what_goes_into_a_product_is_measured_channel_by_channel() -> None:
    net = TwoLayers()
    found = known(net)
    assert set(found) == {"first", "second"}
    given = items(40).numpy()
    np.testing.assert_allclose(found["first"].low, given.min(0), rtol=1e-5)
    np.testing.assert_allclose(found["first"].high, given.max(0), rtol=1e-5)
    np.testing.assert_allclose(found["first"].mean, given.mean(0), rtol=1e-4, atol=1e-5)
    inside = functional.gelu(net.first(items(40))).numpy()
    np.testing.assert_allclose(found["second"].high, inside.max(0), rtol=1e-3, atol=1e-4)


@torch.no_grad()
def test_products_of_eight_bits_answer_almost_the_same_in_spite_of_a_loud_channel() -> None:
    net, values = TwoLayers(), items(60, seed=3)
    ranges = known(net)
    model = graph(net)
    assert quantise(model, ranges) == 2
    eight = [op.data for op in model.get_ops() if op.get_type_name() == "Constant"]
    assert sorted(op.shape for op in eight if op.dtype == np.int8) == [(128, 256), (256, 192)]
    wanted = net(values).numpy()
    spread = float(wanted.std(0).mean())
    ours = np.abs(answers(model, values) - wanted).mean() / spread
    assert 0 < ours < 0.05


@torch.no_grad()
def test_loudness_that_stays_where_it_is_costs_precision(monkeypatch: pytest.MonkeyPatch) -> None:
    net, values = TwoLayers(), items(60, seed=3)
    ranges, wanted, apart = known(net), net(values).numpy(), []
    for smoothing in (0.7, 0.0):
        monkeypatch.setattr(eight_bits, "SMOOTHING", smoothing)
        model = graph(net)
        quantise(model, ranges)
        apart.append(float(np.abs(answers(model, values) - wanted).mean()))
    assert apart[0] < 0.7 * apart[1]


@torch.no_grad()
def test_a_product_without_a_range_or_of_another_shape_stays_as_it_is() -> None:
    net = TwoLayers()
    few: NDArray[np.float32] = np.zeros(3, np.float32)
    model = graph(net)
    assert quantise(model, {"elsewhere": Range(few, few, few), "first": Range(few, few, few)}) == 0
    values = items(5)
    np.testing.assert_allclose(answers(model, values), net(values).numpy(), atol=1e-5)


def test_ranges_come_back_from_their_file_in_half_precision(tmp_path: Path) -> None:
    net = TwoLayers()
    ranges, path = known(net), tmp_path / "known.ranges.npz"
    write_ranges(path, ranges, weights_digest(net, ranges))
    found, digest = read_ranges(path)
    assert digest == weights_digest(net, found)
    for name, one in ranges.items():
        np.testing.assert_allclose(found[name].high, one.high, rtol=1e-3, atol=1e-4)


def test_a_file_of_something_else_is_told(tmp_path: Path) -> None:
    path = tmp_path / "other.npz"
    np.savez(path, weights=np.zeros(3))
    with pytest.raises(WeightsUnusable):
        read_ranges(path)


def test_other_weights_have_another_digest_and_no_ranges() -> None:
    net, other = TwoLayers(), TwoLayers()
    with torch.no_grad():
        other.second.weight[16] += 1e-3
    names = ("first", "second")
    assert weights_digest(net, names) != weights_digest(other, names)
    assert weights_digest(net, ("nowhere",)) == ""
    assert shipped_ranges(net) is None
    assert ranges_of(net) is None


def test_an_encoder_of_other_weights_than_the_published_has_no_ranges() -> None:
    encoder = toy_network().encoder
    assert isinstance(encoder, FaceEncoder)
    assert ranges_of(encoder) is None


def test_the_shipped_ranges_are_of_every_product_of_the_published_encoder() -> None:
    with resources.as_file(resources.files("styleflow.weights") / SHIPPED) as file:
        ranges, digest = read_ranges(file)
        assert file.stat().st_size < 1_000_000
    layers = ("attention.query", "attention.key", "attention.value", "attention.out")
    names = {
        f"trunk.blocks.{n}.{layer}" for n in range(12) for layer in (*layers, "mlp.fc1", "mlp.fc2")
    }
    assert set(ranges) == names
    assert len(digest) == 64
    for name, one in ranges.items():
        assert one.low.shape == ((1536,) if name.endswith("fc2") else (384,))
        assert (one.low <= one.mean).all()
        assert (one.mean <= one.high).all()


@torch.inference_mode()
def test_a_network_that_names_ranges_is_computed_with_them(monkeypatch: pytest.MonkeyPatch) -> None:
    net = TwoLayers().eval()
    with torch.inference_mode(mode=False):
        net.ranges = known(net)  # type: ignore[assignment]
    monkeypatch.setattr(runtime, "round_weights", lambda model: pytest.fail("rounded by the group"))
    fast = Compiled(net, RuntimeSettings(precision=Precision.INT8))
    values = items(10, seed=5)
    apart = (fast(values) - net(values)).abs().mean() / net(values).std(0).mean()
    assert 1e-5 < apart < 0.1
