"""Samples belong to pictures: how a sync follows files that were renumbered, swapped or copied over."""

import itertools
from pathlib import Path
from threading import Lock
from typing import Any

import pytest

from db.datasets import check
from db.errors import StorageError
from db.ingest.sync import moves, stages
from db.postgres.engine import Database
from db.storage import LocalStore, ObjectMissing, Page
from db.storage.objects import ALL, Scope
from tests.db import dataset_fixture
from tests.db.crash_injection import CrashPoint, empty_unlogged_tables
from tests.db.dataset_fixture import DatasetFixture, counted, image_bytes
from tests.db.test_sync_crashes import live, recover, state
from tests.memory_store import MemoryStore

FOUR = ("001.png", "002.png", "003.png", "004.png")


async def labelled(dataset: DatasetFixture, *paths: str, by_hand: bool = True) -> dict[str, int]:
    """Samples of different pictures, each with a label of its own. Their ids by path."""
    for path in paths:
        dataset.put(path)
        if not by_hand:
            dataset.put(path.replace(".png", ".txt"), _label(path))
    await dataset.sync()
    for path in paths if by_hand else ():
        await dataset.label_by_hand(path, _label(path))
    return await ids(dataset)


def _label(path: str) -> str:
    return "L" + "".join(filter(str.isalnum, path.removesuffix(".png")))


async def ids(dataset: DatasetFixture) -> dict[str, int]:
    rows = await dataset.rows("SELECT path, id FROM sample WHERE dataset_id = $1", dataset.dataset_id)
    return {row["path"]: row["id"] for row in rows}


async def expect_true_counts(dataset: DatasetFixture) -> None:
    async with dataset.database.reading() as connection:
        wrong = await check.recount(connection, dataset.dataset_id)
    assert [line for line in wrong if "revision" not in line] == []


@pytest.mark.parametrize("by_hand", [True, False])
async def test_labels_follow_files_that_were_renumbered(dataset: DatasetFixture, by_hand: bool) -> None:
    before = await labelled(dataset, *FOUR, by_hand=by_hand)
    dataset.rearrange({"001.png": "002.png", "002.png": "003.png", "003.png": "004.png"})
    dataset.remove("004.png")
    job = await dataset.sync()
    assert counted(job, moved=3, removed=1)
    assert await dataset.labels() == {"001.png": ["L002"], "002.png": ["L003"], "003.png": ["L004"]}
    assert await ids(dataset) == {path: before[origin] for path, origin in itertools.pairwise(FOUR)}
    assert (await dataset.changes())[-1] == "Sync: 3 moved, 1 removed"
    past = await dataset.rows(
        "SELECT path FROM sample_past WHERE until = (SELECT max(revision) FROM change) ORDER BY 1"
    )
    assert [row["path"] for row in past] == list(FOUR), "history keeps each path as it was"
    assert counted(await dataset.sync())
    await expect_true_counts(dataset)


@pytest.mark.parametrize("length", [2, 3, 7])
async def test_labels_follow_files_in_a_ring(dataset: DatasetFixture, length: int) -> None:
    paths = [f"{number}.png" for number in range(length)]
    before = await labelled(dataset, *paths)
    ring = dict(zip(paths, [*paths[1:], paths[0]], strict=True))
    dataset.rearrange(ring)
    assert counted(await dataset.sync(), moved=length)
    assert await ids(dataset) == {path: before[origin] for path, origin in ring.items()}
    assert await dataset.labels() == {path: [_label(origin)] for path, origin in ring.items()}
    assert counted(await dataset.sync())


async def test_a_ring_longer_than_a_batch_is_one_change(
    dataset: DatasetFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stages, "BATCH", 4)
    monkeypatch.setattr(moves, "BATCH", 4)
    paths = [f"{number:02}.png" for number in range(30)]
    before = await labelled(dataset, *paths)
    ring = dict(zip(paths, [*paths[1:], paths[0]], strict=True))
    dataset.rearrange(ring)
    changes = len(await dataset.changes())
    assert counted(await dataset.sync(), moved=30)
    assert (await dataset.changes())[changes:] == ["Sync: 30 moved"]
    assert await ids(dataset) == {path: before[origin] for path, origin in ring.items()}


async def test_a_moved_file_may_leave_its_place_to_another(dataset: DatasetFixture) -> None:
    before = await labelled(dataset, "a.png")
    dataset.move("a.png", "b.png")
    dataset.put("a.png")
    assert counted(await dataset.sync(), moved=1, added=1)
    assert await dataset.labels() == {"a.png": [], "b.png": ["La"]}
    assert (await ids(dataset))["b.png"] == before["a.png"]


async def test_a_copy_in_anothers_place_is_a_new_sample_without_its_labels(dataset: DatasetFixture) -> None:
    before = await labelled(dataset, "001.png", "002.png")
    dataset.rearrange({"002.png": "001.png"})
    job = await dataset.sync()
    assert counted(job, added=1, removed=1)
    assert await dataset.labels() == {"001.png": ["L001"], "002.png": []}
    after = await ids(dataset)
    assert after["001.png"] == before["001.png"]
    assert after["002.png"] != before["002.png"]
    [(path, message)] = await dataset.warnings(job["id"])
    assert path == "002.png"
    assert "copy of `001.png`" in message
    assert counted(await dataset.sync())


