"""Connections: one form for every list that can be long."""

from typing import Annotated, Any, Generic, TypeVar

import strawberry

from schema.types.node import compiled

T = TypeVar("T")

First = Annotated[
    int | None,
    strawberry.argument(
        description="How many items from the start: 0–100, unless `serverInfo { maxPageSize }` says otherwise. 20 when "
        "neither `first` nor `last` is given."
    ),
]
After = Annotated[
    str | None,
    strawberry.argument(
        description="Only items after this cursor, which must come from the same list in the same order."
    ),
]
Last = Annotated[
    int | None,
    strawberry.argument(
        description="How many items from the end: 0–100, unless `serverInfo { maxPageSize }` says otherwise. Not "
        "together with `first`."
    ),
]
Before = Annotated[
    str | None,
    strawberry.argument(
        description="Only items before this cursor, which must come from the same list in the same order."
    ),
]


@strawberry.type(description="Where a page lies in its list.")
class PageInfo:
    has_next_page: bool = strawberry.field(description="Whether items follow this page.")
    has_previous_page: bool = strawberry.field(description="Whether items come before this page.")
    start_cursor: str | None = strawberry.field(description="Cursor of the first item; null on an empty page.")
    end_cursor: str | None = strawberry.field(description="Cursor of the last item; null on an empty page.")


@strawberry.type(description="An item of a page, and its place in the list.")
class Edge(Generic[T]):
    cursor: str = strawberry.field(
        description="Opaque; for `after` or `before`. Stays valid while others add, change and delete."
    )
    node: T = strawberry.field(description="The item.")


@strawberry.type(description="A page of a list.")
class Connection(Generic[T]):
    edges: list[Edge[T]] = strawberry.field(description="The page's items with their cursors.")
    nodes: list[T] = strawberry.field(description="The page's items: the same as `edges { node }`.")
    page_info: PageInfo = strawberry.field(description="What lies before and after.")
    total_count: int = strawberry.field(
        description="All items of the list, whatever the page. Counted only when selected; with a filter that costs "
        "reading all that match."
    )


def connection_of(type_: type[T], description: str) -> Any:
    """A field that is a connection, without arguments of its own."""

    def page(first: First = None, after: After = None, last: Last = None, before: Before = None) -> Connection[type_]:  # type: ignore[valid-type]
        compiled()

    return strawberry.field(page, description=description)
