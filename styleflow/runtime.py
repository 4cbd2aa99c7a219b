"""Runtime of networks without memory: compiled for a processor, captured on an accelerator.

Theory of operation. Most time goes into networks that map each item of a batch to its own answer:
the face detector, the mesh, encoders. PyTorch runs them as hundreds of small calls. `accelerated`
puts a module of the same inputs and outputs in such a network's place:

- On a CPU, OpenVINO compiles it for one item, and the items of a batch are handed to as many
  single-threaded requests as there are threads. Measured on two cores of an AMD EPYC (AVX-512):
  a batch costs what its items cost, 1.4 ms each for the detector alone and 1.9 ms each in eights,
  because one item already fills the vector units and eight no longer fit the caches. So nothing is
  padded, no thread waits for another, and an item's answer is the same bit for bit whoever its
  neighbours are.
- On CUDA, where launching is what costs, a batch is padded to the next of a few sizes and each size
  is recorded once as a CUDA graph (`styleflow.graphs`), and so are a detector's `steps`.

Compiling takes about a second per network, so the converted graph is kept in a folder. A kept graph
is believed only after it has answered like the network on a probe; so is a fresh one. Everything is
computed in float32 (bfloat16 was 1.4 times faster and moved pSp's style latents by 4e-3, SPEC:
1e-3) unless a detector is configured otherwise, or names parts that bear bfloat16 in `reduced`.
Graphs of hundreds of millions of weights are not kept: they would fill the disk, and converting
them is quick beside reading them.
"""

from __future__ import annotations

import copy
import functools
import hashlib
import os
import tempfile
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from styleflow.eight_bits import quantise, ranges_of, round_weights
from styleflow.errors import RuntimeDiffers
from styleflow.graphs import (
    Answer,
    Captured,
    Signature,
    capture_steps,
    changed,
    network_of,
    signature_of,
)
from styleflow.openvino_core import core, library
from styleflow.runtime_settings import Precision, Runtime, RuntimeSettings

if TYPE_CHECKING:
    import openvino

PROBE_TOLERANCE = 5e-4
"""Largest difference from the network on the probe, relative to its largest answer or 1."""

TOLERANCES = {
    Precision.FLOAT32: PROBE_TOLERANCE,
    Precision.BFLOAT16: 5e-2,
    Precision.INT8: 5e-2,
}
"""The same for each precision: bfloat16 keeps eight bits. On GenD's seeded encoder of real size,
bfloat16 and int8 moved the logit by at most 1.5e-3."""

LARGEST_KEPT = 64 << 20
"""Weights of the largest network whose graph is kept."""

RANGED_TOLERANCE = 0.2
"""The same for eight bits with ranges measured on faces, of which the probe's noise is none: of the
shipped network's two answers it moved the farther one by 0.09."""

_EIGHT_BIT_PRODUCTS = frozenset({"avx512_vnni", "avx_vnni", "amx_int8"})

EIGHT_BIT_GROUP = 32
"""Numbers of an input that share a scale while int8 multiplies them."""

Finish = Callable[[], Answer]
"""Waits for a call that was begun, and returns what it returns; called once."""


def accelerated(net: nn.Module, settings: RuntimeSettings) -> nn.Module:
    """Return what runs a network in inference; the network itself where nothing is faster.

    Args:
        net: in evaluation mode, on its device. Takes tensors of the same batch size and returns a
            tensor or a tuple of them, item by item; keeps nothing between calls.
        settings: how.
    """
    weights = [*net.parameters(), *net.buffers()]
    plain = all(w.dtype == torch.float32 for w in weights if w.is_floating_point())
    if settings.runtime is Runtime.TORCH or not weights or not plain:
        return net
    device = weights[0].device
    if device.type == "cpu":
        return Compiled(net, settings)
    return Captured(net) if device.type == "cuda" else net


def begin(net: nn.Module, *inputs: Tensor) -> Finish:
    """Begin a call of a network, and return what waits for its answer.

    A compiled network computes in threads of its own, and an accelerator beside the processor:
    whoever has something else to do does it before asking for the answer. Any other network has
    been called when this returns. The inputs must stay as they are until then.
    """
    if isinstance(net, Compiled):
        return net.begin(*inputs)
    answer = cast(Answer, net(*inputs))
    return lambda: answer


