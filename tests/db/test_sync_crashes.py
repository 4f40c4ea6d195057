"""A sync that dies anywhere and is taken up again ends as one that never died: rows, labels, counters, warnings."""

import random
from typing import Any

import pytest

from db import jobs
from db.datasets import check
from db.ingest import sync
from db.ingest.sync import listing, plan, stages
from db.postgres.engine import Database
from tests.db import world
from tests.db.deaths import Death, Life, mortal
from tests.db.world import WORKER, World, picture

RED, GREEN, BLUE, GREY = (picture(color) for color in ("red", "green", "blue", "grey"))
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
    monkeypatch.setattr(plan, "ASKED", 2)
    monkeypatch.setattr("db.storage.memory.PAGE", 4)


async def prepared(database: Database) -> World:
    """A dataset that was synced, and a store in which everything happened since that can."""
    place = await world.memory(database)
    for name, data in (("moved", RED), ("changed", GREEN), ("relabeled", BLUE)):
        place.put(f"{name}.png", data)
        place.put(f"{name}.txt", "cat")
    for number in range(3):
        place.put(f"gone{number}.png", picture(f"rgb({number},0,0)"))
        place.put(f"gone{number}.txt", "dog")
    for name in ("swap0", "swap1", "ring0", "ring1", "ring2", "ring3", "chain0", "chain1", "chain2", "kept", "covered"):
        place.put(f"{name}.png", picture(name_color(name)))
        place.put(f"{name}.txt", name)
    place.put("deleted.png", GREY)
    await place.sync()
    await place.delete_by_hand("deleted.png")
    place.move("moved.png", "here/moved.png")
    for origins in RINGS:
        place.rearrange({f"{path}.png": f"{origin}.png" for path, origin in origins.items()})
    place.remove("chain2.png")
    place.put("covered.png", picture(name_color("kept")))
    place.put("changed.png", picture("white"))
    place.put("relabeled.txt", "bird\nbad label")
    for number in range(3):
        place.remove(f"gone{number}.png")
    for number in range(8):
        place.put(f"new/{number}.png", picture(f"rgb(0,{number},9)"))
        place.put(f"new/{number}.txt", f"new-{number % 3}")
    place.put("new/bad.jpg", b"not an image")
    for number in range(3):
        place.put(f"new/{number}.jpg.txt", "traffic light")
        place.put(f"new/.{number}.jpg")
        place.put(f"new/{number}.gif")
        place.put(f"new/{number}.txt", f"new-{number}\ntraffic light")
    return place


async def state(place: World, job_id: int) -> dict[str, Any]:
    """All that a user could see, apart from ids and times."""
    samples = await place.rows(
        "SELECT s.path, s.state, s.labeled_by, s.labeled_origin, src.path, src.etag, src.status, src.sidecar_etag"
        " FROM sample s JOIN source src ON src.id = source_id WHERE s.dataset_id = $1 ORDER BY s.path",
        place.dataset_id,
    )
    sources = await place.rows(
        "SELECT path, status, etag, count(*) FROM source WHERE dataset_id = $1 GROUP BY 1, 2, 3 ORDER BY 1, 2, 3",
        place.dataset_id,
    )
    past = await place.rows("SELECT path FROM sample_past WHERE dataset_id = $1 ORDER BY 1", place.dataset_id)
    async with place.database.reading() as connection:
        wrong = await check.recount(connection, place.dataset_id)
    return {
        "samples": [tuple(row) for row in samples],
        "sources": [tuple(row) for row in sources],
        "past": [row["path"] for row in past],
        "labels": await place.labels(),
        "counters": await place.counts(job_id),
        "status": (await place.job(job_id))["status"],
        "warnings": sorted(await place.warnings(job_id)),
        "names": {
            row["name"]: row["count"]
            for row in await place.rows("SELECT name, count FROM job_warning WHERE job_id = $1 AND name <> ''", job_id)
        },
        "ignored": await place.ignored(job_id),
        "wrong": wrong,
        "removals": sum("removed" in summary for summary in await place.changes()),
        "left over": len(
            await place.rows(
                "SELECT 1 FROM sync_item UNION ALL SELECT 1 FROM sync_object UNION ALL SELECT 1 FROM sync_sidecar"
            )
        ),
    }


async def live(place: World, job_id: int, life: Life) -> bool:
    """A worker's life with a job, as far as it goes. Whether it came to the end."""
    database, store = mortal(place.database, place.store, life)
    try:
        claim = await jobs.claim(database, job_id, WORKER)
        if claim is not None:
            await sync.run(database, claim, store)
            await jobs.finish(database, claim, "SUCCEEDED")
    except Death:
        return False
    return True


async def recover(place: World, job_id: int) -> None:
    """What the next worker does."""
    await jobs.sweep(place.database)
    await live(place, job_id, Life())


async def clean_run(database: Database) -> dict[str, Any]:
    place = await prepared(database)
    job_id = await place.start()
    assert await live(place, job_id, Life())
    return await state(place, job_id)


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


async def test_a_death_at_any_step_leaves_no_trace(database: Database) -> None:
    clean = await clean_run(database)
    step = 0
    while True:
        place = await prepared(database)
        job_id = await place.start()
        if await live(place, job_id, Life(step)):
            break
        await recover(place, job_id)
        assert await state(place, job_id) == clean, f"after a death at step {step}"
        step += 1
    assert step > 40, "the scenario has become too small to tell anything"


async def test_two_deaths_leave_no_trace_either(database: Database) -> None:
    clean = await clean_run(database)
    chance = random.Random(3)
    for _ in range(25):
        first, second = chance.randrange(90), chance.randrange(60)
        place = await prepared(database)
        job_id = await place.start()
        await live(place, job_id, Life(first))
        await jobs.sweep(place.database)
        await live(place, job_id, Life(second))
        await recover(place, job_id)
        assert await state(place, job_id) == clean, f"after deaths at steps {first} and {second}"


async def test_the_loss_of_the_staging_tables_leaves_no_trace(database: Database) -> None:
    """Postgres empties unlogged tables when it crashes."""
    clean = await clean_run(database)
    for step in range(12, 60, 6):
        place = await prepared(database)
        job_id = await place.start()
        await live(place, job_id, Life(step))
        await place.do("TRUNCATE sync_item, sync_object")
        await recover(place, job_id)
        assert await state(place, job_id) == clean, f"after a crash at step {step}"


async def test_a_job_that_kills_its_workers_at_one_place_is_given_up(database: Database) -> None:
    place = await prepared(database)
    job_id = await place.start()
    for _ in range(jobs.MAX_ATTEMPTS):
        await live(place, job_id, Life(2))
        assert (await place.job(job_id))["status"] == "RUNNING"
        await jobs.sweep(place.database)
    await live(place, job_id, Life())
    job = await place.job(job_id)
    assert (job["status"], job["error_code"]) == ("FAILED", "INTERNAL_ERROR")
    await place.sync()


async def test_a_job_that_gets_on_between_deaths_is_not_given_up(database: Database) -> None:
    clean = await clean_run(database)
    place = await prepared(database)
    job_id = await place.start()
    for _ in range(40):
        if await live(place, job_id, Life(45)):
            break
        await jobs.sweep(place.database)
    assert await state(place, job_id) == clean
