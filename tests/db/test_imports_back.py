"""The published manifest of a dataset imports into an empty dataset and compares equal: real images, every kind of
dataset, in directories and in S3, with the images where they were and copied."""

import itertools
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from db import jobs
from db.datasets import check
from db.exports import manifests
from db.history import versions
from db.history.transactions import write
from db.ingest import imports, job_requests, sync
from db.ingest.imports import Options
from db.postgres.engine import Database
from db.postgres.sql import connection_of
from db.storage import Stores
from db.storage.locations import AllowedLocations
from tests import s3
from tests.conftest import ROOT
from tests.db.dataset_fixture import WORKER, Statements
from tests.db.dataset_rows import ANN
from tests.db.suggestion_rows import DERIVE

ANY_NAMES = ("traffic light", "Straße", "person.sitting", "ねこ", "고양이")
NUMBERS = itertools.count()
KINDS = {"digits": "IMAGE_CLASSIFICATION", "cells": "OBJECT_DETECTION"}


@dataclass(slots=True)
class House(Statements):
    """Places to keep datasets in; `root` ends with a slash."""

    stores: Stores
    root: str

    async def dataset(self, kind: str, folder: str) -> int:
        async with self.database.writing() as session:
            connection = await connection_of(session)
            made: int = await connection.fetchval(
                "INSERT INTO dataset (name, type, input_path, output_path, created_by)"
                " VALUES ($1, $2, $3, $4, 'ann') RETURNING id",
                f"dataset-{next(NUMBERS)}",
                kind,
                self.stores.locations.input(f"{self.root}{folder}/"),
                self.stores.locations.input(f"{self.root}out/"),
            )
            return made

    async def fill(self, folder: str, example: str) -> None:
        store = self.stores.open(f"{self.root}{folder}/")
        for file in sorted((ROOT / "examples" / example).rglob("*")):
            if file.is_file():
                await store.write(str(file.relative_to(ROOT / "examples" / example)), file.read_bytes())

    async def run(self, job_id: int) -> dict[str, Any]:
        claim = await jobs.claim(self.database, WORKER)
        assert claim is not None
        assert claim.id == job_id
        match claim.kind:
            case "SYNC":
                [row] = await self.rows("SELECT input_path FROM dataset WHERE id = $1", claim.dataset_id)
                await sync.run(self.database, claim, self.stores.open(row["input_path"]))
            case "IMPORT":
                await imports.run(self.database, claim, self.stores)
            case "MANIFEST":
                await manifests.run(self.database, claim, self.stores.open)
        await jobs.finish(self.database, claim, "SUCCEEDED")
        [row] = await self.rows("SELECT * FROM job WHERE id = $1", job_id)
        return dict(row)

    async def sync(self, dataset: int) -> dict[str, Any]:
        async with self.database.writing() as session:
            job = await job_requests.start(session, dataset, sync.Options(), requested_by="ann")
        return await self.run(job)

    async def publish(self, dataset: int) -> str:
        """The manifest's path."""
        made = await write(
            self.database, lambda session: versions.publish(session, dataset, by=ANN), versions.Published
        )
        [job] = await self.rows("SELECT id FROM job WHERE kind = 'MANIFEST' AND status = 'QUEUED'")
        await self.run(job["id"])
        [row] = await self.rows("SELECT manifest_path FROM version WHERE id = $1", made.version)
        return str(row["manifest_path"])

    async def load(self, dataset: int, manifest: str, **options: Any) -> dict[str, Any]:
        async with self.database.writing() as session:
            job = await job_requests.start(session, dataset, Options(path=manifest, **options), requested_by="bob")
        return await self.run(job)

    async def content(self, dataset: int) -> dict[str, list[Any]]:
        """All that a manifest carries. In a version each labelled sample has a usage."""
        async with self.database.reading() as connection:
            assert await check.recount(connection, dataset) == []
        return {name: [tuple(row) for row in await self.rows(sql, dataset)] for name, sql in FACTS.items()}


FACTS = {
    "samples": """
        SELECT s.path, x.size, x.format, x.width, x.height, x.status, s.state, s.hard,
               CASE WHEN s.state = 'LABELED' THEN coalesce(s.usage, 'TRAIN') ELSE s.usage END,
               ARRAY(SELECT name FROM label WHERE id = ANY(label_ids) ORDER BY name)
        FROM sample s JOIN source x ON x.id = s.source_id WHERE s.dataset_id = $1 ORDER BY s.path""",
    "annotations": """
        SELECT s.path, l.name, a.labeled_by, date_trunc('second', a.labeled_at), a.confidence, a.confirmed,
               a.shape::text, a.attributes::text
        FROM annotation a JOIN sample s ON s.id = a.sample_id JOIN label l ON l.id = a.label_id
        WHERE a.dataset_id = $1 ORDER BY s.path, l.name, a.shape::text, a.labeled_by""",
    "labels": """
        SELECT name, color, shortcut FROM label l JOIN label_count c ON c.label_id = l.id
        WHERE dataset_id = $1 AND EXISTS (SELECT FROM annotation WHERE label_id = l.id) ORDER BY name""",
}


