"""The queue: what commits together, who claims what and when, and what an outdated claim can still do."""

import asyncio
from datetime import datetime, timedelta
from functools import partial
from typing import Any, cast

import asyncpg
import orjson
import pytest

from db import jobs
from db.errors import Invalid, NotFound, StorageError
from db.ingest import job_requests
from db.jobs import Batch, Claim, Fenced, LabelWarning, queue
from db.postgres import sql
from db.postgres.engine import Database
from db.postgres.outages import DatabaseUnavailable
from db.postgres.sql import connection_of
from tests.db import dataset_fixture
from tests.db.dataset_fixture import WORKER, DatasetFixture
from tests.db.dataset_rows import ANN
from tests.waiting import wait_until


@pytest.fixture
async def dataset(database: Database) -> DatasetFixture:
    return await dataset_fixture.memory(database)


async def claimed(dataset: DatasetFixture) -> Claim:
    await dataset.start()
    claim = await jobs.claim(dataset.database, WORKER)
    assert claim is not None
    return claim


async def count(batch: Batch, *, word: str = "added", number: int = 1) -> None:
    batch.counts[word] += number


async def work_nothing(_: Claim) -> None:
    return


async def test_a_job_that_is_rolled_back_is_not_queued(dataset: DatasetFixture) -> None:
    async def fails() -> None:
        async with dataset.database.writing() as session:
            await jobs.enqueue(session, dataset.dataset_id, "SYNC", requested_by="ann")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await fails()
    assert await dataset.rows("SELECT id FROM job") == []
    assert await jobs.claim(dataset.database, WORKER) is None


async def test_jobs_are_claimed_in_the_order_in_which_they_are_due(database: Database) -> None:
    ids = [await (await dataset_fixture.memory(database)).start() for _ in range(4)]
    dataset = await dataset_fixture.memory(database)
    later = "UPDATE job SET due_at = now() + $2 * interval '1 s' WHERE id = $1"
    await dataset.do(later, ids[0], -10)
    await dataset.do(later, ids[1], 3600)
    await dataset.do(later, ids[2], -20)
    await dataset.do(later, ids[3], -20)
    claims = [await jobs.claim(database, WORKER) for _ in range(4)]
    assert [claim and claim.id for claim in claims] == [ids[2], ids[3], ids[0], None]


async def test_what_those_who_only_read_have_started_is_claimed_last(database: Database) -> None:
    datasets = [await dataset_fixture.memory(database) for _ in range(4)]
    dry, export = await datasets[0].start(dry_run=True), await datasets[1].start()
    syncs = [await each.start() for each in datasets[2:]]
    await datasets[1].do("UPDATE job SET kind = 'EXPORT' WHERE id = $1", export)
    claims = [await jobs.claim(database, WORKER, of_readers=False) for _ in range(3)]
    assert [claim and (claim.id, claim.is_of_reader) for claim in claims] == [(id, False) for id in syncs] + [None]
    claims = [await jobs.claim(database, WORKER) for _ in range(3)]
    assert [claim and (claim.id, claim.is_of_reader) for claim in claims] == [(dry, True), (export, True), None]


async def test_tokens_take_turns(database: Database) -> None:
    """Also where one slot runs all of it, and one token has asked for everything before the others did."""
    datasets = [await dataset_fixture.memory(database) for _ in range(3)]
    asked = {await each.start(dry_run=True, by=name): name for name in ("ann", "bob", "eve") for each in datasets}
    turns, names = jobs.Turns(), []
    for _ in asked:
        claim = await jobs.claim(database, WORKER, turns=turns)
        assert claim is not None
        names.append(asked[claim.id])
        await jobs.finish(database, claim, "SUCCEEDED")
    assert names == ["ann", "bob", "eve"] * 3


async def test_of_what_runs_those_with_the_fewest_go_on(database: Database) -> None:
    datasets = [await dataset_fixture.memory(database) for _ in range(2)]
    asked = {await each.start(dry_run=True, by=name): name for name in ("ann", "bob") for each in datasets}
    claims = [await jobs.claim(database, worker) for worker in range(4)]
    assert [claim and asked[claim.id] for claim in claims] == ["ann", "bob", "ann", "bob"]
    assert [claim and claim.dataset_id for claim in claims[:2]] == [each.dataset_id for each in datasets]


