"""Sync as its users meet it: what merging a directory does to a working set. Each test runs against every store."""

import os
from pathlib import Path
from typing import Any

import pytest

from db.errors import Conflict, NotFound
from db.postgres.engine import Database
from db.storage import Page, RootMissing
from db.storage.objects import ALL, Scope
from tests.db import dataset_fixture
from tests.db.dataset_fixture import DatasetFixture, counted, image_bytes
from tests.memory_store import MemoryStore


@pytest.mark.portable
async def test_first_sync_makes_samples_with_facts_and_labels(dataset: DatasetFixture) -> None:
    dataset.put("a/1.JPG", image_bytes(form="JPEG", size=(30, 20)))
    dataset.put("a/1.txt", "cat\ndog\n")
    dataset.put("2.png")
    dataset.put("notes.md", "not an image")
    job = await dataset.sync()
    assert await dataset.labels() == {"2.png": [], "a/1.JPG": ["cat", "dog"]}
    sample = await dataset.sample("a/1.JPG")
    assert (sample["width"], sample["height"], sample["format"], sample["orientation"]) == (30, 20, "JPEG", 1)
    assert (sample["state"], sample["labeled_by"], sample["labeled_origin"]) == ("LABELED", "sync", "SYNC")
    assert counted(job, added=2)
    assert (job["scanned"], job["ignored"]) == (4, 1)
    assert (job["status"], job["progress"]) == ("SUCCEEDED", 1.0)
    assert await dataset.changes() == ["Sync: 2 added"]


async def test_a_sample_was_created_when_its_file_was_last_modified(dataset: DatasetFixture) -> None:
    dataset.put("a.png")
    await dataset.sync()
    assert (await dataset.sample("a.png"))["created_at"] == dataset.clock


async def test_takes_every_suffix_in_any_case_and_nothing_else(dataset: DatasetFixture) -> None:
    for name in ("a.jpg", "b.JPEG", "c.Png", "d.BMP", "e.gif", "f.tiff", "jpg", ".png", "g.jpg.bak"):
        dataset.put(name)
    job = await dataset.sync()
    assert list(await dataset.labels()) == ["a.jpg", "b.JPEG", "c.Png", "d.BMP"]
    assert (job["scanned"], job["ignored"]) == (9, 5)


async def test_syncing_again_writes_nothing(dataset: DatasetFixture) -> None:
    dataset.put("a.png")
    dataset.put("a.txt", "cat")
    dataset.put("bad.jpg", b"no image")
    await dataset.sync()
    versions = " UNION ALL ".join(f"SELECT xmin, ctid, id FROM {table}" for table in ("sample", "source", "dataset"))
    before = await dataset.rows(versions)
    job = await dataset.sync()
    assert await dataset.rows(versions) == before
    assert counted(job, skipped=1)
    assert len(await dataset.changes()) == 1


async def test_two_images_of_one_stem_share_a_sidecar(dataset: DatasetFixture) -> None:
    dataset.put("a.png")
    dataset.put("a.jpg", image_bytes(form="JPEG"))
    dataset.put("a.txt", "cat")
    await dataset.sync()
    assert await dataset.labels() == {"a.jpg": ["cat"], "a.png": ["cat"]}


async def test_counts_and_annotations_agree_with_the_labels(dataset: DatasetFixture) -> None:
    dataset.put("a.png")
    dataset.put("a.txt", "cat\ndog")
    dataset.put("b.png")
    dataset.put("b.txt", "cat")
    await dataset.sync()
    rows = await dataset.rows(
        "SELECT name, sample_count, annotation_count FROM label JOIN label_count ON id = label_id"
    )
    assert {tuple(row) for row in rows} == {("cat", 2, 2), ("dog", 1, 1)}
    [row] = await dataset.rows("SELECT total, labeled, pending FROM dataset")
    assert tuple(row) == (2, 2, 0)
    made_by = await dataset.rows("SELECT DISTINCT labeled_by, origin, confirmed FROM annotation")
    assert [tuple(row) for row in made_by] == [("sync", "SYNC", True)]


