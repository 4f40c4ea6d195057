"""Samples belong to pictures: what a sync makes of files that were renumbered, swapped or copied over."""

import itertools
from pathlib import Path
from threading import Lock
from typing import Any

import pytest

from db.datasets import check
from db.errors import StorageError
from db.ingest.sync import moves, stages
from db.postgres.engine import Database
from db.storage import LocalStore, MemoryStore, ObjectMissing, Page
from tests.db import world
from tests.db.deaths import Life
from tests.db.test_sync_crashes import live, recover, state
from tests.db.world import World, counted, picture

FOUR = ("001.png", "002.png", "003.png", "004.png")


async def labelled(place: World, *paths: str, by_hand: bool = True) -> dict[str, int]:
    """Samples of different pictures, each with a label of its own. Their ids by path."""
    for path in paths:
        place.put(path)
        if not by_hand:
            place.put(path.replace(".png", ".txt"), _label(path))
    await place.sync()
    for path in paths if by_hand else ():
        await place.label_by_hand(path, _label(path))
    return await ids(place)


def _label(path: str) -> str:
    return "L" + "".join(filter(str.isalnum, path.removesuffix(".png")))


async def ids(place: World) -> dict[str, int]:
    rows = await place.rows("SELECT path, id FROM sample WHERE dataset_id = $1", place.dataset_id)
    return {row["path"]: row["id"] for row in rows}


async def expect_true_counts(place: World) -> None:
    async with place.database.reading() as connection:
        wrong = await check.recount(connection, place.dataset_id)
    assert [line for line in wrong if "revision" not in line] == []


@pytest.mark.parametrize("by_hand", [True, False])
async def test_labels_follow_files_that_were_renumbered(place: World, by_hand: bool) -> None:
    before = await labelled(place, *FOUR, by_hand=by_hand)
    place.rearrange({"001.png": "002.png", "002.png": "003.png", "003.png": "004.png"})
    place.remove("004.png")
    job = await place.sync()
    assert counted(job, moved=3, removed=1)
    assert await place.labels() == {"001.png": ["L002"], "002.png": ["L003"], "003.png": ["L004"]}
    assert await ids(place) == {path: before[origin] for path, origin in itertools.pairwise(FOUR)}
    assert (await place.changes())[-1] == "Sync: 3 moved, 1 removed"
    past = await place.rows("SELECT path FROM sample_past WHERE until = (SELECT max(revision) FROM change) ORDER BY 1")
    assert [row["path"] for row in past] == list(FOUR), "history keeps each path as it was"
    assert counted(await place.sync())
    await expect_true_counts(place)


@pytest.mark.parametrize("length", [2, 3, 7])
async def test_labels_follow_files_in_a_ring(place: World, length: int) -> None:
    paths = [f"{number}.png" for number in range(length)]
    before = await labelled(place, *paths)
    ring = dict(zip(paths, [*paths[1:], paths[0]], strict=True))
    place.rearrange(ring)
    assert counted(await place.sync(), moved=length)
    assert await ids(place) == {path: before[origin] for path, origin in ring.items()}
    assert await place.labels() == {path: [_label(origin)] for path, origin in ring.items()}
    assert counted(await place.sync())


async def test_a_ring_longer_than_a_batch_is_one_change(place: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stages, "BATCH", 4)
    monkeypatch.setattr(moves, "BATCH", 4)
    paths = [f"{number:02}.png" for number in range(30)]
    before = await labelled(place, *paths)
    ring = dict(zip(paths, [*paths[1:], paths[0]], strict=True))
    place.rearrange(ring)
    changes = len(await place.changes())
    assert counted(await place.sync(), moved=30)
    assert (await place.changes())[changes:] == ["Sync: 30 moved"]
    assert await ids(place) == {path: before[origin] for path, origin in ring.items()}


async def test_a_moved_file_may_leave_its_place_to_another(place: World) -> None:
    before = await labelled(place, "a.png")
    place.move("a.png", "b.png")
    place.put("a.png")
    assert counted(await place.sync(), moved=1, added=1)
    assert await place.labels() == {"a.png": [], "b.png": ["La"]}
    assert (await ids(place))["b.png"] == before["a.png"]


async def test_a_copy_in_anothers_place_is_a_new_sample_without_its_labels(place: World) -> None:
    before = await labelled(place, "001.png", "002.png")
    place.rearrange({"002.png": "001.png"})
    job = await place.sync()
    assert counted(job, added=1, removed=1)
    assert await place.labels() == {"001.png": ["L001"], "002.png": []}
    after = await ids(place)
    assert after["001.png"] == before["001.png"]
    assert after["002.png"] != before["002.png"]
    [(path, message)] = await place.warnings(job["id"])
    assert path == "002.png"
    assert "copy of `001.png`" in message
    assert counted(await place.sync())


