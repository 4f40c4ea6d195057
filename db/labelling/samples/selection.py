"""Locking the samples that a write selects, in the order of their ids. In SQL they are the table `selected (id)`.

A thousand ids travel as a parameter; what a filter finds, a million maybe, stays in Postgres, in a temporary table.
"""

from collections.abc import Sequence, Set
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any, Final, Literal, Self

import asyncpg
from sqlalchemy import BigInteger, ColumnElement, column, insert, select, table
from sqlmodel import col
from sqlmodel.ext.asyncio.session import AsyncSession

from db.errors import Conflict, Invalid
from db.formats.names import is_storable
from db.history import large_changes
from db.postgres import sql
from db.postgres.engine import allow_time_for
from db.postgres.models import Sample
from db.queries.filters import SampleFilter, conditions, working_set

Lock = Literal["NO KEY UPDATE", "UPDATE"] | None  # None: a dry run, in whose way nobody should be
SQL: Final = sql.load(__file__)
PAGE: Final = 100  # samples of a filter's selection that a payload lists
MANY: Final = 1_000  # rows from which on the planner gets statistics, and may sort in memory

PARTS: Final = 25  # of a large change

OF_PART: Final = """WITH selected AS MATERIALIZED (
    SELECT id FROM pg_temp.selected WHERE id BETWEEN :first_id AND :last_id
) """
# As a subquery: not known to the planner, which would otherwise plan each statement anew for a few ids, longer than it
# takes to run.
IDS: Final = "(SELECT :ids::bigint[])"
OF_IDS: Final = f"WITH selected AS MATERIALIZED (SELECT unnest({IDS}) AS id) "
SELECTED: Final = table("selected", column("id", BigInteger))


@dataclass(frozen=True, slots=True)
class Selection:
    """Which samples: by ids or paths, or by the filter that lists them; exactly one of the three."""

    ids: Sequence[int] | None = None
    paths: Sequence[str] | None = None
    filter: SampleFilter | None = None


