"""What the compiler is called with: a tree of fields, in no particular query language."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class SelectedField:
    """A field, the key it is answered under, its arguments, and the fields selected below it.

    `arguments`: only those that were passed. Text and numbers that come with the request are `Parameter`s; enum values
    are their names. `fields`: those of each concrete type that the field may return, in the order of the answer.
    """

    name: str
    alias: str
    arguments: Mapping[str, Any] = field(default_factory=dict)
    fields: Mapping[str, tuple["SelectedField", ...]] = field(default_factory=dict)

    def only_type(self) -> "tuple[str, tuple[SelectedField, ...]]":
        """For a field that can return one type only: its name, and the fields selected below."""
        ((name, fields),) = self.fields.items()
        return name, fields

    def argument(self, name: str) -> Any:
        """An argument, or None."""
        return self.arguments.get(name)
