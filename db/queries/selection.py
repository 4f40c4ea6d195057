"""What the compiler is asked for: a tree of fields, in nobody's query language."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Select:
    """A field, the key it is answered under, and what is wanted below it.

    `args`: only those that are given. Text and numbers that come with the request are `Param`s; enum values are their
    names. `fields`: what is wanted of each concrete type that the field may give, in the order of the answer.
    """

    name: str
    alias: str
    args: Mapping[str, Any] = field(default_factory=dict)
    fields: Mapping[str, tuple["Select", ...]] = field(default_factory=dict)

    def of_only_type(self) -> "tuple[str, tuple[Select, ...]]":
        """For a field that can give one type only: its name, and what is wanted of it."""
        ((name, selects),) = self.fields.items()
        return name, selects

    def given(self, name: str) -> Any:
        """An argument, or None."""
        return self.args.get(name)
