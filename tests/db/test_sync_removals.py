"""What a sync removes: not too much unasked, and nothing that undoing does not bring back."""

from typing import Any

import pytest
from sqlmodel.ext.asyncio.session import AsyncSession

from db.errors import Conflict
from db.history import transactions
from db.history.undo import Undone, undo
from db.identity.tokens import Identity, Scope
from db.ingest.sync.options import Guard
from tests.db.test_sync_moves import FOUR, expect_true_counts, ids, labelled
from tests.db.world import World, counted, picture

BOB = Identity("bob", Scope.MANAGE, token_id=2)


async def run(place: World, guard: Guard, **options: Any) -> int:
    job_id = await place.start(**options)
    await place.work(job_id, guard)
    return job_id


async def many(place: World, number: int) -> None:
    for index in range(number):
        place.put(f"{index:03}.png", picture((index, 0, 0)))
    await place.sync()


async def test_an_emptied_folder_removes_nothing_unasked(place: World) -> None:
    await many(place, 21)
    before = await place.labels()
    for index in range(21):
        place.remove(f"{index:03}.png")
    place.put("new.png")
    changes = await place.changes()
    with pytest.raises(Conflict) as raised:
        await place.sync()
    assert raised.value.code == "TOO_MANY_REMOVED"
    assert raised.value.details == {"wouldRemove": 21, "samples": 21}
    assert await place.labels() == before
    assert await place.changes() == changes
    await place.do("UPDATE job SET status = 'FAILED' WHERE status = 'RUNNING'")
    assert counted(await place.sync(remove_many=True), added=1, removed=21)


async def test_half_of_a_dataset_or_a_small_one_goes_unasked(place: World) -> None:
    await many(place, 22)
    for index in range(11):
        place.remove(f"{index:03}.png")
    assert counted(await place.sync(), removed=11)
    for index in range(11, 22):
        place.remove(f"{index:03}.png")
    assert counted(await place.sync(), removed=11)


async def test_what_moved_is_not_removed_and_what_gave_way_is(place: World) -> None:
    await many(place, 8)
    for index in range(8):
        place.move(f"{index:03}.png", f"there/{index:03}.png")
    guard = Guard(percent=0, samples=0)
    assert counted(await place.job(await run(place, guard)), moved=8)
    place.rearrange({"there/000.png": "there/001.png"})
    with pytest.raises(Conflict) as raised:
        await run(place, guard)
    assert raised.value.details == {"wouldRemove": 1, "samples": 8}


async def test_what_stays_when_missing_is_not_counted(place: World) -> None:
    await many(place, 21)
    for index in range(21):
        place.remove(f"{index:03}.png")
    assert counted(await place.sync(remove_missing=False))


async def undo_last(place: World, summary: str = "%") -> None:
    """Undo the last change that is described like this."""
    [last] = await place.rows("SELECT id FROM change WHERE summary LIKE $1 ORDER BY id DESC LIMIT 1", summary)

    async def work(session: AsyncSession) -> Undone:
        return await undo(session, last["id"], by=BOB)

    await transactions.write(place.database, work, Undone)


async def test_removing_many_is_undone_at_once(place: World) -> None:
    await many(place, 21)
    before = await ids(place)
    for index in range(21):
        place.remove(f"{index:03}.png")
    await place.sync(remove_many=True)
    assert await ids(place) == {}
    await undo_last(place)
    assert await ids(place) == before


async def test_what_gave_way_to_a_copy_comes_back_by_undoing(place: World) -> None:
    before = await labelled(place, "001.png", "002.png")
    place.rearrange({"002.png": "001.png"})
    await place.sync()
    await undo_last(place)
    assert await place.labels() == {"001.png": ["L001"]}
    await undo_last(place, "Sync: 1 removed")
    assert await ids(place) == before
    assert await place.labels() == {"001.png": ["L001"], "002.png": ["L002"]}


async def test_what_gave_way_to_a_moved_file_comes_back_when_there_is_room(place: World) -> None:
    before = await labelled(place, *FOUR)
    place.rearrange({"001.png": "002.png", "002.png": "003.png", "003.png": "004.png"})
    place.remove("004.png")
    await place.sync()
    with pytest.raises(Conflict) as raised:
        await undo_last(place)
    assert "`001.png`" in raised.value.message
    place.move("001.png", "005.png")
    await place.sync()
    await undo_last(place, "Sync: 3 moved, 1 removed")
    assert (await ids(place))["001.png"] == before["001.png"]
    assert (await place.labels())["001.png"] == ["L001"]
    await expect_true_counts(place)


async def test_undoing_a_swap_leaves_samples_where_their_files_are(place: World) -> None:
    await labelled(place, "a.png", "b.png")
    place.rearrange({"a.png": "b.png", "b.png": "a.png"})
    await place.sync()
    await undo_last(place)
    assert await place.labels() == {"a.png": ["Lb"], "b.png": ["La"]}
    assert counted(await place.sync())
