"""A network as ONNX, written from arrays: in protobuf's wire format, so that no library of either is needed."""

import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from db.vision.arrays import Array

VARINT, LENGTH, FIXED32 = 0, 2, 5  # how a field is written
IR_VERSION, OPSET = 8, 17
TYPES: Final = {"float32": 1, "uint8": 2, "int64": 7, "bool": 9, "float16": 10}  # of tensors
FLOAT_ATTRIBUTE, INT_ATTRIBUTE, INTS_ATTRIBUTE = 1, 2, 7

Attribute = int | float | Sequence[int]
Described = tuple[str, Sequence[int]]  # type and shape of an input or output


@dataclass(slots=True)
class Graph:
    """Nodes in the order in which they run, and the constants that they read. Names of values are texts."""

    nodes: list[bytes] = field(default_factory=list)
    constants: list[bytes] = field(default_factory=list)

    def constant(self, name: str, values: Array) -> str:
        dimensions = b"".join(_number(1, size) for size in values.shape)
        kind, data = _number(2, TYPES[values.dtype.name]), values.astype(values.dtype.newbyteorder("<")).tobytes()
        self.constants.append(dimensions + kind + _text(8, name) + _bytes(9, data))
        return name

    def node(self, operator: str, inputs: Sequence[str], output: str, **attributes: Attribute) -> str:
        """Its one output."""
        parts = [_text(1, name) for name in inputs]
        parts += [_text(2, output), _text(4, operator)]
        parts += [_bytes(5, b"".join(_attribute(name, value))) for name, value in attributes.items()]
        self.nodes.append(b"".join(parts))
        return output

    def model(self, inputs: Mapping[str, Described], outputs: Mapping[str, Described]) -> bytes:
        """A whole model, with its inputs and outputs by name."""
        opset = _text(1, "") + _number(2, OPSET)
        return _number(1, IR_VERSION) + _bytes(7, self.encoded(inputs, outputs)) + _bytes(8, opset)

    def encoded(self, inputs: Mapping[str, Described], outputs: Mapping[str, Described]) -> bytes:
        """The graph alone."""
        parts = [_bytes(1, node) for node in self.nodes]
        parts += [_text(2, "network")]
        parts += [_bytes(5, constant) for constant in self.constants]
        parts += [_bytes(11, _value(name, *described)) for name, described in inputs.items()]
        parts += [_bytes(12, _value(name, *described)) for name, described in outputs.items()]
        return b"".join(parts)


def _value(name: str, kind: str, shape: Sequence[int]) -> bytes:
    dimensions = b"".join(_bytes(1, _number(1, size)) for size in shape)
    tensor = _number(1, TYPES[kind]) + _bytes(2, dimensions)
    return _text(1, name) + _bytes(2, _bytes(1, tensor))


def _attribute(name: str, value: Attribute) -> Iterator[bytes]:
    yield _text(1, name)
    match value:
        case float():
            yield _key(2, FIXED32) + struct.pack("<f", value)
            yield _number(20, FLOAT_ATTRIBUTE)
        case int():
            yield _number(3, value)
            yield _number(20, INT_ATTRIBUTE)
        case _:
            yield from (_number(8, each) for each in value)
            yield _number(20, INTS_ATTRIBUTE)


def _text(number: int, text: str) -> bytes:
    return _bytes(number, text.encode())


def _bytes(number: int, data: bytes) -> bytes:
    return _key(number, LENGTH) + _varint(len(data)) + data


def _number(number: int, value: int) -> bytes:
    return _key(number, VARINT) + _varint(value)


def _key(number: int, kind: int) -> bytes:
    return _varint(number << 3 | kind)


def _varint(value: int) -> bytes:
    """Seven bits a byte, the lowest first; of a negative number all 64 bits."""
    left, out = value & 2**64 - 1, bytearray()
    while left > 0x7F:
        out.append(left & 0x7F | 0x80)
        left >>= 7
    out.append(left)
    return bytes(out)


def folded(weights: Array, norm: dict[str, Array], epsilon: float) -> tuple[Array, Array]:
    """Weights and biases of a convolution that does what the given one and the batch norm behind it do."""
    scale = norm["weight"].astype(np.float64) / np.sqrt(norm["running_var"].astype(np.float64) + epsilon)
    bias = norm["bias"] - norm["running_mean"] * scale
    return (weights * scale[:, None, None, None]).astype(np.float32), bias.astype(np.float32)
