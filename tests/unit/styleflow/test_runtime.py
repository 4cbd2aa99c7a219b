"""Networks that run elsewhere answer as they do at home."""

from __future__ import annotations

import copy
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from styleflow import runtime
from styleflow.detectors.layers.seeding import seed_weights
from styleflow.detectors.styleflow_live.live import StyleFlowLiveDetector
from styleflow.errors import RuntimeDiffers, ShapeMismatch
from styleflow.faces.networks import BlazeFaceNet, FaceMeshNet, PictureNet
from styleflow.graphs import Captured, rehearsed
from styleflow.runtime import (
    Compiled,
    accelerate,
    accelerated,
    begin,
    computed_in,
    reduced,
)
from styleflow.runtime_settings import Precision, Runtime, RuntimeSettings
from styleflow.weights.checkpoint import build
from tests.support.models import crops, toy_checkpoint


class Toy(nn.Module):
    """Two pictures in, a tensor and a vector out."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(6, 4, 3, 2, 1)
        self.calls = 0
        seed_weights(self, 1)
        self.eval()

    def forward(self, now: Tensor, before: Tensor) -> tuple[Tensor, Tensor]:
        self.calls += 1
        x = torch.cat([now, before], dim=-1).permute(0, 3, 1, 2).float() / 127.5 - 1.0
        y = self.conv(x).relu()
        return y, y.mean(dim=(2, 3))


def compiled(net: nn.Module, workers: int = 1, cache: Path | None = None) -> nn.Module:
    return accelerated(net, RuntimeSettings(workers=workers, cache=cache))


@pytest.mark.parametrize("workers", [1, 3])
@torch.inference_mode()
def test_a_compiled_network_answers_like_the_network(workers: int) -> None:
    """For every batch size, in the batch's order, also where items run at the same time."""
    net = Toy()
    fast = compiled(net, workers)
    assert isinstance(fast, Compiled)
    for batch in (1, 2, 7, 0):
        inputs = crops(batch, batch), crops(batch + 50, batch)
        for ours, theirs in zip(fast(*inputs), net(*inputs), strict=True):
            assert ours.shape == theirs.shape
            torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("make", [compiled, lambda net: net], ids=["compiled", "plain"])
@torch.inference_mode()
def test_a_call_that_was_begun_answers_as_one_that_was_not(
    make: Callable[[nn.Module], nn.Module],
) -> None:
    """Whatever the caller does between beginning a call and asking for its answer."""
    net = make(Toy())
    for batch in (1, 5, 2):
        inputs = crops(batch, batch), crops(batch + 50, batch)
        finish = begin(net, *inputs)
        torch.rand(64, 64) @ torch.rand(64, 64)
        for ours, theirs in zip(finish(), net(*inputs), strict=True):
            assert torch.equal(ours, theirs)


