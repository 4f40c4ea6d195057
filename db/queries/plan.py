"""Plans: a selection, compiled once to one SQL statement; executed with any request's values. Errors of Postgres are
raised as what they mean for the caller."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import asyncpg
from sqlalchemy import BigInteger, Boolean, func, or_, select
from sqlalchemy.dialects.postgresql import asyncpg as dialect

from db import defaults
from db.errors import DomainError, NotFound
from db.postgres.engine import Database
from db.postgres.outages import DatabaseUnavailable
from db.queries import ids
from db.queries.compile_context import IDS, CompileContext, Path, Placeholder, Refusal, RowType, SelectedField
from db.queries.json_text import Parts, concatenate
from db.queries.nearest import explain_embeddings
from db.queries.parameters import Inputs, Parameter, resolve
from db.queries.registry import TYPES
from db.queries.roots import by_id, by_ids

DIALECT = dialect.dialect()  # type: ignore[no-untyped-call]
NO_SUCH_VERSION = "LG404"  # raised by the database's function `version_of`
TOO_LONG = "LG413"  # raised by `answer_too_long`
REFERENCE = "$"  # among the variables, of which no other has this name: the number, or numbers, of a reference


class ArgumentError(Exception):
    """Arguments that are refused: of each why, and the path to its field, or to one below it, in the order of the
    selection."""

    def __init__(self, refusals: Sequence[Refusal]) -> None:
        [self.cause, _], *_ = self.refusals = refusals
        super().__init__(self.cause.message)


@dataclass(frozen=True, slots=True)
class Plan:
    """One statement, whose single value is JSON text. `costly`: it may read every row of a dataset."""

    text: str
    placeholders: tuple[Placeholder, ...]
    order: tuple[int, ...]  # of the placeholders in the text
    costly: bool = False
    with_embeddings: tuple[Path, ...] = ()

    def arguments(self, inputs: Inputs) -> list[Any]:
        """The statement's values. Raises ArgumentError for arguments that are out of their bounds."""
        values, refusals = [], []
        for placeholder in self.placeholders:
            try:
                values.append(placeholder.make(*(resolve(leaf, inputs) for leaf in placeholder.leaves)))
            except DomainError as error:
                refusals.append((error, placeholder.path))
        if refusals:
            raise ArgumentError(refusals)
        return [values[index] for index in self.order]


def type_of(text: str) -> str | None:
    """The kind of a global id whose objects are found by their ids."""
    kind = ids.kind(text)
    type_ = TYPES.get(kind.removesuffix("@"))
    return kind if isinstance(type_, RowType) and type_.is_node else None


def compile_query(fields: Sequence[SelectedField], *, confined: bool, page: int = defaults.PAGE) -> Plan:
    """All root fields of a query: one statement, so that all see one state."""
    return _compile(lambda context: context.object("Query", None, fields), confined, page)


def compile_reference(
    type_name: str,
    fields: Sequence[SelectedField],
    *,
    several: bool,
    with_missing: bool = False,
    confined: bool,
    page: int = defaults.PAGE,
) -> Plan:
    """The object whose number is the variable REFERENCE, NULL where it does not exist; or the objects of `several`
    numbers, in that order, without those that do not exist, or with null for each of them."""

    def parts(context: CompileContext) -> Parts:
        if several:
            numbers = context.bind(IDS, list, REFERENCED)
            return by_ids(context, type_name, fields, numbers, with_missing=with_missing)
        number = context.bind(BigInteger(), int, REFERENCED)
        return [by_id(context, type_name, fields, number, is_bound=True)]

    return _compile(parts, confined, page)


REFERENCED = Parameter(lambda inputs: inputs.variables[REFERENCE])


def _compile(make: Callable[[CompileContext], Parts], confined: bool, page: int) -> Plan:
    context = CompileContext(types=TYPES, confined=confined, page=page)
    parts = make(context)
    if context.refusals:
        raise ArgumentError(context.refusals)
    json = parts[0] if len(parts) == 1 and not isinstance(parts[0], str) else concatenate(parts)
    statement = context.single(select(json.label("json")), before=0)
    if context.custom_plan:
        statement = statement.where(or_(context.bind(Boolean(), lambda: True), func.never_generic()))
    compiled = statement.compile(dialect=DIALECT)
    names = list(context.placeholders)
    order = tuple(names.index(name) for name in compiled.positiontup or ())
    return Plan(
        str(compiled), tuple(context.placeholders.values()), order, context.costly, tuple(context.with_embeddings)
    )


async def read(database: Database, plan: Plan, inputs: Inputs, *, costly: bool = False) -> str | None:
    """The JSON text. Repeated once when its connection is lost. Few `costly` reads run at once."""
    arguments = plan.arguments(inputs)
    if not (costly or plan.costly):
        return await _read_at_most_twice(database, plan, arguments)
    async with database.costly_reads.slot(inputs.identity.token_id):
        return await _read_at_most_twice(database, plan, arguments)


async def _read_at_most_twice(database: Database, plan: Plan, arguments: list[object]) -> str | None:
    try:
        return await _read(database, plan, arguments)
    except DatabaseUnavailable as error:
        if not error.connection_lost:
            raise
    return await _read(database, plan, arguments)


async def _read(database: Database, plan: Plan, arguments: list[object]) -> str | None:
    try:
        json: str | None = await database.value(plan.text, *arguments)
        return json
    except asyncpg.QueryCanceledError as error:
        seconds = database.limits.read
        message = f"The query took longer than {seconds:g} seconds and was stopped: ask for less, or filter more."
        raise DomainError(message, code="QUERY_TOO_COSTLY") from error
    except asyncpg.PostgresError as error:
        if error.sqlstate == TOO_LONG:
            message = "The response would be too large: request smaller pages, or fewer lists without pages at once."
            raise DomainError(message, code="QUERY_TOO_COSTLY") from error
        if plan.with_embeddings and (cause := explain_embeddings(error)):
            raise ArgumentError([(cause, path) for path in plan.with_embeddings]) from error
        if error.sqlstate != NO_SUCH_VERSION:
            raise
        message = "There is no such version of this dataset; list them with `dataset { versions }`."
        raise NotFound(message, code="VERSION_NOT_FOUND") from error
