"""A dataset with its store and its syncs, for tests."""

import io
import itertools
import os
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import asyncpg
from PIL import Image

from db import jobs
from db.ingest import job_requests, sync
from db.ingest.sync.options import USUAL_GUARD, Guard
from db.postgres.engine import Database
from db.postgres.sql import connection_of
from db.storage import LocalStore, Store
from tests.memory_store import MemoryStore

NUMBERS = itertools.count(1)
WORKER = 7  # a number without a lock: its jobs count as orphaned at once


def image_bytes(color: object = None, *, size: tuple[int, int] = (8, 6), form: str = "PNG") -> bytes:
    """An image; without a colour it differs from all others."""
    number = next(NUMBERS)
    shade = color if color is not None else (number % 256, number // 256 % 256, number // 65536)
    out = io.BytesIO()
    Image.new("RGB", size, shade).save(out, form)  # type: ignore[arg-type]
    return out.getvalue()


@dataclass(slots=True)
class Statements:
    """SQL of a test."""

    database: Database

    async def rows(self, statement: str, *arguments: Any) -> list[asyncpg.Record]:
        async with self.database.reading() as connection:
            return await connection.fetch(statement, *arguments)

    async def do(self, statement: str, *arguments: Any) -> None:
        async with self.database.writing() as session:
            connection = await connection_of(session)
            await connection.execute(statement, *arguments)


@dataclass(slots=True)
class DatasetFixture(Statements):
    """`root` is set where the store is a directory."""

    dataset_id: int
    store: Store
    root: Path | None = None
    clock: datetime = field(default_factory=lambda: datetime(2026, 1, 1, tzinfo=UTC))

    def put(self, path: str, content: bytes | str | None = None) -> bytes:
        """A file as another program writes it; each a minute later than the one before."""
        data = image_bytes() if content is None else content.encode() if isinstance(content, str) else content
        self.clock += timedelta(minutes=1)
        if isinstance(self.store, MemoryStore):
            self.store.put(path, data, self.clock)
        else:
            assert self.root is not None
            target = self.root / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(data)
            _set_time(target, self.clock)
        return data

    def touch(self, path: str) -> None:
        """A new time, the same content."""
        self.clock += timedelta(minutes=1)
        if isinstance(self.store, MemoryStore):
            self.store.put(path, self.store.contents[path][0], self.clock)
        else:
            assert self.root is not None
            _set_time(self.root / path, self.clock)

    def remove(self, path: str) -> None:
        if isinstance(self.store, MemoryStore):
            del self.store.contents[path]
        else:
            assert self.root is not None
            (self.root / path).unlink()

    def move(self, path: str, to: str) -> None:
        if isinstance(self.store, MemoryStore):
            self.store.contents[to] = self.store.contents.pop(path)
        else:
            assert self.root is not None
            (self.root / to).parent.mkdir(parents=True, exist_ok=True)
            (self.root / path).rename(self.root / to)

    def rearrange(self, origins: dict[str, str]) -> None:
        """The file at `origins[path]` is at `path` afterwards, all at once, with its time; the other files stay."""
        if isinstance(self.store, MemoryStore):
            before = dict(self.store.contents)
            self.store.contents |= {path: before[origin] for path, origin in origins.items()}
        else:
            assert self.root is not None
            files = {path: (self.root / path).read_bytes() for path in origins.values()}
            times = {path: (self.root / path).stat().st_mtime for path in origins.values()}
            for path, origin in origins.items():
                (self.root / path).write_bytes(files[origin])
                os.utime(self.root / path, (times[origin], times[origin]))

    async def start(self, *, by: str = "ann", **options: Any) -> int:
        async with self.database.writing() as session:
            return await job_requests.start(session, self.dataset_id, sync.Options(**options), requested_by=by)

    async def work(self, job_id: int, guard: Guard = USUAL_GUARD) -> None:
        """Run a job as a worker does."""
        await self.run(await self.claim(job_id), guard)

    async def claim(self, job_id: int) -> jobs.Claim:
        """The job, which must be the one that is due first."""
        claim = await jobs.claim(self.database, WORKER)
        assert claim is not None
        assert claim.id == job_id
        return claim

    async def run(self, claim: jobs.Claim, guard: Guard = USUAL_GUARD) -> None:
        await sync.run(self.database, claim, self.store, guard=guard)
        await jobs.finish(self.database, claim, "SUCCEEDED")

    async def sync(self, **options: Any) -> dict[str, Any]:
        job_id = await self.start(**options)
        await self.work(job_id)
        return await self.job(job_id)

    async def job(self, job_id: int) -> dict[str, Any]:
        [row] = await self.rows("SELECT * FROM job WHERE id = $1", job_id)
        return dict(row)

    async def counts(self, job_id: int) -> dict[str, int]:
        job = await self.job(job_id)
        return {name: job[name] for name in ("scanned", "ignored", "added", "updated", "removed", "moved", "skipped")}

    async def warnings(self, job_id: int) -> list[tuple[str, str]]:
        rows = await self.rows("SELECT path, message FROM job_warning WHERE job_id = $1 ORDER BY id", job_id)
        return [(row["path"], row["message"]) for row in rows]

    async def ignored(self, job_id: int) -> dict[str, tuple[int, list[str]]]:
        """Count and examples by reason, and by suffix where there is one."""
        rows = await self.rows("SELECT * FROM ignored_files WHERE job_id = $1 ORDER BY id", job_id)
        return {
            row["reason"] + (f" {row['suffix']}" if row["suffix"] is not None else ""): (row["count"], row["examples"])
            for row in rows
        }

    async def examples(self, job_id: int) -> dict[str, tuple[list[str], list[str]]]:
        """Of a dry run: paths by effect, and former paths."""
        rows = await self.rows("SELECT * FROM sync_example WHERE job_id = $1 ORDER BY id", job_id)
        return {row["effect"]: (row["paths"], row["former_paths"]) for row in rows}

    async def contents(self) -> list[str]:
        """Every row of the dataset but those of jobs, as text."""
        tables = ("source", "label", "sample", "annotation", "change", "sample_past")
        each = [f"SELECT t::text AS row FROM {table} t WHERE dataset_id = $1" for table in tables]
        rows = await self.rows(
            " UNION ALL ".join([*each, "SELECT t::text FROM dataset t WHERE id = $1"]), self.dataset_id
        )
        return sorted(row["row"] for row in rows)

    async def set_up(self, **columns: Any) -> None:
        """The dataset's settings, by their columns."""
        for name, value in columns.items():
            await self.do(f"UPDATE dataset SET {name} = $2 WHERE id = $1", self.dataset_id, value)

    async def labels(self) -> dict[str, list[str]]:
        """Label names by path."""
        rows = await self.rows(
            "SELECT path, ARRAY(SELECT name FROM label WHERE id = ANY(label_ids) ORDER BY name) AS names"
            " FROM sample WHERE dataset_id = $1 ORDER BY path",
            self.dataset_id,
        )
        return {row["path"]: row["names"] for row in rows}

    async def sample(self, path: str) -> dict[str, Any]:
        [row] = await self.rows(
            "SELECT sample.*, source.status, source.width, source.height, source.format, source.orientation"
            " FROM sample JOIN source ON source.id = source_id WHERE sample.dataset_id = $1 AND sample.path = $2",
            self.dataset_id,
            path,
        )
        return dict(row)

    async def changes(self) -> list[str]:
        rows = await self.rows("SELECT summary FROM change WHERE dataset_id = $1 ORDER BY revision", self.dataset_id)
        return [row["summary"] for row in rows]

    async def label_by_hand(self, path: str, *names: str) -> None:
        """What labelSamples SET does."""
        make = (
            "INSERT INTO label (dataset_id, name, since) SELECT $1, $2::text, 0"
            " WHERE NOT EXISTS (SELECT FROM label WHERE dataset_id = $1 AND name = $2::text)"
        )
        for name in names:
            await self.do(make, self.dataset_id, name)
        find = "SELECT id FROM label WHERE dataset_id = $1 AND name = ANY($2::text[]) ORDER BY id"
        ids = [row["id"] for row in await self.rows(find, self.dataset_id, list(names))]
        sample = await self.sample(path)
        await self.do("DELETE FROM annotation WHERE sample_id = $1", sample["id"])
        await self.do(
            "INSERT INTO annotation (dataset_id, sample_id, label_id, labeled_by, origin, since)"
            " SELECT $1, $2, unnest($3::bigint[]), 'bob', 'MANUAL', 1",
            self.dataset_id,
            sample["id"],
            ids,
        )
        await self.do(
            "UPDATE sample SET label_ids = $2, state = $3, labeled_by = $4, labeled_origin = 'MANUAL',"
            " labeled_at = CASE $3 WHEN 'LABELED' THEN now() END WHERE id = $1",
            sample["id"],
            ids,
            "LABELED" if ids else "UNLABELED",
            "bob" if ids else None,
        )

    async def delete_by_hand(self, path: str) -> None:
        """What deleteSamples does, keeping the source."""
        sample = await self.sample(path)
        await self.do("DELETE FROM annotation WHERE sample_id = $1", sample["id"])
        await self.do("DELETE FROM sample WHERE id = $1", sample["id"])


def _set_time(path: Path, moment: datetime) -> None:
    os.utime(path, (moment.timestamp(), moment.timestamp()))


async def make(
    database: Database, store: Store, root: Path | None = None, *, kind: str = "IMAGE_CLASSIFICATION"
) -> DatasetFixture:
    async with database.writing() as session:
        connection = await connection_of(session)
        dataset_id = await connection.fetchval(
            "INSERT INTO dataset (name, type, input_path, created_by) VALUES ($1, $2, $3, 'ann') RETURNING id",
            f"dataset-{next(NUMBERS)}",
            kind,
            str(root or "/memory"),
        )
    return DatasetFixture(database, dataset_id, store, root)


async def local(database: Database, root: Path) -> DatasetFixture:
    return await make(database, LocalStore(root), root)


async def memory(database: Database) -> DatasetFixture:
    return await make(database, MemoryStore())


def counted(job: dict[str, Any], **expected: int) -> bool:
    """Whether the counters of work are these, and all others 0."""
    names = ("added", "updated", "removed", "moved", "skipped")
    return {name: job[name] for name in names} == {name: expected.get(name, 0) for name in names}