class Slow(nn.Module):
    """Computes long enough for its caller to do something else meanwhile."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(*(nn.Conv2d(3, 3, 15, padding=7) for _ in range(30)))
        seed_weights(self, 1)
        self.eval()

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.layers(x)
        return y


@torch.inference_mode()
def test_what_a_call_reads_stays_until_it_has_been_read() -> None:
    """Its caller lets go of the inputs at once, and their memory is given to somebody else."""
    net = compiled(Slow())
    inputs = torch.rand(6, 3, 160, 160, generator=torch.Generator().manual_seed(1))
    expected = net(inputs)
    for _ in range(5):
        finish = begin(net, inputs.clone())
        others = [torch.full((6, 3, 160, 160), 7.0) for _ in range(4)]
        assert torch.equal(finish(), expected)
        del others


@torch.inference_mode()
def test_a_call_that_nobody_waits_for_harms_no_other() -> None:
    net = compiled(Slow())
    one, other = torch.zeros(2, 3, 160, 160), torch.ones(2, 3, 160, 160)
    expected = net(other)
    begin(net, one)
    assert torch.equal(begin(net, other)(), expected)


@torch.inference_mode()
def test_an_item_answers_the_same_whoever_its_neighbours_are() -> None:
    fast = compiled(Toy(), workers=2)
    now, before = crops(1, 6), crops(2, 6)
    together = fast(now, before)
    for item in range(6):
        alone = fast(now[item : item + 1], before[item : item + 1])
        assert all(torch.equal(a[item : item + 1], b) for a, b in zip(together, alone, strict=True))


@pytest.mark.parametrize("net", [BlazeFaceNet(), FaceMeshNet()], ids=lambda n: type(n).__name__)
@torch.inference_mode()
def test_the_face_networks_keep_their_answers(net: nn.Module) -> None:
    """Within a thousandth of a pixel: far below what moves a crop."""
    seed_weights(net, 3)
    pictures = PictureNet(net, 1 / 127.5, -1.0)
    rng = np.random.default_rng(0)
    images = torch.from_numpy(rng.integers(0, 256, (2, 192, 192, 3), np.uint8))
    for ours, theirs in zip(compiled(pictures)(images), pictures(images), strict=True):
        torch.testing.assert_close(ours, theirs, atol=1e-3, rtol=1e-4)


@pytest.mark.parametrize(("bearing", "apart"), [((), 1e-3), (("encoder",), 5e-2)])
@torch.inference_mode()
def test_an_accelerated_detector_gives_the_same_logits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, bearing: tuple[str, ...], apart: float
) -> None:
    """Through push, gaps and rate: to a thousandth of a logit, or a twentieth in bfloat16."""
    monkeypatch.setattr(StyleFlowLiveDetector, "reduced", bearing)
    plain, fast = build(toy_checkpoint()), build(toy_checkpoint())
    accelerate(fast, RuntimeSettings(cache=tmp_path))
    assert isinstance(fast.encoder, Compiled)  # type: ignore[attr-defined]
    rows = torch.arange(3)
    logits = []
    for detector in (plain, fast):
        state = detector.init_state(4)
        for time in range(5):
            missing = torch.tensor([0, 2 * (time == 3), 0])
            detector.push(state, rows, crops(time, 3), missing)
        logits.append(detector.rate(state, rows))
    torch.testing.assert_close(logits[1], logits[0], atol=apart, rtol=0)


@pytest.mark.parametrize(("names", "wish"), [((), "f32"), (("net",), "bf16")])
def test_half_the_precision_is_asked_for_where_it_is_allowed_and_nowhere_else(
    monkeypatch: pytest.MonkeyPatch, names: tuple[str, ...], wish: str
) -> None:
    compiled(Toy())(crops(0, 1), crops(1, 1))
    openvino = sys.modules["openvino"]
    asked: list[str] = []
    compile_model = openvino.Core.compile_model

    def noted(core: Any, model: Any, device: str, config: dict[str, Any]) -> Any:
        asked.append(config["INFERENCE_PRECISION_HINT"])
        return compile_model(core, model, device, config)

    monkeypatch.setattr(openvino.Core, "compile_model", noted)
    detector = SimpleNamespace(stateless=("net",), reduced=names, net=Toy())
    accelerate(detector, RuntimeSettings())
    with torch.inference_mode():
        detector.net(crops(0, 1), crops(1, 1))
    assert asked == [wish]


def test_what_bears_half_the_precision_may_be_computed_in_eight_bits() -> None:
    """The configured precision is the general mechanism; a part's own wish only halves float32."""
    assert reduced(RuntimeSettings(workers=3), Toy()) == RuntimeSettings(
        workers=3, precision=Precision.BFLOAT16
    )
    eight = RuntimeSettings(precision=Precision.INT8)
    assert reduced(eight, Toy()) == eight


