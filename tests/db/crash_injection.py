"""Crashes at any point. Every commit and every call to the store counts as a step; at one of them the process crashes:
all that follows fails, and nothing of an open transaction is committed."""

from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from sqlmodel.ext.asyncio.session import AsyncSession

from db import jobs
from db.errors import DomainError, StorageError
from db.postgres.engine import Database
from db.postgres.outages import DatabaseUnavailable
from db.postgres.sql import connection_of
from db.storage import Head, Page, Store, StoredObject, Stores
from db.storage.locations import AllowedLocations
from db.storage.objects import ALL, Scope
from tests.db.dataset_fixture import WORKER


class Crash(Exception):
    """The process has crashed."""


@dataclass(slots=True)
class CrashPoint:
    """`left`: steps until the crash; None for no crash."""

    left: int | None = None
    taken: int = 0

    def step(self) -> None:
        self.taken += 1
        if self.left is not None and self.taken > self.left:
            raise Crash(f"at step {self.left}")


class CrashingDatabase:
    """A database whose user may crash before or after any commit."""

    def __init__(self, database: Database, crash_point: CrashPoint) -> None:
        self.database = database
        self.crash_point = crash_point
        self.limits = database.limits
        self.writers_of_dataset = database.writers_of_dataset

    @asynccontextmanager
    async def reading(self) -> AsyncGenerator[Any, None]:
        async with self.database.reading() as connection:
            yield connection

    @asynccontextmanager
    async def writing(self) -> AsyncGenerator[AsyncSession, None]:
        async with self.database.writing() as session:
            yield session
            self.crash_point.step()
        self.crash_point.step()


async def empty_unlogged_tables(database: Database) -> None:
    """As Postgres does when it crashes."""
    async with database.writing() as session:
        connection = await connection_of(session)
        tables = await connection.fetchval(
            "SELECT string_agg(oid::regclass::text, ', ') FROM pg_class"
            " WHERE relpersistence = 'u' AND relkind = 'r' AND relnamespace = 'public'::regnamespace"
        )
        await connection.execute(f"TRUNCATE {tables}")


class ForgettingDatabase(CrashingDatabase):
    """A database whose Postgres crashes after a commit: unlogged tables are empty then, and the next connection is a
    new one."""

    @asynccontextmanager
    async def writing(self) -> AsyncGenerator[AsyncSession, None]:
        async with self.database.writing() as session:
            yield session
        self.crash_point.taken += 1
        if self.crash_point.taken == self.crash_point.left:
            await empty_unlogged_tables(self.database)


class CrashingStore:
    """A store whose user may crash at any call."""

    def __init__(self, store: Store, crash_point: CrashPoint) -> None:
        self.store = store
        self.crash_point = crash_point

    async def pages(self, scope: Scope = ALL) -> AsyncIterator[Page]:
        async for page in self.store.pages(scope):
            self.crash_point.step()
            yield page

    async def stat(self, path: str) -> StoredObject | None:
        self.crash_point.step()
        return await self.store.stat(path)

    async def heads(self, paths: Sequence[str], *, length: int) -> list[Head | StorageError]:
        self.crash_point.step()
        return await self.store.heads(paths, length=length)

    async def content_hashes(self, objects: Sequence[tuple[str, str]]) -> list[str | StorageError]:
        self.crash_point.step()
        return await self.store.content_hashes(objects)

    async def read(self, path: str, *, start: int = 0, length: int | None = None) -> bytes:
        self.crash_point.step()
        return await self.store.read(path, start=start, length=length)

    async def stream(self, path: str, *, start: int = 0, length: int | None = None) -> AsyncIterator[bytes]:
        async for piece in self.store.stream(path, start=start, length=length):
            self.crash_point.step()
            yield piece

    async def write(self, path: str, data: bytes) -> StoredObject:
        self.crash_point.step()
        written = await self.store.write(path, data)
        self.crash_point.step()
        return written

    async def write_stream(self, path: str, pieces: AsyncIterator[bytes]) -> StoredObject:
        async def crashing_pieces() -> AsyncIterator[bytes]:
            async for piece in pieces:
                self.crash_point.step()
                yield piece

        written = await self.store.write_stream(path, crashing_pieces())
        self.crash_point.step()
        return written

    async def delete(self, path: str, *, etag: str | None = None) -> bool:
        self.crash_point.step()
        deleted = await self.store.delete(path, etag=etag)
        self.crash_point.step()
        return deleted

    async def discard(self, paths: Sequence[str]) -> list[str]:
        left = []
        for path in paths:
            self.crash_point.step()
            left += await self.store.discard([path])
        return left

    async def delete_many(self, objects: Sequence[tuple[str, str | None]]) -> list[bool | DomainError]:
        return await Store.delete_many(cast(Store, self), objects)


class CrashingStores(Stores):
    """Stores whose user may crash at any call of any of them."""

    def __init__(self, locations: AllowedLocations, crash_point: CrashPoint) -> None:
        super().__init__(locations)
        object.__setattr__(self, "crash_point", crash_point)

    def open(self, url: str) -> Store:
        return cast(Store, CrashingStore(super().open(url), self.crash_point))  # type: ignore[attr-defined]


def crashing(database: Database, store: Store, crash_point: CrashPoint) -> tuple[Database, Store]:
    return cast(Database, CrashingDatabase(database, crash_point)), cast(Store, CrashingStore(store, crash_point))


async def live(
    database: Database, folder: Path, job_id: int, crash_point: CrashPoint, run: Callable[..., Awaitable[object]]
) -> bool:
    """A worker's life with a job, as far as it goes. Whether it came to the end. `run`: of a database, the job and
    stores."""
    crashing: Any = CrashingDatabase(database, crash_point)
    try:
        claim = await jobs.claim(crashing, WORKER)
        if claim is not None:
            assert claim.id == job_id
            await run(crashing, claim, CrashingStores(AllowedLocations((folder,)), crash_point))
            await jobs.finish(crashing, claim, "SUCCEEDED")
    except Crash:
        return False
    return True


async def live_on(database: Database, job_id: int, left: int, run: Callable[..., Awaitable[object]]) -> bool:
    """The life of a worker with a job, and of the next one, while Postgres crashes after so many commits. Whether it
    came to that. `run`: of a database and the job."""
    forgetting: Any = ForgettingDatabase(database, CrashPoint(left))
    for worker_database in (forgetting, database):
        claim = await jobs.claim(worker_database, WORKER)
        assert claim is not None
        assert claim.id == job_id
        try:
            await run(worker_database, claim)
        except DatabaseUnavailable:
            await jobs.release(database, claim, refund_attempt=True)
        else:
            await jobs.finish(database, claim, "SUCCEEDED")
            break
    return bool(forgetting.crash_point.taken >= left)
