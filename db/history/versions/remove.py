"""Removing a version. Its samples, the working set, and files that were written of it stay."""

from dataclasses import dataclass

from sqlalchemy import delete, update
from sqlmodel import col
from sqlmodel.ext.asyncio.session import AsyncSession

from db.history.changes import lock_dataset
from db.history.versions.base import find_version, lock_base, no_such_version
from db.identity.tokens import Identity
from db.postgres.models import Base, Version


@dataclass(frozen=True, slots=True)
class Removed:
    dataset_id: int
    version: int


async def remove(session: AsyncSession, version_id: int, *, by: Identity) -> Removed:
    """The versions that followed it keep all they have, and have no parent any more."""
    dataset_id = (await find_version(session, version_id, by)).dataset_id
    await lock_dataset(session, dataset_id, by)
    await lock_base(session, dataset_id)
    await session.exec(update(Version).where(col(Version.parent_id) == version_id).values(parent_id=None))
    await session.exec(update(Base).where(col(Base.version_id) == version_id).values(version_id=None))
    if not (await session.exec(delete(Version).where(col(Version.id) == version_id))).rowcount:
        raise no_such_version()
    return Removed(dataset_id, version_id)
