"""The file of weights: read exactly, and harmless whatever it is."""

import io
import math
import pickle
import struct
import sys
from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from db.vision import VisionUnavailable, weights
from db.vision.weights import MAGIC, PROTOCOL, View, WeightsError

Tensor = tuple[int, tuple[int, ...], tuple[int, ...]]  # offset, shape, strides


class FloatStorage:
    """Stands for PyTorch's when a file is written."""


def _rebuild_tensor_v2() -> None:
    """Likewise."""


FloatStorage.__module__, _rebuild_tensor_v2.__module__ = "torch", "torch._utils"


class Written:
    """A tensor as PyTorch pickles it."""

    def __init__(self, key: str, count: int, tensor: Tensor) -> None:
        self.key, self.count, self.tensor = key, count, tensor

    def __reduce__(self) -> tuple[Any, ...]:
        offset, shape, strides = self.tensor
        return _rebuild_tensor_v2, (Stored(self.key, self.count), offset, shape, strides, False, OrderedDict())


class Stored:
    def __init__(self, key: str, count: int) -> None:
        self.key, self.count = key, count


class Pickler(pickle.Pickler):
    def persistent_id(self, value: Any) -> Any:
        return ("storage", FloatStorage, value.key, "cpu", value.count, None) if isinstance(value, Stored) else None


def pickled(value: Any) -> bytes:
    """With the names that such a file has."""
    out, made = io.BytesIO(), (ModuleType("torch"), ModuleType("torch._utils"))
    vars(made[0])["FloatStorage"], vars(made[1])["_rebuild_tensor_v2"] = FloatStorage, _rebuild_tensor_v2
    with pytest.MonkeyPatch.context() as patch:
        for module in made:
            patch.setitem(sys.modules, module.__name__, module)
        Pickler(out, 2).dump(value)
    return out.getvalue()


def file_of(state: Any, numbers: dict[str, Sequence[float]], keys: Any = None) -> bytes:
    heads = MAGIC, PROTOCOL, {"little_endian": True}, state, list(numbers) if keys is None else keys
    data = [struct.pack(f"<q{len(each)}f", len(each), *each) for each in numbers.values()]
    return b"".join(map(pickled, heads)) + b"".join(data)


def one(tensor: Tensor, count: int = 12, claimed: int | None = None) -> bytes:
    state = OrderedDict(only=Written("1", count if claimed is None else claimed, tensor))
    return file_of(state, {"1": range(count)})


def test_the_known_weights_are_read() -> None:
    read = weights.load()
    assert len(read) == 296
    assert read["_conv_stem.weight"].shape == (32, 3, 3, 3)
    assert read["_conv_stem.weight"].flags.c_contiguous, "its strides in the file are (1, 32, 288, 96)"
    assert float(read["_conv_stem.weight"][0, 0, 0, 0]) == pytest.approx(-1.1103361)
    assert sum(each.size for each in read.values() if each.dtype == np.float32) == 4_694_024


def test_any_other_file_is_refused_before_it_is_parsed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(weights, "parse", lambda _: pytest.fail("it was parsed"))
    file = tmp_path / "weights.pth"
    with pytest.raises(WeightsError, match="cannot be read: No such file"):
        weights.read(file)
    file.write_bytes(one((0, (12,), (1,))))
    with pytest.raises(WeightsError, match="SHA-256"):
        weights.read(file)
    monkeypatch.setattr(weights, "find_spec", lambda _: None)
    with pytest.raises(VisionUnavailable, match="--vision"):
        weights.load()


