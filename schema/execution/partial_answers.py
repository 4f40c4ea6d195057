"""Queries of which some fields are refused: these are null, and the rest is read without them."""

from collections.abc import Awaitable, Callable, Hashable, Sequence

from graphql import GraphQLError
from orjson import Fragment

from db import queries
from db.errors import NotFound
from db.queries import ArgumentError, SelectedField
from schema.execution.messages import Answer

MAX_REFUSED = 10  # fields of one query; with more, nothing is answered
Fields = tuple[SelectedField, ...]
Read = Callable[[Hashable, Fields], Awaitable[str]]  # the JSON text of these fields; the key is of what is left out


async def partial_answer(fields: Fields, error: ArgumentError | NotFound, read: Read) -> Answer:
    """`error`: why all the fields could not be read. The last reading is one statement, and sees one state."""
    errors: list[GraphQLError] = []
    refused: list[tuple[str | int, ...]] = []
    while True:
        if isinstance(error, ArgumentError):
            refusals = error.refusals
        else:
            refusals = [(error, path) for path in await _unknown_versions(fields, refused, read)]
        for cause, path in refusals:
            if queries.is_refused(fields, path):
                continue
            left, place = queries.refuse(queries.TYPES, fields, path)
            errors.append(GraphQLError(cause.message, path=place, original_error=cause))
            if left is None or len(errors) == MAX_REFUSED:
                return Answer(data=None, errors=errors)
            fields = left
            refused.append(tuple(place))
        try:
            return Answer(data=Fragment(await read(tuple(refused), fields)), errors=errors)
        except (ArgumentError, NotFound) as another:
            error = another


async def _unknown_versions(fields: Fields, refused: Sequence[Hashable], read: Read) -> list[tuple[str, ...]]:
    """The paths of comparisons with an unknown version. SQL does not say which it was, so root fields with comparisons
    are read one by one; of several comparisons in one, the root field is refused."""
    comparing = [field for field in fields if queries.paths_to(field, "comparison")]
    paths: list[tuple[str, ...]] = []
    for field in comparing:
        if len(comparing) > 1:
            try:
                await read((*refused, field.alias), (field,))
            except NotFound:
                pass
            else:
                continue
        found = queries.paths_to(field, "comparison")
        paths.append(found.pop() if len(found) == 1 else (field.alias,))
    return paths