async def test_unknown_content_in_a_place_keeps_its_labels(place: World) -> None:
    before = await labelled(place, "a.png", "b.png")
    place.put("a.png")
    assert counted(await place.sync(), updated=1)
    assert await place.labels() == {"a.png": ["La"], "b.png": ["Lb"]}
    assert await ids(place) == before


async def test_equal_pictures_are_matched_by_name_and_then_by_path(place: World) -> None:
    for path in ("x/1.png", "x/2.png", "x/3.png"):
        place.put(path, picture("red"))
    await place.sync()
    before = await ids(place)
    place.move("x/1.png", "y/b.png")
    place.move("x/2.png", "y/a.png")
    place.move("x/3.png", "y/3.png")
    assert counted(await place.sync(), moved=3)
    assert await ids(place) == {
        "y/3.png": before["x/3.png"], "y/a.png": before["x/1.png"], "y/b.png": before["x/2.png"],
    }  # fmt: skip


async def test_sidecars_that_move_with_their_images_change_nothing(place: World) -> None:
    before = await labelled(place, *FOUR, by_hand=False)
    ring = dict(zip(FOUR, [*FOUR[1:], FOUR[0]], strict=True))
    place.rearrange(ring)
    place.rearrange({path.replace("png", "txt"): origin.replace("png", "txt") for path, origin in ring.items()})
    assert counted(await place.sync(), moved=4)
    assert await place.labels() == {path: [_label(origin)] for path, origin in ring.items()}
    assert await ids(place) == {path: before[origin] for path, origin in ring.items()}
    assert counted(await place.sync())


async def test_a_sidecar_that_stayed_does_not_label_what_moved_there(place: World) -> None:
    await labelled(place, "001.png", "002.png", by_hand=False)
    place.rearrange({"001.png": "002.png"})
    place.remove("002.png")
    assert counted(await place.sync(), moved=1, removed=1)
    assert await place.labels() == {"001.png": ["L002"]}
    assert counted(await place.sync()), "nor does it later"
    place.put("001.txt", "new")
    assert counted(await place.sync(), updated=1)
    assert await place.labels() == {"001.png": ["new"]}


async def test_a_new_sidecar_at_the_new_place_labels_what_no_person_labelled(place: World) -> None:
    await labelled(place, "a.png", by_hand=False)
    await labelled(place, "b.png")
    place.move("a.png", "c/a.png")
    place.move("b.png", "c/b.png")
    place.put("c/a.txt", "said")
    place.put("c/b.txt", "said")
    assert counted(await place.sync(), moved=2, updated=1)
    assert await place.labels() == {"c/a.png": ["said"], "c/b.png": ["Lb"]}


async def test_a_deleted_sample_stays_deleted_when_its_file_moves(place: World) -> None:
    await labelled(place, "a.png", "b.png")
    await place.delete_by_hand("a.png")
    place.rearrange({"a.png": "b.png", "b.png": "a.png"})
    assert counted(await place.sync(), moved=1)
    assert await place.labels() == {"a.png": ["Lb"]}
    assert counted(await place.sync())
    assert counted(await place.sync(restore_removed=True), added=1)


async def test_a_sync_that_removes_nothing_missing_moves_all_the_same(place: World) -> None:
    before = await labelled(place, "a.png", "b.png", "c.png")
    place.rearrange({"a.png": "b.png", "b.png": "a.png"})
    place.remove("c.png")
    assert counted(await place.sync(remove_missing=False), moved=2)
    after = await ids(place)
    assert after == {"a.png": before["b.png"], "b.png": before["a.png"], "c.png": before["c.png"]}


async def test_nothing_gives_way_while_a_directory_cannot_be_read(database: Database) -> None:
    place = await world.memory(database)
    assert isinstance(place.store, MemoryStore)
    await labelled(place, *FOUR, "closed/a.png")
    before = await ids(place)
    place.rearrange({"001.png": "002.png", "002.png": "003.png", "003.png": "004.png"})
    place.remove("004.png")
    listed = place.store.pages

    async def pages() -> Any:
        async for page in listed():
            yield Page([one for one in page.objects if not one.path.startswith("closed/")], ("closed",))

    place.store.pages = pages  # type: ignore[method-assign]
    job = await place.sync()
    assert counted(job, skipped=3)
    assert await ids(place) == before
    assert await place.labels() == {path: [_label(path)] for path in before}
    del place.store.pages
    assert counted(await place.sync(), moved=3, removed=1)
    assert await place.labels() == {
        "001.png": ["L002"], "002.png": ["L003"], "003.png": ["L004"], "closed/a.png": ["Lcloseda"],
    }  # fmt: skip


class Shy(LocalStore):
    """A directory in which some files cannot be read."""

    shut: tuple[str, ...] = ()

    def _head(self, path: str, length: int) -> Any:
        if path in self.shut:
            raise StorageError("The store could not do it: Permission denied.")
        return super()._head(path, length)


