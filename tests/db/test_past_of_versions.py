"""Past samples that a version shows are apart from those that none does; also where publishing meets labelling."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from sqlmodel.ext.asyncio.session import AsyncSession

from db.history.transactions import write
from db.history.versions import Published, publish
from db.labelling.samples.label import Labelled, LabelWith, label
from db.labelling.samples.selection import Selection
from db.postgres import sql
from db.postgres.engine import Database
from tests.db.concurrency import outcome, until_blocked
from tests.db.dataset_rows import ANN, DatasetRows, make, wrong

Past = list[tuple[int, int, bool]]


async def pets(database: Database) -> DatasetRows:
    return await make(database, samples=2, labels=("cat", "dog"))


def labelling(rows: DatasetRows, name: str) -> Callable[[AsyncSession], Awaitable[Labelled]]:
    """Gives the first sample this label alone."""
    how = LabelWith(labels=[name], mode="SET")
    return lambda session: label(session, rows.id, Selection(ids=rows.samples[:1]), how, by=ANN)


def publishing(rows: DatasetRows) -> Callable[[AsyncSession], Awaitable[Published]]:
    return lambda session: publish(session, rows.id, by=ANN)


async def past(database: Database) -> Past:
    """The revisions in which the rows held, and whether a version shows them."""
    async with database.reading() as reader:
        rows = await reader.fetch("SELECT since, until, published FROM sample_past ORDER BY until")
        table = await reader.fetch("SELECT since, until, true FROM sample_past_published ORDER BY until")
    assert [tuple(row) for row in rows if row["published"]] == [tuple(row) for row in table]
    return [tuple(row) for row in rows]


async def test_what_a_version_shows_is_what_was_so_when_it_was_published(database: Database) -> None:
    rows = await pets(database)
    for work in map(labelling, [rows] * 2, ("cat", "dog")):
        await write(database, work, Labelled)
    await write(database, publishing(rows), Published)
    for work in map(labelling, [rows] * 2, ("cat", "dog")):
        await write(database, work, Labelled)
    assert await past(database) == [(1, 2, False), (2, 3, False), (3, 4, True), (4, 5, False)]
    assert await wrong(database, rows.id) == []


async def test_a_version_that_is_published_during_a_change_shows_what_the_change_ends(database: Database) -> None:
    rows = await pets(database)
    async with database.writing() as session:
        await labelling(rows, "cat")(session)
        await write(database, publishing(rows), Published)  # waits for nothing
    assert await past(database) == [(1, 2, True)]
    assert await wrong(database, rows.id) == []


async def test_a_change_during_the_publication_of_a_version_ends_what_the_version_shows(database: Database) -> None:
    rows = await pets(database)
    async with database.writing() as session:
        await publishing(rows)(session)
        await write(database, labelling(rows, "cat"), Labelled)  # waits for nothing
        assert await past(database) == [(1, 2, True)]
    assert await wrong(database, rows.id) == []


async def test_a_version_shows_what_a_change_ends_that_is_committed_while_it_is_published(database: Database) -> None:
    """The version's revision is read before the commit, and the change was at its end before there was a version."""
    rows = await pets(database)
    async with database.writing() as session:
        await labelling(rows, "cat")(session)
        await sql.run(session, "SET CONSTRAINTS change_inserted IMMEDIATE")
        published: asyncio.Task[Any] = asyncio.create_task(outcome(database, publishing(rows)))
        await until_blocked(database)
    assert isinstance(await published, Published)
    assert await past(database) == [(1, 2, True)]
    assert await wrong(database, rows.id) == []
