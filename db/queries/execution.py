"""Executing plans. Errors of Postgres are raised as what they mean for the caller."""

from contextlib import nullcontext

import asyncpg

from db.errors import DomainError, NotFound
from db.postgres.engine import Database
from db.postgres.outages import DatabaseUnavailable
from db.queries.parameters import Inputs
from db.queries.plan import Plan

NO_SUCH_VERSION = "LG404"  # raised by the database's function `version_of`
TOO_LONG = "LG413"  # raised by `answer_too_long`


async def read(database: Database, plan: Plan, inputs: Inputs, *, costly: bool = False) -> str | None:
    """The JSON text. Repeated once when its connection is lost. Few `costly` reads run at once."""
    arguments = plan.arguments(inputs)
    async with database.costly_reads.slot(inputs.identity.token_id) if costly or plan.costly else nullcontext():
        try:
            return await _read(database, plan, arguments)
        except DatabaseUnavailable as error:
            if not error.connection_lost:
                raise
        return await _read(database, plan, arguments)


async def _read(database: Database, plan: Plan, arguments: list[object]) -> str | None:
    try:
        async with database.reading() as connection:
            json: str | None = await connection.fetchval(plan.text, *arguments)
            return json
    except asyncpg.QueryCanceledError as error:
        seconds = database.limits.read
        message = f"The query took longer than {seconds:g} seconds and was stopped: ask for less, or filter more."
        raise DomainError(message, code="QUERY_TOO_COSTLY") from error
    except asyncpg.PostgresError as error:
        if error.sqlstate == TOO_LONG:
            message = "The answer would be too long: ask for smaller pages, or for fewer lists without pages at once."
            raise DomainError(message, code="QUERY_TOO_COSTLY") from error
        if error.sqlstate != NO_SUCH_VERSION:
            raise
        message = "There is no such version of this dataset; list them with `dataset { versions }`."
        raise NotFound(message, code="VERSION_NOT_FOUND") from error
