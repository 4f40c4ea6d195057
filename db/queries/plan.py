"""Plans: a selection, compiled once to one SQL statement; executed with any request's values."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import BigInteger, Boolean, func, or_, select
from sqlalchemy.dialects.postgresql import asyncpg as postgres

from db import defaults
from db.errors import DomainError
from db.queries import ids
from db.queries.compile_context import IDS, Bound, Build
from db.queries.json_text import Parts, assemble
from db.queries.parameters import Inputs, Param, resolve
from db.queries.roots import ROOTS, by_id, by_ids
from db.queries.selection import Select
from db.queries.types import TYPES

DIALECT = postgres.dialect()  # type: ignore[no-untyped-call]
REFERENCE = "reference"  # the variable that holds what is referred to


class Misplaced(Exception):
    """An argument that is refused; `path` leads to its field, as far as the first list."""

    def __init__(self, cause: DomainError, path: Sequence[str]) -> None:
        super().__init__(cause.message)
        self.cause = cause
        self.path = path


@dataclass(frozen=True, slots=True)
class Plan:
    """One statement, whose single value is JSON text. `costly`: it may read every row of a dataset."""

    text: str
    bounds: tuple[Bound, ...]
    order: tuple[int, ...]
    costly: bool = False

    def arguments(self, inputs: Inputs) -> list[Any]:
        """The statement's values. Raises Misplaced for an argument that is out of its bounds."""
        values = [_value(bound, inputs) for bound in self.bounds]
        return [values[at] for at in self.order]


def _value(bound: Bound, inputs: Inputs) -> Any:
    try:
        return bound.make(*(resolve(leaf, inputs) for leaf in bound.leaves))
    except DomainError as error:
        raise Misplaced(error, bound.path) from error


def type_of(text: str) -> str | None:
    """The type that a global id names, if things of it are found by their ids."""
    name, _ = ids.split(text)
    return name if name in TYPES and TYPES[name].is_node else None


def query(selects: Sequence[Select], *, confined: bool, page: int = defaults.PAGE) -> Plan:
    """All root fields of a query: one statement, so that all see one state."""
    return _compile(
        confined, page, lambda build: build.fields("Query", selects, lambda each: ROOTS[each.name](build, each))
    )


def reference(type_name: str, selects: Sequence[Select], *, confined: bool, page: int = defaults.PAGE) -> Plan:
    """The object whose number is the variable REFERENCE; NULL where it is not there."""

    def parts(build: Build) -> Parts:
        number = build.bind(BigInteger(), int, REFERRED)
        return [by_id(build, type_name, selects, number, planned=True)]

    return _compile(confined, page, parts)


def references(type_name: str, selects: Sequence[Select], *, confined: bool, page: int = defaults.PAGE) -> Plan:
    """The objects whose numbers are the variable REFERENCE, in that order."""
    return _compile(confined, page, lambda build: by_ids(build, type_name, selects, build.bind(IDS, list, REFERRED)))


REFERRED = Param(lambda inputs: inputs.variables[REFERENCE])


def _compile(confined: bool, page: int, make: Callable[[Build], Parts]) -> Plan:
    build = Build(types=TYPES, confined=confined, page=page)
    try:
        parts = make(build)
    except DomainError as error:
        raise Misplaced(error, tuple(build.path)) from error
    json = parts[0] if len(parts) == 1 and not isinstance(parts[0], str) else assemble(parts)
    statement = build.single(select(json.label("json")), before=0)
    if build.by_values:
        known = build.bind(Boolean(), lambda: True)
        statement = statement.where(or_(known, func.never_generic()))
    compiled = statement.compile(dialect=DIALECT)
    names = list(build.bounds)
    order = tuple(names.index(name) for name in compiled.positiontup or ())
    return Plan(str(compiled), tuple(build.bounds.values()), order, build.costly)
