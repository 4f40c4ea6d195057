"""Writing a version down: its label files first, then the manifest that points to them. Of a version nothing changes,
so whoever writes it again, after a crash, writes the same. Memory holds a batch of samples."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from functools import partial
from hashlib import blake2b
from typing import Any, Final

import asyncpg

from db import jobs
from db.engine import Database
from db.errors import NotFound
from db.jobs import Batch, Claim
from db.manifests.lines import Style
from db.storage import ObjectExists, RootMissing, Store

BATCH: Final = 2_000  # samples read at once
FILES: Final = 200  # samples whose label files are in memory at once
AT_ONCE: Final = 16  # label files written side by side
ABOUT: Final = """
SELECT v.id, v.name, v.revision, v.total, v.is_split, d.id AS dataset_id, d.name AS dataset, d.type, d.input_path,
       d.output_path
FROM version v JOIN dataset d ON d.id = v.dataset_id
WHERE v.id = $1 AND d.deleted_at IS NULL AND d.output_path IS NOT NULL
"""
SAMPLES: Final = """
WITH page AS (
    SELECT * FROM (
        SELECT id, path, source_id, state, hard, usage FROM sample WHERE dataset_id = $2 AND since <= $3 AND id > $4
        UNION ALL
        SELECT id, path, source_id, state, hard, usage FROM sample_past
        WHERE dataset_id = $2 AND since <= $3 AND until > $3 AND id > $4
    ) AS every ORDER BY id LIMIT $6
), marks AS (
    SELECT a.* FROM page JOIN annotation a ON a.sample_id = page.id WHERE a.since <= $3
    UNION ALL
    SELECT a.id, a.dataset_id, a.sample_id, a.label_id, a.labeled_by, a.labeled_at, a.origin, a.confidence,
           a.confirmed, a.shape, a.since
    FROM page JOIN annotation_past a ON a.sample_id = page.id WHERE a.since <= $3 AND a.until > $3
)
SELECT page.id, page.path, page.hard, source.width, source.height,
       CASE WHEN page.state = 'LABELED' THEN
           CASE WHEN e.sample_id IS NOT NULL THEN 'EVAL' WHEN $5 THEN 'TRAIN' ELSE coalesce(page.usage, 'TRAIN') END
       END AS usage,
       coalesce((SELECT jsonb_agg(jsonb_build_object(
                     'id', m.id, 'name', l.name, 'color', l.color, 'shortcut', l.shortcut,
                     'by', m.labeled_by, 'confirmed', m.confirmed,
                     'at', to_char(m.labeled_at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS'),
                     'confidence', m.confidence, 'shape', m.shape) ORDER BY m.label_id, m.id)
                 FROM marks m JOIN version_label l ON l.version_id = $1 AND l.label_id = m.label_id
                 WHERE m.sample_id = page.id), '[]')::text AS annotations
FROM page JOIN source ON source.id = page.source_id
LEFT JOIN version_eval e ON e.version_id = $1 AND e.sample_id = page.id
ORDER BY page.id
"""
WRITTEN: Final = "UPDATE version SET manifest_path = $2 WHERE id = $1"


async def run(database: Database, job: Claim, opener: Callable[[str], Store]) -> None:
    """Write the manifest of the job's version, and then tell where it is."""
    async with database.reading() as reader:
        version = await reader.fetchrow(ABOUT, job.arguments["version"])
    if version is None:
        raise NotFound("The version was deleted.", code="VERSION_NOT_FOUND")
    path = await _Writing(database, job, version, opener(version["output_path"])).write()

    async def tell(batch: Batch) -> None:
        await batch.connection.execute(WRITTEN, version["id"], f"{version['output_path'].rstrip('/')}/{path}")

    await jobs.in_batch(database, job, tell)


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

        async for rows in self._pages(FILES, after=self.job.checkpoint.get(folder, 0)):
            made = await asyncio.to_thread(lambda rows: [file for row in rows for file in style.label_files(row)], rows)
            if not all(await asyncio.gather(*(put(name, data) for name, data in made))):
                return False
            done = self.job.checkpoint | {folder: rows[-1]["id"]}
            await jobs.in_batch(self.database, self.job, partial(_advance, done=done))
        return True

    async def _pages(self, size: int, *, after: int = 0) -> AsyncIterator[Sequence[dict[str, Any]]]:
        version, count = self.version, 0
        while True:
            async with self.database.reading() as reader:
                rows = await reader.fetch(
                    SAMPLES, version["id"], version["dataset_id"], version["revision"], after, version["is_split"], size
                )
            if rows:
                yield [dict(row) for row in rows]
            if len(rows) < size:
                return
            after, count = rows[-1]["id"], count + len(rows)
            self.job.report(progress=min(0.99, count / max(version["total"], 1)))


async def _advance(batch: Batch, *, done: dict[str, Any]) -> None:
    batch.checkpoint = done


async def _digest(pieces: AsyncIterator[bytes]) -> bytes:
    digest = blake2b(digest_size=32)
    async for piece in pieces:
        digest.update(piece)
    return digest.digest()
