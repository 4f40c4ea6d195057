"""A sync that dies anywhere and is taken up again ends as one that never died: rows, labels, counters, warnings."""

import itertools
import random
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

import pytest

from db import jobs
from db.datasets import check
from db.ingest import sync
from db.ingest.sync import listing, plan, stages
from db.jobs.queue import MAX_ATTEMPTS
from db.postgres.engine import Database
from tests.db import dataset_fixture
from tests.db.crash_injection import Crash, CrashPoint, crashing, empty_unlogged_tables, live_on
from tests.db.dataset_fixture import WORKER, DatasetFixture, image_bytes

RED, GREEN, BLUE, GREY = (image_bytes(color) for color in ("red", "green", "blue", "grey"))
RINGS = (
    {"swap0": "swap1", "swap1": "swap0"},
    {"ring0": "ring1", "ring1": "ring2", "ring2": "ring3", "ring3": "ring0"},
    {"chain0": "chain1", "chain1": "chain2"},
)


def name_color(name: str) -> tuple[int, int, int]:
    return (len(name), ord(name[0]), ord(name[-1]))


@pytest.fixture(autouse=True)
def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    """Many boundaries with few files."""
    monkeypatch.setattr(stages, "BATCH", 3)
    monkeypatch.setattr(listing, "BATCH", 6)
    monkeypatch.setattr(plan, "BATCH", 2)
    monkeypatch.setattr("tests.memory_store.PAGE", 4)


async def prepared(database: Database) -> DatasetFixture:
    """A dataset that was synced, and a store in which everything happened since that can."""
    dataset = await dataset_fixture.memory(database)
    for name, data in (("moved", RED), ("changed", GREEN), ("relabeled", BLUE)):
        dataset.put(f"{name}.png", data)
        dataset.put(f"{name}.txt", "cat")
    for number in range(3):
        dataset.put(f"gone{number}.png", image_bytes(f"rgb({number},0,0)"))
        dataset.put(f"gone{number}.txt", "dog")
    for name in ("swap0", "swap1", "ring0", "ring1", "ring2", "ring3", "chain0", "chain1", "chain2", "kept", "covered"):
        dataset.put(f"{name}.png", image_bytes(name_color(name)))
        dataset.put(f"{name}.txt", name)
    dataset.put("deleted.png", GREY)
    await dataset.sync()
    await dataset.delete_by_hand("deleted.png")
    dataset.move("moved.png", "here/moved.png")
    for origins in RINGS:
        dataset.rearrange({f"{path}.png": f"{origin}.png" for path, origin in origins.items()})
    dataset.remove("chain2.png")
    dataset.put("covered.png", image_bytes(name_color("kept")))
    dataset.put("changed.png", image_bytes("white"))
    dataset.put("relabeled.txt", "bird\nbad label")
    for number in range(3):
        dataset.remove(f"gone{number}.png")
    for number in range(8):
        dataset.put(f"new/{number}.png", image_bytes(f"rgb(0,{number},9)"))
        dataset.put(f"new/{number}.txt", f"new-{number % 3}")
    dataset.put("new/bad.jpg", b"not an image")
    for number in range(3):
        dataset.put(f"new/{number}.jpg.txt", "traffic light")
        dataset.put(f"new/.{number}.jpg")
        dataset.put(f"new/{number}.gif")
        dataset.put(f"new/{number}.txt", f"new-{number}\ntraffic light")
    return dataset


async def state(dataset: DatasetFixture, job_id: int) -> dict[str, Any]:
    """All that a user could see, apart from ids and times."""
    samples = await dataset.rows(
        "SELECT s.path, s.state, s.labeled_by, s.labeled_origin, src.path, src.etag, src.status, src.sidecar_etag"
        " FROM sample s JOIN source src ON src.id = source_id WHERE s.dataset_id = $1 ORDER BY s.path",
        dataset.dataset_id,
    )
    sources = await dataset.rows(
        "SELECT path, status, etag, count(*) FROM source WHERE dataset_id = $1 GROUP BY 1, 2, 3 ORDER BY 1, 2, 3",
        dataset.dataset_id,
    )
    past = await dataset.rows("SELECT path FROM sample_past WHERE dataset_id = $1 ORDER BY 1", dataset.dataset_id)
    async with dataset.database.reading() as connection:
        wrong = await check.recount(connection, dataset.dataset_id)
    return {
        "samples": [tuple(row) for row in samples],
        "sources": [tuple(row) for row in sources],
        "past": [row["path"] for row in past],
        "labels": await dataset.labels(),
        "counters": await dataset.counts(job_id),
        "status": (await dataset.job(job_id))["status"],
        "warnings": sorted(await dataset.warnings(job_id)),
        "names": {
            row["name"]: row["count"]
            for row in await dataset.rows(
                "SELECT name, count FROM job_warning WHERE job_id = $1 AND name <> ''", job_id
            )
        },
        "ignored": await dataset.ignored(job_id),
        "wrong": wrong,
        "removals": sum("removed" in summary for summary in await dataset.changes()),
        "left over": len(
            await dataset.rows(
                "SELECT 1 FROM sync_item UNION ALL SELECT 1 FROM sync_object UNION ALL SELECT 1 FROM sync_sidecar"
                " UNION ALL SELECT 1 FROM staging"
            )
        ),
    }


