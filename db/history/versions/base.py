"""What a working set is based on, and finding versions. Publishing and switching take the base's row, and so one
another's turn; labelling does not."""

from dataclasses import dataclass

import asyncpg
from sqlmodel.ext.asyncio.session import AsyncSession

from db import jobs
from db.errors import NotFound
from db.identity.tokens import Identity
from db.postgres import sql

TAKE = """
INSERT INTO base (dataset_id) VALUES (:dataset_id)
ON CONFLICT (dataset_id) DO UPDATE SET dataset_id = excluded.dataset_id
RETURNING version_id, revision, named
"""
PUT = "UPDATE base SET version_id = :version_id, revision = :revision WHERE dataset_id = :dataset_id"
FIND = """
SELECT v.id, v.dataset_id, v.name, v.revision FROM version v JOIN dataset d ON d.id = v.dataset_id
WHERE v.id = :id AND d.deleted_at IS NULL
"""


@dataclass(frozen=True, slots=True)
class Base:
    """The version that the working set was equal to at `revision`, if there is one."""

    version_id: int | None
    revision: int
    named: int

    def is_clean(self, revision: int) -> bool:
        """Whether nothing was changed since. Without a version everything is a change."""
        return revision == (self.revision if self.version_id is not None else 0)


async def take(session: AsyncSession, dataset_id: int) -> Base:
    """The base, held until the commit."""
    row = await sql.first(session, TAKE, dataset_id=dataset_id)
    assert row is not None
    return Base(row["version_id"], row["revision"], row["named"])


async def put(session: AsyncSession, dataset_id: int, version_id: int | None, revision: int) -> None:
    await sql.run(session, PUT, dataset_id=dataset_id, version_id=version_id, revision=revision)


async def find(session: AsyncSession, version_id: int, by: Identity) -> asyncpg.Record:
    row = await sql.first(session, FIND, id=version_id)
    if row is None or not by.sees(row["dataset_id"]):
        raise no_such_version()
    return row


async def expect_idle(session: AsyncSession, dataset_id: int) -> None:
    """Refuse while a job fills the working set: what it would be now is half of something."""
    job = await jobs.active_ingest(session, dataset_id)
    if job is not None:
        raise jobs.dataset_busy(job)


def no_such_version() -> NotFound:
    return NotFound("There is no such version; list them with `dataset { versions }`.", code="VERSION_NOT_FOUND")
