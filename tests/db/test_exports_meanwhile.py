"""What happens to an export while it runs, or before it begins; and exports of nothing."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from db import datasets, jobs
from db.errors import Conflict
from db.exports import files, requests, selection
from db.exports import job as exports
from db.formats.datasets import FORMATS
from db.history import versions
from db.history.transactions import write
from db.jobs import Claim
from db.postgres.engine import Database
from db.queries.filters import SampleFilter
from tests.db.dataset_rows import ANN, BOB
from tests.db.export_fixture import SECRET, ExportHouse, local_house
from tests.db.test_exports import small


@pytest.fixture
def house(database: Database, tmp_path: Path) -> ExportHouse:
    return local_house(database, tmp_path)


def after_beginning(monkeypatch: pytest.MonkeyPatch, work: Callable[[], Awaitable[object]]) -> None:
    """Do this when the samples of the export are fixed."""
    begin = selection.begin

    async def begun(database: Database, job: Claim) -> None:
        await begin(database, job)
        await work()

    monkeypatch.setattr(selection, "begin", begun)


async def test_of_many_requests_at_once_as_many_are_started_as_may_be(house: ExportHouse) -> None:
    dataset = await small(house, "a.png")
    asked = (house.request(dataset, "CSV") for _ in range(3 * requests.MAX_ACTIVE))
    outcomes = await asyncio.gather(*asked, return_exceptions=True)
    started = [each for each in outcomes if isinstance(each, int)]
    assert len(set(started)) == requests.MAX_ACTIVE
    assert {type(each) for each in outcomes} == {int, Conflict}
    await house.request(dataset, "CSV", by=BOB)  # whatever ann has


async def test_an_export_of_nothing_ends_in_every_format(house: ExportHouse) -> None:
    dataset = await small(house, "a.png")
    await house.label(dataset, "cat", "a.png")
    version = await house.version(dataset)
    for name, format_ in FORMATS.items():
        if "IMAGE_CLASSIFICATION" in format_.types:
            for id in (None, version):
                job = await house.request(dataset, name, filter=SampleFilter(state="PENDING"), version_id=id)
                await house.work(job)
                assert await house.files(job), name


async def test_a_version_that_is_deleted_meanwhile_is_exported_to_its_end(
    house: ExportHouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    dataset = await small(house, "a.png", "b.png")
    await house.label(dataset, "cat", "a.png", "b.png")
    version = await house.version(dataset)
    whole = await house.export(dataset, "JSON_LINES", version_id=version)
    await house.label(dataset, "dog", "b.png")

    async def remove() -> None:
        await write(house.database, lambda session: versions.remove(session, version, by=ANN), versions.Removed)

    job = await house.request(dataset, "JSON_LINES", version_id=version)
    after_beginning(monkeypatch, remove)
    await house.work(job)
    assert await house.files(job) == whole


@pytest.mark.parametrize("options", [{"packing": "FILES"}, {"packing": "ZIP"}])
async def test_what_the_export_of_a_deleted_dataset_has_written_is_removed_when_it_has_stopped(
    house: ExportHouse, monkeypatch: pytest.MonkeyPatch, options: dict[str, Any]
) -> None:
    monkeypatch.setattr(files, "PAUSE", 0.01)
    monkeypatch.setattr(files, "PAUSES", 10**6)
    dataset = await small(house, "a.png", "b.png")
    await house.export(dataset, "COCO", images="INCLUDED")
    job = await house.request(dataset, "COCO", images="INCLUDED", **options)
    claim = await house.claimed(job)
    await exports.run(house.database, claim, house.stores, SECRET, house.folder)
    await write(house.database, lambda session: datasets.delete(session, dataset, by=ANN), datasets.Outcome)
    clearing = asyncio.create_task(files.clear(house.database, house.stores.open, dataset_id=dataset))
    await asyncio.wait({clearing}, timeout=0.2)  # any time will do
    exported = await house.rows("SELECT location FROM export ORDER BY job_id")
    assert [bool(await house.objects(each["location"])) for each in exported] == [True, True], "it may still write"
    await jobs.finish(house.database, claim, "CANCELED")
    await clearing
    kept = [bool(await house.objects(each["location"])) for each in exported]
    assert kept == [True, False], "what had succeeded is its owner's"