def accelerate(detector: object, settings: RuntimeSettings) -> None:
    """Accelerate the parts of a detector that it names in `stateless`; in place, for good.

    Those that it names in `reduced` are computed by `reduced`. On CUDA its `steps`, methods that
    take and return what a row remembers, are recorded as well.
    """
    bearing = getattr(detector, "reduced", ())
    for name in getattr(detector, "stateless", ()):
        net = getattr(detector, name)
        if net is not None:
            its = reduced(settings, net) if name in bearing else settings
            setattr(detector, name, accelerated(net, its))
    if settings.runtime is not Runtime.TORCH and _on_cuda(detector):
        capture_steps(detector)


def _on_cuda(detector: object) -> bool:
    """Return whether a detector whose network is known computes on CUDA."""
    network = network_of(detector)
    weight = None if network is None else next(network.parameters(), None)
    return weight is not None and weight.device.type == "cuda"


def reduced(settings: RuntimeSettings, net: nn.Module) -> RuntimeSettings:
    """Return settings for a part that bears less than float32; see `RuntimeSettings.bearing`."""
    if settings.precision is not Precision.FLOAT32:
        return settings
    precision = settings.bearing
    if precision is None:
        eight = multiplies_eight_bits() and ranges_of(net) is not None
        precision = Precision.INT8 if eight else Precision.BFLOAT16
    return replace(settings, precision=precision)


def computed_in(detector: object) -> str:
    """Return in what numbers a detector's parts without memory are computed, such as `int8`.

    Of parts that differ all are named. Whatever is not compiled computes as the network does.
    """
    parts = (getattr(detector, name, None) for name in getattr(detector, "stateless", ()))
    found = {
        part.precision if isinstance(part, Compiled) else Precision.FLOAT32
        for part in parts
        if part is not None
    }
    return ", ".join(sorted(one.value for one in found or {Precision.FLOAT32}))


@functools.cache
def multiplies_eight_bits() -> bool:
    """Return whether this processor adds up products of eight bits in one step.

    Others multiply pairs of them into sums of sixteen bits, which may not hold them.
    """
    try:
        flags = set(Path("/proc/cpuinfo").read_text(encoding="utf-8").split())
    except OSError:
        return False
    return bool(flags & _EIGHT_BIT_PRODUCTS)


class Compiled(nn.Module):
    """A network compiled by OpenVINO for single items on a CPU, at its first call.

    One thread calls it. The answers are new tensors, equal to the network's within `TOLERANCES`.

    Args:
        net: see `accelerated`.
        settings: how many items at a time, in what precision, and where graphs are kept.
    """

    def __init__(self, net: nn.Module, settings: RuntimeSettings) -> None:
        super().__init__()
        self.net = net
        self._settings = settings
        self._graph: _Graph | None = None

    @property
    def precision(self) -> Precision:
        """In what numbers the network is computed."""
        return self._settings.precision

    def __deepcopy__(self, memo: dict[int, Any]) -> Compiled:
        """Return a copy that compiles at its own first call: what is compiled cannot be copied."""
        return Compiled(copy.deepcopy(self.net, memo), self._settings)

    def forward(self, *inputs: Tensor) -> Answer:
        """Return what the network returns.

        Raises:
            ShapeMismatch: items of another shape or type than at the first call.
            RuntimeDiffers: the compiled network does not answer like the network; first call only.
        """
        return self._compiled(inputs).answer([_array(x) for x in inputs])()

    def begin(self, *inputs: Tensor) -> Finish:
        """Begin a call, and return what waits for its answer; see `begin`. Raises as `forward`."""
        return self._compiled(inputs).answer([_array(x) for x in inputs])

    def _compiled(self, inputs: tuple[Tensor, ...]) -> _Graph:
        wanted = signature_of(inputs)
        if self._graph is None:
            # Converting traces the network, which inference mode does not allow.
            with torch.inference_mode(mode=False), torch.no_grad():
                self._graph = _Graph.of(self.net, wanted, self._settings)
        if wanted != self._graph.signature:
            raise changed(self._graph.signature, inputs)
        return self._graph


