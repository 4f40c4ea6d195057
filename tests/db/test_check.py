"""The check: each kind of wrong value is found and repaired; samples and files that lack each other are reported."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial

import pytest
from sqlmodel.ext.asyncio.session import AsyncSession

from db.datasets import check
from db.datasets.check import Finding
from db.errors import StorageError
from db.history import versions
from db.history.transactions import write
from db.labelling.samples.label import Labelled, LabelWith, label
from db.labelling.samples.selection import Selection
from db.postgres.engine import Database
from db.queries.filters import SampleFilter
from db.storage import Page, StoredObject
from db.storage.objects import ALL, Scope
from tests.db.dataset_fixture import DatasetFixture, memory
from tests.db.dataset_rows import ANN
from tests.memory_store import MemoryStore

Hook = Callable[[], Awaitable[None]]


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(check, "PAUSES", (0.0, 0.0))


class WatchedStore(MemoryStore):
    """Calls hooks at the end of a listing, and before and after a stat: others go on while a check runs."""

    def __init__(self) -> None:
        super().__init__()
        self.listed: Hook | None = None
        self.asked: Hook | None = None
        self.answered: Hook | None = None

    async def pages(self, scope: Scope = ALL) -> AsyncIterator[Page]:
        async for page in super().pages(scope):
            yield page
        if self.listed is not None:
            await self.listed()

    async def stat(self, path: str) -> StoredObject | None:
        if self.asked is not None:
            await self.asked()
        result = await super().stat(path)
        if self.answered is not None:
            await self.answered()
        return result


async def checked(dataset: DatasetFixture, *, repair: bool = False) -> list[Finding]:
    return [finding async for finding in check.check(dataset.database, lambda _: dataset.store, repair=repair)]


async def open_messages(dataset: DatasetFixture, *, repair: bool = False) -> list[str]:
    return [finding.message for finding in await checked(dataset, repair=repair) if finding.is_open]


async def labelled(dataset: DatasetFixture) -> None:
    """Three samples: a cat, a cat and dog, and a suggestion."""
    for name, labels in (("a", "cat"), ("b", "cat\ndog"), ("c", None)):
        dataset.put(f"{name}.png")
        if labels is not None:
            dataset.put(f"{name}.txt", labels)
    await dataset.sync()
    await dataset.do(
        """WITH model AS (
            INSERT INTO model (dataset_id, name, version) SELECT id, 'm', '1' FROM dataset RETURNING id
        ), suggested AS (
            INSERT INTO annotation
                (dataset_id, sample_id, label_id, labeled_by, origin, confidence, confirmed, model_id, since)
            SELECT s.dataset_id, s.id, l.id, 'model', 'MODEL', 0.5, false, model.id, s.since
            FROM sample s, label l, model
            WHERE s.path = 'c.png' AND l.name = 'dog' RETURNING sample_id
        ) UPDATE sample SET state = 'PENDING', suggestion_confidence = 0.5, suggestion_margin = 0,
                            suggestion_entropy = 1, suggestion_lowest = 0.5
        WHERE id IN (SELECT sample_id FROM suggested)"""
    )


async def published(dataset: DatasetFixture) -> None:
    await labelled(dataset)
    publish = partial(versions.publish, dataset_id=dataset.dataset_id, by=ANN, name="one")
    await write(dataset.database, publish, versions.Published)


async def test_a_published_dataset_holds(dataset: DatasetFixture) -> None:
    await published(dataset)
    assert await checked(dataset) == []


WRONG = {
    "the dataset: total": "UPDATE dataset SET total = 7",
    "the dataset: labeled": "UPDATE dataset SET labeled = 0",
    "the dataset: pending": "UPDATE dataset SET pending = 0",
    "label cat: sample_count": "UPDATE label_count SET sample_count = 9",
    "label cat: annotation_count": "UPDATE label_count SET annotation_count = 9",
    "label dog: sample_count is None": "DELETE FROM label_count",
    "label dog: suggestion_count": "UPDATE label_count SET suggestion_count = 9",
    "model m 1 label dog: pending is 9": "UPDATE suggestion_count SET pending = 9",
    "model m 1 label dog: pending is 0": "DELETE FROM suggestion_count",
    "model m 1 label dog: corrected": "UPDATE suggestion_count SET corrected = 1",
    "sample 2: label_ids": "UPDATE sample SET label_ids = label_ids[1:1] WHERE path = 'b.png'",
    "sample 1: state": "UPDATE sample SET state = 'UNLABELED', label_ids = '{}' WHERE path = 'a.png'",
    "sample 3: state is UNLABELED": "UPDATE sample SET state = 'UNLABELED' WHERE path = 'c.png'",
    "sample 1: labeled_by is null": "UPDATE sample SET labeled_by = NULL WHERE path = 'a.png'",
    "sample 3: labeled_by is set": "UPDATE sample SET labeled_by = 'ann' WHERE path = 'c.png'",
    "sample 3: sureness": "UPDATE sample SET suggestion_margin = 1 WHERE path = 'c.png'",
    "sample 1: labeled_at": "UPDATE sample SET labeled_at = NULL WHERE path = 'a.png'",
    "sample 1: labeled_at is -infinity": "UPDATE sample SET labeled_at = '-infinity' WHERE path = 'a.png'",
    "annotation 1: labeled_at is infinity": "UPDATE annotation SET labeled_at = 'infinity' WHERE id = 1",
    "version one: total": "UPDATE version SET total = 7",
    "version one: labeled": "UPDATE version SET labeled = 0",
    "version one: pending": "UPDATE version SET pending = 2",
    "version one label cat: sample_count": "UPDATE version_label SET sample_count = 7",
    "version one label cat: annotation_count": "UPDATE version_label SET annotation_count = 7",
    "version one label dog: suggestion_count": "UPDATE version_label SET suggestion_count = 7",
}


@pytest.mark.parametrize(("message", "damage"), WRONG.items(), ids=WRONG)
async def test_a_wrong_value_is_found_and_repaired(dataset: DatasetFixture, message: str, damage: str) -> None:
    await published(dataset)
    facts = "SELECT to_jsonb(sample) AS row FROM sample ORDER BY id"
    before, changes, past = await dataset.rows(facts), await dataset.changes(), "SELECT count(*) FROM sample_past"
    [kept] = await dataset.rows(past)
    await dataset.do(damage)
    found = await open_messages(dataset)
    assert any(each.startswith(message) for each in found)
    assert await open_messages(dataset) == found  # without `repair` nothing is written

    assert await open_messages(dataset, repair=True) == []
    assert await checked(dataset) == []
    assert await dataset.rows(facts) == before
    assert (await dataset.changes(), await dataset.rows(past)) == (changes, [kept])


async def test_what_was_replaced_is_dated_by_the_change_that_wrote_it_where_its_time_is_infinite(
    dataset: DatasetFixture,
) -> None:
    await published(dataset)
    how, selection = LabelWith(labels=["dog"], mode="SET"), Selection(ids=[1])
    relabel = partial(label, dataset_id=dataset.dataset_id, selection=selection, how=how, by=ANN)
    await write(dataset.database, relabel, Labelled)
    await dataset.do("UPDATE annotation_past SET labeled_at = 'infinity'")
    await dataset.do("UPDATE sample_past SET labeled_at = '-infinity'")
    found = await open_messages(dataset)
    assert [message.partition(",")[0] for message in found] == [
        "annotation 1 since revision 1: labeled_at is infinity",
        "sample 1 since revision 1: labeled_at is -infinity",
    ]
    assert await open_messages(dataset, repair=True) == []
    assert await checked(dataset) == []
    [first] = await dataset.rows("SELECT at FROM change WHERE revision = 1")
    past = "SELECT labeled_at FROM annotation_past UNION ALL SELECT labeled_at FROM sample_past"
    assert [row["labeled_at"] for row in await dataset.rows(past)] == [first["at"]] * 2


async def test_what_is_repaired_is_said(dataset: DatasetFixture) -> None:
    await labelled(dataset)
    await dataset.do("UPDATE dataset SET total = 7")
    [finding] = await checked(dataset, repair=True)
    assert (finding.message, finding.is_open) == ("the dataset: total is 7, counted 3 (repaired)", False)


async def test_a_revision_that_no_change_has_is_reported_and_left_alone(dataset: DatasetFixture) -> None:
    await labelled(dataset)
    await dataset.do("UPDATE dataset SET revision = revision + 1")
    assert [line.partition(" is ")[0] for line in await open_messages(dataset, repair=True)] == [
        "the dataset: revision"
    ]


async def test_samples_without_files_and_files_without_rows_are_reported_and_left_alone(
    dataset: DatasetFixture,
) -> None:
    await labelled(dataset)
    dataset.remove("a.png")
    dataset.put("new/d.png")
    expected = [
        "the sample `a.png` has no file: put it back, or sync the dataset",
        "the file `new/d.png` has no row: sync the dataset",
    ]
    assert await open_messages(dataset) == expected
    assert await open_messages(dataset, repair=True) == expected
    assert len(await dataset.rows("SELECT FROM sample")) == 3
    await dataset.sync()
    assert await checked(dataset) == []


async def test_files_that_a_sync_passes_over_are_not_reported(dataset: DatasetFixture) -> None:
    await dataset.set_up(exclude=["drafts/**"])
    for path in (".hidden.png", "__MACOSX/a.png", "drafts/a.png", "notes.md", "a.pdf"):
        dataset.put(path)
    dataset.put("broken.png", "no image")
    await labelled(dataset)
    assert await checked(dataset) == []
    await dataset.set_up(exclude=["**"])  # what is a sample already stays one
    assert await checked(dataset) == []


async def test_the_deleted_sample_of_a_file_that_was_kept_is_its_row(dataset: DatasetFixture) -> None:
    await labelled(dataset)
    await dataset.delete_by_hand("c.png")
    assert await checked(dataset) == []


async def test_no_more_than_a_hundred_of_a_kind_are_reported(
    dataset: DatasetFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(check, "MAX_REPORTED", 3)
    monkeypatch.setattr(check, "BATCH", 2)
    for number in range(5):
        dataset.put(f"{number}.png")
    assert [line[:16] for line in await open_messages(dataset)] == [
        "the file `0.png`",
        "the file `1.png`",
        "the file `2.png`",
    ]


async def test_storage_that_is_away_ends_the_check(dataset: DatasetFixture) -> None:
    await labelled(dataset)
    if isinstance(dataset.store, MemoryStore):
        dataset.store.broken = True
    else:
        assert dataset.root is not None
        dataset.root.rename(dataset.root.with_name(f"{dataset.root.name}-elsewhere"))
    with pytest.raises(
        StorageError, match=r"The files of `dataset-\d+` cannot be listed and compared\. The input path"
    ):
        await checked(dataset)
    assert len(await dataset.rows("SELECT FROM sample")) == 3


async def test_a_listing_that_is_not_complete_ends_the_check(dataset: DatasetFixture) -> None:
    class Partial(MemoryStore):
        async def pages(self, _scope: Scope = ALL) -> AsyncIterator[Page]:
            yield Page((), unreadable=("secret",))

    dataset.store = Partial()
    with pytest.raises(StorageError, match="The directory `secret` cannot be read"):
        await checked(dataset)


@pytest.fixture
async def watched(database: Database) -> DatasetFixture:
    dataset = await memory(database)
    dataset.store = WatchedStore()
    await labelled(dataset)
    return dataset


def once(dataset: DatasetFixture, name: str, hook: Hook) -> None:
    """Have the store call the hook the next time, and not again."""

    async def call() -> None:
        setattr(dataset.store, name, None)
        await hook()

    setattr(dataset.store, name, call)


async def test_what_comes_and_goes_while_files_are_listed_is_no_finding(watched: DatasetFixture) -> None:
    async def change() -> None:
        watched.put("d.png")
        watched.remove("a.png")
        await watched.sync()

    once(watched, "listed", change)
    assert await checked(watched) == []


async def test_a_file_whose_rows_come_at_the_second_look_is_no_finding(watched: DatasetFixture) -> None:
    async def upload() -> None:
        await watched.sync()

    watched.put("d.png")
    once(watched, "asked", upload)
    assert await checked(watched) == []


async def test_a_file_that_is_deleted_before_the_second_look_is_no_finding(watched: DatasetFixture) -> None:
    async def delete() -> None:
        watched.remove("d.png")

    watched.put("d.png")
    once(watched, "answered", delete)
    assert await checked(watched) == []


async def test_a_sample_that_is_deleted_before_the_second_look_is_no_finding(watched: DatasetFixture) -> None:
    watched.remove("a.png")
    once(watched, "asked", partial(watched.delete_by_hand, "a.png"))
    assert await checked(watched) == []


async def test_files_of_unfinished_uploads_and_deletions_are_no_finding(watched: DatasetFixture) -> None:
    await watched.do(
        """INSERT INTO upload (dataset_id, key, file_name, size, on_conflict, path, staged, expires_at, sweep_at)
        VALUES ($1, 'k', 'd.png', 1, 'ERROR', 'd.png', 's', now(), now())""",
        watched.dataset_id,
    )
    watched.put("d.png")
    assert await checked(watched) == []


async def test_files_without_rows_are_not_reported_while_a_sync_runs(watched: DatasetFixture) -> None:
    watched.put("d.png")
    watched.remove("a.png")
    await watched.start()
    [missing, note] = await checked(watched)
    assert (missing.is_open, note.is_open) == (True, False)
    assert note.message == "a sync or an import runs, so files without a row are not reported"


async def test_a_check_during_writes_finds_nothing_and_a_repair_loses_none_of_their_work(
    dataset: DatasetFixture,
) -> None:
    await labelled(dataset)
    ended = asyncio.Event()

    async def work(name: str) -> int:
        changes = 0
        while not ended.is_set():
            for mode in ("ADD", "REMOVE"):
                how = LabelWith(labels=[name], mode=mode, create_missing=True)

                async def put(session: AsyncSession, how: LabelWith = how) -> Labelled:
                    return await label(session, dataset.dataset_id, Selection(filter=SampleFilter()), how, by=ANN)

                changes += (await write(dataset.database, put, Labelled)).change is not None
        return changes

    writers = [asyncio.create_task(work(name)) for name in ("one", "two", "three")]
    for _ in range(5):
        assert await checked(dataset) == []
    await dataset.do("UPDATE label_count SET annotation_count = annotation_count + 7")
    assert await open_messages(dataset, repair=True) == []
    ended.set()
    assert sum(await asyncio.gather(*writers)) > 0
    assert await checked(dataset) == []
