"""What is as it was is not staged: a sync of many files, few of which changed, costs little."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from db.formats.timestamps import FIRST, LAST
from db.storage import Page, Store
from db.storage.objects import ALL, Scope
from tests.db.dataset_fixture import DatasetFixture, counted
from tests.memory_store import MemoryStore

NOTED = """
    CREATE TABLE noted (path text);
    CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN INSERT INTO noted VALUES (new.path); RETURN new; END $$;
    CREATE TRIGGER note BEFORE INSERT ON sync_object FOR EACH ROW EXECUTE FUNCTION note()
"""


async def staged(dataset: DatasetFixture) -> list[str]:
    """The paths that were staged since this was called before."""
    paths = [row["path"] for row in await dataset.rows("SELECT path FROM noted ORDER BY path")]
    await dataset.do("TRUNCATE noted")
    return paths


async def test_only_differences_are_staged(dataset: DatasetFixture) -> None:
    for name in ("a.png", "b.png", "c.png", "d.png", "bad.png"):
        dataset.put(name, b"no image" if name == "bad.png" else None)
    dataset.put(".hidden.png")
    await dataset.sync()
    await dataset.do(NOTED)
    assert counted(await dataset.sync(), skipped=1)
    assert await staged(dataset) == [".hidden.png", "bad.png"]
    dataset.touch("b.png")
    dataset.remove("c.png")
    dataset.put("d.png")
    dataset.put("e.png")
    job = await dataset.sync()
    assert await staged(dataset) == [".hidden.png", "b.png", "bad.png", "d.png", "e.png"]
    assert counted(job, added=1, updated=1, removed=1, skipped=1)
    assert list(await dataset.labels()) == ["a.png", "b.png", "d.png", "e.png"]
    assert await dataset.rows("SELECT 1 FROM sync_unchanged") == []


async def test_a_first_sidecar_is_found_wherever_it_is_listed(dataset: DatasetFixture) -> None:
    dataset.put("a.png")
    dataset.put("b.png")
    await dataset.sync()
    dataset.put("b.txt", "cat")
    await dataset.sync()
    assert await dataset.labels() == {"a.png": [], "b.png": ["cat"]}
    dataset.put("a.txt", "dog")
    await dataset.sync()
    assert await dataset.labels() == {"a.png": ["dog"], "b.png": ["cat"]}


async def test_what_was_removed_here_is_a_difference(dataset: DatasetFixture) -> None:
    dataset.put("a.png")
    dataset.put("b.png")
    await dataset.sync()
    sample = await dataset.sample("a.png")
    await dataset.do("DELETE FROM sample WHERE id = $1", sample["id"])
    assert counted(await dataset.sync())
    assert counted(await dataset.sync(restore_removed=True), added=1)
    assert list(await dataset.labels()) == ["a.png", "b.png"]


@pytest.mark.parametrize("dataset", ["memory"], indirect=True)
async def test_files_of_any_name_and_time_are_known_again(dataset: DatasetFixture) -> None:
    for name in (
        'a"b.png',
        "a\\b.png",
        "{a,b}.png",
        "[1, 2].png",
        "a\nb.png",
        "\x7f.png",
        "é.png",
        "e\u0301.png",
        "🐟.png",
    ):
        dataset.put(f"d/{name}")
    for moment in (
        *(FIRST, datetime(1901, 2, 3, 4, 5, 6, 789_012, UTC), datetime(1969, 12, 31, 23, 59, 59, 999_999, UTC)),
        *(datetime(2300, 1, 1, 0, 0, 0, 1, UTC), datetime(9876, 5, 4, 3, 2, 1, 123_457, UTC), LAST),
    ):
        dataset.clock = moment - timedelta(minutes=1)
        dataset.put(f"{moment.year}.png")
    job = await dataset.sync()
    await dataset.do(NOTED)
    assert counted(await dataset.sync())
    assert (job["added"], await staged(dataset)) == (15, [])


class Repeating(MemoryStore):
    """Lists every object as it was, and once more as if it had been replaced meanwhile."""

    async def pages(self, scope: Scope = ALL) -> AsyncIterator[Page]:
        async for page in super().pages(scope):
            yield page
            yield Page([replace(each, size=each.size + 1) for each in page.objects])


@pytest.mark.parametrize("dataset", ["memory"], indirect=True)
@pytest.mark.parametrize("size", [1, 100])
async def test_of_a_file_that_is_listed_twice_the_difference_counts(
    dataset: DatasetFixture, monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    monkeypatch.setattr("db.ingest.sync.listing.BATCH", size)
    dataset.put("a.png")
    await dataset.sync()
    before = await dataset.sample("a.png")
    repeating = Repeating()
    repeating.contents = dataset.store.contents  # type: ignore[attr-defined]
    usual: Store = dataset.store
    dataset.store = repeating
    await dataset.do(NOTED)
    assert counted(await dataset.sync())
    assert await staged(dataset) == ["a.png"]
    dataset.store = usual
    assert counted(await dataset.sync())
    assert await dataset.sample("a.png") == before


async def test_postgres_has_statistics_of_what_a_large_sync_added(
    dataset: DatasetFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without them it takes the dataset for an empty one, and a sync that finds nothing reads all, again and again."""
    known = "SELECT tablename FROM pg_stats WHERE tablename IN ('source', 'sample') AND attname = 'path'"
    monkeypatch.setattr("db.ingest.merge.ANALYZED", 2)
    dataset.put("a.png")
    await dataset.sync()
    assert await dataset.rows(known) == []
    dataset.put("b.png")
    dataset.put("c.png")
    await dataset.sync()
    assert {row["tablename"] for row in await dataset.rows(known)} == {"source", "sample"}
