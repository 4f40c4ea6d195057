"""Manifests: a version as a file of one JSON object a line, as the reference system writes and reads them.

    <output path>/<dataset>-<id>/annotation/<version>/<version>.manifest
                                                     /annotation/<image>_<id>.xml    where images have shapes

A job writes the label files first, then the manifest that points to them. Nothing of a version changes, so writing it
again, after a crash, writes the same. Memory holds a batch of samples. Storage that fails is tried again, then the job
fails and says why, and may be requested anew. Images are not copied; times are in UTC, without a zone.
`db/ingest/imports` reads a manifest back.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Container, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from hashlib import blake2b
from typing import Any, Final

import asyncpg

from db import jobs
from db.errors import Invalid, NotFound, StorageError
from db.formats.manifests import Sample, Style
from db.jobs import Batch, Claim
from db.postgres.engine import Database
from db.storage import ObjectExists, ObjectMissing, RootMissing, Store
from db.storage.locations import is_bucket

BATCH: Final = 2_000  # samples read at once
FILES: Final = 200  # samples whose label files are in memory at once
AT_ONCE: Final = 16  # label files written side by side
ABOUT: Final = """
SELECT v.id, v.name, v.revision, v.total, v.is_split, d.id AS dataset_id, d.name AS dataset, d.type, d.input_path,
       d.output_path
FROM job JOIN version v ON v.id = job.version_id JOIN dataset d ON d.id = v.dataset_id
WHERE job.id = $1 AND d.deleted_at IS NULL AND d.output_path IS NOT NULL
"""
LABELS: Final = "SELECT label_id, name, color, shortcut FROM version_label WHERE version_id = $1"
# A page walks along the paths' indexes. What belongs to it is looked up by ids, which no plan can make a join of.
PAGE: Final = """
SELECT * FROM (
    (SELECT id, path, source_id, state, hard, usage FROM sample
     WHERE dataset_id = $1 AND since <= $2 AND path > $3 ORDER BY path LIMIT {size})
    UNION ALL
    (SELECT id, path, source_id, state, hard, usage FROM sample_past
     WHERE dataset_id = $1 AND since <= $2 AND until > $2 AND path > $3 ORDER BY path LIMIT {size})
) AS every ORDER BY path LIMIT {size}
"""
SIZES: Final = "SELECT id, width, height FROM source WHERE id = ANY($1::bigint[])"
EVALS: Final = "SELECT sample_id FROM version_eval WHERE version_id = $1 AND sample_id = ANY($2::bigint[])"
MARKS: Final = """
SELECT * FROM (
    SELECT id, sample_id, label_id, labeled_by, labeled_at, confidence, confirmed, shape::text AS shape,
           attributes::text AS attributes
    FROM annotation WHERE sample_id = ANY($1::bigint[]) AND since <= $2
    UNION ALL
    SELECT id, sample_id, label_id, labeled_by, labeled_at, confidence, confirmed, shape::text, attributes::text
    FROM annotation_past WHERE sample_id = ANY($1::bigint[]) AND since <= $2 AND until > $2
) AS every ORDER BY label_id, id
"""
WRITTEN: Final = "UPDATE version SET manifest_path = $2 WHERE id = $1"


async def run(database: Database, job: Claim, opener: Callable[[str], Store]) -> None:
    """Write the manifest of the job's version, and then tell where it is."""
    async with database.reading() as reader:
        version = await reader.fetchrow(ABOUT, job.id)
    if version is None:
        raise NotFound("The version was deleted.", code="VERSION_NOT_FOUND")
    try:
        path = await _Writing(database, job, version, opener(version["output_path"])).write()
    except (Invalid, ObjectMissing, RootMissing) as error:
        raise StorageError("The output path is no directory, or the server may not write there.") from error

    async def tell(batch: Batch) -> None:
        await batch.connection.execute(WRITTEN, version["id"], f"{version['output_path'].rstrip('/')}/{path}")

    await jobs.in_batch(database, job, tell)
    if not is_bucket(version["output_path"]):  # a bucket shows nothing that is not whole
        await _clear_unfinished(opener(f"{version['output_path']}/{version['dataset']}-{version['dataset_id']}"))


async def _clear_unfinished(folder: Store) -> None:
    """Remove what writers that were killed have left: a store does so as it is listed."""
    with suppress(StorageError):  # the manifest is written, and the next one tries again
        async for _ in folder.pages():
            pass