async def test_changed_content_updates_facts_and_keeps_id_and_labels(dataset: DatasetFixture) -> None:
    dataset.put("a.png", image_bytes(size=(5, 5)))
    dataset.put("a.txt", "cat")
    await dataset.sync()
    before = await dataset.sample("a.png")
    dataset.put("a.png", image_bytes(size=(9, 7)))
    job = await dataset.sync()
    after = await dataset.sample("a.png")
    assert counted(job, updated=1)
    assert (after["width"], after["height"]) == (9, 7)
    assert (after["id"], after["label_ids"], after["created_at"]) == (
        before["id"],
        before["label_ids"],
        before["created_at"],
    )
    assert after["source_id"] != before["source_id"]
    assert after["since"] == before["since"] + 1


async def test_a_touched_file_is_no_change(dataset: DatasetFixture) -> None:
    dataset.put("a.png")
    await dataset.sync()
    dataset.touch("a.png")
    assert counted(await dataset.sync())
    assert len(await dataset.changes()) == 1


async def test_a_moved_file_keeps_its_sample(dataset: DatasetFixture) -> None:
    dataset.put("old/a.png")
    dataset.put("old/a.txt", "cat")
    await dataset.sync()
    before = await dataset.sample("old/a.png")
    dataset.move("old/a.png", "new/b.png")
    job = await dataset.sync()
    after = await dataset.sample("new/b.png")
    assert counted(job, moved=1)
    assert (after["id"], after["label_ids"], after["source_id"]) == (
        before["id"],
        before["label_ids"],
        before["source_id"],
    )
    assert list(await dataset.labels()) == ["new/b.png"]
    assert (await dataset.changes())[-1] == "Sync: 1 moved"


async def test_a_copy_is_a_new_sample(dataset: DatasetFixture) -> None:
    data = dataset.put("a.png")
    await dataset.sync()
    dataset.put("b.png", data)
    assert counted(await dataset.sync(), added=1)


async def test_equal_files_that_move_together_keep_their_own_samples(dataset: DatasetFixture) -> None:
    for name in ("1.png", "2.png", "3.png"):
        dataset.put(f"old/{name}", image_bytes("red"))
    await dataset.sync()
    before = {name: (await dataset.sample(f"old/{name}"))["id"] for name in ("1.png", "2.png", "3.png")}
    for name in before:
        dataset.move(f"old/{name}", f"new/{name}")
    assert counted(await dataset.sync(), moved=3)
    assert {name: (await dataset.sample(f"new/{name}"))["id"] for name in before} == before


@pytest.mark.portable
async def test_what_vanished_goes_in_one_change_and_history_keeps_it(dataset: DatasetFixture) -> None:
    for number in range(5):
        dataset.put(f"{number}.png")
        dataset.put(f"{number}.txt", "cat")
    await dataset.sync()
    for number in range(3):
        dataset.remove(f"{number}.png")
    job = await dataset.sync()
    assert counted(job, removed=3)
    assert (await dataset.changes())[1:] == ["Sync: 3 removed, whose files are gone"]
    assert list(await dataset.labels()) == ["3.png", "4.png"]
    [row] = await dataset.rows("SELECT revision, total FROM dataset")
    past = await dataset.rows("SELECT path, until FROM sample_past ORDER BY path")
    assert [tuple(row) for row in past] == [(f"{number}.png", row["revision"]) for number in range(3)]
    assert len(await dataset.rows("SELECT id FROM annotation_past")) == 3
    assert row["total"] == 2
    [undoable] = await dataset.rows("SELECT undoable FROM change ORDER BY id DESC LIMIT 1")
    assert undoable["undoable"]


async def test_what_vanished_stays_when_asked_to(dataset: DatasetFixture) -> None:
    dataset.put("a.png")
    await dataset.sync()
    dataset.remove("a.png")
    assert counted(await dataset.sync(remove_missing=False))
    assert (await dataset.sample("a.png"))["status"] == "GONE"
    assert counted(await dataset.sync(remove_missing=True), removed=1)


async def test_a_file_that_came_back_feeds_its_sample_again(dataset: DatasetFixture) -> None:
    data = dataset.put("a.png")
    when = dataset.clock
    await dataset.sync()
    dataset.remove("a.png")
    await dataset.sync(remove_missing=False)
    dataset.clock = when
    dataset.put("a.png", data)
    assert counted(await dataset.sync())
    assert (await dataset.sample("a.png"))["status"] == "PRESENT"


