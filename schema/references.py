"""What a resolver returns for readable objects: in a mutation's payload, or as a subscription's event.

`Labelled(dataset=reference("Dataset", 7), samples=references("Sample", [4, 2]))`: the executor compiles the client's
selection of them, and reads it when it reaches that field: after the commit.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Reference:
    """An object, or several in this order: those that are deleted by then are left out."""

    type: str
    number: int | Sequence[int]
    step: int = 0  # of an event: the same row, read at the same step, is the same event


def reference(type_name: str, number: int | None, *, step: int = 0) -> Any:
    return None if number is None else Reference(type_name, number, step)


def references(type_name: str, numbers: Sequence[int]) -> Any:
    return Reference(type_name, list(numbers))


@dataclass(frozen=True, slots=True)
class Resumable:
    """An event that no subscriber may miss, and the cursor behind which a subscription goes on. Of one dataset, events
    of the same type with the same cursor are the same. Those of two types need not be: what came first for one
    subscriber comes second for another, and both have come to the same position then."""

    cursor: str
    value: Any = field(compare=False)
    type: type[Any]


def resumable(value: Any) -> Any:
    """The event of an object that has its `cursor`."""
    return Resumable(value.cursor, value, type(value))
