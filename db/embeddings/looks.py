"""Which images of a dataset look alike: by a hash of 64 bits of each, of which few differ between copies in other sizes
and qualities. A worker reads the images of datasets that want it, in small portions, and groups their hashes.

Hashes that differ in one or two bits are found by pairs of their quarters, which an index has: of four quarters two are
equal then. A hash that connects two groups makes them one.
"""

import logging
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import asyncpg
from sqlmodel.ext.asyncio.session import AsyncSession

from db.concurrency_limits import gather_or_cancel
from db.errors import DomainError, StorageError
from db.formats.decoding import Decoders
from db.formats.images import UnreadableImage
from db.history.changes import lock_dataset
from db.postgres import sql
from db.postgres.engine import Database, open_connection
from db.storage import Store
from db.storage.object_deletion import OpenStore

SQL: Final = sql.load(__file__)
PORTION: Final = 100  # images, whose hashes are stored together
AT_ONCE: Final = 4  # images that are read at the same time
RETRY: Final = 60.0  # seconds until images that could not be read are tried again
HASHING: Final = 4_203_004  # advisory lock: one worker at a time
DISTANCES: Final = (1, 2)  # bits, each of which has groups of its own

log = logging.getLogger(__name__)


@dataclass(slots=True)
class LookHasher:
    """Hashes what has no hash. `done`: the revision of each dataset at which everything had one that could have.
    `retry_at`: when those are looked at again of which something could not be read."""

    database: Database
    url: str  # of Postgres itself, without a pooler
    open_store: OpenStore
    decoders: Decoders
    max_bytes: int  # of an image
    done: dict[int, int] = field(default_factory=dict)
    retry_at: dict[int, float] = field(default_factory=dict)

    async def sweep(self) -> int:
        """How many images got a hash, or turned out to have none."""
        async with self.database.reading() as connection:
            datasets = await sql.run(connection, SQL.datasets)
        due = [row for row in datasets if self._is_due(row["id"], row["revision"])]
        if not due:
            return 0
        connection = await open_connection(self.url, statement_cache_size=0)
        try:
            if not await connection.fetchval("SELECT pg_try_advisory_lock($1)", HASHING):
                return 0
            return sum([await self._hash_dataset(row["id"], row["input_path"], row["revision"]) for row in due])
        finally:
            await connection.close()

    def _is_due(self, dataset_id: int, revision: int) -> bool:
        return self.done.get(dataset_id) != revision and time.monotonic() >= self.retry_at.get(dataset_id, 0)

    async def _hash_dataset(self, dataset_id: int, input_path: str, revision: int) -> int:
        after, count, failed = "", 0, 0
        try:
            store = self.open_store(input_path)
            while rows := await self._unhashed(dataset_id, after):
                hashes = await self._hashes(store, rows)
                async with self.database.writing() as session:
                    await add(session, dataset_id, hashes)
                count, failed, after = count + len(hashes), failed + len(rows) - len(hashes), rows[-1]["sample_path"]
        except DomainError as error:  # such as that it was deleted, or may not be read any more
            log.info("the looks of dataset %s are put off: %s", dataset_id, type(error).__name__)
            failed += 1
        if failed:
            self.retry_at[dataset_id] = time.monotonic() + RETRY
        else:
            self.done[dataset_id] = revision
        return count

    async def _unhashed(self, dataset_id: int, after: str) -> Sequence[asyncpg.Record]:
        async with self.database.reading() as connection:
            return await sql.run(connection, SQL.unhashed, dataset_id=dataset_id, after=after, limit=PORTION)

    async def _hashes(self, store: Store, rows: Sequence[asyncpg.Record]) -> dict[int, int | None]:
        """The hash of each source: None where it cannot be decoded. What cannot be read is left out."""
        found: dict[int, int | None] = {}
        left = iter(rows)

        async def work() -> None:
            for row in left:
                try:
                    found[row["id"]] = await self._hash_of(store, row["path"], row["size"])
                except StorageError as error:
                    log.info("the image of source %s could not be read: %s", row["id"], type(error).__name__)

        await gather_or_cancel(work() for _ in range(AT_ONCE))
        return found

    async def _hash_of(self, store: Store, path: str, size: int) -> int | None:
        if size > self.max_bytes:
            return None
        data = await store.read(path)
        if len(data) != size:
            raise StorageError("The file was replaced since it was listed.")
        try:
            return await self.decoders.difference_hash(data)
        except UnreadableImage:
            return None


async def add(session: AsyncSession, dataset_id: int, hashes: Mapping[int, int | None]) -> None:
    """Store the hashes of sources, and group them with the dataset's others. Raises NotFound for a deleted dataset."""
    await lock_dataset(session, dataset_id, None)
    await sql.run(session, SQL.lock, dataset_id=dataset_id)
    sources, values = list(hashes), list(hashes.values())
    await sql.run(session, SQL.add, dataset_id=dataset_id, sources=sources, hashes=values)
    distinct = sorted({value for value in values if value is not None})
    await sql.run(session, SQL.share, dataset_id=dataset_id, hashes=distinct)
    pairs = await sql.run(session, SQL.neighbours, dataset_id=dataset_id, hashes=distinct)
    if not pairs:
        return
    near = sorted({row[name] for row in pairs for name in ("one", "other")})
    groups = {row["hash"]: row for row in await sql.run(session, SQL.mark, dataset_id=dataset_id, hashes=near)}
    for distance in DISTANCES:
        column = f"group{distance}"
        links = [(row["one"], row["other"]) for row in pairs if row["distance"] <= distance]
        merged = united((groups[one][column], groups[other][column]) for one, other in links)
        if merged:
            statement = SQL.merge.format(column=column)
            await sql.run(
                session, statement, dataset_id=dataset_id, old=list(merged), new=[merged[each] for each in merged]
            )


def united(links: Iterable[tuple[int, int]]) -> dict[int, int]:
    """For each group that links connect to a smaller one: the smallest one of all that are connected."""
    parents: dict[int, int] = {}

    def root(group: int) -> int:
        while (parent := parents.setdefault(group, group)) != group:
            parents[group] = parents[parent]
            group = parent
        return group

    for one, other in links:
        first, second = sorted((root(one), root(other)))
        parents[second] = first
    return {group: root(group) for group in list(parents) if root(group) != group}
