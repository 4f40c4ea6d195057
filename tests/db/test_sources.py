"""Deleting files that rows have let go of: committed first, carried out later, until it is done."""

from collections.abc import Callable
from pathlib import Path
from typing import cast

import pytest
from sqlmodel.ext.asyncio.session import AsyncSession

from db.errors import StorageError
from db.history import transactions
from db.labelling.samples.delete import delete
from db.labelling.samples.outcomes import Deleted
from db.labelling.samples.selection import Selection
from db.postgres.engine import Database
from db.storage import MemoryStore, Store, deletion
from db.storage.deletion import carry_out
from tests.db import world
from tests.db.deaths import Death, Life, mortal
from tests.db.test_sync_together import BOB
from tests.db.world import World, picture


@pytest.fixture(params=["local", "memory"])
async def place(request: pytest.FixtureRequest, database: Database, tmp_path: Path) -> World:
    made = await (world.local(database, tmp_path) if request.param == "local" else world.memory(database))
    for name in ("a", "b"):
        made.put(f"{name}.png")
        made.put(f"{name}.txt", "cat")
    await made.sync()
    return made


async def let_go(place: World, path: str) -> int:
    """Delete a sample with its source; the change's id."""
    chosen = Selection(ids=[(await place.sample(path))["id"]])

    async def work(session: AsyncSession) -> Deleted:
        return await delete(session, place.dataset_id, chosen, by=BOB, delete_sources=True)

    change = (await transactions.write(place.database, work, Deleted)).change
    assert change is not None
    return change


def opener(place: World) -> Callable[[str], Store]:
    return lambda _: place.store


async def files(place: World) -> list[str]:
    return sorted([found.path async for page in place.store.pages() for found in page.objects])


async def open_intents(place: World) -> int:
    return len(await place.rows("SELECT id FROM source_deletion WHERE finished_at IS NULL"))


async def test_deletes_the_file_and_its_sidecar(place: World) -> None:
    change = await let_go(place, "a.png")
    assert await files(place) == ["a.png", "a.txt", "b.png", "b.txt"]
    carried = await carry_out(place.database, opener(place), change_id=change)
    assert (carried.deleted, carried.failures) == (1, ())
    assert await files(place) == ["b.png", "b.txt"]
    assert await open_intents(place) == 0
    again = await carry_out(place.database, opener(place), change_id=change)
    assert again.deleted == 0
    assert (await place.sync())["removed"] == 0


async def test_a_sidecar_that_another_image_needs_stays(place: World) -> None:
    place.put("a.jpg", picture(form="JPEG"))
    place.put("a.b.png")
    await place.sync()
    await carry_out(place.database, opener(place), change_id=await let_go(place, "a.png"))
    assert "a.txt" in await files(place)
    await carry_out(place.database, opener(place), change_id=await let_go(place, "a.jpg"))
    assert "a.txt" not in await files(place)


async def test_a_file_that_was_replaced_is_left_alone_and_comes_back_as_new(place: World) -> None:
    change = await let_go(place, "a.png")
    place.put("a.png")
    carried = await carry_out(place.database, opener(place), change_id=change)
    assert [failure.path for failure in carried.failures] == ["a.png"]
    assert "replaced" in carried.failures[0].message
    assert "a.png" in await files(place)
    assert await open_intents(place) == 0
    assert (await place.sync())["added"] == 1


async def test_a_file_that_is_gone_already_counts_as_deleted(place: World) -> None:
    change = await let_go(place, "a.png")
    place.remove("a.png")
    assert (await carry_out(place.database, opener(place), change_id=change)).deleted == 1


async def test_a_failure_is_told_and_tried_again_later(database: Database) -> None:
    place = await world.memory(database)
    store = cast(MemoryStore, place.store)
    place.put("a.png")
    await place.sync()
    change = await let_go(place, "a.png")
    store.broken = True
    carried = await carry_out(place.database, opener(place), change_id=change)
    assert [failure.path for failure in carried.failures] == ["a.png"]
    assert await open_intents(place) == 1
    store.broken = False
    assert (await place.sync())["added"] == 0
    assert (await carry_out(place.database, opener(place))).deleted == 0, "it waits before it tries again"
    await place.do("UPDATE source_deletion SET retry_at = now(), created_at = now() - interval '1 min'")
    assert (await carry_out(place.database, opener(place))).deleted == 1
    assert store.contents == {}


async def test_a_death_at_any_step_is_made_up_for(database: Database) -> None:
    step, died = 0, True
    while died:
        place = await world.memory(database)
        store = cast(MemoryStore, place.store)
        for name in ("a", "b", "c"):
            place.put(f"{name}.png")
            place.put(f"{name}.txt", "cat")
        await place.sync()
        change = await let_go(place, "a.png")
        mortal_database, mortal_store = mortal(database, store, Life(step))
        try:
            await carry_out(mortal_database, lambda _, store=mortal_store: store, change_id=change)  # type: ignore[misc]
            died = False
        except (Death, StorageError):
            await place.sync()
            await place.do("UPDATE source_deletion SET retry_at = now(), created_at = now() - interval '1 min'")
            await carry_out(database, opener(place))
        assert sorted(store.contents) == ["b.png", "b.txt", "c.png", "c.txt"], f"after a death at step {step}"
        assert list(await place.labels()) == ["b.png", "c.png"]
        assert (await place.sync())["added"] == 0
        step += 1
    assert step > 5
    assert deletion.BATCH > 1
