"""How readable fields and enums are declared."""

from typing import Any, NoReturn

import strawberry


def compiled() -> NoReturn:
    """The body of a field with arguments: `db.queries` compiles it to SQL, and nobody calls it."""
    raise AssertionError("reads are compiled to SQL; this resolver is a declaration")


def value(name: str, description: str) -> Any:
    """A value of an enum, under its own name."""
    return strawberry.enum_value(name, description=description)
