"""Manifests: a version as a file of one JSON object a line, as the reference system writes and reads them.

    <output path>/<dataset>-<id>/annotation/<version>/<version>.manifest
                                                     /annotation/<image>_<id>.xml    where images have shapes

A job writes the label files first, then the manifest that points to them. Nothing of a version changes, so writing it
again, after a crash, writes the same. One batch of samples is in memory. Storage that fails is tried again, then the
job fails and says why, and may be requested again. Images are not copied; times are in UTC, without a zone.
`db/ingest/imports` reads a manifest back.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any, Final

import asyncpg

from db import jobs
from db.errors import Invalid, NotFound, StorageError
from db.formats.manifests import Sample, Style
from db.jobs import Batch, Claim
from db.postgres import sql
from db.postgres.engine import Database
from db.storage import ObjectExists, ObjectMissing, RootMissing, Store
from db.storage.locations import is_bucket

SQL: Final = sql.load(__file__)
BATCH: Final = 2_000  # samples read at once
FILES: Final = 200  # samples whose label files are in memory at once
AT_ONCE: Final = 16  # label files written at a time
MAX_LOOK_ALIKES: Final = 100  # of which a job warns


async def run(database: Database, job: Claim, opener: Callable[[str], Store]) -> None:
    """Write the manifest of the job's version, and then note where it is."""
    async with database.reading() as reader:
        version = await sql.first(reader, SQL.version, job_id=job.id)
    if version is None:
        raise NotFound("The version was deleted.", code="VERSION_NOT_FOUND")
    try:
        path = await _Writer(database, job, version, opener(version["output_path"])).write()
    except (Invalid, ObjectMissing, RootMissing) as error:
        raise StorageError("The output path is not a directory, or the server may not write there.") from error

    async def finish(batch: Batch) -> None:
        location = f"{version['output_path'].rstrip('/')}/{path}"
        await sql.run(batch.connection, SQL.finish, version_id=version["id"], path=location)
        values = {"version_id": version["id"], "dataset_id": version["dataset_id"], "revision": version["revision"]}
        for row in await sql.run(batch.connection, SQL.look_alikes, **values, most=MAX_LOOK_ALIKES):
            batch.warn(row["path"], f"This image for training looks like {row['other']}, which is not.")

    await jobs.in_batch(database, job, finish)
    if not is_bucket(version["output_path"]):  # a bucket shows nothing that is not whole
        folder = opener(f"{version['output_path']}/{version['dataset']}-{version['dataset_id']}")
        with suppress(StorageError):  # the manifest is written, and the next one tries again
            async for _ in folder.pages():  # a listing removes what writers that were killed have left
                pass


@dataclass(frozen=True, slots=True)
class _Writer:
    database: Database
    job: Claim
    version: asyncpg.Record
    store: Store

    async def write(self) -> str:
        """Its path. A file of the same name is the same, or of a version that was deleted: that one stays."""
        version, name = self.version, self.version["name"]
        folder = f"{version['dataset']}-{version['dataset_id']}/annotation/{name}"
        for addition in ("", f"-{version['id']}"):
            path, files = f"{folder}/{name}{addition}.manifest", f"{folder}/annotation{addition}/"
            location = f"{version['output_path'].rstrip('/')}/{files}"
            style = Style(version["type"], version["dataset"], version["input_path"], location)
            try:
                is_new = await self.store.stat(path) is None
            except RootMissing:  # the first write makes an output path, and reports a store that is away
                is_new = True
            if not is_new and not await self._is_same(path, style):
                continue
            if await self._write_files(files, style):
                try:
                    if is_new:
                        await self.store.write_stream(path, self._lines(style))
                    return path
                except ObjectExists:
                    if await self._is_same(path, style):
                        return path
        raise ObjectExists

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

        async def write(name: str, data: bytes) -> bool:
            async with slots:
                try:
                    await self.store.write(folder + name, data)
                except ObjectExists:
                    return await self.store.read(folder + name, length=len(data) + 1) == data
                return True

        async def advance(batch: Batch) -> None:
            batch.checkpoint = done

        async for rows in self._pages(FILES, after=self.job.checkpoint.get(folder, "")):
            made = await asyncio.to_thread(lambda rows: [file for row in rows for file in style.label_files(row)], rows)
            if not all(await asyncio.gather(*(write(name, data) for name, data in made))):
                return False
            done = self.job.checkpoint | {folder: rows[-1]["path"]}
            await jobs.in_batch(self.database, self.job, advance)
        return True

    async def _pages(self, size: int, *, after: str = "") -> AsyncIterator[Sequence[Sample]]:
        """The version's samples behind a path, in the order of paths."""
        async with self.database.reading() as reader:
            rows = await sql.run(reader, SQL.labels, version_id=self.version["id"])
        labels, count = {row["label_id"]: dict(row) for row in rows}, 0
        while True:
            async with self.database.reading() as reader:
                page = await self._page(reader, size, after, labels)
            if page:
                yield page
            if len(page) < size:
                return
            after, count = page[-1]["path"], count + len(page)
            self.job.report(progress=min(0.99, count / max(self.version["total"], 1)))

    async def _page(
        self, reader: asyncpg.Connection, size: int, after: str, labels: Mapping[int, Mapping[str, Any]]
    ) -> list[Sample]:
        version, revision = self.version, self.version["revision"]
        statement = SQL.page.format(size=size)
        rows = await sql.run(reader, statement, dataset_id=version["dataset_id"], revision=revision, after=after)
        ids, sources = [row["id"] for row in rows], [row["source_id"] for row in rows]
        sizes = {row["id"]: row for row in await sql.run(reader, SQL.sizes, ids=sources)}
        found = await sql.run(reader, SQL.aside, version_id=version["id"], samples=ids)
        aside = {row["sample_id"]: row["usage"] for row in found}
        annotations: dict[int, list[dict[str, Any]]] = {id: [] for id in ids}
        for row in await sql.run(reader, SQL.annotations, samples=ids, revision=revision):
            if row["label_id"] in labels:
                annotations[row["sample_id"]].append({**labels[row["label_id"]], **row})

        def usage(row: asyncpg.Record) -> str | None:
            """Labelled samples have one in a version, and a split's goes before their own."""
            if row["state"] != "LABELED":
                return None
            if row["id"] in aside:
                return str(aside[row["id"]])
            return "TRAIN" if version["is_split"] else row["usage"] or "TRAIN"

        return [
            dict(row)
            | {"usage": usage(row), "annotations": annotations[row["id"]]}
            | {name: sizes[row["source_id"]][name] for name in ("width", "height")}
            for row in rows
        ]


async def _digest(pieces: AsyncIterator[bytes]) -> bytes:
    digest = blake2b(digest_size=32)
    async for piece in pieces:
        digest.update(piece)
    return digest.digest()
