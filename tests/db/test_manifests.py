"""The file that is written of a published version."""

import json
from pathlib import Path
from typing import Any

import pytest

from db import jobs
from db.embeddings import looks
from db.exports import manifests
from db.history import versions
from db.history.split import Split
from db.history.transactions import write
from db.labelling.samples.delete import delete
from db.labelling.samples.label import LabelWith, label
from db.labelling.samples.selection import Selection
from db.postgres.engine import Database
from db.postgres.sql import connection_of
from db.storage import LocalStore
from tests.db.dataset_rows import ANN, DatasetRows, make
from tests.memory_store import MemoryStore

NOBODY = 7  # a worker's number that no lock is held under


async def stage(database: Database, output: str | None) -> DatasetRows:
    made = await make(database, samples=4, labels=("cat", "向日葵"), input_path="/images")
    async with database.writing() as session:
        connection = await connection_of(session)
        await connection.execute("UPDATE dataset SET output_path = $1", output)
    await put(database, made, ["cat"], 0, 1, 2)
    await put(database, made, ["向日葵"], 2)
    return made


async def put(database: Database, made: DatasetRows, names: list[str], *indexes: int) -> None:
    ids = Selection(ids=[made.samples[index] for index in indexes])
    how = LabelWith(labels=names, mode="ADD", create_missing=False)
    await write(database, lambda session: label(session, made.id, ids, how, by=ANN), object)


async def publish(database: Database, made: DatasetRows, **more: Any) -> int:
    outcome = await write(
        database, lambda session: versions.publish(session, made.id, by=ANN, **more), versions.Published
    )
    return outcome.version


async def work(database: Database, store: Any) -> None:
    """Do all jobs that wait."""
    while (claim := await jobs.claim(database, NOBODY)) is not None:
        await manifests.run(database, claim, lambda _url: store)
        await jobs.finish(database, claim, "SUCCEEDED")


async def manifest_path(database: Database, version: int) -> str | None:
    async with database.reading() as reader:
        path: str | None = await reader.fetchval("SELECT manifest_path FROM version WHERE id = $1", version)
    return path


async def test_it_lies_in_the_output_path_where_the_reference_puts_it(database: Database, tmp_path: Path) -> None:
    made = await stage(database, str(tmp_path))
    version = await publish(database, made)
    assert await manifest_path(database, version) is None
    await work(database, LocalStore(tmp_path))
    expected_path = tmp_path / f"pets-{made.id}" / "annotation" / "V001" / "V001.manifest"
    assert await manifest_path(database, version) == str(expected_path)
    assert len(expected_path.read_bytes().splitlines()) == 4


async def test_it_holds_every_sample_as_it_was_published(database: Database) -> None:
    made, store = await stage(database, "/out"), MemoryStore()
    await publish(database, made)
    await put(database, made, ["向日葵"], 0)
    first = Selection(ids=made.samples[:1])
    await write(database, lambda session: delete(session, made.id, first, by=ANN), object)
    await work(database, store)
    [(data, _)] = store.contents.values()
    lines = [json.loads(line) for line in data.decode().splitlines()]
    assert data.endswith(b"\n")
    assert b": " not in data.split(b"creation-time")[0]
    assert [line["id"] for line in lines] == sorted(map(str, made.samples))
    assert [line["source"] for line in lines] == [f"/images/00000{n}.jpg" for n in range(4)]
    assert [line.get("usage") for line in lines] == ["TRAIN", "TRAIN", "TRAIN", None]
    names = [[each["name"] for each in line["annotation"]] for line in lines]
    assert names == [["cat"], ["cat"], ["cat", "向日葵"], []]
    mark = lines[0]["annotation"][0]
    assert (mark["type"], mark["annotated-by"]) == ("modelarts/image_classification", "human/ann/ann")
    assert len(mark["creation-time"]) == len("2026-01-01 00:00:00")


async def test_a_split_is_expressed_by_usage(database: Database) -> None:
    made, store = await stage(database, "/out"), MemoryStore()
    await put(database, made, ["向日葵"], 1)
    await publish(database, made, divided=Split(0.5))
    await work(database, store)
    [(data, _)] = store.contents.values()
    usages = [json.loads(line).get("usage") for line in data.splitlines()]
    assert sorted(map(str, usages[:3])) in (["EVAL", "EVAL", "TRAIN"], ["EVAL", "TRAIN", "TRAIN"])
    assert usages[3] is None


async def test_without_an_output_path_there_is_none(database: Database) -> None:
    made = await stage(database, None)
    version = await publish(database, made)
    async with database.reading() as reader:
        assert await reader.fetchval("SELECT count(*) FROM job") == 0
    assert await manifest_path(database, version) is None


async def test_written_again_after_a_crash_it_is_the_same_file(database: Database) -> None:
    made, store = await stage(database, "/out"), MemoryStore()
    version = await publish(database, made)
    claim = await jobs.claim(database, NOBODY)
    assert claim is not None
    for _ in range(2):
        await manifests.run(database, claim, lambda _url: store)
    assert list(store.contents) == [f"pets-{made.id}/annotation/V001/V001.manifest"]
    assert await manifest_path(database, version) == f"/out/pets-{made.id}/annotation/V001/V001.manifest"


async def test_the_file_of_a_deleted_version_stays_beside_that_of_its_namesake(database: Database) -> None:
    made, store = await stage(database, "/out"), MemoryStore()
    first = await publish(database, made, name="best")
    await work(database, store)
    await write(database, lambda session: versions.remove(session, first, by=ANN), versions.Removed)
    await put(database, made, ["cat"], 3)
    second = await publish(database, made, name="best")
    await work(database, store)
    folder = f"pets-{made.id}/annotation/best"
    assert sorted(store.contents) == [f"{folder}/best-{second}.manifest", f"{folder}/best.manifest"]


@pytest.mark.parametrize("usage", ["TEST", None])
async def test_samples_marked_otherwise_keep_their_usage(database: Database, usage: str | None) -> None:
    made, store = await stage(database, "/out"), MemoryStore()
    async with database.writing() as session:
        connection = await connection_of(session)
        await connection.execute("UPDATE sample SET usage = $1 WHERE id = $2", usage, made.samples[0])
    await publish(database, made)
    await work(database, store)
    [(data, _)] = store.contents.values()
    assert json.loads(data.splitlines()[0])["usage"] == usage or "TRAIN"


async def test_images_for_training_that_look_like_others_are_warned_of(database: Database) -> None:
    made, store = await stage(database, "/out"), MemoryStore()
    await put(database, made, ["cat"], 3)
    usages = ("TRAIN", "EVAL", None, "TEST")
    async with database.writing() as session:
        connection = await connection_of(session)
        for sample, usage in zip(made.samples, usages, strict=True):
            await connection.execute("UPDATE sample SET usage = $2 WHERE id = $1", sample, usage)
        rows = await connection.fetch("SELECT source_id FROM sample ORDER BY id")
        hashes = (0b1, 0b1111_0000, 0b0, 0b11)
        await looks.add(session, made.id, dict(zip((row["source_id"] for row in rows), hashes, strict=True)))
    await publish(database, made)
    await write(database, lambda session: delete(session, made.id, Selection(ids=made.samples), by=ANN), object)
    await work(database, store)
    async with database.reading() as reader:
        warnings = await reader.fetch("SELECT path, message FROM job_warning")
    message = "This image for training looks like 000003.jpg, which is not."
    assert [tuple(row) for row in warnings] == [("000000.jpg", message)]
