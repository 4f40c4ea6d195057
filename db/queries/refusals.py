"""What is left of a selection when one of its fields is refused: the nearest nullable field above it is null."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from db.queries.compile_context import ObjectType, SelectedField

Fields = tuple[SelectedField, ...]


def refuse(types: Mapping[str, ObjectType], fields: Fields, path: Sequence[str]) -> tuple[Fields | None, list[str]]:
    """The root fields without the field at this path, and where the error is: the path as far as the first list, since
    one statement answers all of its items. None: no field on the path may be null."""
    reached: list[str] = []
    nullable = 0  # how much of the path leads to the nearest nullable field
    below = [("Query", field) for field in fields]
    for alias in path:
        here = [(type_name, field) for type_name, field in below if field.alias == alias]
        declared = [types[type_name].fields[field.name] for type_name, field in here if field.name != "__typename"]
        reached.append(alias)
        if declared and all(each.is_nullable for each in declared):
            nullable = len(reached)
        if any(each.is_list for each in declared):
            break
        below = [(name, each) for _, field in here for name, more in field.fields.items() for each in more]
    return (_without(fields, reached[:nullable]) if nullable else None), reached


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