@given(st.lists(st.integers(1, 4), min_size=1, max_size=4), st.randoms(use_true_random=False), st.integers(0, 3))
def test_tensors_that_are_not_contiguous_are_read_in_their_order(sizes: list[int], random: Any, before: int) -> None:
    axes = random.sample(range(len(sizes)), len(sizes))
    stored = np.arange(math.prod(sizes), dtype=np.float32).reshape(sizes)
    turned = stored.transpose(axes)
    strides = tuple(stride // 4 for stride in turned.strides)
    numbers = [0.0] * before + stored.ravel().tolist()
    data = file_of({"only": Written("1", len(numbers), (before, turned.shape, strides))}, {"1": numbers})
    read = weights.parse(data)["only"]
    assert read.flags.c_contiguous
    assert (read == turned).all()


@given(
    st.integers(0, 14),
    st.lists(st.tuples(st.integers(0, 5), st.integers(0, 7)), max_size=3),
)
def test_no_tensor_reaches_beyond_its_storage(offset: int, sides: list[tuple[int, int]]) -> None:
    shape, strides = tuple(size for size, _ in sides), tuple(stride for _, stride in sides)
    places = offset + sum(
        np.arange(size).reshape([-1 if axis == other else 1 for other in range(len(sides))]) * stride
        for axis, (size, stride) in enumerate(sides)
    )
    is_inside = np.size(places) <= 12 and offset <= 12 and (np.size(places) == 0 or np.max(places) < 12)
    try:
        read = weights.parse(one((offset, shape, strides)))["only"]
    except WeightsError:
        assert not is_inside
    else:
        assert is_inside
        assert (read == places).all()
        assert read.shape == shape


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "truncated|damaged"),
        (b"hello", "damaged"),
        (pickled("hello"), "no weights"),
        (one((0, (2**62,), (0,))), "beyond its storage"),
        (one((0, (2**40, 2**40), (0, 0))), "beyond its storage"),
        (one((2**62, (1,), (1,))), "beyond its storage"),
        (one((0, (2,), (2**62,))), "beyond its storage"),
        (one((0, (12,), (1,)), claimed=2**62), "other storages"),
        (one((0, (-1,), (1,))), "no number"),
        (one((-1, (1,), (1,))), "no number"),
        (one((0, (4,), (-1,))), "no number"),
        (one((0, (1,) * 9, (1,) * 9)), "shape"),
        (one((0, (1, 1), (1,))), "shape"),
        (file_of({"only": 5}, {}), "something else than tensors"),
        (file_of([], {}), "no table"),
        (file_of({}, {}, keys=[5]), "no table"),
        (file_of({}, {"1": [1.0]}), "other storages"),
        (file_of({"only": Written("1", 1, (0, (1,), (1,)))}, {}), "something else than tensors"),
        (one((0, (12,), (1,)))[:-1], "truncated"),
        (one((0, (12,), (1,)))[:-50], "other storages|truncated"),
    ],
)
def test_a_wrong_file_is_refused_in_words(data: bytes, message: str) -> None:
    with pytest.raises(WeightsError, match=message):
        weights.parse(data)


class Attack:
    def __init__(self, file: Path) -> None:
        self.file = file

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.file,)


HOSTILE = {
    "another name": b"\x80\x02cos\nsystem\nX\x05\0\0\0false\x85R.",
    "a name by another opcode": b"\x80\x04X\x02\0\0\0osX\x06\0\0\0system\x93.",
    "an instance": b"(X\x05\0\0\0falseios\nsystem\n.",
    "an object": b"(cos\nsystem\nX\x05\0\0\0falseo.",
    "a new object": b"\x80\x02ctorch\nFloatStorage\n)\x81.",
    "an extension": b"\x80\x02\x82\x01.",
    "a call of a text": b"\x80\x02X\x05\0\0\0false)R.",
    "a call of a type's name": b"\x80\x02ctorch\nFloatStorage\n)R.",
    "a dictionary with arguments": b"\x80\x02ccollections\nOrderedDict\n]\x85R.",
    "a state for what has none": b"\x80\x02]}b.",
    "a key that cannot be one": b"\x80\x02}]]s.",
    "a memo that is empty": b"\x80\x02j\xff\xff\xff\x7f.",
    "a large place in the memo": b"\x80\x02Nr\xff\xff\xff\xff0.",
    "a large text": b"\x80\x02X\xff\xff\xff\x7fa.",
    "a large array": b"\x80\x05\x96" + b"\xff" * 7 + b"\x7f.",
    "an empty stack": b"\x80\x02R.",
    "no mark": b"\x80\x02t.",
    "an unmarked list": b"\x80\x02]e.",
    "two values": b"\x80\x02NN.",
    "no end": b"\x80\x02N",
    "bytes that are no text": b"\x80\x02X\x01\0\0\0\xff.",
    "an unknown opcode": b"\x80\x02\xff.",
}


@pytest.mark.parametrize("what", HOSTILE)
def test_nothing_but_tensors_is_made(what: str) -> None:
    for place in range(4):
        heads = [pickled(MAGIC), pickled(PROTOCOL), pickled({}), pickled({})]
        with pytest.raises(WeightsError):
            weights.parse(b"".join(heads[:place]) + HOSTILE[what] + b"".join(heads[place:]))


def test_nothing_is_called(tmp_path: Path) -> None:
    file = tmp_path / "called"
    pickle.loads(pickle.dumps(Attack(file)))  # noqa: S301 (ours: it shows that the attack works)
    file.unlink()
    with pytest.raises(WeightsError, match="not allowed"):
        weights.parse(file_of({"only": Attack(file)}, {}))
    assert not file.exists()


@given(st.data())
def test_damage_of_any_kind_is_refused_or_changes_numbers(data: st.DataObject) -> None:
    whole = bytearray(one((2, (2, 3), (3, 1))))
    for _ in range(data.draw(st.integers(1, 3))):
        whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    try:
        read = weights.parse(bytes(whole[: data.draw(st.integers(len(whole) - 20, len(whole)))]))
    except WeightsError:
        return
    assert all(each.size <= 12 for each in read.values())


def test_a_view_holds_only_what_it_says() -> None:
    """The stand-ins of the file's names cannot do anything else."""
    assert set(weights.NAMES.values()) == {weights._dictionary, weights._view, "<f4", "<i8"}
    assert View.__slots__ == ("storage", "offset", "shape", "strides")
