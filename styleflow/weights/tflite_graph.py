"""Read the weights of a TFLite graph in the order in which its outputs need them.

Nothing is executed: only constants are taken out. Half-precision constants become float32 and
block-sparse ones become dense, as the graph's own DEQUANTIZE and DENSIFY would do.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import tflite
from numpy.typing import NDArray

Array = NDArray[Any]

_DTYPES: dict[int, type[np.generic]] = {
    tflite.TensorType.FLOAT32: np.float32,
    tflite.TensorType.FLOAT16: np.float16,
    tflite.TensorType.INT32: np.int32,
}
_CONV = tflite.BuiltinOperator.CONV_2D
_DEPTHWISE = tflite.BuiltinOperator.DEPTHWISE_CONV_2D
_PRELU = tflite.BuiltinOperator.PRELU
_PASSES_CONSTANTS = (tflite.BuiltinOperator.DEQUANTIZE, tflite.BuiltinOperator.DENSIFY)


@dataclass(frozen=True, slots=True, eq=False)
class Layer:
    """One operator with weights, in torch's layout.

    Attributes:
        weight: `(out, in / groups, kh, kw)` of a convolution, `(channels,)` of a PReLU.
        bias: `(out,)`, or None for a PReLU.
    """

    weight: NDArray[np.float32]
    bias: NDArray[np.float32] | None


def layers(model: bytes) -> tuple[Layer, ...]:
    """Return every operator with weights, as a depth-first walk from the outputs meets them.

    An operator's inputs are walked before itself, first input first. That order depends on the
    graph's shape alone and not on how its writer happened to interleave parallel branches.
    """
    graph = _Graph(model)
    found: list[Layer] = []
    done: set[int] = set()
    for output in graph.outputs:
        graph.walk(output, done, found)
    return tuple(found)


class _Graph:
    """The first subgraph of a model: who makes each tensor, and the tensors that are constants."""

    def __init__(self, model: bytes) -> None:
        self._model = tflite.Model.GetRootAsModel(model, 0)
        self._graph = self._model.Subgraphs(0)
        self.outputs = [int(i) for i in self._graph.OutputsAsNumpy()]
        self._maker: dict[int, Any] = {}
        for i in range(self._graph.OperatorsLength()):
            op = self._graph.Operators(i)
            for tensor in op.OutputsAsNumpy():
                self._maker[int(tensor)] = op

    def walk(self, tensor: int, done: set[int], found: list[Layer]) -> None:
        """Append the layers behind `tensor`; iterative, because the chains are long."""
        pending = [(tensor, False)]
        while pending:
            tensor, inputs_done = pending.pop()
            op = self._maker.get(tensor)
            if op is None or tensor in done:
                continue
            if inputs_done:
                done.add(tensor)
                layer = self._layer(op)
                if layer is not None:
                    found.append(layer)
                continue
            pending.append((tensor, True))
            inputs = [int(i) for i in op.InputsAsNumpy()]
            pending.extend((i, False) for i in reversed(inputs))

    def _code(self, op: Any) -> int:
        code = self._model.OperatorCodes(op.OpcodeIndex())
        # Old files keep the number in the deprecated byte, new ones in the full field.
        return max(int(code.BuiltinCode()), int(code.DeprecatedBuiltinCode()))

    def _layer(self, op: Any) -> Layer | None:
        code = self._code(op)
        inputs = [int(i) for i in op.InputsAsNumpy()]
        if code == _PRELU:
            return Layer(self._constant(inputs[1]).reshape(-1), None)
        if code not in (_CONV, _DEPTHWISE):
            return None
        weight = self._constant(inputs[1])
        axes = (0, 3, 1, 2) if code == _CONV else (3, 0, 1, 2)
        return Layer(np.ascontiguousarray(weight.transpose(axes)), self._constant(inputs[2]))

    def _constant(self, index: int) -> NDArray[np.float32]:
        op = self._maker.get(index)
        while op is not None and self._code(op) in _PASSES_CONSTANTS:
            index = int(op.Inputs(0))
            op = self._maker.get(index)
        tensor = self._graph.Tensors(index)
        raw = self._model.Buffers(tensor.Buffer()).DataAsNumpy().tobytes()
        values = np.frombuffer(raw, _DTYPES[tensor.Type()])
        shape = tuple(int(n) for n in tensor.ShapeAsNumpy())
        sparsity = tensor.Sparsity()
        dense = values.reshape(shape) if sparsity is None else densify(values, sparsity, shape)
        return dense.astype(np.float32)


def densify(values: Array, sparsity: Any, shape: tuple[int, ...]) -> Array:
    """Return the dense tensor behind TFLite's sparse storage.

    The stored dimensions are the tensor's own in traversal order, then the blocks that split some
    of them. Each stored dimension is dense (every index occurs) or compressed (segments of
    indices). Walking all of them keeps one row of coordinates per value stored so far.
    """
    rank = len(shape)
    order = [int(d) for d in sparsity.TraversalOrderAsNumpy()]
    splits = [int(d) for d in sparsity.BlockMapAsNumpy()] if sparsity.BlockMapLength() else []
    target = [d if d < rank else splits[d - rank] for d in order]
    block = dict.fromkeys(range(rank), 1)
    for position, d in enumerate(order):
        if d >= rank:
            block[splits[d - rank]] = int(sparsity.DimMetadata(position).DenseSize())

    where = np.zeros((1, rank), np.int64)
    for position, d in enumerate(order):
        parents, indices = _expand(sparsity.DimMetadata(position), len(where))
        where = where[parents]
        where[:, target[position]] += indices * (block[d] if d < rank else 1)
    dense = np.zeros(shape, values.dtype)
    dense[tuple(where.T)] = values[: len(where)]
    return dense


def _expand(dimension: Any, parents: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return, for one stored dimension, each entry's parent row and its index."""
    if dimension.Format() == tflite.DimensionType.DENSE:
        size = int(dimension.DenseSize())
        return np.repeat(np.arange(parents), size), np.tile(np.arange(size), parents)
    segments = vector(dimension.ArraySegments(), dimension.ArraySegmentsType())
    indices = vector(dimension.ArrayIndices(), dimension.ArrayIndicesType())
    return np.repeat(np.arange(parents), np.diff(segments)), indices


def vector(table: Any, kind: int) -> NDArray[np.int64]:
    """Return the integers of a sparse index vector, whatever their width."""
    classes = {
        tflite.SparseIndexVector.Int32Vector: tflite.Int32Vector,
        tflite.SparseIndexVector.Uint16Vector: tflite.Uint16Vector,
        tflite.SparseIndexVector.Uint8Vector: tflite.Uint8Vector,
    }
    vector = classes[kind]()
    vector.Init(table.Bytes, table.Pos)
    return np.asarray(vector.ValuesAsNumpy(), np.int64)
