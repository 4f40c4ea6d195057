"""How a readable field is declared."""

from typing import Any


def compiled() -> Any:
    """The body of a field with arguments: `db.queries` answers it, nobody calls it."""
    raise AssertionError("reads are compiled to SQL; this resolver is a declaration")
