"""Queries of which some fields are refused: these are null, and the rest is read without them."""

from collections.abc import Awaitable, Callable, Hashable, Iterable, Mapping
from typing import Any, Final

import orjson
from graphql import GraphQLError

from db import queries
from db.errors import NotFound
from db.queries import ArgumentError, SelectedField
from schema.execution.messages import Answer

MAX_LENGTH: Final = 1 << 20  # of the text of an answer that is parsed, for which all other requests wait
Fields = tuple[SelectedField, ...]
Read = Callable[[Hashable, Fields], Awaitable[str]]  # the JSON text of these fields; the key is of what is left out


async def partial_answer(fields: Fields, error: ArgumentError | NotFound, read: Read) -> Answer:
    """`error`: why all the fields could not be read. The last reading is one statement, and sees one state."""
    refused: dict[queries.Path, int] = {}  # the number of each
    causes: list[Exception] = []  # by number
    left = fields
    while True:
        if isinstance(error, ArgumentError):
            refusals = error.refusals
        else:
            refusals = [(error, path) for path in await _unknown_versions(left, refused, read)]
        for cause, path in refusals:
            if (field := queries.with_arguments(left, path)) not in refused:
                refused[field] = len(causes)
                causes.append(cause)
        left = queries.without(fields, refused)
        try:
            text = await read(tuple(refused), left)
        except (ArgumentError, NotFound) as another:
            error = another
            continue
        data, places = _completed(fields, refused, text)
        errors = [
            GraphQLError(str(causes[number]), path=place, original_error=causes[number]) for number, place in places
        ]
        return Answer(data=data, errors=errors)


def _completed(
    fields: Fields, refused: Mapping[queries.Path, int], text: str
) -> tuple[Any, list[tuple[int, list[str | int]]]]:
    """The data, and of each error the number of its cause, and its path: without indexes where it is not parsed."""
    if len(text) <= MAX_LENGTH:
        return queries.complete(queries.TYPES, fields, refused, orjson.loads(text))
    if queries.MARK not in text:
        return orjson.Fragment(text), []
    return None, [(number, [alias for _, alias in path]) for path, number in refused.items()]


async def _unknown_versions(fields: Fields, refused: Iterable[Hashable], read: Read) -> list[queries.Path]:
    """The paths of comparisons with an unknown version. SQL does not say which it was, so root fields with comparisons
    are read one by one; of several comparisons in one, the root field is refused."""
    comparing = [field for field in fields if queries.paths_to(field, "comparison")]
    paths: list[queries.Path] = []
    for field in comparing:
        if len(comparing) > 1:
            try:
                await read((*refused, field.alias), (field,))
            except NotFound:
                pass
            else:
                continue
        found = queries.paths_to(field, "comparison")
        paths.append(found.pop() if len(found) == 1 else (("Query", field.alias),))
    return paths
