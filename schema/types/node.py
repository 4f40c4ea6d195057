"""What readable types have in common."""

from typing import TYPE_CHECKING, Annotated, NoReturn

import strawberry

if TYPE_CHECKING:
    from schema.types.dataset import Dataset

LazyDataset = Annotated["Dataset", strawberry.lazy("schema.types.dataset")]  # for what `dataset` imports


@strawberry.interface(description="Anything with a global id, to be found again by `node(id)`.")
class Node:
    id: strawberry.ID = strawberry.field(
        description="Global id. Opaque: keep it, compare it, send it back, do not take it apart."
    )


def compiled() -> NoReturn:
    """The body of a field with arguments: `db.queries` compiles it to SQL, and nobody calls it."""
    raise AssertionError("reads are compiled to SQL; this resolver is a declaration")
