"""Reading an ONNX graph's weights without its library: what is there is found, damage is named."""

import struct

import numpy as np
import pytest

from styleflow.weights.onnx_graph import read_weights


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def field(number: int, value: int | bytes | str) -> bytes:
    """Return one field of a message as protocol buffers write it."""
    if isinstance(value, int):
        return _varint(number << 3) + _varint(value)
    data = value.encode() if isinstance(value, str) else value
    return _varint(number << 3 | 2) + _varint(len(data)) + data


def constant(name: str, array: np.ndarray, *, packed: bool = False) -> bytes:
    """Return a float32 constant as a field of its graph."""
    sizes = (
        field(1, b"".join(_varint(n) for n in array.shape))
        if packed
        else b"".join(field(1, n) for n in array.shape)
    )
    return field(5, sizes + field(2, 1) + field(8, name) + field(9, array.astype("<f4").tobytes()))


def product(name: str, *inputs: str, kind: str = "MatMul") -> bytes:
    """Return a node as a field of its graph."""
    told = b"".join(field(1, given) for given in inputs)
    return field(1, told + field(2, f"{name}_output") + field(3, name) + field(4, kind))


def model(*fields: bytes) -> bytes:
    """Return a file whose graph has such fields."""
    return field(1, 8) + field(2, "somebody") + field(7, b"".join(fields))


WEIGHT = np.arange(6, dtype=np.float32).reshape(2, 3)


@pytest.mark.parametrize("packed", [False, True])
def test_constants_and_factors_are_found_by_name(packed):
    found = read_weights(
        model(
            product("/layer/MatMul", "x", "onnx::MatMul_7"),
            product("/layer/Add", "onnx::MatMul_7", "y", kind="Add"),
            product("/attention/MatMul", "q", "k"),
            constant("onnx::MatMul_7", WEIGHT, packed=packed),
            constant("norm.bias", np.float32([300.0, -2.0])),
        )
    )
    assert sorted(found.constants) == ["norm.bias", "onnx::MatMul_7"]
    np.testing.assert_array_equal(found.constants["norm.bias"], [300.0, -2.0])
    assert list(found.factors) == ["/layer/MatMul"]
    np.testing.assert_array_equal(found.factors["/layer/MatMul"], WEIGHT)


def test_what_is_not_float32_or_not_in_the_file_is_left_out():
    integers = field(5, field(1, 1) + field(2, 7) + field(8, "n") + field(9, struct.pack("<q", 3)))
    outside = field(5, field(1, 2) + field(2, 1) + field(8, "far") + field(13, b"elsewhere"))
    wide = field(5, field(1, 1) + field(2, 1) + field(8, "v") + _varint(10 << 3 | 1) + bytes(8))
    assert read_weights(model(integers, outside, wide)).constants == {}


@pytest.mark.parametrize("cut", [1, 7, 40])
def test_a_file_that_is_cut_short_is_refused(cut):
    whole = model(constant("w", WEIGHT))
    with pytest.raises(ValueError, match="cut short"):
        read_weights(whole[:-cut])


@pytest.mark.parametrize("data", [b"", field(2, "somebody"), b"\xff" * 12, b"\x3b\x01"])
def test_what_is_no_onnx_file_is_refused(data):
    with pytest.raises(ValueError, match=r"no graph|no ONNX file"):
        read_weights(data)
