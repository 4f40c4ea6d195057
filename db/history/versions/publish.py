"""Publishing: one row for the version, one for each label, however many samples there are.

A revision that can be read is complete: each change takes the dataset's row from its first write to its commit. So one
statement that reads the revision, the counts and the labels sees one state, and nobody need stop working.
"""

from dataclasses import dataclass
from typing import Final

from sqlmodel.ext.asyncio.session import AsyncSession

from db.errors import AlreadyExists, Invalid
from db.formats import names
from db.history.changes import lock_dataset
from db.history.versions import split
from db.history.versions.base import expect_idle, lock_base, set_base
from db.history.versions.manifest_requests import request_manifest
from db.history.versions.split import Split
from db.identity.tokens import Identity
from db.postgres import sql
from db.postgres.models import Base

SQL: Final = sql.load(__file__)


@dataclass(frozen=True, slots=True)
class Published:
    dataset_id: int
    version: int


async def publish(
    session: AsyncSession,
    dataset_id: int,
    *,
    by: Identity,
    name: str | None = None,
    description: str = "",
    divided: Split | None = None,
) -> Published:
    """Give the working set, as it is at this instant, a name. It becomes the current version."""
    checked_name = None if name is None else names.version_name(name)
    checked_description = names.description(description)
    if divided is not None:
        divided.check()
    await lock_dataset(session, dataset_id, by)
    await expect_idle(session, dataset_id)
    base = await lock_base(session, dataset_id)
    version_name = checked_name or await _next_name(session, base)
    row = await sql.first(
        session,
        SQL.publish,
        dataset_id=dataset_id,
        name=version_name,
        description=checked_description,
        parent_id=base.version_id,
        is_split=divided is not None,
        by=by.name,
    )
    if row is None:
        if await sql.value(session, SQL.is_empty, dataset_id=dataset_id):
            raise Invalid("The dataset has no samples; add some before you publish.", code="EMPTY_VERSION")
        raise AlreadyExists(
            f"The dataset has a version `{version_name}` already; choose another name.",
            code="VERSION_ALREADY_EXISTS",
            name=version_name,
        )
    if divided is not None:
        await split.write(session, dataset_id, row["id"], row["revision"], divided)
    await set_base(session, base, row["id"], row["revision"])
    await request_manifest(session, dataset_id, row["id"], requested_by=by.name)
    return Published(dataset_id, row["id"])


async def _next_name(session: AsyncSession, base: Base) -> str:
    """`V001`, `V002` …: a number is never given twice, and names that are taken are skipped."""
    taken = {row["name"] for row in await sql.run(session, SQL.default_names, dataset_id=base.dataset_id)}
    base.named += 1
    while f"V{base.named:03d}" in taken:
        base.named += 1
    return f"V{base.named:03d}"
