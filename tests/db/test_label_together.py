"""Calls of labelSamples that wait for one dataset are committed together, and each is as if it were alone."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import asyncpg
import pytest
from sqlmodel.ext.asyncio.session import AsyncSession

from db.errors import DomainError, Unavailable
from db.history.idempotency import Keyed
from db.history.transactions import write
from db.identity import tokens
from db.identity.tokens import Identity, Scope
from db.labelling.samples import label_together as label_together_module
from db.labelling.samples.label import Labelled, LabelWith
from db.labelling.samples.label_together import label_together
from db.labelling.samples.selection import Selection
from db.labelling.samples.update import update
from db.postgres import sql
from db.postgres.engine import Database, driver_url
from tests.db.concurrency import until_blocked
from tests.db.dataset_rows import ANN, BOB, DatasetRows, make, names, wrong
from tests.db.test_idempotency import Cut, through
from tests.waiting import wait_until

HASH = b"hash"


@pytest.fixture
async def pets(database: Database) -> DatasetRows:
    return await make(database, samples=8, labels=("cat", "dog"))


def labelling(
    database: Database,
    pets: DatasetRows,
    samples: Sequence[int],
    *words: str,
    key: str = "",
    by: Identity = ANN,
    **how: Any,
) -> "asyncio.Task[Any]":
    """A call for the samples at these positions: its outcome, or the error that it is refused with."""

    async def call() -> Any:
        keyed = Keyed(1, key, "labelSamples", HASH) if key else None
        selection = Selection(ids=[pets.samples[sample] if sample < 8 else 0 for sample in samples])
        try:
            return await label_together(
                database, pets.id, selection, LabelWith(labels=words, **how), by=by, keyed=keyed
            )
        except DomainError as refusal:
            return refusal

    return asyncio.create_task(call())


@asynccontextmanager
async def held(url: str, statement: str, *values: Any) -> AsyncIterator[None]:
    """What the statement locks is locked during the block."""
    connection = await asyncpg.connect(driver_url(url))
    try:
        async with connection.transaction():
            await connection.execute(statement, *values)
            yield
    finally:
        await connection.close()


@asynccontextmanager
async def dataset_held(database: Database, url: str, pets: DatasetRows) -> AsyncIterator[None]:
    """A first call waits for the dataset's row during the block, so that others wait in memory."""
    async with held(url, "SELECT FROM dataset WHERE id = $1 FOR NO KEY UPDATE", pets.id):
        first = labelling(database, pets, [7], "dog")
        await until_blocked(database)
        yield
    assert (await first).changed == 1


async def changes(database: Database) -> list[tuple[int, str, str, int]]:
    """Revision, actor and summary of each change, and the transaction that made it."""
    async with database.reading() as reader:
        rows = await reader.fetch(
            "SELECT revision, actor, summary, xmin::text::bigint AS x FROM change WHERE revision > 1 ORDER BY revision"
        )
    return [tuple(row) for row in rows]


async def test_half_of_those_that_wait_are_committed_at_once_each_as_a_change_of_its_own(
    database: Database, database_url: str, pets: DatasetRows
) -> None:
    async with dataset_held(database, database_url, pets):
        calls = [
            labelling(database, pets, [0, 1], "cat"),
            labelling(database, pets, [2, 99], "cat", "dog", by=BOB),
            labelling(database, pets, [3], mode="SET"),
            labelling(database, pets, [4], "cat"),
            labelling(database, pets, [5], "dog", expected_revision=5, expected_count=1),
        ]
        await asyncio.sleep(0)
    done: list[Labelled] = await asyncio.gather(*calls)
    assert [(each.matched, each.changed) for each in done] == [(2, 2), (1, 1), (1, 0), (1, 1), (1, 1)]
    assert done[1].not_found == (0,)
    assert done[2].change is None
    made = await changes(database)
    assert [each[:3] for each in made] == [
        (2, "ann", "Added `dog` to 1 sample"),
        (3, "ann", "Added `cat` to 2 samples"),
        (4, "bob", "Added `cat`, `dog` to 1 sample"),
        (5, "ann", "Added `cat` to 1 sample"),
        (6, "ann", "Added `dog` to 1 sample"),
    ]
    first, second, third, fourth, fifth = (each[3] for each in made)
    assert (second == third, fourth == fifth, len({first, second, fourth})) == (True, True, 3)
    assert await wrong(database, pets.id) == []


