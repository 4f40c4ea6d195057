"""A change of many samples has more time than others, and so has its request."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import pytest
from sqlmodel.ext.asyncio.session import AsyncSession

from db.history import changes, undo
from db.history.restore import load
from db.history.transactions import write
from db.labelling import labels
from db.labelling.samples.delete import delete
from db.labelling.samples.label import LabelWith, label
from db.labelling.samples.selection import Selection, lock_samples
from db.postgres import sql
from db.postgres.engine import Database
from db.queries.filters import SampleFilter
from tests.db.dataset_rows import ANN, DatasetRows, make, wrong
from tests.waiting import TIMEOUT

EVERY = Selection(filter=SampleFilter())
Work = Callable[[AsyncSession], Awaitable[Any]]


def with_little_time(database: Database, deadline: asyncio.Timeout | None = None) -> Database:
    """Where three samples are many."""
    return replace(database, limits=replace(database.limits, large=3, large_write=3 * TIMEOUT), deadline=deadline)


async def pets(database: Database, samples: int) -> DatasetRows:
    return await make(database, samples=samples, labels=("cat", "dog"))


def undoing(rows: DatasetRows) -> Work:
    return lambda session: load(session, rows.id, 0)


def selecting(rows: DatasetRows) -> Work:
    return lambda session: lock_samples(session, rows.id, EVERY)


@pytest.mark.parametrize("step", [selecting, undoing])
@pytest.mark.parametrize("samples", [2, 3])
async def test_who_selects_many_samples_has_more_time(
    database: Database, step: Callable[[DatasetRows], Work], samples: int
) -> None:
    rows = await pets(database, samples)
    async with asyncio.timeout(TIMEOUT) as deadline:
        before = deadline.when()
        async with with_little_time(database, deadline).writing() as session:
            usual = await sql.value(session, "SHOW statement_timeout")
            await step(rows)(session)
            now = await sql.value(session, "SHOW statement_timeout")
            moved = deadline.when()
        assert (usual, now) == ("5min", "15min" if samples == 3 else "5min")
        assert (moved == before) is (samples == 2)
        async with database.writing() as session:
            assert await sql.value(session, "SHOW statement_timeout") == "5min"


async def test_a_large_change_is_one_like_any_other(database: Database) -> None:
    rows = await pets(database, 4)
    large, last = with_little_time(database), changes.RecordedChange(0, 0)

    def undo_last(session: AsyncSession) -> Any:
        return undo.undo(session, last.id, by=ANN)

    operations: list[Work] = [
        lambda session: label(session, rows.id, EVERY, LabelWith(labels=["cat", "dog"]), by=ANN),
        lambda session: labels.rename(session, rows.labels["cat"], to="dog", by=ANN, on_conflict="MERGE"),
        lambda session: labels.delete(session, [rows.labels["dog"]], mode="LABEL_AND_SAMPLES", by=ANN),
        undo_last,
        lambda session: delete(session, rows.id, EVERY, by=ANN),
        undo_last,
    ]
    for work in operations:
        await write(large, work, object)
        assert await wrong(database, rows.id) == []
        async with database.reading() as reader:
            [row] = await reader.fetch("SELECT id, revision FROM change ORDER BY revision DESC LIMIT 1")
        last = changes.RecordedChange(row["id"], row["revision"])
    assert last.revision == 1 + len(operations)
    async with database.reading() as reader:
        assert (
            await reader.fetchval("SELECT count(*) FROM sample WHERE label_ids = ARRAY[$1::bigint]", rows.labels["dog"])
            == 4
        )