async def test_a_missing_root_fails_and_removes_nothing(dataset: DatasetFixture) -> None:
    dataset.put("a.png")
    await dataset.sync()
    if isinstance(dataset.store, MemoryStore):
        dataset.store.broken = True
    else:
        assert dataset.root is not None
        dataset.root.rename(dataset.root.with_name(f"{dataset.root.name}-elsewhere"))
    job_id = await dataset.start()
    with pytest.raises(RootMissing) as raised:
        await dataset.work(job_id)
    assert raised.value.code == "STORAGE_ERROR"
    assert list(await dataset.labels()) == ["a.png"]


async def synced_in_memory(database: Database, *paths: str) -> tuple[DatasetFixture, MemoryStore]:
    """A dataset with these images, which a sync has added."""
    dataset = await dataset_fixture.memory(database)
    assert isinstance(dataset.store, MemoryStore)
    for path in paths:
        dataset.put(path)
    await dataset.sync()
    return dataset, dataset.store


async def test_a_store_that_fails_while_asked_for_the_vanished_removes_nothing(database: Database) -> None:
    dataset, store = await synced_in_memory(database, "a.png", "b.png")
    dataset.remove("a.png")
    ask = store.stat

    async def fails(path: str) -> Any:
        store.broken = True
        return await ask(path)

    store.stat = fails  # type: ignore[method-assign]
    with pytest.raises(RootMissing):
        await dataset.work(await dataset.start())
    assert list(await dataset.labels()) == ["a.png", "b.png"]


async def test_an_object_the_listing_overlooked_is_not_removed(database: Database) -> None:
    dataset, store = await synced_in_memory(database, "a.png", "b.png")
    hidden = store.contents["a.png"]
    list_pages = store.pages

    async def forgetful(scope: Scope = ALL) -> Any:
        del store.contents["a.png"]
        async for page in list_pages(scope):
            yield page
        store.contents["a.png"] = hidden

    store.pages = forgetful  # type: ignore[method-assign]
    assert counted(await dataset.sync())
    assert list(await dataset.labels()) == ["a.png", "b.png"]


async def test_an_unreadable_directory_is_reported_and_nothing_is_removed(database: Database) -> None:
    dataset, store = await synced_in_memory(database, "a.png", "closed/b.png")
    dataset.remove("a.png")

    async def pages(scope: Scope = ALL) -> Any:
        yield Page((), ("closed",))

    store.pages = pages  # type: ignore[method-assign]
    job = await dataset.sync()
    assert counted(job)
    assert [path for path, _ in await dataset.warnings(job["id"])] == ["closed"]
    assert list(await dataset.labels()) == ["a.png", "closed/b.png"]


async def test_a_deleted_sample_stays_deleted_until_its_file_changes(dataset: DatasetFixture) -> None:
    data = dataset.put("a.png")
    await dataset.sync()
    await dataset.delete_by_hand("a.png")
    assert counted(await dataset.sync())
    dataset.touch("a.png")
    assert counted(await dataset.sync())
    assert await dataset.labels() == {}
    dataset.put("a.png", image_bytes())
    assert counted(await dataset.sync(), added=1)
    assert data


async def test_a_deleted_sample_is_restored_when_asked_to(dataset: DatasetFixture) -> None:
    dataset.put("a.png", image_bytes(size=(4, 5)))
    dataset.put("a.txt", "cat")
    await dataset.sync()
    await dataset.delete_by_hand("a.png")
    assert counted(await dataset.sync(restore_removed=True), added=1)
    assert await dataset.labels() == {"a.png": ["cat"]}
    assert (await dataset.sample("a.png"))["height"] == 5
    assert counted(await dataset.sync(restore_removed=True))


async def test_a_file_about_to_be_deleted_is_not_taken_for_new(dataset: DatasetFixture) -> None:
    dataset.put("a.png")
    await dataset.sync()
    source = (await dataset.sample("a.png"))["source_id"]
    await dataset.delete_by_hand("a.png")
    await dataset.do("UPDATE source SET status = 'GONE' WHERE id = $1", source)
    await dataset.do(
        "INSERT INTO source_deletion (dataset_id, source_id, change_id, path, etag)"
        " SELECT $1, $2, id, 'a.png', '' FROM change LIMIT 1",
        dataset.dataset_id,
        source,
    )
    assert counted(await dataset.sync())
    assert await dataset.labels() == {}


