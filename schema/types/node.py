"""What readable types have in common."""

from typing import TYPE_CHECKING, Annotated, NoReturn

import strawberry

if TYPE_CHECKING:
    from schema.types.dataset import Dataset
    from schema.types.version import Version

# For what `dataset` and `version` import.
LazyDataset = Annotated["Dataset", strawberry.lazy("schema.types.dataset")]
LazyVersion = Annotated["Version", strawberry.lazy("schema.types.version")]


@strawberry.interface(description="Anything with a global id, to be found again by `node(id)`.")
class Node:
    id: strawberry.ID = strawberry.field(
        description="Global id. Opaque: keep it, compare it, send it back, do not take it apart."
    )


VERSION_OF = (
    "The version that this object is shown in; null in the working set. Its id holds good in that version alone."
)
CURRENT_OF = "The same object in the working set; null if it is gone from there."


def compiled() -> NoReturn:
    """The body of a field with arguments: `db.queries` compiles it to SQL, and nobody calls it."""
    raise AssertionError("reads are compiled to SQL; this resolver is a declaration")
