"""Samples in a writer's hands: locked in the order of their ids, and nameable in SQL as the table `selected`.

A thousand ids travel as a parameter; what a filter finds, a million maybe, stays in Postgres, in a temporary
table that each connection makes once and every transaction finds empty.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from sqlalchemy import BigInteger, ColumnElement, column, insert, select, table
from sqlmodel import col
from sqlmodel.ext.asyncio.session import AsyncSession

from db.errors import Conflict, Invalid
from db.postgres import sql
from db.postgres.models import Sample
from db.queries.filters.conditions import SampleFilter, conditions, working_set

Lock = Literal["NO KEY UPDATE", "UPDATE"]
SHOWN = 100  # samples of a filter's selection that a payload shows: the first page of the list
MANY = 1_000  # rows from which on the planner is told how many there are, and may sort in memory

OF_IDS = "WITH selected AS MATERIALIZED (SELECT unnest(:ids::bigint[]) AS id) "
SELECTED = table("selected", column("id", BigInteger))
TABLE = "CREATE TEMP TABLE IF NOT EXISTS selected (id bigint PRIMARY KEY) ON COMMIT DELETE ROWS"


@dataclass(frozen=True, slots=True)
class Selection:
    """Which samples: by ids, or by the filter that lists them; exactly one of the two."""

    ids: Sequence[int] | None = None
    filter: SampleFilter | None = None


@dataclass(frozen=True, slots=True)
class LockedSamples:
    """`count` samples of a dataset. `ids` is None while they lie in the temporary table."""

    dataset_id: int
    count: int
    ids: tuple[int, ...] | None = None
    not_found: tuple[int, ...] = ()

    async def run(self, session: AsyncSession, statement: str, **values: Any) -> Any:
        """A statement that speaks of `selected`."""
        if self.ids is None:
            return await sql.run(session, statement, **values)
        return await sql.run(session, OF_IDS + statement, ids=list(self.ids), **values)

    async def tally(self, session: AsyncSession, condition: str, **values: Any) -> int:
        """How many of them are like this; `condition` speaks of `sample`."""
        statement = f"SELECT count(*) AS n FROM selected JOIN sample USING (id) WHERE {condition}"
        [row] = await self.run(session, statement, **values)
        return int(row["n"])

    async def narrow(self, session: AsyncSession, condition: str, **values: Any) -> "LockedSamples":
        """Only those like this; the others leave `selected`, and stay locked."""
        if self.ids is not None:
            statement = f"SELECT id FROM selected JOIN sample USING (id) WHERE {condition} ORDER BY id"
            ids = tuple(row["id"] for row in await self.run(session, statement, **values))
            return LockedSamples(self.dataset_id, len(ids), ids)
        statement = f"DELETE FROM selected USING sample WHERE sample.id = selected.id AND NOT ({condition})"
        return LockedSamples(self.dataset_id, self.count - await sql.count(session, statement, **values))

    async def shown(self, session: AsyncSession, asked: Sequence[int] | None) -> tuple[int, ...]:
        """What a payload lists: in the order asked for, or the first page of what a filter finds."""
        if asked is not None:
            found = frozenset(self.ids or ())
            return tuple(id for id in dict.fromkeys(asked) if id in found)
        statement = "SELECT id FROM selected JOIN sample USING (id) ORDER BY created_at DESC, id DESC LIMIT :shown"
        return tuple(row["id"] for row in await self.run(session, statement, shown=SHOWN))

    def expect(self, count: int | None) -> None:
        if count is not None and count != self.count:
            raise Conflict(
                f"{self.count} samples match now, not {count}; look at them again and repeat.",
                code="COUNT_MISMATCH",
                expected=count,
                actual=self.count,
            )


async def lock_samples(
    session: AsyncSession, dataset_id: int, selection: Selection, lock: Lock = "NO KEY UPDATE"
) -> LockedSamples:
    """Lock what is selected. From here on nobody else changes these samples until the commit."""
    if selection.ids is not None:
        return await _lock_ids(session, dataset_id, selection.ids, lock)
    found = conditions(selection.filter or SampleFilter(), working_set(dataset_id))
    return await _lock_filtered(session, dataset_id, found, lock)


async def lock_samples_where(
    session: AsyncSession, dataset_id: int, condition: str, lock: Lock = "NO KEY UPDATE", **values: Any
) -> LockedSamples:
    """Lock the samples like this; `condition` speaks of `sample`."""
    statement = f"""
        INSERT INTO selected SELECT id FROM (
            SELECT sample.id FROM sample WHERE sample.dataset_id = :dataset_id AND ({condition})
            ORDER BY sample.id FOR {lock}
        ) AS locked
    """
    await sql.run(session, TABLE)
    return await _gathered(session, dataset_id, await sql.count(session, statement, dataset_id=dataset_id, **values))


async def _lock_filtered(
    session: AsyncSession, dataset_id: int, found: ColumnElement[bool], lock: Lock
) -> LockedSamples:
    locked = (
        select(col(Sample.id))
        .where(col(Sample.dataset_id) == dataset_id, found)
        .order_by(col(Sample.id))
        .with_for_update(key_share=lock == "NO KEY UPDATE")
        .subquery()
    )
    await sql.run(session, TABLE)
    inserted = await (await session.connection()).execute(insert(SELECTED).from_select(["id"], select(locked.c.id)))
    return await _gathered(session, dataset_id, inserted.rowcount)


async def _gathered(session: AsyncSession, dataset_id: int, count: int) -> LockedSamples:
    if count >= MANY:
        await sql.run(session, "ANALYZE selected")
        await sql.run(session, "SET LOCAL work_mem = '64MB'")
    return LockedSamples(dataset_id, count)


async def _lock_ids(session: AsyncSession, dataset_id: int, ids: Sequence[int], lock: Lock) -> LockedSamples:
    if not ids:
        raise Invalid("No samples are selected; name some ids, or give a filter.", code="EMPTY_SELECTION")
    statement = f"""
        SELECT id FROM sample WHERE dataset_id = :dataset_id AND id = ANY(:ids::bigint[])
        ORDER BY id FOR {lock}
    """
    rows = await sql.run(session, statement, dataset_id=dataset_id, ids=list(set(ids)))
    found = tuple(row["id"] for row in rows)
    missing = frozenset(ids) - frozenset(found)
    return LockedSamples(dataset_id, len(found), found, tuple(id for id in dict.fromkeys(ids) if id in missing))
