"""What readable types have in common."""

from typing import TYPE_CHECKING, Annotated, NoReturn

import strawberry

if TYPE_CHECKING:
    from schema.types.dataset import Dataset
    from schema.types.version import Version

# For what `dataset` and `version` import.
LazyDataset = Annotated["Dataset", strawberry.lazy("schema.types.dataset")]
LazyVersion = Annotated["Version", strawberry.lazy("schema.types.version")]


@strawberry.interface(description="An object with a global id. `Query.node` returns the object with a given id.")
class Node:
    id: strawberry.ID = strawberry.field(
        description="Global id. Opaque: store it, compare it and send it back, but do not parse it."
    )


VERSION_OF = (
    "The version that this object belongs to. Null in the working set. The same object has a different id in each "
    "version."
)
CURRENT_OF = "The same object in the working set. Null if it no longer exists there."


def compiled() -> NoReturn:
    """The body of a field with arguments: `db.queries` compiles it to SQL, and nobody calls it."""
    raise AssertionError("reads are compiled to SQL; this resolver is a declaration")
