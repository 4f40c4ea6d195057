"""A change of many samples has more time than others, and so has its request; it is shown as a job while it runs."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from sqlmodel.ext.asyncio.session import AsyncSession

from db import jobs
from db.errors import Invalid
from db.history import changes, undo
from db.history.restore import load
from db.history.transactions import write
from db.ingest import job_requests
from db.jobs import foreground
from db.labelling import annotations, labels
from db.labelling.samples.delete import delete
from db.labelling.samples.label import Labelled, LabelWith, label
from db.labelling.samples.selection import OF_PART, Selection, lock_samples
from db.labelling.suggestions.decide import DecideWith, decide
from db.labelling.suggestions.models import ModelName
from db.labelling.suggestions.suggest import SampleSuggestions, Suggestion, SuggestWith, suggest
from db.postgres import sql
from db.postgres.engine import Database
from db.queries.filters import SampleFilter
from tests.db.dataset_rows import ANN, DatasetRows, make, wrong
from tests.waiting import TIMEOUT, wait_until

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

    def deciding(decision: Any) -> Work:
        return lambda session: decide(session, rows.id, EVERY, DecideWith(decision=decision), by=ANN)

    given = [SampleSuggestions(id, [Suggestion("cat", 0.5)]) for id in rows.samples]
    model = SuggestWith(model=ModelName("m", "1"))
    operations: list[Work] = [
        lambda session: suggest(session, rows.id, given, model, by=ANN),
        deciding("ACCEPT"),
        undo_last,
        deciding("REJECT"),
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


# -- as a job ---------------------------------------------------------------------------------------------------------


async def jobs_of(database: Database) -> list[dict[str, Any]]:
    async with database.reading() as reader:
        return [dict(row) for row in await reader.fetch("SELECT * FROM job ORDER BY id")]


async def test_others_see_its_progress_until_it_is_committed(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(foreground, "BEAT", 0.01)
    rows, goes_on = await pets(database, 4), asyncio.Event()

    async def work(session: AsyncSession) -> Any:
        done = await label(session, rows.id, EVERY, LabelWith(labels=["cat"]), by=ANN)
        await goes_on.wait()
        return done

    async def is_shown() -> bool:
        [job] = await jobs_of(database) or [{"progress": 0}]
        return bool(job["progress"] == 1)

    labelling = asyncio.create_task(write(with_little_time(database), work, Labelled))
    await wait_until(is_shown)
    [job] = await jobs_of(database)
    assert (job["kind"], job["status"], job["requested_by"], job["matched"]) == ("LARGE_CHANGE", "RUNNING", "ann", 4)
    goes_on.set()
    change = (await labelling).change
    [job] = await jobs_of(database)
    assert (job["status"], job["progress"], job["finished_at"] is not None) == ("SUCCEEDED", 1, True)
    async with database.reading() as reader:
        assert await reader.fetchval("SELECT id FROM change WHERE job_id = $1", job["id"]) == change


@pytest.mark.parametrize("canceled", [False, True])
async def test_a_job_of_what_is_not_committed_has_failed(database: Database, canceled: bool) -> None:
    rows, fails = await pets(database, 4), asyncio.Event()

    async def work(session: AsyncSession) -> Any:
        await label(session, rows.id, EVERY, LabelWith(labels=["cat"]), by=ANN)
        fails.set()
        await asyncio.sleep(TIMEOUT if canceled else 0)
        raise Invalid("no")

    labelling = asyncio.create_task(write(with_little_time(database), work, Labelled))
    await fails.wait()
    if canceled:
        labelling.cancel()
    with pytest.raises(asyncio.CancelledError if canceled else Invalid):
        await labelling
    [job] = await jobs_of(database)
    code = "INTERNAL_ERROR" if canceled else "VALIDATION_FAILED"
    assert (job["status"], job["error_code"], job["finished_at"] is not None) == ("FAILED", code, True)
    assert await wrong(database, rows.id) == []


async def test_a_job_whose_process_was_killed_ends_without_a_heartbeat(database: Database) -> None:
    rows = await pets(database, 1)
    async with database.writing() as session:
        for age in (timedelta(0), jobs.queue.LEASE * 2):
            await sql.run(
                session,
                """INSERT INTO job (dataset_id, kind, status, requested_by, heartbeat_at)
                VALUES (:id, 'LARGE_CHANGE', 'RUNNING', 'ann', clock_timestamp() - :age::interval)""",
                id=rows.id,
                age=age,
            )
    assert await jobs.sweep(database) == []
    assert [(job["status"], job["error_code"]) for job in await jobs_of(database)] == [
        ("RUNNING", None),
        ("FAILED", "UNAVAILABLE"),
    ]
    alive = (await jobs_of(database))[0]["id"]
    async with database.writing() as session:
        with pytest.raises(Invalid, match="cannot be canceled"):
            await job_requests.cancel(session, alive, by=ANN, type_name="LargeChangeJob")


async def test_a_part_reads_the_annotations_of_its_own_samples_alone(database: Database) -> None:
    rows = await make(database, samples=5_000, labels=("cat", "dog"))
    how = LabelWith(labels=["cat"])
    await write(database, lambda session: label(session, rows.id, EVERY, how, by=ANN), Labelled)
    statement, names = sql.numbered("EXPLAIN " + OF_PART + annotations.SQL.add_labels)
    values = {"first_id": rows.samples[0], "last_id": rows.samples[199], "dataset_id": rows.id, "labels": [2]}
    values |= {"actor": ANN.name, "since": 3}
    async with database.writing() as session:
        await lock_samples(session, rows.id, EVERY)
        connection = await sql.connection_of(session)
        await connection.execute("ANALYZE annotation")
        plan = "\n".join(row[0] for row in await connection.fetch(statement, *map(values.get, names)))
    assert "annotation_sample" in plan
    assert "Seq Scan on annotation" not in plan
