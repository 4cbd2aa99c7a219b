"""Weights of an ONNX graph: its named constants, and the one that each product multiplies by.

Nothing is executed. An ONNX file is one message of protocol buffers; of its hundreds of fields a
few matter here, so they are read by their numbers and everything else is skipped.

Source: onnx.proto of the ONNX project (numbers of fields), and the encoding of protocol buffers.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5  # kinds of field on the wire

_MODEL_GRAPH = 7
_GRAPH_NODE, _GRAPH_CONSTANT = 1, 5
_NODE_INPUT, _NODE_NAME, _NODE_KIND = 1, 3, 4
_TENSOR_SIZES, _TENSOR_TYPE, _TENSOR_NAME, _TENSOR_RAW = 1, 2, 8, 9
_FLOAT32 = 1

Value = int | memoryview
"""A number, or the bytes of a text, a tensor or a message."""


@dataclass(frozen=True, slots=True, eq=False)
class OnnxWeights:
    """The weights of one graph.

    Attributes:
        constants: float32 constants by name.
        factors: the constant that a node of kind MatMul multiplies by, by the node's name; as
            stored, `(in, out)`.
    """

    constants: dict[str, NDArray[np.float32]]
    factors: dict[str, NDArray[np.float32]]


def read_weights(model: bytes) -> OnnxWeights:
    """Return the weights of an ONNX file.

    Args:
        model: the file; constants that lie in files beside it are left out.

    Raises:
        ValueError: it is no ONNX file, or is cut short.
    """
    graphs = [body for number, body in _fields(memoryview(model)) if number == _MODEL_GRAPH]
    if len(graphs) != 1 or not isinstance(graphs[0], memoryview):
        raise ValueError("it holds no graph")
    constants: dict[str, NDArray[np.float32]] = {}
    products: dict[str, list[str]] = {}
    for number, body in _fields(graphs[0]):
        if number == _GRAPH_CONSTANT:
            constants.update(_constant(_message(body)))
        elif number == _GRAPH_NODE:
            node = _message(body)
            if _text(node, _NODE_KIND) == ["MatMul"]:
                products["".join(_text(node, _NODE_NAME))] = _text(node, _NODE_INPUT)
    factors = {
        name: constants[inputs[1]]
        for name, inputs in products.items()
        if len(inputs) == 2 and inputs[1] in constants
    }
    return OnnxWeights(constants, factors)


def _constant(tensor: dict[int, list[Value]]) -> dict[str, NDArray[np.float32]]:
    """Return a constant by its name; nothing when it is not float32 or not inside the file."""
    if tensor.get(_TENSOR_TYPE) != [_FLOAT32] or _TENSOR_RAW not in tensor:
        return {}
    raw = tensor[_TENSOR_RAW][0]
    sizes = [size for value in tensor.get(_TENSOR_SIZES, []) for size in _numbers(value)]
    values = np.frombuffer(_as_bytes(raw), "<f4")
    return {"".join(_text(tensor, _TENSOR_NAME)): values.reshape(sizes)}


def _message(body: Value) -> dict[int, list[Value]]:
    found: dict[int, list[Value]] = {}
    for number, value in _fields(_as_bytes(body)):
        found.setdefault(number, []).append(value)
    return found


def _text(message: dict[int, list[Value]], number: int) -> list[str]:
    return [bytes(_as_bytes(value)).decode() for value in message.get(number, [])]


def _numbers(value: Value) -> Iterator[int]:
    """Yield the integers of a field, which may be packed into one run of bytes."""
    if isinstance(value, int):
        yield value
        return
    place = 0
    while place < len(value):
        number, place = _varint(value, place)
        yield number


def _fields(data: memoryview) -> Iterator[tuple[int, Value]]:
    """Yield number and value of every field of a message, in order."""
    place = 0
    while place < len(data):
        key, place = _varint(data, place)
        number, kind = key >> 3, key & 7
        if kind == _VARINT:
            value, place = _varint(data, place)
            yield number, value
            continue
        size = {_FIXED64: 8, _FIXED32: 4}.get(kind)
        if kind == _BYTES:
            size, place = _varint(data, place)
        if size is None or place + size > len(data):
            raise ValueError("it is cut short, or no ONNX file")
        yield number, data[place : place + size]
        place += size


def _varint(data: memoryview, place: int) -> tuple[int, int]:
    """Return the integer that begins at a place, and the place after it."""
    value = shift = 0
    while True:
        if place >= len(data) or shift > 63:
            raise ValueError("it is cut short, or no ONNX file")
        byte = data[place]
        place += 1
        value |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            return value, place


def _as_bytes(value: Value) -> Any:
    if isinstance(value, int):
        raise ValueError("a field of it is a number where bytes belong")
    return value
