"""Deleting the files of deleted sources: committed first, carried out later, until it is done."""

from collections.abc import Callable
from pathlib import Path
from typing import cast

import pytest
from sqlmodel.ext.asyncio.session import AsyncSession

from db.errors import StorageError
from db.history import transactions
from db.labelling.samples.delete import Deleted, delete
from db.labelling.samples.selection import Selection
from db.postgres.engine import Database
from db.storage import Store, object_deletion
from db.storage.object_deletion import delete_objects
from tests.db import dataset_fixture
from tests.db.crash_injection import Crash, CrashPoint, crashing
from tests.db.dataset_fixture import DatasetFixture, image_bytes
from tests.db.test_sync_together import BOB
from tests.memory_store import MemoryStore


@pytest.fixture(params=["local", "memory"])
async def dataset(request: pytest.FixtureRequest, database: Database, tmp_path: Path) -> DatasetFixture:
    made = await (
        dataset_fixture.local(database, tmp_path) if request.param == "local" else dataset_fixture.memory(database)
    )
    for name in ("a", "b"):
        made.put(f"{name}.png")
        made.put(f"{name}.txt", "cat")
    await made.sync()
    return made


async def delete_with_source(dataset: DatasetFixture, path: str) -> int:
    """Delete a sample with its source; the change's id."""
    selected = Selection(ids=[(await dataset.sample(path))["id"]])

    async def work(session: AsyncSession) -> Deleted:
        return await delete(session, dataset.dataset_id, selected, by=BOB, delete_sources=True)

    change = (await transactions.write(dataset.database, work, Deleted)).change
    assert change is not None
    return change


def open_store(dataset: DatasetFixture) -> Callable[[str], Store]:
    return lambda _: dataset.store


async def files(dataset: DatasetFixture) -> list[str]:
    return sorted([found.path async for page in dataset.store.pages() for found in page.objects])


async def open_intents(dataset: DatasetFixture) -> int:
    return len(await dataset.rows("SELECT id FROM source_deletion WHERE finished_at IS NULL"))


async def test_deletes_the_file_and_its_sidecar(dataset: DatasetFixture) -> None:
    change = await delete_with_source(dataset, "a.png")
    assert await files(dataset) == ["a.png", "a.txt", "b.png", "b.txt"]
    result = await delete_objects(dataset.database, open_store(dataset), change_id=change)
    assert (result.deleted, result.failures) == (1, ())
    assert await files(dataset) == ["b.png", "b.txt"]
    assert await open_intents(dataset) == 0
    again = await delete_objects(dataset.database, open_store(dataset), change_id=change)
    assert again.deleted == 0
    assert (await dataset.sync())["removed"] == 0


async def test_a_sidecar_that_another_image_needs_stays(dataset: DatasetFixture) -> None:
    dataset.put("a.jpg", image_bytes(form="JPEG"))
    dataset.put("a.b.png")
    await dataset.sync()
    await delete_objects(dataset.database, open_store(dataset), change_id=await delete_with_source(dataset, "a.png"))
    assert "a.txt" in await files(dataset)
    await delete_objects(dataset.database, open_store(dataset), change_id=await delete_with_source(dataset, "a.jpg"))
    assert "a.txt" not in await files(dataset)


async def test_a_file_that_was_replaced_is_left_alone_and_comes_back_as_new(dataset: DatasetFixture) -> None:
    change = await delete_with_source(dataset, "a.png")
    dataset.put("a.png")
    result = await delete_objects(dataset.database, open_store(dataset), change_id=change)
    assert [failure.path for failure in result.failures] == ["a.png"]
    assert "replaced" in result.failures[0].message
    assert "a.png" in await files(dataset)
    assert await open_intents(dataset) == 0
    assert (await dataset.sync())["added"] == 1


async def test_a_file_that_is_gone_already_counts_as_deleted(dataset: DatasetFixture) -> None:
    change = await delete_with_source(dataset, "a.png")
    dataset.remove("a.png")
    assert (await delete_objects(dataset.database, open_store(dataset), change_id=change)).deleted == 1


async def test_a_failure_is_reported_and_tried_again_later(database: Database) -> None:
    dataset = await dataset_fixture.memory(database)
    store = cast(MemoryStore, dataset.store)
    dataset.put("a.png")
    await dataset.sync()
    change = await delete_with_source(dataset, "a.png")
    store.broken = True
    result = await delete_objects(dataset.database, open_store(dataset), change_id=change)
    assert [failure.path for failure in result.failures] == ["a.png"]
    assert await open_intents(dataset) == 1
    store.broken = False
    assert (await dataset.sync())["added"] == 0
    assert (await delete_objects(dataset.database, open_store(dataset))).deleted == 0, "it waits before it tries again"
    await dataset.do("UPDATE source_deletion SET retry_at = now(), created_at = now() - interval '1 min'")
    assert (await delete_objects(dataset.database, open_store(dataset))).deleted == 1
    assert store.contents == {}


async def test_a_crash_at_any_step_is_repaired(database: Database) -> None:
    step, died = 0, True
    while died:
        dataset = await dataset_fixture.memory(database)
        store = cast(MemoryStore, dataset.store)
        for name in ("a", "b", "c"):
            dataset.put(f"{name}.png")
            dataset.put(f"{name}.txt", "cat")
        await dataset.sync()
        change = await delete_with_source(dataset, "a.png")
        crashing_database, crashing_store = crashing(database, store, CrashPoint(step))
        try:
            await delete_objects(crashing_database, lambda _, store=crashing_store: store, change_id=change)  # type: ignore[misc]
            died = False
        except (Crash, StorageError):
            await dataset.sync()
            await dataset.do("UPDATE source_deletion SET retry_at = now(), created_at = now() - interval '1 min'")
            await delete_objects(database, open_store(dataset))
        assert sorted(store.contents) == ["b.png", "b.txt", "c.png", "c.txt"], f"after a death at step {step}"
        assert list(await dataset.labels()) == ["b.png", "c.png"]
        assert (await dataset.sync())["added"] == 0
        step += 1
    assert step > 5
    assert object_deletion.BATCH > 1
