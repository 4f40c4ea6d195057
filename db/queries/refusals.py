"""What is left of a selection when one of its fields is refused: the nearest nullable field above it is null."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from db.queries.compile_context import ObjectType, SelectedField

Fields = tuple[SelectedField, ...]


def refuse(
    types: Mapping[str, ObjectType], fields: Fields, path: Sequence[str]
) -> tuple[Fields | None, list[str | int]]:
    """The root fields without the refused one on this path, the last that has arguments; and the path of its error.
    Below a list that is the path of the first item, since one statement answers all of its items. None: no field above
    the first list may be null."""
    place: list[str | int] = []
    refused = place
    nullable = nearest = 0  # how much of the path leads to the nearest nullable field; of the refused one, and so far
    is_below_list = False
    below = [("Query", field) for field in fields]
    for depth, alias in enumerate(path, 1):
        here = [(type_name, field) for type_name, field in below if field.alias == alias]
        declared = [types[type_name].fields[field.name] for type_name, field in here if field.name != "__typename"]
        place = [*place, alias]
        if not is_below_list and declared and all(each.is_nullable for each in declared):
            nearest = depth
        if depth == 1 or any(field.arguments for _, field in here):
            refused, nullable = place, nearest
        if any(each.is_list for each in declared):
            is_below_list = True
            place = [*place, 0]
        below = [(name, each) for _, field in here for name, more in field.fields.items() for each in more]
    return (_without(fields, path[:nullable]) if nullable else None), refused


def is_refused(fields: Sequence[SelectedField], path: Sequence[str]) -> bool:
    """Whether the field at this path, or one above it, is refused already."""
    below = fields
    for alias in path:
        here = [field for field in below if field.alias == alias]
        if any(field.is_refused for field in here):
            return True
        below = [each for field in here for more in field.fields.values() for each in more]
    return False


def _without(fields: Fields, path: Sequence[str]) -> Fields:
    """The same, with null for the field at this path."""
    return tuple(
        field
        if field.alias != path[0]
        else replace(field, is_refused=True, fields={})
        if len(path) == 1
        else replace(field, fields={name: _without(tuple(more), path[1:]) for name, more in field.fields.items()})
        for field in fields
    )


def paths_to(field: SelectedField, name: str) -> set[tuple[str, ...]]:
    """The paths of all fields of this name, from and with the field."""
    if field.is_refused:
        return set()
    found: set[tuple[str, ...]] = {(field.alias,)} if field.name == name else set()
    for below in (each for more in field.fields.values() for each in more):
        found |= {(field.alias, *path) for path in paths_to(below, name)}
    return found