async def test_an_export_that_is_late_takes_turns_with_jobs_that_come_first(database: Database) -> None:
    datasets = [await dataset_fixture.memory(database) for _ in range(4)]
    late = [await each.start(dry_run=True) for each in datasets[:2]]
    syncs = [await each.start() for each in datasets[2:]]
    await datasets[0].do("UPDATE job SET due_at = now() - interval '11 min' WHERE id = ANY($1)", late)
    turns = jobs.Turns()
    claims = [await jobs.claim(database, WORKER, turns=turns) for _ in range(4)]
    assert [claim and claim.id for claim in claims] == [late[0], syncs[0], late[1], syncs[1]]


async def test_claims_at_the_same_time_get_different_jobs(database: Database) -> None:
    ids = [await (await dataset_fixture.memory(database)).start() for _ in range(6)]
    claims = await asyncio.gather(*(jobs.claim(database, WORKER) for _ in range(8)))
    assert sorted(claim.id for claim in claims if claim is not None) == ids


async def test_a_claim_reads_the_index_of_due_jobs(dataset: DatasetFixture) -> None:
    """Also with a generic plan."""
    statement, _ = sql.numbered(queue.SQL.claim)
    async with dataset.database.reading() as connection:
        await connection.execute("SET enable_seqscan = off; SET plan_cache_mode = force_generic_plan")
        await connection.execute(f"PREPARE claim AS {statement}")
        plan = "\n".join(
            row[0] for row in await connection.fetch("EXPLAIN EXECUTE claim ('{}', true, 7, true, '10 min', '{}')")
        )
        await connection.execute("DEALLOCATE claim; RESET enable_seqscan; RESET plan_cache_mode")
    assert "Index Scan using job_due" in plan


async def test_a_claim_skips_a_job_that_is_locked(database: Database) -> None:
    """Somebody cancels it just now."""
    locked, other = [await (await dataset_fixture.memory(database)).start() for _ in range(2)]
    async with database.writing() as session:
        await jobs.cancel(session, locked)
        claim = await jobs.claim(database, WORKER)
        assert claim is not None
        assert claim.id == other
        assert await jobs.claim(database, WORKER) is None


async def test_counters_warnings_and_checkpoint_commit_together_or_not_at_all(dataset: DatasetFixture) -> None:
    job = await claimed(dataset)

    async def work(batch: Batch, *, fail: bool) -> None:
        batch.counts["added"] += 2
        batch.warn("a.png", "odd")
        batch.checkpoint = {"at": 1}
        batch.progress = 0.5
        if fail:
            raise StorageError("no")

    with pytest.raises(StorageError):
        await jobs.in_batch(dataset.database, job, partial(work, fail=True))
    assert (await dataset.counts(job.id))["added"] == 0
    assert await dataset.warnings(job.id) == []
    await jobs.in_batch(dataset.database, job, partial(work, fail=False))
    await jobs.in_batch(dataset.database, job, partial(work, fail=False))
    row = await dataset.job(job.id)
    assert (row["added"], row["progress"], row["attempts"]) == (4, 0.5, 0)
    assert job.checkpoint == {"at": 1}
    assert await dataset.warnings(job.id) == [("a.png", "odd")]


async def test_whatever_a_warning_says_it_is_written(dataset: DatasetFixture) -> None:
    job = await claimed(dataset)
    said, written = "a\x00b \ud800 \u202e", "a\\x00b \\ud800 \u202e"
    long = "".join(map(chr, range(0x4E00, 0x9000)))

    async def work(batch: Batch) -> None:
        batch.warn(said, said)
        batch.warn(long, long)
        batch.warn_label(LabelWarning(said, said, f"{said}!", 2))
        batch.notice("CONTENT", said)

    for _ in range(2):
        await jobs.in_batch(dataset.database, job, work)
    rows = await dataset.rows("SELECT name, path, message, count FROM job_warning ORDER BY id")
    assert tuple(rows[0]) == (None, written, written, 1)
    assert all(0 < len(text) < len(long) and long.startswith(text) for text in (rows[1]["path"], rows[1]["message"]))
    assert list(map(tuple, rows[2:])) == [(written, written, f"{written}!", 4)]
    assert [tuple(row) for row in await dataset.rows("SELECT count, examples FROM import_notice")] == [
        (2, [written, written])
    ]


