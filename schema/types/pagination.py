"""Connections: one form for every list that can be long."""

from typing import Annotated, Any, Generic, TypeVar

import strawberry

from schema.types.node import compiled

T = TypeVar("T")

First = Annotated[
    int | None,
    strawberry.argument(
        description="Return the first items, as many as this: 0 to `serverInfo { maxPageSize }`, which is 100 by "
        "default. Default: 20, if `last` is not given either."
    ),
]
After = Annotated[
    str | None,
    strawberry.argument(
        description="Return items after this cursor. The cursor must come from the same list in the same order."
    ),
]
Last = Annotated[
    int | None,
    strawberry.argument(
        description="Return the last items, as many as this: 0 to `serverInfo { maxPageSize }`, which is 100 by "
        "default. Cannot be combined with `first`."
    ),
]
Before = Annotated[
    str | None,
    strawberry.argument(
        description="Return items before this cursor. The cursor must come from the same list in the same order."
    ),
]


@strawberry.type(description="Information about a page of a list.")
class PageInfo:
    has_next_page: bool = strawberry.field(description="Whether there are items after this page.")
    has_previous_page: bool = strawberry.field(description="Whether there are items before this page.")
    start_cursor: str | None = strawberry.field(description="Cursor of the first item. Null on an empty page.")
    end_cursor: str | None = strawberry.field(description="Cursor of the last item. Null on an empty page.")


@strawberry.type(description="An item of a page and its cursor.")
class Edge(Generic[T]):
    cursor: str = strawberry.field(
        description="Opaque cursor for `after` or `before`. Stays valid while items are added, changed or deleted."
    )
    node: T = strawberry.field(description="The item.")


@strawberry.type(description="A page of a list.")
class Connection(Generic[T]):
    edges: list[Edge[T]] = strawberry.field(description="The items of the page, each with its cursor.")
    nodes: list[T] = strawberry.field(description="The items of the page, the same as `edges { node }`.")
    page_info: PageInfo = strawberry.field(description="Information about the pages before and after.")
    total_count: int = strawberry.field(
        description="Number of items in the whole list. Counted only if selected; with a filter, the server reads all "
        "matching items to count them."
    )


def connection_of(type_: type[T], description: str) -> Any:
    """A field that is a connection, without arguments of its own."""
    return page_of(Connection[type_], description)  # type: ignore[valid-type]


def page_of(connection: type[Connection[Any]], description: str) -> Any:
    """The same, of a connection that has more fields."""

    def page(first: First = None, after: After = None, last: Last = None, before: Before = None) -> connection:  # type: ignore[valid-type]
        compiled()

    return strawberry.field(page, description=description)


def filtered_connection_of(type_: type[T], filter_type: type, description: str) -> Any:
    """A field that is a connection with a filter."""

    def page(
        filter: Annotated[
            filter_type | None,  # type: ignore[valid-type]
            strawberry.argument(description="Return only items that match this filter."),
        ] = None,
        first: First = None,
        after: After = None,
        last: Last = None,
        before: Before = None,
    ) -> Connection[type_]:  # type: ignore[valid-type]
        compiled()

    return strawberry.field(page, description=description)
