"""A cache that is limited by the size of its values."""

from collections import OrderedDict
from collections.abc import Callable, Hashable
from math import inf
from typing import Generic, TypeVar

V = TypeVar("V")


class LruCache(Generic[V]):
    """Drops the least recently used values beyond `max_items` and beyond the sum `max_size`; keeps one in any case."""

    def __init__(self, size: Callable[[V], int], *, max_size: int, max_items: float = inf) -> None:
        self._size_of, self._max_size, self._max_items = size, max_size, max_items
        self._size = 0
        self._values: OrderedDict[Hashable, V] = OrderedDict()

    def __len__(self) -> int:
        return len(self._values)

    def __contains__(self, key: Hashable) -> bool:
        return key in self._values

    def get(self, key: Hashable) -> V | None:
        value = self._values.get(key)
        if value is not None:
            self._values.move_to_end(key)
        return value

    def add(self, key: Hashable, value: V) -> None:
        if key in self._values:
            self._size -= self._size_of(self._values.pop(key))
        self._values[key] = value
        self._size += self._size_of(value)
        while len(self._values) > 1 and (self._size > self._max_size or len(self._values) > self._max_items):
            _, dropped = self._values.popitem(last=False)
            self._size -= self._size_of(dropped)