async def test_an_outdated_claim_can_do_nothing(dataset: DatasetFixture) -> None:
    stale = await claimed(dataset)
    await jobs.sweep(dataset.database)
    fresh = await jobs.claim(dataset.database, WORKER)
    assert fresh is not None
    assert fresh.epoch > stale.epoch
    with pytest.raises(Fenced):
        await jobs.in_batch(dataset.database, stale, count)
    assert not await jobs.finish(dataset.database, stale, "SUCCEEDED")
    assert not await jobs.release(dataset.database, stale, refund_attempt=True)
    assert (await dataset.job(stale.id))["status"] == "RUNNING"
    await jobs.in_batch(dataset.database, fresh, count)
    assert (await dataset.counts(stale.id))["added"] == 1


@pytest.mark.parametrize("end", ["done", "failed", "cut off", "stopping"])
async def test_whatever_ends_the_work_of_an_outdated_claim_the_log_says_that_it_was_taken_over(
    dataset: DatasetFixture, caplog: pytest.LogCaptureFixture, end: str
) -> None:
    stale, stopping = await claimed(dataset), asyncio.Event()
    await jobs.sweep(dataset.database)
    assert await jobs.claim(dataset.database, WORKER) is not None

    async def work(_: Claim) -> None:
        if end == "failed":
            raise StorageError("gone")
        if end == "cut off":
            raise DatabaseUnavailable
        if end == "stopping":
            stopping.set()
            await asyncio.Event().wait()

    await jobs.run(dataset.database, stale, work, stopping=stopping)
    assert "was taken over by another worker" in caplog.text
    assert (await dataset.job(stale.id))["status"] == "RUNNING"


async def test_a_deadlock_is_tried_again(dataset: DatasetFixture) -> None:
    job = await claimed(dataset)
    tried = 0

    async def unlucky(batch: Batch) -> None:
        nonlocal tried
        tried += 1
        await count(batch)
        if tried < 3:
            await batch.connection.execute("DO $$ BEGIN RAISE EXCEPTION 'x' USING ERRCODE = '40P01'; END $$")

    await jobs.in_batch(dataset.database, job, unlucky)
    assert (tried, (await dataset.counts(job.id))["added"]) == (3, 1)


async def test_another_error_is_not_tried_again(dataset: DatasetFixture) -> None:
    job = await claimed(dataset)

    async def wrong(batch: Batch) -> None:
        await batch.connection.execute("SELECT 1 / 0")

    with pytest.raises(asyncpg.DivisionByZeroError):
        await jobs.in_batch(dataset.database, job, wrong)


async def test_an_ended_job_cannot_be_claimed_or_canceled_anew(dataset: DatasetFixture) -> None:
    job = await claimed(dataset)
    await jobs.run(dataset.database, job, work_nothing, stopping=asyncio.Event())
    assert await jobs.claim(dataset.database, WORKER) is None
    async with dataset.database.writing() as session:
        await jobs.cancel(session, job.id)
    assert (await dataset.job(job.id))["status"] == "SUCCEEDED"


async def test_canceling_what_is_not_there_is_refused(dataset: DatasetFixture) -> None:
    with pytest.raises(NotFound) as raised:
        async with dataset.database.writing() as session:
            await job_requests.cancel(session, 999, by=ANN)
    assert raised.value.code == "JOB_NOT_FOUND"


async def test_all_jobs_of_a_dataset_are_canceled_with_it(dataset: DatasetFixture) -> None:
    running = await claimed(dataset)
    other = await dataset_fixture.memory(dataset.database)
    untouched = await other.start()
    async with dataset.database.writing() as session:
        await jobs.cancel_all(session, dataset.dataset_id)
    await jobs.run(dataset.database, running, _hang, stopping=asyncio.Event())
    assert (await dataset.job(running.id))["status"] == "CANCELED"
    assert (await dataset.job(untouched))["status"] == "QUEUED"


