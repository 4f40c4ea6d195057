"""Changes: one to an operation, numbered without gaps, and as cheap for a million samples as set-based SQL allows."""

from collections.abc import Awaitable, Callable
from typing import Any

import asyncpg
import pytest
from sqlmodel.ext.asyncio.session import AsyncSession

from db.errors import Conflict
from db.history.transactions import write
from db.labelling import labels
from db.labelling.labels import LabelValues
from db.labelling.samples.delete import delete
from db.labelling.samples.label import LabelWith, ReplaceWith, label, replace_label
from db.labelling.samples.selection import Selection
from db.labelling.samples.update import update
from db.postgres.engine import Database
from db.postgres.sql import connection_of, run
from db.queries.filters import LabelFilter, SampleFilter
from tests.db.dataset_rows import ANN, DatasetRows, make, wrong

Work = Callable[[AsyncSession], Awaitable[Any]]
EVERY = Selection(filter=SampleFilter())


def operations(pets: DatasetRows) -> dict[str, Work]:
    """One of every kind, each with something to do; in this order."""
    cat, dog = pets.labels["cat"], pets.labels["dog"]
    return {
        "CREATE_LABELS": lambda s: labels.create(s, pets.id, [LabelValues("bird")], by=ANN),
        "UPDATE_LABEL": lambda s: labels.update(s, cat, {"color": "#ff0000"}, by=ANN),
        "LABEL_SAMPLES": lambda s: label(s, pets.id, EVERY, LabelWith(labels=["cat"]), by=ANN),
        "REPLACE_SAMPLE_LABEL": lambda s: replace_label(
            s, pets.id, Selection(ids=pets.samples[:1]), ReplaceWith(before="cat", after="dog"), by=ANN
        ),
        "UPDATE_SAMPLES": lambda s: update(s, pets.id, EVERY, {"hard": True, "usage": "TEST"}, by=ANN),
        "RENAME_LABEL": lambda s: labels.rename(s, cat, to="lion", by=ANN),
        "MERGE_LABELS": lambda s: labels.rename(s, cat, to="dog", by=ANN, on_conflict="MERGE"),
        "DELETE_SAMPLES": lambda s: delete(s, pets.id, Selection(ids=pets.samples[:1]), by=ANN),
        "DELETE_LABELS": lambda s: labels.delete(s, [dog], mode="LABEL_AND_SAMPLES", by=ANN),
    }


async def test_every_operation_is_one_change_and_revisions_have_no_gaps(database: Database) -> None:
    pets = await make(database, samples=3, labels=("cat", "dog"))
    for work in operations(pets).values():
        await write(database, work, object)
        assert await wrong(database, pets.id) == []
    async with database.reading() as reader:
        rows = await reader.fetch("SELECT kind, revision, actor FROM change WHERE dataset_id = $1 ORDER BY id", pets.id)
    assert [row["kind"] for row in rows] == ["SYNC", *operations(pets)]
    assert [row["revision"] for row in rows] == list(range(1, len(rows) + 1))
    assert {row["actor"] for row in rows[1:]} == {"ann"}


async def test_a_refused_operation_leaves_neither_change_nor_revision(database: Database) -> None:
    pets = await make(database, samples=3, labels=("cat",))
    how = LabelWith(labels=["cat"], expected_revision=7)
    with pytest.raises(Conflict) as refused:
        await write(database, lambda session: label(session, pets.id, EVERY, how, by=ANN), object)
    assert refused.value.details == {"revision": 1, "changes": []}
    async with database.reading() as reader:
        assert await reader.fetchval("SELECT count(*) FROM change") == 1


async def statements(database: Database, work: Work) -> int:
    """How many statements the work takes, in a transaction of its own that is given up again."""
    seen: list[Any] = []
    async with database.writing() as session:
        connection: asyncpg.Connection = await connection_of(session)
        with connection.query_logger(seen.append):
            await work(session)
        await session.rollback()
    return len(seen)


@pytest.mark.parametrize("name", list(operations(DatasetRows(0, [], {"cat": 1, "dog": 2}))))
async def test_the_number_of_samples_does_not_raise_the_number_of_statements(database: Database, name: str) -> None:
    few = await make(database, samples=3, labels=("cat", "dog"), name="few")
    many = await make(database, samples=900, labels=("cat", "dog"), name="many", input_path="/many")
    for pets in (few, many):
        await write(database, operations(pets)["LABEL_SAMPLES"], object)
    cats, setting = Selection(filter=SampleFilter(labels=LabelFilter(["cat"]))), LabelWith(labels=["dog"], mode="SET")

    def work(pets: DatasetRows) -> Work:
        if name == "LABEL_SAMPLES":
            return lambda session: label(session, pets.id, cats, setting, by=ANN)
        return operations(pets)[name]

    first, second = [await statements(database, work(pets)) for pets in (few, many)]
    assert first == second <= 20


READ = "SELECT seq_tup_read + idx_tup_fetch FROM pg_stat_xact_user_tables WHERE relname = 'annotation'"


@pytest.mark.parametrize("name", list(operations(DatasetRows(0, [], {"cat": 1, "dog": 2}))))
async def test_old_statistics_make_nobody_read_all_of_a_label_for_each_sample(database: Database, name: str) -> None:
    """Postgres last looked when there were cats only; it takes dogs for so rare that their index is the way to them."""
    pets = await make(database, samples=1000, labels=("cat", "dog"))
    dogs, cats = LabelWith(labels=["dog"]), LabelWith(labels=["cat"])
    await write(database, lambda session: label(session, pets.id, EVERY, cats, by=ANN), object)
    await write(database, lambda session: run(session, "ANALYZE annotation"), object)
    await write(database, lambda session: label(session, pets.id, EVERY, dogs, by=ANN), object)
    setting, turning = LabelWith(labels=["cat"], mode="SET"), ReplaceWith(before="cat", after="dog")
    works = operations(pets) | {
        "LABEL_SAMPLES": lambda session: label(session, pets.id, EVERY, setting, by=ANN),
        "REPLACE_SAMPLE_LABEL": lambda session: replace_label(session, pets.id, EVERY, turning, by=ANN),
    }
    async with database.writing() as session:
        await works[name](session)
        read = await (await connection_of(session)).fetchval(READ)
    assert read <= 20 * 2000