async def test_calls_for_the_same_samples_are_done_in_the_order_of_their_arrival(
    database: Database, database_url: str, pets: DatasetRows
) -> None:
    async with dataset_held(database, database_url, pets):
        calls = [
            labelling(database, pets, [0, 1], "cat"),
            labelling(database, pets, [1, 2], "cat", "dog", by=BOB),
            labelling(database, pets, [0], mode="SET"),
            labelling(database, pets, [1], "cat"),
            labelling(database, pets, [1, 2], "dog", mode="REMOVE", expected_revision=5, expected_count=2),
        ]
        await asyncio.sleep(0)
    done: list[Labelled] = await asyncio.gather(*calls)
    assert [(each.matched, each.changed) for each in done] == [(2, 2), (2, 2), (1, 1), (1, 0), (2, 2)]
    made = await changes(database)
    assert [each[2] for each in made] == [
        "Added `dog` to 1 sample",
        "Added `cat` to 2 samples",
        "Added `cat`, `dog` to 2 samples",
        "Removed all labels from 1 sample",
        "Removed `dog` from 2 samples",
    ]
    assert len({each[3] for each in made[1:4]}) == 1, "one transaction, though they need the same"
    first, second, third = pets.samples[:3]
    labelled = await names(database, pets.id)
    assert (labelled[first], labelled[second], labelled[third]) == ([], ["cat"], ["cat"])
    assert await wrong(database, pets.id) == []


# -- two transactions at the same time --------------------------------------------------------------------------------


@asynccontextmanager
async def two_under_way(database: Database, url: str, pets: DatasetRows) -> AsyncIterator[list["asyncio.Task[Any]"]]:
    """A first transaction has written, and waits for a counter; a second one has written, and waits for the first. The
    calls of both, three and two."""
    async with held(url, "SELECT FROM label_count WHERE label_id = $1 FOR UPDATE", pets.labels["cat"]):
        async with dataset_held(database, url, pets):
            calls = [labelling(database, pets, [sample], "cat") for sample in range(5)]
            await asyncio.sleep(0)
        await until_blocked(database)
        await until_written(database)
        yield calls


async def until_written(database: Database) -> None:
    """Until a transaction has written its samples, and waits in memory for the one before."""
    waiting = """SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()
                 AND state = 'idle in transaction' AND query LIKE '%UPDATE sample SET%'"""

    async def has_written() -> bool:
        async with database.reading() as reader:
            return bool(await reader.fetchval(waiting) == 1)

    await wait_until(has_written)


async def test_a_second_transaction_writes_while_the_first_is_under_way(
    database: Database, database_url: str, pets: DatasetRows
) -> None:
    async with two_under_way(database, database_url, pets) as calls:
        assert not any(call.done() for call in calls)
    assert [each.changed for each in await asyncio.gather(*calls)] == [1] * 5
    made = await changes(database)
    assert [each[0] for each in made] == [2, 3, 4, 5, 6, 7]
    assert [made[1][3] == each[3] for each in made[1:]] == [True, True, True, False, False]
    assert await wrong(database, pets.id) == []


async def test_if_the_first_fails_the_second_is_done_again(
    database: Database, database_url: str, pets: DatasetRows
) -> None:
    async with two_under_way(database, database_url, pets) as calls, database.reading() as reader:
        await reader.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE datname = current_database() AND wait_event_type = 'Lock' AND query LIKE '%record_written%'"
        )
    assert [each.changed for each in await asyncio.gather(*calls)] == [1] * 5
    assert [each[0] for each in await changes(database)] == [2, 3, 4, 5, 6, 7]
    assert await wrong(database, pets.id) == []


async def test_if_another_writer_comes_in_between_the_second_is_done_again(
    database: Database, database_url: str, pets: DatasetRows
) -> None:
    async def mark(session: AsyncSession) -> Labelled:
        return await update(session, pets.id, Selection(ids=[pets.samples[6]]), {"hard": True}, by=ANN)

    async with held(database_url, "SELECT FROM label_count WHERE label_id = $1 FOR UPDATE", pets.labels["cat"]):
        first = labelling(database, pets, [0], "cat")
        await until_blocked(database)
        marked = asyncio.create_task(write(database, mark, Labelled))
        await until_blocked(database, 2)
        second = labelling(database, pets, [1], "cat")
        await until_written(database)
        guarded = labelling(database, pets, [2], "cat", expected_revision=3)
    done = await asyncio.gather(first, marked, second)
    assert [each.changed for each in done] == [1, 1, 1]
    outcome = await guarded  # compared with what is committed: the second may be done again before it, or after it
    is_done = isinstance(outcome, Labelled)
    assert outcome.changed == 1 if is_done else outcome.details["revision"] > 3
    made = await changes(database)
    assert [each[0] for each in made] == [2, 3, 4, 5][: len(made)]
    labelled = ["Added `cat` to 1 sample"] * (2 if is_done else 1)
    assert [each[2] for each in made] == ["Added `cat` to 1 sample", "Marked 1 sample as hard", *labelled]
    assert await wrong(database, pets.id) == []