async def _hang(_: Claim) -> None:
    await asyncio.Event().wait()


async def test_a_job_canceled_while_nobody_had_it_is_ended_by_the_sweep(dataset: DatasetFixture) -> None:
    job = await claimed(dataset)
    async with dataset.database.writing() as session:
        await jobs.cancel(session, job.id)
    await jobs.sweep(dataset.database)
    assert (await dataset.job(job.id))["status"] == "CANCELED"


async def test_a_job_canceled_while_its_worker_stops_is_ended(dataset: DatasetFixture) -> None:
    job = await claimed(dataset)
    async with dataset.database.writing() as session:
        await jobs.cancel(session, job.id)
    await jobs.release(dataset.database, job, refund_attempt=True)
    assert (await dataset.job(job.id))["status"] == "CANCELED"


async def test_a_job_goes_back_to_the_queue_when_its_database_goes_away(dataset: DatasetFixture) -> None:
    job = await claimed(dataset)

    async def cut_off(_: Claim) -> None:
        raise asyncpg.ConnectionDoesNotExistError("gone")

    await jobs.run(dataset.database, job, cut_off, stopping=asyncio.Event())
    row = await dataset.job(job.id)
    assert (row["status"], row["attempts"]) == ("QUEUED", 1)
    assert await jobs.claim(dataset.database, WORKER) is not None


async def test_a_job_that_never_makes_progress_is_given_up_whatever_ends_it(dataset: DatasetFixture) -> None:
    job_id = await dataset.start()

    async def cut_off(_: Claim) -> None:
        raise DatabaseUnavailable

    for number in range(queue.MAX_CLAIMS):
        job = await jobs.claim(dataset.database, WORKER)
        assert job is not None
        stopping = asyncio.Event()
        if number % 2:
            stopping.set()
        await jobs.run(dataset.database, job, _hang if number % 2 else cut_off, stopping=stopping)
        assert (await dataset.job(job_id))["status"] == "QUEUED"
        await make_due(dataset)
    assert await jobs.claim(dataset.database, WORKER) is None
    row = await dataset.job(job_id)
    assert (row["status"], row["error_code"]) == ("FAILED", "INTERNAL_ERROR")
    assert str(queue.MAX_CLAIMS) in row["error_message"]


async def test_whatever_its_error_says_a_job_ends(dataset: DatasetFixture) -> None:
    said = "a\x00b \ud800 \u202e"

    async def refused(_: Claim) -> None:
        raise Invalid(said, path=said, names=[said], count=2**70, inner={said: {said}})

    async def broken(_: Claim) -> None:
        raise ValueError("a\x00b")

    for work in (refused, broken):
        job = await claimed(dataset)
        assert await jobs.run(dataset.database, job, work, stopping=asyncio.Event()) == "FAILED"
        row = await dataset.job(job.id)
        assert row["status"] == "FAILED"
        assert work is broken or row["error_message"] == "a\\x00b \\ud800 \u202e"
        assert work is broken or orjson.loads(row["error_details"])["names"] == ["a\\x00b \\ud800 \u202e"]


async def test_a_job_that_makes_progress_is_claimed_as_often_as_it_takes(dataset: DatasetFixture) -> None:
    job_id = await dataset.start()
    for number in range(2 * queue.MAX_CLAIMS):
        job = await jobs.claim(dataset.database, WORKER)
        assert job is not None
        await jobs.in_batch(dataset.database, job, partial(_check, at=number))
        await jobs.release(dataset.database, job, refund_attempt=True)
    assert (await dataset.job(job_id))["claims"] == 0


async def _check(batch: Batch, *, at: int) -> None:
    batch.checkpoint = {"at": at}


