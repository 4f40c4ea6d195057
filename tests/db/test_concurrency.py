"""Concurrent writers: nothing acknowledged is lost, nobody waits in a circle, no constraint leaks out."""

import asyncio
import random
from typing import Any

import asyncpg
import pytest
from sqlmodel.ext.asyncio.session import AsyncSession

from db import datasets
from db.formats.shapes import BoundingBox
from db.history.transactions import write
from db.labelling import labels
from db.labelling.labels import LabelValues
from db.labelling.samples.annotate import Addition, AnnotateWith, Edit, annotate
from db.labelling.samples.delete import delete
from db.labelling.samples.label import LabelWith, ReplaceWith, label, replace_label
from db.labelling.samples.selection import Selection
from db.postgres.engine import Database
from db.postgres.sql import run
from db.queries.filters import SampleFilter
from tests.db.concurrency import Work, outcome, overlapping
from tests.db.dataset_rows import ANN, BOB, DatasetRows, make, names, wrong
from tests.waiting import TIMEOUT


def labelling(
    set_: DatasetRows, *words: str, mode: Any = "ADD", create: bool = False, ids: list[int] | None = None
) -> Work:
    selection = Selection(ids=ids) if ids else Selection(filter=SampleFilter())
    how = LabelWith(labels=words, mode=mode, create_missing=create)
    return lambda session: label(session, set_.id, selection, how, by=BOB)


def renaming(set_: DatasetRows, name: str, to: str, on_conflict: Any = "MERGE") -> Work:
    return lambda session: labels.rename(session, set_.labels[name], to=to, by=ANN, on_conflict=on_conflict)


def deleting_labels(label_ids: list[int], mode: Any = "LABEL_ONLY") -> Work:
    return lambda session: labels.delete(session, label_ids, mode=mode, by=ANN)


def deleting(set_: DatasetRows, ids: list[int]) -> Work:
    return lambda session: delete(session, set_.id, Selection(ids=ids), by=ANN)


def creating(set_: DatasetRows, name: str) -> Work:
    return lambda session: labels.create(session, set_.id, [LabelValues(name)], by=ANN)


def replacing(set_: DatasetRows, before: str, after: str) -> Work:
    how = ReplaceWith(before=before, after=after, create_missing=True)
    return lambda session: replace_label(session, set_.id, Selection(filter=SampleFilter()), how, by=ANN)


async def test_labelling_waits_for_a_merge_and_then_meets_the_survivor(database: Database) -> None:
    pets = await make(database, samples=3, labels=("cat", "kitty"))
    await outcome(database, labelling(pets, "kitty"))
    merge = renaming(pets, "kitty", "cat")
    merged, labelled = await overlapping(database, merge, labelling(pets, "kitty", ids=pets.samples[:1]))
    assert (merged.label, labelled) == (pets.labels["cat"], "LABEL_NOT_FOUND")
    assert await names(database, pets.id) == {id: ["cat"] for id in pets.samples}
    assert await wrong(database, pets.id) == []


async def test_a_merge_waits_for_labelling_and_loses_none_of_it(database: Database) -> None:
    pets = await make(database, samples=3, labels=("cat", "kitty"))
    merge = renaming(pets, "kitty", "cat")
    _, merged = await overlapping(database, labelling(pets, "kitty"), merge)
    assert merged.affected_samples == 3
    assert await names(database, pets.id) == {id: ["cat"] for id in pets.samples}
    assert await wrong(database, pets.id) == []


async def test_a_rename_waits_for_labelling_under_the_old_name(database: Database) -> None:
    pets = await make(database, samples=2, labels=("cat",))
    rename = renaming(pets, "cat", "lion")
    _, renamed = await overlapping(database, labelling(pets, "cat"), rename)
    assert renamed.affected_samples == 2
    assert await names(database, pets.id) == {id: ["lion"] for id in pets.samples}


async def test_labelling_with_a_label_that_is_being_deleted_is_refused(database: Database) -> None:
    pets = await make(database, samples=2, labels=("cat", "dog"))
    delete_cat = deleting_labels([pets.labels["cat"]])
    _, labelled = await overlapping(database, delete_cat, labelling(pets, "cat", "dog"))
    assert labelled == "LABEL_NOT_FOUND"
    assert await wrong(database, pets.id) == []


