"""Refused fields: a selection with a mark in place of each, and its answer with null where the marks were, by the rules
of the GraphQL specification: the nearest nullable field, or item of a list, is null, and the others keep their values.

The mark is an object whose only key is empty, which no alias is, with the number of the refusal. So the answer itself
says at which items of its lists a field was refused; where there is no item, there is no error.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from db.queries.compile_context import Field, ObjectType, Path, SelectedField

Fields = Sequence[SelectedField]
Aliases = tuple[str, ...]
MAX_ERRORS = 10  # of one answer; with so many nothing is answered
MARK = '{"":'  # in the text of an answer; no alias is empty, and in a string the quotes would be escaped
REFUSED = object()  # a value that must be null itself, but may not


def with_arguments(fields: Fields, path: Path) -> Path:
    """The path to the last field on this path that has arguments, or to the root field."""
    return path[: max([1, *(depth for depth, (_, field) in enumerate(_along(fields, path), 1) if field.arguments)])]


def without(
    fields: Fields, refused: Mapping[Path, int], above: Path = (), type_name: str = "Query"
) -> tuple[SelectedField, ...]:
    """The same fields, those at these paths with the number of their refusal."""
    left = []
    for field in fields:
        path = (*above, (type_name, field.alias))
        below = {name: without(more, refused, path, name) for name, more in field.fields.items()}
        refusal = refused.get(path)
        left.append(replace(field, fields=below if refusal is None else {}, refusal=refusal))
    return tuple(left)


def paths_to(field: SelectedField, name: str, above: Path = (), type_name: str = "Query") -> set[Path]:
    """The paths of all fields of this name, from and with the field."""
    path = (*above, (type_name, field.alias))
    found = {path} if field.name == name and field.refusal is None else set()
    for below, more in field.fields.items():
        found |= {each for selected in more for each in paths_to(selected, name, path, below)}
    return found


def complete(
    types: Mapping[str, ObjectType], fields: Fields, refused: Mapping[Path, int], data: Any
) -> tuple[Any, list[tuple[int, list[str | int]]]]:
    """The answer to `without`, with null for its marks; and of each error the number of its refusal, and its path."""
    declared: dict[Aliases, Field] = {}  # fields of one alias may be null, or a list, in all types or in none
    for path in refused:
        for depth, (type_name, field) in enumerate(_along(fields, path), 1):
            declared[tuple(alias for _, alias in path[:depth])] = types[type_name].fields[field.name]
    errors: list[tuple[int, list[str | int]]] = []
    data = _completed(data, declared, (), [], errors)
    return (None if data is REFUSED else data), errors


def _completed(
    value: Any,
    declared: Mapping[Aliases, Field],
    above: Aliases,
    place: list[str | int],
    errors: list[tuple[int, list[str | int]]],
) -> Any:
    steps: list[tuple[str | int, Aliases, bool]] = []  # below the value: whether what is there may be null
    match value:
        case {"": number}:
            errors.append((number, place))
            return REFUSED
        case dict():
            paths = [(alias, (*above, alias)) for alias in value]
            steps += [(alias, path, declared[path].is_nullable) for alias, path in paths if path in declared]
        case list():
            steps += [(index, above, declared[above].has_nullable_items) for index in range(len(value))]
    for step, path, may_be_null in steps:
        made = _completed(value[step], declared, path, [*place, step], errors)
        if made is REFUSED and (not may_be_null or len(errors) == MAX_ERRORS):
            return REFUSED
        value[step] = None if made is REFUSED else made
    return value


def _along(fields: Fields, path: Path) -> Iterator[tuple[str, SelectedField]]:
    """The types and fields on this path."""
    for depth, (type_name, alias) in enumerate(path, 1):
        [field] = [each for each in fields if each.alias == alias]
        yield type_name, field
        if depth < len(path):
            fields = field.fields[path[depth][0]]