class _Graph:
    """One network compiled for one item, and requests for the items of a batch.

    As many items are computed at a time as there are workers; the others wait in OpenVINO's queue,
    so that a batch which was begun needs nobody to go on. There are as many requests as the largest
    batch so far had items, and two batches are never under way.

    Args:
        model: the converted network.
        signature: of its inputs.
        answers: shape of one item of each output.
        returns_tuple: whether the network returns a tuple.
        settings: requests at a time, and what they compute in.
    """

    def __init__(
        self,
        model: openvino.Model,
        signature: Signature,
        answers: Sequence[tuple[int, ...]],
        settings: RuntimeSettings,
        *,
        returns_tuple: bool,
    ) -> None:
        openvino = library()
        self.signature = signature
        self.returns_tuple = returns_tuple
        self._answers = tuple(answers)
        self._tensor = openvino.Tensor
        self._compiled = core().compile_model(model, "CPU", _properties(settings))
        self._requests: list[Any] = []  # openvino.InferRequest
        self._held: object = None

    @classmethod
    def of(cls, net: nn.Module, signature: Signature, settings: RuntimeSettings) -> _Graph:
        """Return a network's graph, kept or converted, once it has answered like the network."""
        probe = _probe(signature)
        expected = net(*probe)
        returns_tuple = isinstance(expected, tuple)
        answers = expected if returns_tuple else (expected,)
        shapes = [tuple(answer.shape[1:]) for answer in answers]
        eight = settings.precision is Precision.INT8
        ranges = ranges_of(net) if eight else None
        allowed = TOLERANCES[settings.precision] if ranges is None else RANGED_TOLERANCE
        for model in _models(net, probe, _kept_at(net, signature, settings.cache)):
            its = settings
            if ranges is not None:
                quantise(model, ranges)
                its = replace(settings, precision=Precision.BFLOAT16)  # of what is left
            elif eight:
                round_weights(model)
            graph = cls(model, signature, shapes, its, returns_tuple=returns_tuple)
            apart = _apart(graph([_array(x) for x in probe]), answers)
            if apart <= allowed:
                return graph
        raise RuntimeDiffers(type(net).__name__, apart, allowed)

    def __call__(self, inputs: Sequence[NDArray[Any]]) -> tuple[NDArray[np.float32], ...]:
        """Return the answers for a batch of items, each `(B, ...)`."""
        return self.begin(inputs)()

    def answer(self, inputs: Sequence[NDArray[Any]]) -> Finish:
        """Begin a batch, and return what waits for the network's answer."""
        finish = self.begin(inputs)

        def finished() -> Answer:
            answers = tuple(torch.from_numpy(a) for a in finish())
            return answers if self.returns_tuple else answers[0]

        return finished

    def begin(
        self, inputs: Sequence[NDArray[Any]]
    ) -> Callable[[], tuple[NDArray[np.float32], ...]]:
        """Begin a batch of items, and return what waits for their answers, each `(B, ...)`."""
        for request in self._requests:
            request.wait()  # of a batch that nobody waited for
        batch = inputs[0].shape[0]
        outputs = tuple(np.empty((batch, *shape), np.float32) for shape in self._answers)
        self._held = (inputs, outputs)  # requests read and write them, and hold no reference
        while len(self._requests) < batch:
            self._requests.append(self._compiled.create_infer_request())
        for item in range(batch):
            self._bind(item, inputs, outputs).start_async()

        def finish() -> tuple[NDArray[np.float32], ...]:
            for request in self._requests[:batch]:
                request.wait()
            return outputs

        return finish

    def _bind(
        self,
        item: int,
        inputs: Sequence[NDArray[Any]],
        outputs: Sequence[NDArray[np.float32]],
    ) -> openvino.InferRequest:
        """Let a request read one item and write its answers in place."""
        request, one = self._requests[item], slice(item, item + 1)
        for index, values in enumerate(inputs):
            request.set_input_tensor(index, self._tensor(values[one], shared_memory=True))
        for index, values in enumerate(outputs):
            request.set_output_tensor(index, self._tensor(values[one], shared_memory=True))
        return request


def _array(x: Tensor) -> NDArray[Any]:
    return np.ascontiguousarray(x.detach().numpy())


def _probe(signature: Signature) -> tuple[Tensor, ...]:
    """Return one item that is alike at every start: noise over each type's usual range."""
    rng = np.random.default_rng(0)
    probe = []
    for shape, dtype in signature:
        if dtype.is_floating_point:
            probe.append(torch.from_numpy(rng.random((1, *shape), np.float32)).to(dtype))
        else:
            values = rng.integers(0, 256, (1, *shape), dtype=np.uint8)
            probe.append(torch.from_numpy(values).to(dtype))
    return tuple(probe)