async def test_deleting_a_label_takes_what_was_labelled_while_it_waited(database: Database) -> None:
    pets = await make(database, samples=2, labels=("cat",))
    delete_cat = deleting_labels([pets.labels["cat"]], "LABEL_AND_SAMPLES")
    _, deleted = await overlapping(database, labelling(pets, "cat"), delete_cat)
    assert deleted.deleted_samples == 2
    assert await names(database, pets.id) == {}
    assert await wrong(database, pets.id) == []


async def test_labelling_samples_that_are_being_deleted_finds_them_gone(database: Database) -> None:
    pets = await make(database, samples=2, labels=("cat",))
    gone = deleting(pets, pets.samples[:1])
    _, labelled = await overlapping(database, gone, labelling(pets, "cat", ids=pets.samples))
    assert (labelled.matched, labelled.not_found) == (1, (pets.samples[0],))
    assert await wrong(database, pets.id) == []


async def test_two_who_make_the_same_missing_label_both_put_it(database: Database) -> None:
    pets = await make(database, samples=4)
    first = labelling(pets, "cat", create=True, ids=pets.samples[:2])
    second = labelling(pets, "cat", create=True, ids=pets.samples[1:])
    _, labelled = await overlapping(database, first, second)
    assert (labelled.matched, labelled.changed) == (3, 2)
    assert await names(database, pets.id) == {id: ["cat"] for id in pets.samples}
    assert await wrong(database, pets.id) == []


async def test_of_two_who_create_one_name_the_second_is_refused(database: Database) -> None:
    pets = await make(database, samples=1)
    _, second = await overlapping(database, creating(pets, "cat"), creating(pets, "cat"))
    assert second == "LABEL_ALREADY_EXISTS"


async def test_a_filter_is_looked_at_again_after_a_wait(database: Database) -> None:
    """Who waited for a sample that no longer matches leaves it alone."""
    pets = await make(database, samples=2, labels=("cat", "dog"))
    unlabelled = Selection(filter=SampleFilter(state="UNLABELED"))

    async def dog(session: AsyncSession) -> Any:
        return await label(session, pets.id, unlabelled, LabelWith(labels=["dog"]), by=BOB)

    _, labelled = await overlapping(database, labelling(pets, "cat", ids=pets.samples[:1]), dog)
    assert (labelled.matched, labelled.samples) == (1, (pets.samples[1],))
    assert await names(database, pets.id) == {pets.samples[0]: ["cat"], pets.samples[1]: ["dog"]}


async def test_with_an_expected_revision_one_of_many_wins_each_time(database: Database) -> None:
    pets = await make(database, samples=1, labels=("cat", "dog"))

    async def compete(word: str) -> Any:
        how = LabelWith(labels=[word], mode="SET", expected_revision=1)
        return await outcome(
            database, lambda session: label(session, pets.id, Selection(ids=pets.samples), how, by=BOB)
        )

    results = await asyncio.gather(*(compete(word) for word in ["cat", "dog"] * 8))
    assert sorted(map(str, results)).count("CONFLICT") == 15
    async with database.reading() as reader:
        assert await reader.fetchval("SELECT revision FROM dataset WHERE id = $1", pets.id) == 2


async def test_labelling_in_a_dataset_that_is_being_deleted_is_refused(database: Database) -> None:
    pets = await make(database, samples=1, labels=("cat",))

    async def gone(session: AsyncSession) -> Any:
        return await datasets.delete(session, pets.id, by=ANN)

    _, labelled = await overlapping(database, gone, labelling(pets, "cat"))
    assert labelled == "DATASET_NOT_FOUND"


async def test_of_two_datasets_of_one_name_made_at_once_one_is_refused(database: Database) -> None:
    values = datasets.DatasetValues("pets", "IMAGE_CLASSIFICATION", "/images")

    async def create(session: AsyncSession) -> Any:
        return await datasets.create(session, values, by=ANN, sync_now=False)

    _, second = await overlapping(database, create, create)
    assert second == "DATASET_ALREADY_EXISTS"


@pytest.mark.parametrize("taking", ["set", "delete"])
async def test_taking_a_label_off_never_waits_for_who_is_about_to_rename_it(database: Database, taking: str) -> None:
    """It would lock the dataset's row, which the other needs next: each would wait for the other."""
    pets = await make(database, samples=3, labels=("cat", "dog"))
    await outcome(database, labelling(pets, "dog"))
    work = labelling(pets, "cat", mode="SET") if taking == "set" else deleting(pets, pets.samples)
    async with database.writing() as session:
        await run(session, "SELECT FROM label WHERE id = :id FOR UPDATE", id=pets.labels["dog"])
        async with asyncio.timeout(TIMEOUT):
            assert not isinstance(await outcome(database, work), str)
    assert await wrong(database, pets.id) == []