@pytest.fixture(params=["local", "s3"])
async def house(request: pytest.FixtureRequest, database: Database, tmp_path: Path) -> AsyncIterator[House]:
    if request.param == "local":
        for name in ("a", "b", "out"):
            (tmp_path / name).mkdir()
        yield House(database, Stores(AllowedLocations((tmp_path,))), f"{tmp_path}/")
        return
    bucket = f"house-{next(NUMBERS)}"
    async with s3.connected(request.getfixturevalue("s3_endpoint"), bucket) as opened:
        yield House(database, Stores(AllowedLocations(s3=True), opened), f"s3://{bucket}/")


async def lived_in(house: House, example: str) -> int:
    """A dataset with everything that a manifest can carry."""
    await house.fill("a", example)
    dataset = await house.dataset(KINDS[example], "a")
    assert (await house.sync(dataset))["added"] > 0
    await house.do("UPDATE label SET color = '#ff8800', shortcut = 'c' WHERE id = (SELECT min(id) FROM label)")
    await house.do("INSERT INTO label (dataset_id, name, since) VALUES ($1, 'unused', 1)", dataset)
    await house.do(
        "UPDATE sample SET hard = true, usage = 'TEST' WHERE id IN (SELECT min(id) FROM sample WHERE state = 'LABELED')"
    )
    await house.do(
        """INSERT INTO annotation (dataset_id, sample_id, label_id, labeled_by, labeled_at, origin, confidence,
                                   confirmed, since)
        SELECT $1, s.id, (SELECT max(id) FROM label WHERE name <> 'unused'), 'tiny/model', '2020-02-29 12:34:56.7Z',
               'MODEL', CASE WHEN s.id % 2 = 0 THEN 0.123456789 END, false, 1
        FROM sample s WHERE s.dataset_id = $1 AND s.id % 3 = 0
        ON CONFLICT DO NOTHING""",
        dataset,
    )
    await house.do(
        "UPDATE annotation SET labeled_by = 'bob', labeled_at = '2021-01-01Z' WHERE id % 4 = 0 AND confirmed"
    )
    await house.do(
        """UPDATE annotation SET attributes = CASE id % 3 WHEN 0 THEN '{"difficult": true}'::jsonb
               ELSE '{"truncated": true, "occluded": true, "pose": "Left"}' END
        WHERE shape IS NOT NULL AND id % 3 < 2"""
    )
    await house.do(
        """UPDATE annotation SET shape = jsonb_set(shape, '{xMin}', to_jsonb((shape->>'xMin')::float8 + 0.125))
        WHERE shape ? 'xMin' AND id % 5 = 0"""
    )
    await house.do("UPDATE sample SET state = 'PENDING' WHERE state = 'UNLABELED' AND id % 3 = 0")
    await house.do(DERIVE)
    await house.do(
        "UPDATE dataset SET pending = (SELECT count(*) FROM sample WHERE state = 'PENDING') WHERE id = $1", dataset
    )
    return dataset


@pytest.mark.parametrize("example", KINDS)
@pytest.mark.parametrize("folder", ["a", "b"])
async def test_a_published_dataset_comes_back_as_it_was(house: House, example: str, folder: str) -> None:
    original = await lived_in(house, example)
    before = await house.content(original)
    manifest = await house.publish(original)
    other = await house.dataset(KINDS[example], folder)
    job = await house.load(other, manifest)
    assert await house.rows("SELECT path, message FROM job_warning") == []
    total = len(before["samples"])
    assert (job["scanned"], job["added"], job["skipped"]) == (total, total, 0)
    after = await house.content(other)
    assert after == before
    assert {mark[2] for mark in after["annotations"]} >= {"sync", "bob", "tiny/model"}
    again = await house.load(other, manifest, existing="OVERWRITE")
    assert (again["added"], again["updated"], again["skipped"]) == (0, 0, 0)
    synced = await house.sync(other)
    assert (synced["added"], synced["removed"], synced["moved"]) == (0, 0, 0)


@pytest.mark.parametrize("example", KINDS)
async def test_names_of_any_script_come_back_as_they_were(house: House, example: str) -> None:
    original = await lived_in(house, example)
    names = [*ANY_NAMES, "a <b> & 'c' ]]>", "x" * 64]
    await house.do("UPDATE dataset SET label_names = 'ANY' WHERE id = $1", original)
    await house.do(
        "UPDATE label SET name = new.name FROM (SELECT id, row_number() OVER (ORDER BY id) AS n FROM label) numbered"
        " JOIN unnest($1::text[]) WITH ORDINALITY AS new (name, n) USING (n) WHERE label.id = numbered.id",
        names,
    )
    before = await house.content(original)
    assert {mark[1] for mark in before["annotations"]} & set(names)
    manifest = await house.publish(original)
    other = await house.dataset(KINDS[example], "a")
    await house.do("UPDATE dataset SET label_names = 'ANY' WHERE id = $1", other)
    await house.load(other, manifest)
    assert await house.content(other) == before


async def test_a_manifest_moved_with_its_label_files_is_read_where_it_is(house: House) -> None:
    original = await lived_in(house, "cells")
    before = await house.content(original)
    manifest = await house.publish(original)
    out = house.stores.open(f"{house.root}out/")
    folder = "/".join(manifest.split("/")[:-1]) + "/"
    moved = house.stores.open(f"{house.root}moved/")
    async for page in out.pages():
        for found in page.objects:
            await moved.write(found.path.split("/V001/")[1], await out.read(found.path))
            await out.delete(found.path)
    assert folder.endswith("/V001/")
    other = await house.dataset("OBJECT_DETECTION", "a")
    await house.load(other, f"{house.root}moved/V001.manifest")
    assert await house.content(other) == before