async def test_a_job_that_makes_no_progress_waits_longer_each_time(dataset: DatasetFixture) -> None:
    job_id = await dataset.start()
    for number, pause in enumerate((0, 0, 0, 0, 0, 1, 2, 4, 8, 16, 32, 64)):
        job = await jobs.claim(dataset.database, WORKER)
        assert job is not None
        before = await clock(dataset)
        if number % 2:
            await jobs.release(dataset.database, job, refund_attempt=True)
        else:
            assert await jobs.sweep(dataset.database) == [job_id]
        due_at = (await dataset.job(job_id))["due_at"]
        assert before <= due_at - timedelta(seconds=pause) <= await clock(dataset)
        await dataset.do("UPDATE job SET due_at = now(), attempts = 0")


async def clock(dataset: DatasetFixture) -> datetime:
    [row] = await dataset.rows("SELECT clock_timestamp() AS now")
    return cast(datetime, row["now"])


async def make_due(dataset: DatasetFixture) -> None:
    await dataset.do("UPDATE job SET due_at = now()")


async def test_progress_is_written_while_a_batch_is_long_and_never_falls(dataset: DatasetFixture) -> None:
    job = await claimed(dataset)
    falls, ends = asyncio.Event(), asyncio.Event()

    async def slow(job: Claim) -> None:
        job.report(progress=0.5, scanned=10)
        await falls.wait()
        job.report(progress=0.2, scanned=5)
        await ends.wait()

    async def step(after: int) -> dict[str, Any]:
        async def has_moved() -> bool:
            return bool((await dataset.job(job.id))["step"] > after)

        await wait_until(has_moved)
        return await dataset.job(job.id)

    before = (await dataset.job(job.id))["step"]
    running = asyncio.create_task(jobs.run(dataset.database, job, slow, stopping=asyncio.Event()))
    early = await step(before)
    falls.set()
    late = await step(early["step"])
    ends.set()
    await running
    assert [(row["progress"], row["scanned"]) for row in (early, late)] == [(0.5, 10), (0.5, 10)]


async def test_of_many_sweeps_one_returns_an_orphan_to_the_queue(dataset: DatasetFixture) -> None:
    orphan = await claimed(dataset)
    requeued = await asyncio.gather(*(jobs.sweep(dataset.database) for _ in range(4)))
    assert sorted(requeued) == [[], [], [], [orphan.id]]
    assert (await dataset.job(orphan.id))["epoch"] == orphan.epoch + 1


async def test_a_job_ends_however_long_its_staged_rows_take_to_delete(dataset: DatasetFixture) -> None:
    job = await claimed(dataset)
    columns = "job_id, path, sidecar, size, modified_at, keys"
    await dataset.do(f"INSERT INTO sync_object ({columns}) VALUES ($1, 'a', false, 1, now(), '{{}}')", job.id)
    async with dataset.database.writing() as session:
        driver = await connection_of(session)
        await driver.execute("""CREATE FUNCTION check_timeout() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
            ASSERT current_setting('statement_timeout') = '0', 'the statement has a time limit'; RETURN OLD; END $$;
            CREATE TRIGGER check_timeout BEFORE DELETE ON sync_object FOR EACH ROW EXECUTE FUNCTION check_timeout()""")
    assert await jobs.finish(dataset.database, job, "SUCCEEDED")
    assert await dataset.rows("SELECT FROM sync_object") == []


async def test_a_job_is_taken_over_from_a_worker_that_hangs_in_a_transaction(dataset: DatasetFixture) -> None:
    """Its transaction has written a warning, whose reference locks the key of the job's row."""
    job = await claimed(dataset)
    warning = {"names": [None], "paths": ["a"], "messages": ["odd"], "counts": [1]}
    async with dataset.database.writing() as session:
        await sql.run(session, queue.SQL.warn, **warning, job_id=job.id, max_warnings=10)
        assert await jobs.sweep(dataset.database) == [job.id]
        assert await jobs.claim(dataset.database, WORKER) is not None


async def test_a_session_and_its_driver_share_one_transaction(dataset: DatasetFixture) -> None:
    async def fails() -> None:
        async with dataset.database.writing() as session:
            await (await connection_of(session)).execute("DELETE FROM dataset")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await fails()
    assert len(await dataset.rows("SELECT id FROM dataset")) == 1
