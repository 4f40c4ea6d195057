"""What a sync removes: not too much unless requested, and undoing brings everything back."""

from pathlib import Path
from typing import Any

import pytest
from sqlmodel.ext.asyncio.session import AsyncSession

from db.errors import Conflict
from db.history import transactions, versions
from db.history.undo import Undone, undo
from db.identity.tokens import Identity, Scope
from db.ingest.sync.options import Guard
from db.postgres.engine import Database
from tests.db import dataset_fixture
from tests.db.dataset_fixture import DatasetFixture, counted, image_bytes
from tests.db.images import jpeg, noise_image
from tests.db.test_sync_moves import FOUR, expect_true_counts, ids, labelled

BOB = Identity("bob", Scope.MANAGE, token_id=2)


async def run(dataset: DatasetFixture, guard: Guard, **options: Any) -> int:
    job_id = await dataset.start(**options)
    await dataset.work(job_id, guard)
    return job_id


async def many(dataset: DatasetFixture, number: int) -> None:
    for index in range(number):
        dataset.put(f"{index:03}.png", image_bytes((index, 0, 0)))
    await dataset.sync()


async def test_an_emptied_folder_removes_nothing_unasked(dataset: DatasetFixture) -> None:
    await many(dataset, 21)
    before = await dataset.labels()
    for index in range(21):
        dataset.remove(f"{index:03}.png")
    dataset.put("new.png")
    changes = await dataset.changes()
    with pytest.raises(Conflict) as raised:
        await dataset.sync()
    assert raised.value.code == "TOO_MANY_REMOVED"
    assert raised.value.details == {"wouldRemove": 21, "samples": 21}
    assert await dataset.labels() == before
    assert await dataset.changes() == changes
    await dataset.do("UPDATE job SET status = 'FAILED' WHERE status = 'RUNNING'")
    assert counted(await dataset.sync(remove_many=True), added=1, removed=21)


async def test_half_of_a_dataset_or_a_small_one_goes_unasked(dataset: DatasetFixture) -> None:
    await many(dataset, 22)
    for index in range(11):
        dataset.remove(f"{index:03}.png")
    assert counted(await dataset.sync(), removed=11)
    for index in range(11, 22):
        dataset.remove(f"{index:03}.png")
    assert counted(await dataset.sync(), removed=11)


async def test_what_moved_is_not_removed_and_what_gave_way_is(dataset: DatasetFixture) -> None:
    await many(dataset, 8)
    for index in range(8):
        dataset.move(f"{index:03}.png", f"there/{index:03}.png")
    guard = Guard(percent=0, samples=0)
    assert counted(await dataset.job(await run(dataset, guard)), moved=8)
    dataset.rearrange({"there/000.png": "there/001.png"})
    with pytest.raises(Conflict) as raised:
        await run(dataset, guard)
    assert raised.value.details == {"wouldRemove": 1, "samples": 8}


async def test_what_stays_when_missing_is_not_counted(dataset: DatasetFixture) -> None:
    await many(dataset, 21)
    for index in range(21):
        dataset.remove(f"{index:03}.png")
    assert counted(await dataset.sync(remove_missing=False))


async def undo_last(dataset: DatasetFixture, summary: str = "%") -> None:
    """Undo the last change that is described like this."""
    [last] = await dataset.rows("SELECT id FROM change WHERE summary LIKE $1 ORDER BY id DESC LIMIT 1", summary)

    async def work(session: AsyncSession) -> Undone:
        return await undo(session, last["id"], by=BOB)

    await transactions.write(dataset.database, work, Undone)


async def test_removing_many_is_undone_at_once(dataset: DatasetFixture) -> None:
    await many(dataset, 21)
    before = await ids(dataset)
    for index in range(21):
        dataset.remove(f"{index:03}.png")
    await dataset.sync(remove_many=True)
    assert await ids(dataset) == {}
    await undo_last(dataset)
    assert await ids(dataset) == before


async def test_what_gave_way_to_a_copy_comes_back_by_undoing(dataset: DatasetFixture) -> None:
    before = await labelled(dataset, "001.png", "002.png")
    dataset.rearrange({"002.png": "001.png"})
    await dataset.sync()
    await undo_last(dataset)
    assert await dataset.labels() == {"001.png": ["L001"]}
    await undo_last(dataset, "Sync: 1 removed")
    assert await ids(dataset) == before
    assert await dataset.labels() == {"001.png": ["L001"], "002.png": ["L002"]}


async def test_what_gave_way_to_a_moved_file_comes_back_when_there_is_room(dataset: DatasetFixture) -> None:
    before = await labelled(dataset, *FOUR)
    dataset.rearrange({"001.png": "002.png", "002.png": "003.png", "003.png": "004.png"})
    dataset.remove("004.png")
    await dataset.sync()
    with pytest.raises(Conflict) as raised:
        await undo_last(dataset)
    assert "`001.png`" in raised.value.message
    dataset.move("001.png", "005.png")
    await dataset.sync()
    await undo_last(dataset, "Sync: 3 moved, 1 removed")
    assert (await ids(dataset))["001.png"] == before["001.png"]
    assert (await dataset.labels())["001.png"] == ["L001"]
    await expect_true_counts(dataset)


async def test_undoing_a_swap_leaves_samples_where_their_files_are(dataset: DatasetFixture) -> None:
    await labelled(dataset, "a.png", "b.png")
    dataset.rearrange({"a.png": "b.png", "b.png": "a.png"})
    await dataset.sync()
    await undo_last(dataset)
    assert await dataset.labels() == {"a.png": ["Lb"], "b.png": ["La"]}
    assert counted(await dataset.sync())


@pytest.mark.parametrize("by", ["undo", "switch"])
async def test_files_that_were_rewritten_while_they_exchanged_their_paths(
    database: Database, tmp_path: Path, by: str
) -> None:
    dataset = await dataset_fixture.local(database, tmp_path)
    paths = ["a.jpg", "b.jpg", "c.jpg"]
    images = [noise_image(size=(16 + number, 16)) for number in range(3)]
    for path, image in zip(paths, images, strict=True):
        dataset.put(path, jpeg(image=image))
    await dataset.sync()
    before = await ids(dataset)
    version = await transactions.write(
        database, lambda session: versions.publish(session, dataset.dataset_id, by=BOB), versions.Published
    )
    for path, image in zip(paths[1:] + paths[:1], images, strict=True):
        dataset.put(path, jpeg((0xE1, b"rewritten"), image=image))
    assert counted(await dataset.sync(), moved=3)
    after = await ids(dataset)
    assert [after[path] for path in paths[1:] + paths[:1]] == [before[path] for path in paths]
    if by == "undo":
        await undo_last(dataset)
    else:
        await transactions.write(
            database,
            lambda session: versions.switch(session, version.version, by=BOB, on_unpublished="DISCARD"),
            versions.Switched,
        )
    assert await ids(dataset) == before
    await expect_true_counts(dataset)
    assert counted(await dataset.sync(), moved=3)
    assert await ids(dataset) == after
