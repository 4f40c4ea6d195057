"""Entering a dataset to write: it is there, the token may see it, and it is the state that the caller knows."""

from sqlmodel.ext.asyncio.session import AsyncSession

from db.errors import Conflict
from db.history import changes
from db.history.changes import Recorded, no_such_dataset
from db.identity.tokens import Identity
from db.postgres import sql


class Overtaken(Exception):
    """Somebody was quicker with what we had found missing: rolled back, the same work finds it there."""


TOLD = 100  # conflicting changes that an error names, the earliest first


async def enter(session: AsyncSession, dataset_id: int, by: Identity) -> int:
    """Hold the dataset beside other writers, and give its revision. What a token may not see does not exist."""
    if not by.sees(dataset_id):
        raise no_such_dataset()
    return await changes.hold(session, dataset_id)


async def enter_alone(session: AsyncSession, dataset_id: int, by: Identity) -> int:
    """As `enter`, but other writers wait until the commit."""
    if not by.sees(dataset_id):
        raise no_such_dataset()
    return await changes.hold_alone(session, dataset_id)


async def record(
    session: AsyncSession,
    dataset_id: int,
    by: Identity,
    kind: str,
    summary: str,
    *,
    undoable: bool = True,
    expected_revision: int | None = None,
) -> Recorded:
    """Take the next revision; from here to the commit no other writer of the dataset gets this far."""
    change = await changes.record(session, dataset_id, kind=kind, actor=by.name, summary=summary, undoable=undoable)
    if expected_revision is not None:
        await expect_revision(session, dataset_id, expected_revision, change.revision - 1)
    return change


async def expect_revision(
    session: AsyncSession, dataset_id: int, expected: int | None, revision: int | None = None
) -> None:
    """Refuse when the dataset is in another state than the caller knows, and name what happened since.

    Without `revision` the current one is asked for: what was read before locks were waited for may be old.
    """
    if expected is None:
        return
    if revision is None:
        revision = await changes.hold(session, dataset_id)
    if expected == revision:
        return
    statement = """
        SELECT id FROM change WHERE dataset_id = :dataset_id AND revision > :expected AND revision <= :revision
        ORDER BY revision LIMIT :told
    """
    rows = await sql.run(
        session, statement, dataset_id=dataset_id, expected=min(expected, revision), revision=revision, told=TOLD
    )
    raise Conflict(
        f"The dataset is at revision {revision}, not {expected}: others changed it. Look at it again and repeat.",
        revision=revision,
        changes=[f"Change:{row['id']}" for row in rows],
    )