@dataclass(frozen=True, slots=True)
class _Writing:
    database: Database
    job: Claim
    version: asyncpg.Record
    store: Store

    async def write(self) -> str:
        """Where it lies. A file of the same name is the same, or of a version that was deleted: that one stays."""
        name = self.version["name"]
        folder = f"{self.version['dataset']}-{self.version['dataset_id']}/annotation/{name}"
        for mark in ("", f"-{self.version['id']}"):
            path, files = f"{folder}/{name}{mark}.manifest", f"{folder}/annotation{mark}/"
            style = self._style(files)
            is_new = await self._is_new(path)
            if not is_new and not await self._is_same(path, style):
                continue
            if await self._write_files(files, style) and (not is_new or await self._write_new(path, style)):
                return path
        raise ObjectExists

    async def _is_new(self, path: str) -> bool:
        """An output path that is not there yet is made by the first write, which also tells of a store that is away."""
        try:
            return await self.store.stat(path) is None
        except RootMissing:
            return True

    def _style(self, files: str) -> Style:
        values = (self.version["type"], self.version["dataset"], self.version["input_path"])
        return Style(*values, f"{self.version['output_path'].rstrip('/')}/{files}")

    async def _write_new(self, path: str, style: Style) -> bool:
        try:
            await self.store.write_stream(path, self._lines(style))
        except ObjectExists:
            return await self._is_same(path, style)
        return True

    async def _is_same(self, path: str, style: Style) -> bool:
        return await _digest(self.store.stream(path)) == await _digest(self._lines(style))

    async def _lines(self, style: Style) -> AsyncIterator[bytes]:
        """The file, a batch of its lines at a time."""
        async for rows in self._pages(BATCH):
            yield await asyncio.to_thread(lambda rows: b"".join(map(style.line, rows)), rows)

    async def _write_files(self, folder: str, style: Style) -> bool:
        """The label files, from where a worker that died had come to. False: one of them is there with another
        content, of a version that was deleted."""
        if style.kind == "IMAGE_CLASSIFICATION":
            return True
        slots = asyncio.Semaphore(AT_ONCE)

        async def put(name: str, data: bytes) -> bool:
            async with slots:
                try:
                    await self.store.write(folder + name, data)
                except ObjectExists:
                    return await self.store.read(folder + name, length=len(data) + 1) == data
                return True

        async for rows in self._pages(FILES, after=self.job.checkpoint.get(folder, "")):
            made = await asyncio.to_thread(lambda rows: [file for row in rows for file in style.label_files(row)], rows)
            if not all(await asyncio.gather(*(put(name, data) for name, data in made))):
                return False
            done = self.job.checkpoint | {folder: rows[-1]["path"]}
            await jobs.in_batch(self.database, self.job, partial(_advance, done=done))
        return True

    async def _pages(self, size: int, *, after: str = "") -> AsyncIterator[Sequence[Sample]]:
        """The version's samples behind a path, in the order of paths."""
        labels, count = await self._labels(), 0
        while True:
            async with self.database.reading() as reader:
                page = await self._page(reader, size, after, labels)
            if page:
                yield page
            if len(page) < size:
                return
            after, count = page[-1]["path"], count + len(page)
            self.job.report(progress=min(0.99, count / max(self.version["total"], 1)))

    async def _labels(self) -> Mapping[int, Mapping[str, Any]]:
        async with self.database.reading() as reader:
            rows = await reader.fetch(LABELS, self.version["id"])
        return {row["label_id"]: dict(row) for row in rows}

    async def _page(
        self, reader: asyncpg.Connection, size: int, after: str, labels: Mapping[int, Mapping[str, Any]]
    ) -> list[Sample]:
        version = self.version
        rows = await reader.fetch(PAGE.format(size=size), version["dataset_id"], version["revision"], after)
        ids = [row["id"] for row in rows]
        sizes = {row["id"]: row for row in await reader.fetch(SIZES, [row["source_id"] for row in rows])}
        evals = {row["sample_id"] for row in await reader.fetch(EVALS, version["id"], ids)}
        marks: dict[int, list[dict[str, Any]]] = {id: [] for id in ids}
        for row in await reader.fetch(MARKS, ids, version["revision"]):
            if row["label_id"] in labels:
                marks[row["sample_id"]].append({**labels[row["label_id"]], **row})
        return [
            dict(row)
            | {"usage": self._usage(row, evals), "annotations": marks[row["id"]]}
            | {name: sizes[row["source_id"]][name] for name in ("width", "height")}
            for row in rows
        ]

    def _usage(self, row: asyncpg.Record, evals: Container[int]) -> str | None:
        """Labelled samples have one in a version, and a split's goes before their own."""
        if row["state"] != "LABELED":
            return None
        if row["id"] in evals:
            return "EVAL"
        return "TRAIN" if self.version["is_split"] else row["usage"] or "TRAIN"


async def _advance(batch: Batch, *, done: dict[str, Any]) -> None:
    batch.checkpoint = done


async def _digest(pieces: AsyncIterator[bytes]) -> bytes:
    digest = blake2b(digest_size=32)
    async for piece in pieces:
        digest.update(piece)
    return digest.digest()