@pytest.mark.parametrize(
    ("fast", "measured", "asked", "precision"),
    [
        (True, True, None, Precision.INT8),
        (False, True, None, Precision.BFLOAT16),
        (True, False, None, Precision.BFLOAT16),
        (True, True, Precision.FLOAT32, Precision.FLOAT32),
        (True, True, Precision.BFLOAT16, Precision.BFLOAT16),
        (False, False, Precision.INT8, Precision.INT8),
    ],
)
def test_eight_bits_are_for_processors_and_networks_that_are_known_to_bear_them(
    fast: bool,
    measured: bool,
    asked: Precision | None,
    precision: Precision,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(runtime, "multiplies_eight_bits", lambda: fast)
    net = Toy()
    if measured:
        net.ranges = {}  # type: ignore[assignment]
    assert reduced(RuntimeSettings(bearing=asked), net).precision is precision


@pytest.mark.parametrize(
    ("asked", "told"), [(Precision.INT8, "float32, int8"), (Precision.FLOAT32, "float32")]
)
def test_a_detector_tells_what_its_parts_are_computed_in(asked: Precision, told: str) -> None:
    plain = SimpleNamespace(stateless=("net", "other"), reduced=("net",), net=Toy(), other=Toy())
    assert computed_in(plain) == "float32"
    accelerate(plain, RuntimeSettings(bearing=asked))
    assert computed_in(plain) == told
    assert computed_in(object()) == "float32"


@pytest.mark.parametrize("elsewhere", [compiled, lambda net: Captured(net, rehearsed)])
@torch.inference_mode()
def test_a_copy_in_use_has_weights_of_its_own(elsewhere: Callable[[nn.Module], nn.Module]) -> None:
    """Ablation copies a detector that has rated clips already, and then silences a part of it."""
    fast = elsewhere(Toy())
    inputs = crops(1, 2), crops(2, 2)
    answer = fast(*inputs)[1].clone()
    twin = copy.deepcopy(fast)
    assert torch.equal(twin(*inputs)[1], answer)
    silent = copy.deepcopy(fast)
    silent.net.conv.weight.zero_()
    assert not torch.allclose(silent(*inputs)[1], answer)
    assert torch.equal(fast(*inputs)[1], answer)


def test_items_of_another_shape_are_refused() -> None:
    fast = compiled(Toy())
    fast(crops(0, 1), crops(1, 1))
    with pytest.raises(ShapeMismatch, match="compiled"):
        fast(torch.zeros(1, 16, 16, 3, dtype=torch.uint8), crops(1, 1))


def test_a_kept_graph_is_used_at_the_next_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = compiled(Toy(), cache=tmp_path)(crops(0, 2), crops(1, 2))
    monkeypatch.setattr(runtime, "convert", lambda net, probe: pytest.fail("converted again"))
    second = compiled(Toy(), cache=tmp_path)(crops(0, 2), crops(1, 2))
    assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))


def test_other_weights_never_meet_a_kept_graph(tmp_path: Path) -> None:
    compiled(Toy(), cache=tmp_path)(crops(0, 1), crops(1, 1))
    other = Toy()
    seed_weights(other, 2)
    found = compiled(other, cache=tmp_path)(crops(0, 1), crops(1, 1))
    torch.testing.assert_close(found[1], other(crops(0, 1), crops(1, 1))[1], atol=1e-5, rtol=1e-5)
    assert len(list(tmp_path.glob("*.xml"))) == 2


