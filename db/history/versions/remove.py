"""Forgetting a version. Its samples, the working set, and files that were written of it stay."""

from sqlmodel.ext.asyncio.session import AsyncSession

from db.history.changes import lock_dataset
from db.history.versions import base
from db.history.versions.outcomes import Removed
from db.identity.tokens import Identity
from db.postgres import sql

ORPHANS = "UPDATE version SET parent_id = NULL WHERE parent_id = :id"
UNBASED = "UPDATE base SET version_id = NULL WHERE version_id = :id"
REMOVE = "DELETE FROM version WHERE id = :id"


async def remove(session: AsyncSession, version_id: int, *, by: Identity) -> Removed:
    """The versions that followed it keep all they have, and have no parent any more."""
    version = await base.find(session, version_id, by)
    await lock_dataset(session, version["dataset_id"], by)
    await base.take(session, version["dataset_id"])
    for statement in (ORPHANS, UNBASED):
        await sql.run(session, statement, id=version_id)
    if not await sql.count(session, REMOVE, id=version_id):
        raise base.no_such_version()
    return Removed(version["dataset_id"], version_id)