async def live(dataset: DatasetFixture, job_id: int, crash_point: CrashPoint) -> bool:
    """A worker's life with a job, as far as it goes. Whether it came to the end."""
    database, store = crashing(dataset.database, dataset.store, crash_point)
    try:
        claim = await jobs.claim(database, WORKER)
        if claim is not None:
            assert claim.id == job_id
            await sync.run(database, claim, store)
            await jobs.finish(database, claim, "SUCCEEDED")
    except Crash:
        return False
    return True


async def recover(dataset: DatasetFixture, job_id: int) -> None:
    """What the next worker does."""
    await jobs.sweep(dataset.database)
    await live(dataset, job_id, CrashPoint())


Prepare = Callable[[Database], Awaitable[DatasetFixture]]
See = Callable[[DatasetFixture, int], Awaitable[dict[str, Any]]]


async def clean_run(
    database: Database, prepare: Prepare = prepared, see: See = state, **options: Any
) -> dict[str, Any]:
    dataset = await prepare(database)
    job_id = await dataset.start(**options)
    assert await live(dataset, job_id, CrashPoint())
    return await see(dataset, job_id)


async def crash_at_each_step(database: Database, prepare: Prepare, see: See, clean: dict[str, Any]) -> int:
    """How many steps a sync takes. A crash at any of them leaves, after the next worker, what a clean run leaves."""
    step = 0
    while True:
        dataset = await prepare(database)
        job_id = await dataset.start()
        if await live(dataset, job_id, CrashPoint(step)):
            return step
        await recover(dataset, job_id)
        assert await see(dataset, job_id) == clean, f"after a crash at step {step}"
        step += 1


@pytest.mark.portable
async def test_the_clean_run_is_what_it_should_be(database: Database) -> None:
    clean = await clean_run(database)
    assert clean["counters"] == {
        "scanned": 57, "ignored": 14, "added": 9, "updated": 2, "removed": 5, "moved": 9, "skipped": 1,
    }  # fmt: skip
    assert clean["names"] == {"bad label": 1, "traffic light": 3}
    assert {reason: count for reason, (count, _) in clean["ignored"].items()} == {
        "SIDECAR_WITHOUT_IMAGE": 8, "HIDDEN": 3, "SUFFIX .gif": 3
    }  # fmt: skip
    assert clean["labels"] == {
        **{f"{path}.png": [origin] for origins in RINGS for path, origin in origins.items()},
        "changed.png": ["cat"],
        "covered.png": ["covered"],
        "kept.png": ["kept"],
        "here/moved.png": ["cat"],
        **{f"new/{number}.png": [f"new-{number % 3}"] for number in range(8)},
        "relabeled.png": ["bird"],
    }
    assert (clean["wrong"], clean["left over"], clean["removals"]) == ([], 0, 2)


@pytest.mark.slow
async def test_a_crash_at_any_step_leaves_no_trace(database: Database) -> None:
    clean = await clean_run(database)
    assert await crash_at_each_step(database, prepared, state, clean) > 40, (
        "the scenario has become too small to tell anything"
    )


@pytest.mark.slow
async def test_two_crashes_leave_no_trace_either(database: Database) -> None:
    clean = await clean_run(database)
    chance = random.Random(3)
    for _ in range(25):
        first, second = chance.randrange(90), chance.randrange(60)
        dataset = await prepared(database)
        job_id = await dataset.start()
        await live(dataset, job_id, CrashPoint(first))
        await jobs.sweep(dataset.database)
        await live(dataset, job_id, CrashPoint(second))
        await recover(dataset, job_id)
        assert await state(dataset, job_id) == clean, f"after crashes at steps {first} and {second}"


