"""What readable types have in common."""

from typing import NoReturn

import strawberry


@strawberry.interface(description="Anything with a global id, to be found again by `node(id)`.")
class Node:
    id: strawberry.ID = strawberry.field(
        description="Global id. Opaque: keep it, compare it, send it back, do not take it apart."
    )


def compiled() -> NoReturn:
    """The body of a field with arguments: `db.queries` compiles it to SQL, and nobody calls it."""
    raise AssertionError("reads are compiled to SQL; this resolver is a declaration")