@pytest.mark.slow
async def test_many_writers_of_every_kind_leave_true_counts_and_only_known_refusals(database: Database) -> None:
    pets = await make(database, samples=60, labels=("a", "b", "c"), kind="OBJECT_DETECTION", size=(10, 10))
    codes: set[str] = set()
    stop = asyncio.Event()

    async def writer(seed: int) -> None:
        chance = random.Random(seed)
        for _ in range(25):
            result = await outcome(database, something(pets, chance, await some_labels(database, pets)))
            codes.update([result] if isinstance(result, str) else [])

    async def checker() -> None:
        while not stop.is_set():
            assert await wrong(database, pets.id) == []
            await asyncio.sleep(0.05)

    checking = asyncio.create_task(checker())
    await asyncio.gather(*(writer(seed) for seed in range(10)))
    stop.set()
    await checking
    assert await wrong(database, pets.id) == []
    assert codes <= {"LABEL_NOT_FOUND", "LABEL_ALREADY_EXISTS", "SHORTCUT_ALREADY_EXISTS"}
    async with database.reading() as reader:
        assert await reader.fetchval("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()") == 0


def something(pets: DatasetRows, chance: random.Random, known: list[int]) -> Work:
    one, two = chance.choices("abcde", k=2)
    ids = chance.sample(pets.samples, 12)
    seldom: list[Work] = [
        lambda session: labels.rename(session, known[0], to=one, by=ANN, on_conflict="MERGE"),
        deleting_labels(known),
        replacing(pets, one, two),
        creating(pets, one),
        lambda session: labels.update(session, known[0], {"color": "#00ff00", "shortcut": one}, by=ANN),
        deleting(pets, ids[:1]),
        annotating(pets, one, ids[:5], chance.randrange(3)),
        annotating(pets, two, ids[5:], chance.randrange(3)),
    ]
    mode = chance.choice(["ADD", "ADD", "SET", "REMOVE"])
    often = labelling(pets, *{one, two}, mode=mode, create=chance.random() < 0.7, ids=ids)
    return chance.choice([*seldom, often, often, often, often])


def annotating(pets: DatasetRows, name: str, ids: list[int], x: int) -> Work:
    edits = [Edit(id, add=[Addition(name), Addition(name, BoundingBox(x, 0, x + 1, 1))]) for id in ids]
    return lambda session: annotate(session, pets.id, edits, AnnotateWith(create_missing=True), by=BOB)


async def some_labels(database: Database, pets: DatasetRows) -> list[int]:
    async with database.reading() as reader:
        statement = "SELECT id FROM label WHERE dataset_id = $1 ORDER BY random() LIMIT 2"
        return [row["id"] for row in await reader.fetch(statement, pets.id)] or [0]


async def test_a_unit_whose_connection_is_cut_before_its_commit_is_done_again(
    database: Database, database_url: str
) -> None:
    pets = await make(database, samples=2, labels=("cat",))
    cuts = iter([True, True, False])

    async def work(session: AsyncSession) -> Any:
        done = await labelling(pets, "cat")(session)
        if next(cuts):
            await _cut(database_url)
            await session.connection()
            await label(session, pets.id, Selection(ids=pets.samples), LabelWith(labels=["cat"]), by=BOB)
        return done

    done = await write(database, work, object)
    assert done.changed == 2  # type: ignore[attr-defined]
    assert await wrong(database, pets.id) == []


async def _cut(url: str) -> None:
    """Close every writing connection from outside, as a server that falls does."""
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(
            """SELECT pg_terminate_backend(pid) FROM pg_stat_activity
            WHERE datname = current_database() AND state = 'idle in transaction'"""
        )
    finally:
        await connection.close()


async def test_a_client_that_gives_up_leaves_all_of_it_or_nothing(database: Database) -> None:
    """Given up at twenty moments of a bulk write, each of them is whole or was never there."""
    pets = await make(database, samples=400, labels=("cat", "dog"))
    words = ["cat", "dog"]
    for moment in range(20):
        work = labelling(pets, words[moment % 2], mode="SET")
        task = asyncio.create_task(write(database, work, object))
        await asyncio.sleep(0.004 * moment)
        task.cancel()
        await asyncio.wait([task])
        labelled = set(map(tuple, (await names(database, pets.id)).values()))
        assert labelled in ({()}, {("cat",)}, {("dog",)})
        assert await wrong(database, pets.id) == []
