"""Switching: the working set becomes what a version is. The differences are applied as one change."""

from typing import Literal

from sqlmodel.ext.asyncio.session import AsyncSession

from db.errors import Conflict
from db.history.changes import lock_dataset, record
from db.history.versions import base
from db.history.versions.base import Base
from db.history.versions.outcomes import Switched
from db.history.versions.restore import IN_THE_WAY, Span, gather, put_back
from db.identity.tokens import Identity
from db.postgres import sql

OnUnpublished = Literal["REJECT", "DISCARD"]
REMEMBER = """
INSERT INTO base_before (change_id, dataset_id, version_id, was_clean)
VALUES (:change_id, :dataset_id, :version_id, :was_clean)
"""


async def switch(
    session: AsyncSession, version_id: int, *, by: Identity, on_unpublished: OnUnpublished = "REJECT"
) -> Switched:
    """Samples, labels and names of the version; ids stay. Whoever labels meanwhile waits, and then goes on."""
    dataset_id = (await base.find(session, version_id, by))["dataset_id"]
    revision = await lock_dataset(session, dataset_id, by, exclusive=True)
    await base.expect_idle(session, dataset_id)
    before = await base.take(session, dataset_id)
    version = await base.find(session, version_id, by)
    is_clean = before.is_clean(revision)
    if on_unpublished == "REJECT" and not is_clean:
        raise _unpublished(revision)
    if before.version_id == version_id and is_clean:
        return Switched(dataset_id)
    span = Span(dataset_id, version["revision"])
    gathered = await gather(session, span)
    if gathered.is_empty:
        await base.put(session, dataset_id, version_id, revision)
        return Switched(dataset_id)
    await _expect_room(session)
    summary = f"Switched to version `{version['name']}`"
    change = await record(session, dataset_id, by.name, "SET_CURRENT_VERSION", summary)
    await put_back(session, gathered, change)
    await remember(session, dataset_id, change.id, before, is_clean=is_clean)
    await base.put(session, dataset_id, version_id, change.revision)
    return Switched(dataset_id, change.id)


async def remember(session: AsyncSession, dataset_id: int, change_id: int, before: Base, *, is_clean: bool) -> None:
    """What the working set was based on before a change, for whoever undoes it."""
    await sql.run(
        session,
        REMEMBER,
        change_id=change_id,
        dataset_id=dataset_id,
        version_id=before.version_id,
        was_clean=is_clean,
    )


async def _expect_room(session: AsyncSession) -> None:
    row = await sql.first(session, f"{IN_THE_WAY} ORDER BY s.path LIMIT 1")
    if row is not None:
        raise Conflict(
            f"Two samples of the version would lie at `{row['path']}` now, since a file was moved there; "
            "move it away, sync, and repeat.",
            path=row["path"],
        )


def _unpublished(revision: int) -> Conflict:
    return Conflict(
        "The working set has changes that are in no version; publish it first, or pass `onUnpublished: DISCARD`.",
        code="UNPUBLISHED_CHANGES",
        revision=revision,
    )