async def test_unknown_content_in_a_place_keeps_its_labels(dataset: DatasetFixture) -> None:
    before = await labelled(dataset, "a.png", "b.png")
    dataset.put("a.png")
    assert counted(await dataset.sync(), updated=1)
    assert await dataset.labels() == {"a.png": ["La"], "b.png": ["Lb"]}
    assert await ids(dataset) == before


async def test_equal_pictures_are_matched_by_name_and_then_by_path(dataset: DatasetFixture) -> None:
    for path in ("x/1.png", "x/2.png", "x/3.png"):
        dataset.put(path, image_bytes("red"))
    await dataset.sync()
    before = await ids(dataset)
    dataset.move("x/1.png", "y/b.png")
    dataset.move("x/2.png", "y/a.png")
    dataset.move("x/3.png", "y/3.png")
    assert counted(await dataset.sync(), moved=3)
    assert await ids(dataset) == {
        "y/3.png": before["x/3.png"], "y/a.png": before["x/1.png"], "y/b.png": before["x/2.png"],
    }  # fmt: skip


async def test_sidecars_that_move_with_their_images_change_nothing(dataset: DatasetFixture) -> None:
    before = await labelled(dataset, *FOUR, by_hand=False)
    ring = dict(zip(FOUR, [*FOUR[1:], FOUR[0]], strict=True))
    dataset.rearrange(ring)
    dataset.rearrange({path.replace("png", "txt"): origin.replace("png", "txt") for path, origin in ring.items()})
    assert counted(await dataset.sync(), moved=4)
    assert await dataset.labels() == {path: [_label(origin)] for path, origin in ring.items()}
    assert await ids(dataset) == {path: before[origin] for path, origin in ring.items()}
    assert counted(await dataset.sync())


async def test_a_sidecar_that_stayed_does_not_label_what_moved_there(dataset: DatasetFixture) -> None:
    await labelled(dataset, "001.png", "002.png", by_hand=False)
    dataset.rearrange({"001.png": "002.png"})
    dataset.remove("002.png")
    assert counted(await dataset.sync(), moved=1, removed=1)
    assert await dataset.labels() == {"001.png": ["L002"]}
    assert counted(await dataset.sync()), "nor does it later"
    dataset.put("001.txt", "new")
    assert counted(await dataset.sync(), updated=1)
    assert await dataset.labels() == {"001.png": ["new"]}


async def test_a_new_sidecar_at_the_new_place_labels_what_no_person_labelled(dataset: DatasetFixture) -> None:
    await labelled(dataset, "a.png", by_hand=False)
    await labelled(dataset, "b.png")
    dataset.move("a.png", "c/a.png")
    dataset.move("b.png", "c/b.png")
    dataset.put("c/a.txt", "said")
    dataset.put("c/b.txt", "said")
    assert counted(await dataset.sync(), moved=2, updated=1)
    assert await dataset.labels() == {"c/a.png": ["said"], "c/b.png": ["Lb"]}


async def test_a_deleted_sample_stays_deleted_when_its_file_moves(dataset: DatasetFixture) -> None:
    await labelled(dataset, "a.png", "b.png")
    await dataset.delete_by_hand("a.png")
    dataset.rearrange({"a.png": "b.png", "b.png": "a.png"})
    assert counted(await dataset.sync(), moved=1)
    assert await dataset.labels() == {"a.png": ["Lb"]}
    assert counted(await dataset.sync())
    assert counted(await dataset.sync(restore_removed=True), added=1)


async def test_a_sync_that_removes_nothing_missing_moves_all_the_same(dataset: DatasetFixture) -> None:
    before = await labelled(dataset, "a.png", "b.png", "c.png")
    dataset.rearrange({"a.png": "b.png", "b.png": "a.png"})
    dataset.remove("c.png")
    assert counted(await dataset.sync(remove_missing=False), moved=2)
    after = await ids(dataset)
    assert after == {"a.png": before["b.png"], "b.png": before["a.png"], "c.png": before["c.png"]}


async def test_nothing_gives_way_while_a_directory_cannot_be_read(database: Database) -> None:
    dataset = await dataset_fixture.memory(database)
    assert isinstance(dataset.store, MemoryStore)
    await labelled(dataset, *FOUR, "closed/a.png")
    before = await ids(dataset)
    dataset.rearrange({"001.png": "002.png", "002.png": "003.png", "003.png": "004.png"})
    dataset.remove("004.png")
    listed = dataset.store.pages

    async def pages(scope: Scope = ALL) -> Any:
        async for page in listed(scope):
            yield Page([one for one in page.objects if not one.path.startswith("closed/")], ("closed",))

    dataset.store.pages = pages  # type: ignore[method-assign]
    job = await dataset.sync()
    assert counted(job, skipped=3)
    assert await ids(dataset) == before
    assert await dataset.labels() == {path: [_label(path)] for path in before}
    del dataset.store.pages
    assert counted(await dataset.sync(), moved=3, removed=1)
    assert await dataset.labels() == {
        "001.png": ["L002"], "002.png": ["L003"], "003.png": ["L004"], "closed/a.png": ["Lcloseda"],
    }  # fmt: skip