async def test_what_one_is_refused_for_does_not_concern_the_others(
    database: Database, database_url: str, pets: DatasetRows
) -> None:
    nobody = Identity("eve", Scope.MANAGE, token_id=3, dataset_ids=frozenset())
    sample_held = held(database_url, "SELECT FROM sample WHERE id = $1 FOR NO KEY UPDATE", pets.samples[3])
    async with sample_held:
        async with dataset_held(database, database_url, pets):
            calls = {
                "LABEL_NOT_FOUND": labelling(database, pets, [0], "cow"),
                "COUNT_MISMATCH": labelling(database, pets, [0, 1], "cat", expected_count=3),
                "CONFLICT": labelling(database, pets, [0], "cat", expected_revision=1),
                "DATASET_NOT_FOUND": labelling(database, pets, [0], "cat", by=nobody),
                "EMPTY_SELECTION": labelling(database, pets, [], "cat"),
            }
            canceled = labelling(database, pets, [5], "cat")
            alone = labelling(database, pets, [3], "cat")
            created = labelling(database, pets, [4], "cow", create_missing=True)
            whole = labelling(database, pets, [2], "cat")
            await asyncio.sleep(0)
            canceled.cancel()
        refused = dict(zip(calls, await asyncio.gather(*calls.values()), strict=True))
        assert {code: getattr(error, "code", error) for code, error in refused.items()} == {
            code: code for code in calls
        }
        conflict = refused["CONFLICT"].details
        assert len(conflict["changes"]) == conflict["revision"] - 1 >= 1, "all since then"
        assert (await whole).changed == (await created).changed == 1
        assert not alone.done(), "it waits for its sample, and nobody for it"
    assert (await alone).changed == 1
    assert await names(database, pets.id) == dict(
        zip(pets.samples, [[], [], ["cat"], ["cat"], ["cow"], [], [], ["dog"]], strict=True)
    )
    assert await wrong(database, pets.id) == []


async def test_a_key_takes_effect_once_whether_it_comes_twice_at_once_or_later(
    database: Database, database_url: str, pets: DatasetRows
) -> None:
    await _make_token(database)
    async with dataset_held(database, database_url, pets):
        twice = [labelling(database, pets, [0], "cat", key="k") for _ in range(2)]
        other = labelling(database, pets, [1], "cat", key="l")
        await asyncio.sleep(0)
    one, again = await asyncio.gather(*twice)
    assert one == again
    assert one.changed == (await other).changed == 1
    assert await labelling(database, pets, [0], "cat", key="k") == one
    assert len(await changes(database)) == 3


@pytest.mark.parametrize("arrives", [False, True], ids=["lost before COMMIT", "lost after COMMIT"])
async def test_when_the_connection_is_lost_during_the_commit_all_or_none_is_done_and_each_client_told(
    database: Database, database_url: str, pets: DatasetRows, arrives: bool
) -> None:
    await _make_token(database)
    cut = Cut(arrives=arrives)
    cut.armed = True
    async with through(cut, database_url) as far:
        unkeyed = [labelling(far, pets, [sample], "cat") for sample in (0, 1)]
        keyed = labelling(far, pets, [2], "dog", key="k")
        refused = labelling(far, pets, [3], "cow")
        refusals = await asyncio.gather(*unkeyed)
        assert [type(each) for each in refusals] == [Unavailable, Unavailable]
        assert "check whether the mutation took effect" in refusals[0].message
        assert (await keyed).changed == 1, "it is done again, or its outcome found"
        assert (await refused).code == "LABEL_NOT_FOUND"
    assert cut.cuts == 1
    labelled = await names(database, pets.id)
    assert [labelled[sample] for sample in pets.samples[:4]] == [["cat"] * arrives, ["cat"] * arrives, ["dog"], []]
    assert len(await changes(database)) == (3 if arrives else 1)
    assert await wrong(database, pets.id) == []


async def test_when_the_server_process_that_commits_is_killed_each_call_is_done_alone(
    database: Database, database_url: str, pets: DatasetRows
) -> None:
    async with held(database_url, "SELECT FROM dataset WHERE id = $1 FOR NO KEY UPDATE", pets.id):
        calls = [labelling(database, pets, [sample], "cat") for sample in range(3)]
        await until_blocked(database)
        async with database.reading() as reader:
            await reader.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE datname = current_database() AND wait_event_type = 'Lock'"
            )
        await until_blocked(database)
    assert [each.changed for each in await asyncio.gather(*calls)] == [1, 1, 1]
    assert [each[0] for each in await changes(database)] == [2, 3, 4]


