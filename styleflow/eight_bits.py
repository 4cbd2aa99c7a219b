"""Matrix products of a graph in eight bits, with and without ranges measured beforehand.

A processor multiplies eight bits by eight about twice as fast as half precision. Weights are
rounded with a scale for each output. `round_weights` leaves it to the processor to round what goes
in, by the group, as it computes. `quantise` rounds that by one scale per product, so that sums stay
whole numbers. The scale has to be known beforehand: `measure` runs the network over typical items
and keeps, for each product, the lowest, the highest and the mean value of each input channel. The
file is small, because weights are rounded from their originals at every start.

Two things keep the answers close. A channel that is loud makes the common scale coarse for all
others, so part of its loudness is moved into the weights (SmoothQuant; Xiao et al., ICML 2023).
And rounding weights moves every output by what it makes of the mean input, which is taken back in
the bias (Nagel et al., ICCV 2019).
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from torch import nn

from styleflow.errors import WeightsUnusable
from styleflow.openvino_core import core, library

if TYPE_CHECKING:
    import openvino

SMOOTHING = 0.7
"""Share of a channel's loudness that moves into the weights; 0.5 to 0.7 were as good."""

SMALLEST = 1 << 14
"""Numbers of the smallest weights that are rounded; smaller ones gain nothing."""

SHIPPED = "dinov2-vits14.ranges.npz"
_STRIDE = 16  # of the rows of a matrix that its digest is made of
_STEPS = 127
_DIGEST = "digest"


@dataclass(frozen=True, slots=True, eq=False)
class Range:
    """Values that go into one product, by channel, each `(n,)` float32.

    Attributes:
        low: the lowest.
        high: the highest.
        mean: their mean.
    """

    low: NDArray[np.float32]
    high: NDArray[np.float32]
    mean: NDArray[np.float32]


Ranges = Mapping[str, Range]
"""What goes into the products of a network, by the names of its layers."""


def ranges_of(net: nn.Module) -> Ranges | None:
    """Return the ranges that a network says belong to its weights; None where it says nothing."""
    found: Ranges | None = getattr(net, "ranges", None)
    return found


def shipped_ranges(net: nn.Module) -> Ranges | None:
    """Return the ranges in this package, if they were measured with a network's weights."""
    ranges, digest = _shipped()
    return ranges if digest == weights_digest(net, ranges) else None


@functools.cache
def _shipped() -> tuple[Ranges, str]:
    with resources.as_file(resources.files("styleflow.weights") / SHIPPED) as file:
        return read_ranges(file)


def weights_digest(net: nn.Module, names: Iterable[str]) -> str:
    """Return a digest of the layers of these names; empty where the network lacks one."""
    digest, state = hashlib.sha256(), net.state_dict()
    for name in sorted(names):
        weight = state.get(f"{name}.weight")
        if weight is None or weight.is_meta:
            return ""
        rows = weight.detach().float().cpu().numpy()[::_STRIDE]
        digest.update(f"{name} {tuple(weight.shape)}".encode())
        digest.update(np.ascontiguousarray(rows).tobytes())
    return digest.hexdigest()


def write_ranges(path: Path, ranges: Ranges, digest: str) -> None:
    """Write ranges, in half precision, and the digest of the weights that they belong to."""
    kept: dict[str, Any] = {
        name: np.stack([r.low, r.high, r.mean]).astype(np.float16)
        for name, r in sorted(ranges.items())
    }
    np.savez_compressed(path, **{_DIGEST: np.array(digest), **kept})