async def test_odd_names_are_kept_as_they_are(dataset: DatasetFixture) -> None:
    names = ["ü %_\\'\".png", "a b/1 (15).png", "图/猫.png", "new\nline.png", "x.tar.png", "+&=.png"]
    for name in names:
        dataset.put(name)
    await dataset.sync()
    assert list(await dataset.labels()) == sorted(names)


async def test_a_path_that_cannot_be_kept_is_reported(database: Database, tmp_path: Path) -> None:
    dataset = await dataset_fixture.local(database, tmp_path)
    Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff.png")).write_bytes(image_bytes())
    deep = tmp_path.joinpath(*["d" * 200] * 6)
    deep.mkdir(parents=True)
    (deep / "a.png").write_bytes(image_bytes())
    job = await dataset.sync()
    assert counted(job, skipped=2)
    assert len(await dataset.warnings(job["id"])) == 2


async def test_links_are_not_followed(database: Database, tmp_path: Path) -> None:
    root = tmp_path / "root"
    root.mkdir()
    (tmp_path / "secret.png").write_bytes(image_bytes())
    (root / "link.png").symlink_to(tmp_path / "secret.png")
    (root / "around").symlink_to(tmp_path)
    dataset = await dataset_fixture.local(database, root)
    assert counted(await dataset.sync())
    assert await dataset.labels() == {}


async def test_two_datasets_of_one_directory_do_not_disturb_each_other(database: Database, tmp_path: Path) -> None:
    one, two = await dataset_fixture.local(database, tmp_path), await dataset_fixture.local(database, tmp_path)
    one.put("a.png")
    await one.sync()
    await two.sync()
    await one.delete_by_hand("a.png")
    await one.sync()
    assert (list(await one.labels()), list(await two.labels())) == ([], ["a.png"])


async def test_a_second_sync_is_refused_with_the_first_ones_id(dataset: DatasetFixture) -> None:
    job_id = await dataset.start()
    with pytest.raises(Conflict) as raised:
        await dataset.start()
    assert raised.value.code == "SYNC_ALREADY_RUNNING"
    assert raised.value.details == {"jobId": f"SyncJob:{job_id}"}


async def test_a_dataset_that_is_not_there_cannot_be_synced(dataset: DatasetFixture) -> None:
    await dataset.do("UPDATE dataset SET deleted_at = now() WHERE id = $1", dataset.dataset_id)
    with pytest.raises(NotFound) as raised:
        await dataset.start()
    assert raised.value.code == "DATASET_NOT_FOUND"


def nested(root: Path, depth: int, name: str) -> int:
    """Directories below each other, and an open descriptor of the last; no path could name it."""
    current = os.open(root, os.O_RDONLY)
    for _ in range(depth):
        os.mkdir(name, dir_fd=current)
        below = os.open(name, os.O_RDONLY, dir_fd=current)
        os.close(current)
        current = below
    return current


async def test_directories_may_be_nested_as_deep_as_a_path_is_long(database: Database, tmp_path: Path) -> None:
    dataset = await dataset_fixture.local(database, tmp_path)
    last = nested(tmp_path, 500, "d")
    with os.fdopen(os.open("a.png", os.O_WRONLY | os.O_CREAT, dir_fd=last), "wb") as file:
        file.write(image_bytes())
    os.close(last)
    dataset.put("b.png")
    job = await dataset.sync()
    assert counted(job, added=2)
    assert await dataset.warnings(job["id"]) == []


async def test_deeper_directories_are_reported_and_do_not_keep_samples_from_going(
    database: Database, tmp_path: Path
) -> None:
    dataset = await dataset_fixture.local(database, tmp_path)
    os.close(nested(tmp_path, 700, "dd"))
    dataset.put("a.png")
    await dataset.sync()
    dataset.remove("a.png")
    job = await dataset.sync()
    assert counted(job, removed=1)
    [(path, message)] = await dataset.warnings(job["id"])
    assert path.startswith("dd/dd/")
    assert "1024 bytes" in message