@dataclass(frozen=True, slots=True)
class LockedSamples:
    """`count` samples of a dataset. `ids` is None while they lie in the temporary table. `given`: those that were
    named, in that order; None: they were selected otherwise."""

    dataset_id: int
    count: int
    ids: tuple[int, ...] | None = None
    not_found: tuple[int, ...] = ()
    not_found_paths: tuple[str, ...] = ()
    given: tuple[int, ...] | None = None
    part: tuple[int, int] | None = None  # the first and last id of those in the temporary table that are meant
    share: float = 1.0  # of all samples, how many are done after this part

    @classmethod
    def of_ids(cls, dataset_id: int, ids: Sequence[int], locked: Set[int]) -> Self:
        """Of the ids that were named, those that are locked."""
        given = tuple(id for id in dict.fromkeys(ids) if id in locked)
        missing = tuple(id for id in dict.fromkeys(ids) if id not in locked)
        return cls(dataset_id, len(given), tuple(sorted(given)), missing, given=given)

    @property
    def counted(self) -> str:
        """Their number, for a summary."""
        return "1 sample" if self.count == 1 else f"{self.count} samples"

    async def run(self, session: AsyncSession, statement: str, **values: Any) -> list[asyncpg.Record]:
        """The rows of a statement that reads the table `selected`."""
        if self.part is not None:
            first, last = self.part
            return await sql.run(session, OF_PART + statement, first_id=first, last_id=last, **values)
        if self.ids is None:
            return await sql.run(session, statement, **values)
        return await sql.run(session, OF_IDS + statement, ids=list(self.ids), **values)

    async def count_where(self, session: AsyncSession, condition: str, **values: Any) -> int:
        """How many of them meet a condition on `sample`."""
        statement = f"SELECT count(*) AS n FROM selected JOIN sample USING (id) WHERE {condition}"
        [row] = await self.run(session, statement, **values)
        return int(row["n"])

    async def narrow(self, session: AsyncSession, condition: str, **values: Any) -> "LockedSamples":
        """Those that meet a condition on `sample`. The others leave `selected`, and stay locked."""
        if self.ids is not None:
            statement = f"SELECT id FROM selected JOIN sample USING (id) WHERE {condition} ORDER BY id"
            ids = tuple(row["id"] for row in await self.run(session, statement, **values))
            return LockedSamples(self.dataset_id, len(ids), ids)
        statement = f"DELETE FROM selected USING sample WHERE sample.id = selected.id AND NOT ({condition})"
        return LockedSamples(self.dataset_id, self.count - await sql.count(session, statement, **values))

    async def parts(self, session: AsyncSession) -> list[Self]:
        """All samples; those of a large change in parts, each of which is done before the next and is progress."""
        if self.ids is not None or large_changes.job_of(session) is None:
            return [self]
        last = [row["last"] for row in await sql.run(session, SQL.parts, size=-(-self.count // PARTS))]
        bounds = enumerate(pairwise([0, *last]), 1)
        return [replace(self, part=(before + 1, end), share=number / len(last)) for number, (before, end) in bounds]

    async def first_page(self, session: AsyncSession) -> tuple[int, ...]:
        """What a payload lists: all that were named, in their order; otherwise the newest samples."""
        if self.given is not None:
            return self.given
        return tuple(row["id"] for row in await self.run(session, SQL.first_page, limit=PAGE))

    def expect(self, count: int | None) -> None:
        if count is not None and count != self.count:
            raise Conflict(
                f"{self.count} samples match now, not {count}; check the selection and repeat.",
                code="COUNT_MISMATCH",
                expected=count,
                actual=self.count,
            )


async def lock_samples(
    session: AsyncSession, dataset_id: int, selection: Selection, lock: Lock = "NO KEY UPDATE"
) -> LockedSamples:
    """Lock what is selected. From here on nobody else changes these samples until the commit."""
    if selection.paths is not None:
        return await _lock_samples_at(session, dataset_id, selection.paths, lock)
    ids = selection.ids
    if ids is None:
        condition = conditions(selection.filter or SampleFilter(), working_set(dataset_id))
        return await lock_samples_where(session, dataset_id, condition, lock)
    if not ids:
        raise Invalid("No samples are selected; give some ids or a filter.", code="EMPTY_SELECTION")
    statement = f"""
        SELECT id FROM sample WHERE dataset_id = :dataset_id AND id = ANY({IDS}::bigint[])
        ORDER BY id {f"FOR {lock}" if lock else ""}
    """
    rows = await sql.run(session, statement, dataset_id=dataset_id, ids=list(set(ids)))
    return LockedSamples.of_ids(dataset_id, ids, frozenset(row["id"] for row in rows))


async def samples_at(session: AsyncSession, dataset_id: int, paths: Sequence[str]) -> dict[str, int]:
    """The samples at these paths, in either form of Unicode, by the paths as they are given."""
    known = [path for path in dict.fromkeys(paths) if is_storable(path)]
    rows = await sql.run(session, SQL.samples_at, dataset_id=dataset_id, paths=known)
    return {row["path"]: row["id"] for row in rows}


async def _lock_samples_at(session: AsyncSession, dataset_id: int, paths: Sequence[str], lock: Lock) -> LockedSamples:
    if not paths:
        raise Invalid("No samples are selected; give some paths or a filter.", code="EMPTY_SELECTION")
    found = await samples_at(session, dataset_id, paths)
    missing = tuple(path for path in dict.fromkeys(paths) if path not in found)
    if not found:
        return LockedSamples(dataset_id, 0, (), not_found_paths=missing, given=())
    ids = tuple(found[path] for path in dict.fromkeys(paths) if path in found)
    locked = await lock_samples(session, dataset_id, Selection(ids=ids), lock)
    gone = frozenset(locked.not_found)  # since they were found
    missing = tuple(path for path in dict.fromkeys(paths) if path not in found or found[path] in gone)
    return replace(locked, not_found=(), not_found_paths=missing)


async def lock_samples_where(
    session: AsyncSession, dataset_id: int, condition: ColumnElement[bool], lock: Lock = "NO KEY UPDATE"
) -> LockedSamples:
    """Lock the samples that meet a condition on `sample`."""
    found = select(col(Sample.id)).where(col(Sample.dataset_id) == dataset_id, condition).order_by(col(Sample.id))
    if lock is not None:
        found = found.with_for_update(key_share=lock == "NO KEY UPDATE")
    locked = found.subquery()
    await sql.run(session, SQL.create_table)
    count = (await session.exec(insert(SELECTED).from_select(["id"], select(locked.c.id)))).rowcount
    if lock is None:
        await allow_time_for(session, count)
    else:
        await large_changes.expect_samples(session, dataset_id, count)
    if count >= MANY:
        await sql.run(session, "ANALYZE selected")
        await sql.run(session, "SET LOCAL work_mem = '64MB'")
    return LockedSamples(dataset_id, count)