async def test_the_loss_of_the_staging_tables_leaves_no_trace(database: Database) -> None:
    """Postgres empties unlogged tables when it crashes."""
    clean = await clean_run(database)
    for step in range(12, 60, 6):
        dataset = await prepared(database)
        job_id = await dataset.start()
        await live(dataset, job_id, CrashPoint(step))
        await empty_unlogged_tables(database)
        await recover(dataset, job_id)
        assert await state(dataset, job_id) == clean, f"after a crash at step {step}"


async def without_sidecars(database: Database) -> DatasetFixture:
    """What is unchanged is not staged then."""
    dataset = await dataset_fixture.memory(database)
    for name in ("a", "b", "c", "d", "kept0", "kept1", "moved", "z0", "z1"):
        dataset.put(f"{name}.png", image_bytes(name_color(name)))
    await dataset.sync()
    await dataset.label_by_hand("moved.png", "cat")
    dataset.move("moved.png", "0.png")
    dataset.remove("kept1.png")
    dataset.put("1.png", image_bytes("white"))
    return dataset


@pytest.mark.slow
@pytest.mark.parametrize("prepare", [prepared, without_sidecars])
async def test_a_crash_of_postgres_that_the_worker_outlives_leaves_no_trace(
    database: Database, prepare: Prepare
) -> None:
    clean = await clean_run(database, prepare)
    for commits in itertools.count(1):
        dataset = await prepare(database)
        job_id = await dataset.start()
        is_reached = await live_on(database, job_id, commits, partial(sync.run, store=dataset.store))
        found = await state(dataset, job_id)
        found["warnings"] = [each for each in found["warnings"] if not each[1].startswith("Still not readable")]
        assert found == clean, f"after a crash behind commit {commits}"
        if not is_reached:
            break
    assert commits > 5


async def test_a_job_that_kills_its_workers_at_one_place_is_given_up(database: Database) -> None:
    dataset = await prepared(database)
    job_id = await dataset.start()
    for _ in range(MAX_ATTEMPTS):
        await live(dataset, job_id, CrashPoint(2))
        assert (await dataset.job(job_id))["status"] == "RUNNING"
        await jobs.sweep(dataset.database)
    await live(dataset, job_id, CrashPoint())
    job = await dataset.job(job_id)
    assert (job["status"], job["error_code"]) == ("FAILED", "INTERNAL_ERROR")
    await dataset.sync()


async def test_a_job_that_gets_on_between_crashes_is_not_given_up(database: Database) -> None:
    clean = await clean_run(database)
    dataset = await prepared(database)
    job_id = await dataset.start()
    for _ in range(40):
        if await live(dataset, job_id, CrashPoint(45)):
            break
        await jobs.sweep(dataset.database)
    assert await state(dataset, job_id) == clean


async def result(dataset: DatasetFixture, job_id: int) -> dict[str, Any]:
    """What a sync says, whether or not it is a dry run."""
    names = ("counters", "status", "warnings", "names", "ignored", "wrong", "left over")
    seen = await state(dataset, job_id)
    return {name: seen[name] for name in names} | {"unchanged": (await dataset.job(job_id))["unchanged"]}


async def planned(dataset: DatasetFixture, job_id: int) -> dict[str, Any]:
    return await result(dataset, job_id) | {"examples": await dataset.examples(job_id)}


async def test_a_dry_run_says_what_the_sync_does_wherever_it_crashes(database: Database) -> None:
    """Also where Postgres has lost the staging tables meanwhile."""
    clean = await clean_run(database, see=result)
    dry_run = await clean_run(database, see=planned, dry_run=True)
    examples = dry_run["examples"]
    assert dry_run == {**clean, "examples": examples}
    assert clean["unchanged"] == 1  # kept.png
    assert examples["MOVED"][0][:3] == ["chain0.png", "chain1.png", "here/moved.png"]
    assert examples["MOVED"][1][:3] == ["chain1.png", "chain2.png", "moved.png"]
    assert examples["REMOVED"][0] == ["chain0.png", "covered.png", *(f"gone{number}.png" for number in range(3))]
    assert examples["UPDATED"][0] == ["changed.png", "relabeled.png"]
    for step in itertools.count(3, 5):
        dataset = await prepared(database)
        before, job_id = await dataset.contents(), await dataset.start(dry_run=True)
        if await live(dataset, job_id, CrashPoint(step)):
            break
        if step % 2:
            await empty_unlogged_tables(database)
        await recover(dataset, job_id)
        assert await planned(dataset, job_id) == dry_run, f"after a crash at step {step}"
        assert await dataset.contents() == before
    assert step > 40, "the scenario has become too small to tell anything"