class Shy(LocalStore):
    """A directory in which some files cannot be read."""

    shut: tuple[str, ...] = ()

    def _head(self, path: str, length: int, *directories: Any) -> Any:
        if path in self.shut:
            raise StorageError("The operation failed: Permission denied.")
        return super()._head(path, length, *directories)


@pytest.mark.parametrize("shut", ["moved.png", "covered.png"])
async def test_what_cannot_be_read_is_not_what_has_vanished(database: Database, tmp_path: Path, shut: str) -> None:
    store = Shy(tmp_path)
    dataset = await dataset_fixture.make(database, store, tmp_path)
    await labelled(dataset, "a.png", "b.png")
    dataset.move("a.png", "moved.png")
    if shut == "covered.png":
        dataset.move("moved.png", "covered.png")
        dataset.move("b.png", "a.png")
    store.shut = (shut,)
    job = await dataset.sync()
    assert job["removed"] == 0
    store.shut = ()
    await dataset.sync()
    labels = await dataset.labels()
    assert labels[shut] == ["La"]
    assert labels.get("b.png", labels.get("a.png")) == ["Lb"]


async def test_a_file_that_goes_while_it_is_looked_at_costs_no_label(database: Database, tmp_path: Path) -> None:
    class Hurried(LocalStore):
        def _head(self, path: str, length: int, *directories: Any) -> Any:
            if path == "a.png":
                raise ObjectMissing
            return super()._head(path, length, *directories)

    dataset = await dataset_fixture.local(database, tmp_path)
    before = await labelled(dataset, "a.png")
    dataset.put("b.png", (tmp_path / "a.png").read_bytes())
    dataset.touch("a.png")
    dataset.store = Hurried(tmp_path)
    assert counted(await dataset.sync(), moved=1)
    assert await ids(dataset) == {"b.png": before["a.png"]}


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

    def _head(self, path: str, length: int, *directories: Any) -> Any:
        with self.renaming:
            head = super()._head(path, length, *directories)
            if self.times:
                self.times -= 1
                self.rename()
            return head


@pytest.mark.parametrize("times", [1, 2, 3, 1_000])
async def test_labels_follow_files_that_are_renamed_while_they_are_read(
    database: Database, tmp_path: Path, times: int
) -> None:
    store = Restless(tmp_path)
    dataset = await dataset_fixture.make(database, store, tmp_path)
    before = await labelled(dataset, *(f"{number}.png" for number in range(7)))
    pictures = {(tmp_path / path).read_bytes(): id for path, id in before.items()}
    store.rename()
    store.times = times
    await dataset.sync()
    store.times = 0
    await dataset.sync()
    assert {path: pictures[(tmp_path / path).read_bytes()] for path in before} == await ids(dataset)
    assert sorted(await dataset.labels()) == sorted(before)
    assert counted(await dataset.sync())


async def rearranged(database: Database, folder: Path) -> DatasetFixture:
    """On a local disk, where contents must be read before anything can be matched."""
    folder.mkdir()
    dataset = await dataset_fixture.local(database, folder)
    names = [f"{kind}{number}" for kind in ("ring", "chain") for number in range(4)] + [
        "swap0",
        "swap1",
        "kept",
        "gone",
    ]
    for number, name in enumerate(names):
        dataset.put(f"{name}.png", image_bytes((number, 1, 1)))
        dataset.put(f"{name}.txt", name)
    await dataset.sync()
    dataset.rearrange({"swap0.png": "swap1.png", "swap1.png": "swap0.png", "gone.png": "kept.png"})
    dataset.rearrange({f"ring{number}.png": f"ring{(number + 1) % 4}.png" for number in range(4)})
    dataset.rearrange({f"chain{number}.png": f"chain{number + 1}.png" for number in range(3)})
    dataset.remove("chain3.png")
    dataset.put("new.png", image_bytes((99, 9, 9)))
    return dataset


@pytest.mark.slow
async def test_a_crash_at_any_step_of_a_renumbering_leaves_no_trace(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stages, "BATCH", 3)
    monkeypatch.setattr(moves, "BATCH", 3)
    dataset = await rearranged(database, tmp_path / "clean")
    job_id = await dataset.start()
    assert await live(dataset, job_id, CrashPoint())
    clean = await state(dataset, job_id)
    assert clean["counters"] | {"scanned": 0} == {
        "scanned": 0, "ignored": 1, "added": 2, "updated": 0, "removed": 2, "moved": 9, "skipped": 0,
    }  # fmt: skip
    for step in itertools.count():
        dataset = await rearranged(database, tmp_path / str(step))
        job_id = await dataset.start()
        if await live(dataset, job_id, CrashPoint(step)):
            break
        if step % 2:
            await empty_unlogged_tables(dataset.database)
        await recover(dataset, job_id)
        assert await state(dataset, job_id) == clean, f"after a death at step {step}"
    assert step > 25, "the scenario has become too small to tell anything"