def read_ranges(path: Path) -> tuple[Ranges, str]:
    """Return the ranges of a file, and the digest of the weights that they belong to.

    Raises:
        WeightsUnusable: it holds something else.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            digest = str(file[_DIGEST])
            kept = {n: file[n].astype(np.float32) for n in file.files if n != _DIGEST}
    except (OSError, ValueError, KeyError) as error:
        raise WeightsUnusable("ranges", str(error)) from error
    return {name: Range(*rows) for name, rows in kept.items()}, digest


def measure(model: openvino.Model, items: Iterable[NDArray[Any]]) -> Ranges:
    """Return what goes into the products of a graph while it answers for some items.

    Args:
        model: of one input; it is not used up.
        items: typical ones, each `(1, ...)`.
    """
    openvino = library()
    make, names, wanted = openvino.opset13, [], []
    for name, node, _ in _products(model):
        value = node.input_value(0)
        axes = make.constant(np.arange(len(value.get_partial_shape()) - 1))
        names.append(name)
        for reduce in (make.reduce_min, make.reduce_max, make.reduce_mean):
            wanted.append(make.result(reduce(value, axes, keep_dims=False)))
    watched = openvino.Model(wanted, model.get_parameters(), "ranges")
    properties = {"INFERENCE_NUM_THREADS": 1, "INFERENCE_PRECISION_HINT": "f32"}
    request = core().compile_model(watched, "CPU", properties).create_infer_request()
    seen: list[list[NDArray[np.float32]]] = [[] for _ in wanted]
    for item in items:
        request.infer({0: item})
        for number, values in enumerate(seen):
            values.append(np.array(request.get_output_tensor(number).data, np.float32))
    stacked = [np.stack(values) for values in seen]
    return {
        name: Range(low.min(0), high.max(0), mean.mean(0))
        for name, low, high, mean in zip(
            names, stacked[::3], stacked[1::3], stacked[2::3], strict=True
        )
    }


def quantise(model: openvino.Model, ranges: Ranges) -> int:
    """Let a graph's products multiply eight bits by eight, in place.

    Args:
        model: the graph, as converted.
        ranges: of what goes into its products; one without a range stays as it is.

    Returns:
        How many multiply eight bits now.
    """
    done = 0
    for name, node, weights in list(_products(model)):
        known = ranges.get(name)
        if known is not None and known.low.shape == weights.shape[1:]:
            _replace(node, weights, known)
            done += 1
    model.validate_nodes_and_infer_types()
    return done


def round_weights(model: openvino.Model) -> int:
    """Round the weights of a graph's matrix products to eight bits, in place.

    Each output keeps a scale of its own, so that its largest weight is 127 steps. The processor
    then multiplies eight bits by eight: it rounds what goes in by the group, as it computes.

    Returns:
        How many products have such weights now.
    """
    make, done = library().opset13, 0
    for _, node, weights in list(_products(model)):
        steps = np.abs(weights).max(1, keepdims=True) / _STEPS
        steps[steps == 0] = 1
        rounded, scale = np.rint(weights / steps).astype(np.int8), steps
        if not node.get_attributes()["transpose_b"]:
            rounded, scale = rounded.T, steps.T
        eight = make.constant(np.ascontiguousarray(rounded))
        restored = make.multiply(make.convert(eight, "f32"), make.constant(scale))
        node.input(1).replace_source_output(restored.output(0))
        done += 1
    model.validate_nodes_and_infer_types()
    return done


def _replace(node: Any, weights: NDArray[np.float32], known: Range) -> None:
    """Put a product of eight bits in the place of one; weights are `(outputs, inputs)`."""
    make = library().opset13
    smooth = _smoothing(weights, known)
    low, high = _span(known, smooth)
    rank = len(node.input_value(0).get_partial_shape())
    by_channel = [1] * (rank - 1) + [-1]

    def constant(values: NDArray[Any]) -> Any:
        return make.constant(values.astype(np.float32))

    given = make.fake_quantize(
        node.input_value(0),
        constant((low * smooth).reshape(by_channel)),
        constant((high * smooth).reshape(by_channel)),
        constant(np.array(low)),
        constant(np.array(high)),
        256,
    )
    smoothed = weights * smooth
    steps = np.abs(smoothed).max(1, keepdims=True) / _STEPS
    steps[steps == 0] = 1
    rounded = np.rint(smoothed / steps)
    eight = make.convert(make.constant(rounded.astype(np.int8)), "f32")
    product = make.matmul(
        given, make.multiply(eight, constant(steps)), transpose_a=False, transpose_b=True
    )
    moved = (smoothed - rounded * steps) @ (known.mean / smooth)
    whole = make.add(product, constant(moved))
    for target in list(node.output(0).get_target_inputs()):
        target.replace_source_output(whole.output(0))


def _smoothing(weights: NDArray[np.float32], known: Range) -> NDArray[np.float64]:
    """Return by what each input channel is divided, and its weights multiplied."""
    loud = np.maximum(np.abs(known.low), np.abs(known.high)).astype(np.float64) + 1e-6
    heavy = np.abs(weights).max(0).astype(np.float64) + 1e-6
    smooth = loud**SMOOTHING / heavy ** (1 - SMOOTHING)
    return np.asarray(smooth / np.exp(np.log(smooth).mean()), np.float64)


def _span(known: Range, smooth: NDArray[np.float64]) -> tuple[float, float]:
    """Return the lowest and highest of the values once smoothed, 255 steps apart with 0 on one."""
    low = min(float((known.low / smooth).min()), 0.0)
    high = max(float((known.high / smooth).max()), 0.0)
    step = max(high - low, 1e-6) / 255
    low = -round(-low / step) * step
    return low, low + 255 * step


def _products(model: openvino.Model) -> Iterable[tuple[str, Any, NDArray[np.float32]]]:
    """Yield every product with large constant weights: layer, node, `(outputs, inputs)`."""
    for node in model.get_ordered_ops():
        if node.get_type_name() != "MatMul":
            continue
        source = node.input_value(1).get_node()
        if source.get_type_name() != "Constant":
            continue
        weights: NDArray[Any] = source.data
        if weights.ndim != 2 or weights.dtype != np.float32 or weights.size < SMALLEST:
            continue
        if not node.get_attributes()["transpose_b"]:
            weights = weights.T
        # A traced layer is called as in the network, then by the operation that it became.
        yield node.get_friendly_name().partition("/")[0].removeprefix("__module."), node, weights