@pytest.mark.parametrize("harm", ["cut", "swapped"])
def test_a_harmed_graph_is_converted_anew(tmp_path: Path, harm: str) -> None:
    """Whether it cannot be read or answers otherwise."""
    compiled(Toy(), cache=tmp_path)(crops(0, 1), crops(1, 1))
    (weights,) = tmp_path.glob("*.bin")
    data = weights.read_bytes()
    weights.write_bytes(data[: len(data) // 2] if harm == "cut" else bytes(len(data)))
    found = compiled(Toy(), cache=tmp_path)(crops(0, 1), crops(1, 1))
    torch.testing.assert_close(found[1], Toy()(crops(0, 1), crops(1, 1))[1], atol=1e-5, rtol=1e-5)


def test_a_network_that_compiles_into_another_is_not_used(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    other = Toy()
    seed_weights(other, 2)
    convert = runtime.convert
    monkeypatch.setattr(runtime, "convert", lambda net, probe: convert(other, probe))
    with pytest.raises(RuntimeDiffers) as caught:
        compiled(Toy())(crops(0, 1), crops(1, 1))
    assert "runtime to torch" in caught.value.hint


def test_a_folder_that_cannot_be_written_costs_nothing_but_time(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("in the way")
    compiled(Toy(), cache=blocked / "graphs")(crops(0, 1), crops(1, 1))


class Product(nn.Module):
    """One matrix product large enough for eight bits, and one that is too small."""

    def __init__(self) -> None:
        super().__init__()
        self.large = nn.Linear(192, 256)
        self.small = nn.Linear(256, 3)
        seed_weights(self, 3)
        self.eval()

    def forward(self, x: Tensor) -> Tensor:
        return self.small(functional.gelu(self.large(x)))  # type: ignore[no-any-return]


@pytest.mark.parametrize("precision", [Precision.BFLOAT16, Precision.INT8])
@torch.inference_mode()
def test_other_precisions_answer_almost_like_the_network(precision: Precision) -> None:
    """Near enough to be of use, and not the same: the setting does reach the processor."""
    net, x = Product(), torch.randn(5, 192, generator=torch.Generator().manual_seed(1))
    fast = accelerated(net, RuntimeSettings(precision=precision))
    apart = (fast(x) - net(x)).abs().max()
    assert apart < 0.05 * net(x).abs().max()
    if precision is Precision.INT8:  # not every processor has bfloat16
        assert apart > 1e-5


def test_eight_bits_round_each_output_by_a_scale_of_its_own() -> None:
    net = Product()
    net.large.weight.data[0] *= 1000  # one loud output does not coarsen the others
    probe = torch.randn(1, 192, generator=torch.Generator().manual_seed(2))
    model = runtime.convert(net, (probe,))
    assert runtime.round_weights(model) == 1
    kept = [op for op in model.get_ops() if op.get_type_name() == "Constant"]
    (eight,) = [op.data for op in kept if op.data.dtype == np.int8]
    weight = net.large.weight.detach().numpy()
    steps = np.abs(weight).max(1, keepdims=True) / 127
    rounded = eight if eight.shape == weight.shape else eight.T
    assert (np.abs(rounded * steps - weight) <= steps / 2 + 1e-7).all()


def test_a_precision_that_goes_wrong_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    def spoil(model: Any) -> int:
        import openvino

        for op in model.get_ops():
            if op.get_type_name() == "MatMul":
                wrong = np.full(tuple(op.input_value(1).shape), 9.0, np.float32)
                op.input(1).replace_source_output(openvino.opset13.constant(wrong).output(0))
        return 0

    monkeypatch.setattr(runtime, "round_weights", spoil)
    with pytest.raises(RuntimeDiffers):
        accelerated(Product(), RuntimeSettings(precision=Precision.INT8))(torch.ones(1, 192))


def test_graphs_of_very_large_networks_are_not_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A gigabyte of weights is converted in seconds, and would lie on the disk a second time."""
    monkeypatch.setattr(runtime, "LARGEST_KEPT", 100)
    compiled(Toy(), cache=tmp_path)(crops(0, 1), crops(1, 1))
    assert list(tmp_path.iterdir()) == []


def test_openvino_is_kept_from_reporting_home() -> None:
    compiled(Toy())(crops(0, 1), crops(1, 1))
    assert sys.modules["openvino_telemetry"] is None  # importing it fails, so nothing is sent


ROOT = Path(__file__).resolve().parents[3]
COME_AND_GONE = """
import signal, threading
import torch
from styleflow.runtime import accelerated
from styleflow.runtime_settings import RuntimeSettings

def network():
    net = accelerated(torch.nn.Conv2d(1, 1, 1).eval(), RuntimeSettings(cache=None))
    net(torch.zeros(1, 1, 4, 4))
    return net

signal.signal(signal.SIGTERM, lambda *_: print("handled"))
networks = [network(), network()]
{gone}
signal.raise_signal(signal.SIGTERM)
"""


@pytest.mark.parametrize(
    "gone",
    [
        pytest.param("del networks[0]; del networks[0]", id="in-the-order-in-which-they-came"),
        pytest.param(
            "ends = threading.Thread(target=networks.clear); ends.start(); ends.join()",
            id="in-another-thread",
        ),
    ],
)
def test_a_signal_after_compiled_networks_have_gone_is_no_segmentation_fault(gone: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", COME_AND_GONE.format(gone=gone)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, "handled\n"), done.stderr


def test_other_types_and_torch_itself_are_left_alone() -> None:
    assert isinstance(compiled(Toy().to(torch.bfloat16)), Toy)
    assert isinstance(accelerated(Toy(), RuntimeSettings(Runtime.TORCH)), Toy)
    with pytest.raises(ValueError, match="workers"):
        RuntimeSettings(workers=0)