@pytest.mark.parametrize("slow", ["write_labels", "lock_head"])
async def test_a_database_that_does_not_answer_one_call_is_asked_again_for_the_others(
    database: Database, database_url: str, pets: DatasetRows, monkeypatch: pytest.MonkeyPatch, slow: str
) -> None:
    """Only the one whose statement it was has the error; of one that was for all of them, none."""
    original, failures = getattr(label_together_module, slow), list[Any]()

    async def late(session: AsyncSession, what: Any, *arguments: Any, **named: Any) -> Any:
        if not failures and (slow == "lock_head" or pets.samples[1] in what.changing.ids):
            failures.append(what)
            raise TimeoutError
        return await original(session, what, *arguments, **named)

    async with dataset_held(database, database_url, pets):
        monkeypatch.setattr(label_together_module, slow, late)
        calls = [labelling(database, pets, [sample], "cat") for sample in range(5)]
        await asyncio.sleep(0)
    outcomes = await asyncio.gather(*calls)
    late_one = slow == "write_labels"
    assert [isinstance(each, Unavailable) for each in outcomes] == [False, late_one, False, False, False]
    labelled = await names(database, pets.id)
    assert [bool(labelled[sample]) for sample in pets.samples[:5]] == [True, not late_one, True, True, True]


# -- turns ------------------------------------------------------------------------------------------------------------


async def test_writers_of_a_locked_dataset_leave_connections_for_those_of_another(
    database: Database, database_url: str, pets: DatasetRows
) -> None:
    birds = await make(database, samples=8, labels=("cat", "dog"), name="birds")

    def marking(rows: DatasetRows, sample: int) -> "asyncio.Task[Labelled]":
        async def mark(session: AsyncSession) -> Labelled:
            return await update(session, rows.id, Selection(ids=[rows.samples[sample]]), {"hard": True}, by=ANN)

        return asyncio.create_task(write(database, mark, Labelled))

    async with held(database_url, "SELECT FROM dataset WHERE id = $1 FOR NO KEY UPDATE", pets.id):
        waiting = [labelling(database, pets, [sample % 4], "cat") for sample in range(12)]
        waiting += [marking(pets, 4 + number % 4) for number in range(18)]
        await wait_until(lambda: database.connections()["write"]["in_use"] == 4)  # of ten
        others = [marking(birds, sample) for sample in range(4)]
        others += [labelling(database, birds, [sample], "cat") for sample in range(4, 8)]
        assert [each.changed for each in await asyncio.gather(*others)] == [1] * 8
        assert database.connections()["write"]["in_use"] == 4
        assert not any(each.done() for each in waiting)
        waiting[-1].cancel()
    done = await asyncio.gather(*waiting[:-1])
    assert sum(each.changed for each in done) == 8
    assert await wrong(database, pets.id) == []


async def test_who_waits_in_memory_too_long_is_refused(
    database: Database, database_url: str, pets: DatasetRows
) -> None:
    hurried = replace(database, limits=replace(database.limits, lock=0.0))

    async def mark(session: AsyncSession) -> Labelled:
        return await update(session, pets.id, Selection(ids=pets.samples), {"hard": True}, by=ANN)

    async with held(database_url, "SELECT FROM dataset WHERE id = $1 FOR NO KEY UPDATE", pets.id):
        waiting = [asyncio.create_task(write(database, mark, Labelled)) for _ in range(3)]
        await wait_until(lambda: database.writers_of_dataset.is_full(pets.id))
        with pytest.raises(Unavailable, match="Others are changing the same data"):
            await write(hurried, mark, Labelled)
    assert sorted(each.changed for each in await asyncio.gather(*waiting)) == [0, 0, 8]
    assert not database.writers_of_dataset.is_full(pets.id)


async def test_what_is_labelled_one_by_one_is_not_planned_each_time(database: Database, pets: DatasetRows) -> None:
    for mode in ("ADD", "SET", "REMOVE", "ADD") * 7:
        assert (await labelling(database, pets, [3], *(() if mode == "SET" else ("cat",)), mode=mode)).matched == 1
    async with database.writing() as session:
        found = await sql.run(session, "SELECT statement, generic_plans, custom_plans FROM pg_prepared_statements")
    often = [row for row in found if row["generic_plans"] + row["custom_plans"] > 10]
    assert len(often) > 5
    assert [row["statement"] for row in often if row["custom_plans"] > 5] == []  # until Postgres knows what plans cost


async def _make_token(database: Database) -> None:
    async with database.writing() as session:
        await tokens.create(session, name="ann", scope=Scope.MANAGE)