def _apart(found: Sequence[NDArray[np.float32]], wanted: Sequence[Tensor]) -> float:
    """Return the largest difference, relative to the largest wanted value or 1."""
    apart = 0.0
    for ours, theirs in zip(found, wanted, strict=True):
        true = theirs.float().numpy()
        scale = max(1.0, float(np.abs(true).max(initial=0.0)))
        difference = float(np.abs(ours - true).max(initial=0.0)) / scale
        apart = max(apart, difference if np.isfinite(difference) else float("inf"))
    return apart


def _properties(settings: RuntimeSettings) -> dict[str, Any]:
    # Unless told, processors with AMX would choose bfloat16.
    hint = "bf16" if settings.precision is Precision.BFLOAT16 else "f32"
    group = EIGHT_BIT_GROUP if settings.precision is Precision.INT8 else 0
    return {
        "INFERENCE_NUM_THREADS": settings.workers,
        "NUM_STREAMS": settings.workers,  # one thread per request: no barriers between threads
        "INFERENCE_PRECISION_HINT": hint,
        "DYNAMIC_QUANTIZATION_GROUP_SIZE": group,
        "ENABLE_CPU_PINNING": False,  # the cores are shared with decoders
        "CPU_DENORMALS_OPTIMIZATION": True,
    }


def _models(
    net: nn.Module, probe: tuple[Tensor, ...], kept: Path | None
) -> Iterator[openvino.Model]:
    """Yield a network's graphs in the order in which to try them: as it was kept, then anew.

    What is kept is read back at once: writing rounds nothing but reorders sums, and the first start
    shall score like all later ones.
    """
    if kept is not None and kept.is_file() and (model := _read(kept)) is not None:
        yield model
    model = convert(net, probe)
    if kept is not None and _keep(model, kept):
        model = _read(kept) or model
    yield model


def convert(net: nn.Module, probe: tuple[Tensor, ...]) -> openvino.Model:
    """Return a network as a graph for items like the probe."""
    openvino = library()
    from openvino.frontend import FrontEndManager
    from openvino.frontend.pytorch.ts_decoder import TorchScriptPythonDecoder

    with warnings.catch_warnings():
        # Tracing warns about every check of a shape; shapes are fixed from here on. Freezing warns
        # that torch.compile replaces it, which needs a C++ compiler on the machine that serves.
        warnings.simplefilter("ignore")
        trace = torch.jit.trace(net, probe, check_trace=False)  # type: ignore[no-untyped-call]
        frozen = torch.jit.freeze(trace)
    decoder = TorchScriptPythonDecoder(frozen, example_input=probe, skip_freeze=True)
    frontend = FrontEndManager().load_by_framework("pytorch")
    model = frontend.convert(frontend.load(decoder))
    for given, x in zip(model.inputs, probe, strict=True):
        given.get_node().set_element_type(openvino.Type(_array(x).dtype))
        given.get_node().set_partial_shape(openvino.PartialShape(list(x.shape)))
    model.validate_nodes_and_infer_types()
    return model


def _kept_at(net: nn.Module, signature: Signature, cache: Path | None) -> Path | None:
    """Return where this network's graph is kept: named for all that it depends on."""
    if cache is None or sum(p.numel() for p in net.parameters()) > LARGEST_KEPT:
        return None
    digest = hashlib.sha256(f"{library().__version__} {torch.__version__}".encode())
    digest.update(f"{net!r} {signature}".encode())
    for name, tensor in net.state_dict().items():
        digest.update(name.encode())
        digest.update(np.ascontiguousarray(tensor.detach().numpy()).tobytes())
    return cache / f"{type(net).__name__.lower()}-{digest.hexdigest()[:20]}.xml"


def _read(path: Path) -> openvino.Model | None:
    """Return a kept graph; None when the file is damaged."""
    try:
        return core().read_model(path)
    except RuntimeError:
        return None


def _keep(model: openvino.Model, path: Path) -> bool:
    """Keep a graph for the next start; a folder that cannot be written costs only time then."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=path.parent) as folder:
            made = Path(folder) / path.name
            library().save_model(model, made, compress_to_fp16=False)
            os.replace(made.with_suffix(".bin"), path.with_suffix(".bin"))
            os.replace(made, path)  # last: whoever sees the graph finds its weights
    except (OSError, RuntimeError):
        return False
    return True
