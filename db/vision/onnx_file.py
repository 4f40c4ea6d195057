"""What an ONNX file must not do: keep its numbers in other files. Nothing but the structure is read, in protobuf's wire
format, before ONNX Runtime gets the file."""

from collections.abc import Iterator
from typing import Final

from db.errors import Invalid

VARINT, FIXED64, LENGTH, FIXED32 = 0, 1, 2, 5
MAX_DEPTH: Final = 32  # of graphs in graphs
# The fields of each kind of message that contain others of these.
MODEL, GRAPH, NODE, ATTRIBUTE, TENSOR, SPARSE, FUNCTION = range(7)
PARTS: Final[dict[int, dict[int, int]]] = {
    MODEL: {7: GRAPH, 25: FUNCTION},
    GRAPH: {1: NODE, 5: TENSOR, 15: SPARSE},
    NODE: {5: ATTRIBUTE},
    ATTRIBUTE: {5: TENSOR, 6: GRAPH, 10: TENSOR, 11: GRAPH, 22: SPARSE, 23: SPARSE},
    TENSOR: {},
    SPARSE: {1: TENSOR, 2: TENSOR},
    FUNCTION: {7: NODE, 11: ATTRIBUTE},
}
EXTERNAL_DATA, DATA_LOCATION = 13, 14  # fields of a tensor


class ModelError(Invalid):
    """A model that cannot be used. The message says why."""


def expect_whole(data: bytes) -> None:
    """Raises ModelError for what is no ONNX model, or has numbers in another file."""
    try:
        names = set(_search(memoryview(data), MODEL, 0))
    except (IndexError, ValueError) as error:
        raise ModelError("The file is no ONNX model.") from error
    if GRAPH not in names:
        raise ModelError("The file is no ONNX model.")


def _search(message: memoryview, kind: int, depth: int) -> Iterator[int]:
    """The kinds of all messages in this one."""
    if depth > MAX_DEPTH * 3:  # a graph is in an attribute of a node
        raise ModelError("The model has graphs in graphs, more than are allowed.")
    for number, value in _fields(message):
        if kind == TENSOR and (number == EXTERNAL_DATA or (number == DATA_LOCATION and value)):
            raise ModelError("The model keeps numbers in another file. Save it as one file.")
        part = PARTS[kind].get(number)
        if part is not None:
            if not isinstance(value, memoryview):
                raise ValueError("a number where a message should be")
            yield part
            yield from _search(value, part, depth + 1)


def _fields(message: memoryview) -> Iterator[tuple[int, memoryview | int]]:
    place = 0
    while place < len(message):
        key, place = _varint(message, place)
        if key < 8:
            raise ValueError("a field without a number, such as in zeros at the end")
        match key & 7:
            case 0:
                value, place = _varint(message, place)
                yield key >> 3, value
                continue
            case 1:
                size = 8
            case 2:
                size, place = _varint(message, place)
            case 5:
                size = 4
            case _:
                raise ValueError("a wire type that is not used")
        if size > len(message) - place:
            raise IndexError("truncated")
        yield key >> 3, message[place : place + size]
        place += size


def _varint(message: memoryview, place: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        byte = message[place]
        place += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, place
    raise ValueError("a number of more than 64 bits")