@pytest.mark.parametrize("shut", ["moved.png", "covered.png"])
async def test_what_cannot_be_read_is_not_what_has_vanished(database: Database, tmp_path: Path, shut: str) -> None:
    store = Shy(tmp_path)
    place = await world.make(database, store, tmp_path)
    await labelled(place, "a.png", "b.png")
    place.move("a.png", "moved.png")
    if shut == "covered.png":
        place.move("moved.png", "covered.png")
        place.move("b.png", "a.png")
    store.shut = (shut,)
    job = await place.sync()
    assert job["removed"] == 0
    store.shut = ()
    await place.sync()
    labels = await place.labels()
    assert labels[shut] == ["La"]
    assert labels.get("b.png", labels.get("a.png")) == ["Lb"]


async def test_a_file_that_goes_while_it_is_looked_at_costs_no_label(database: Database, tmp_path: Path) -> None:
    class Hurried(LocalStore):
        def _head(self, path: str, length: int) -> Any:
            if path == "a.png":
                raise ObjectMissing
            return super()._head(path, length)

    place = await world.local(database, tmp_path)
    before = await labelled(place, "a.png")
    place.put("b.png", (tmp_path / "a.png").read_bytes())
    place.touch("a.png")
    place.store = Hurried(tmp_path)
    assert counted(await place.sync(), moved=1)
    assert await ids(place) == {"b.png": before["a.png"]}


class Restless(LocalStore):
    """A directory in which somebody renames all files in a ring whenever one was read, so many times."""

    times = 0
    renaming = Lock()

    def rename(self) -> None:
        paths = sorted(self.root.glob("*.png"))
        for path in paths:
            path.rename(path.with_suffix(".moving"))
        for path, after in zip(paths, [*paths[1:], paths[0]], strict=True):
            path.with_suffix(".moving").rename(after)

    def _head(self, path: str, length: int) -> Any:
        with self.renaming:
            head = super()._head(path, length)
            if self.times:
                self.times -= 1
                self.rename()
            return head


@pytest.mark.parametrize("times", [1, 2, 3, 1_000])
async def test_labels_follow_files_that_are_renamed_while_they_are_read(
    database: Database, tmp_path: Path, times: int
) -> None:
    store = Restless(tmp_path)
    place = await world.make(database, store, tmp_path)
    before = await labelled(place, *(f"{number}.png" for number in range(7)))
    pictures = {(tmp_path / path).read_bytes(): id for path, id in before.items()}
    store.rename()
    store.times = times
    await place.sync()
    store.times = 0
    await place.sync()
    assert {path: pictures[(tmp_path / path).read_bytes()] for path in before} == await ids(place)
    assert sorted(await place.labels()) == sorted(before)
    assert counted(await place.sync())


async def rearranged(database: Database, folder: Path) -> World:
    """On a local disk, where contents must be read before anything can be matched."""
    folder.mkdir()
    place = await world.local(database, folder)
    names = [f"{kind}{number}" for kind in ("ring", "chain") for number in range(4)] + [
        "swap0",
        "swap1",
        "kept",
        "gone",
    ]
    for number, name in enumerate(names):
        place.put(f"{name}.png", picture((number, 1, 1)))
        place.put(f"{name}.txt", name)
    await place.sync()
    place.rearrange({"swap0.png": "swap1.png", "swap1.png": "swap0.png", "gone.png": "kept.png"})
    place.rearrange({f"ring{number}.png": f"ring{(number + 1) % 4}.png" for number in range(4)})
    place.rearrange({f"chain{number}.png": f"chain{number + 1}.png" for number in range(3)})
    place.remove("chain3.png")
    place.put("new.png", picture((99, 9, 9)))
    return place


async def test_a_death_at_any_step_of_a_renumbering_leaves_no_trace(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stages, "BATCH", 3)
    monkeypatch.setattr(moves, "BATCH", 3)
    place = await rearranged(database, tmp_path / "clean")
    job_id = await place.start()
    assert await live(place, job_id, Life())
    clean = await state(place, job_id)
    assert clean["counters"] | {"scanned": 0} == {
        "scanned": 0, "ignored": 1, "added": 2, "updated": 0, "removed": 2, "moved": 9, "skipped": 0,
    }  # fmt: skip
    for step in itertools.count():
        place = await rearranged(database, tmp_path / str(step))
        job_id = await place.start()
        if await live(place, job_id, Life(step)):
            break
        if step % 2:
            await place.do("TRUNCATE sync_item, sync_object")  # as a crash of Postgres does
        await recover(place, job_id)
        assert await state(place, job_id) == clean, f"after a death at step {step}"
    assert step > 25, "the scenario has become too small to tell anything"
