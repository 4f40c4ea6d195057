"""Changes: every committed operation on a working set, numbered without gaps.

All writers follow one order, so that none waits for another in a circle:
`hold(dataset)` → label rows by id → sample rows by id → `record(…)`, which takes the dataset's row until the commit →
the set-based writes, with `since` = the change's revision.
"""

from dataclasses import dataclass

from sqlalchemy import text
from sqlmodel.ext.asyncio.session import AsyncSession

from db.errors import NotFound


@dataclass(frozen=True, slots=True)
class Recorded:
    """A change that is about to be committed: its id, and the revision that its rows carry in `since`."""

    id: int
    revision: int


async def hold(session: AsyncSession, dataset_id: int) -> int:
    """Enter the dataset for writing, beside other writers; switching and undoing wait. Returns the revision."""
    return await _held(session, dataset_id, "pg_advisory_xact_lock_shared")


async def hold_alone(session: AsyncSession, dataset_id: int) -> int:
    """Enter the dataset for writing when no other writer is in it; all others wait. Returns the revision."""
    return await _held(session, dataset_id, "pg_advisory_xact_lock")


async def _held(session: AsyncSession, dataset_id: int, lock: str) -> int:
    await session.exec(text(f"SELECT {lock}(1, :id ::bigint ::int)"), params={"id": dataset_id})  # type: ignore[call-overload]
    found = await session.exec(  # type: ignore[call-overload]
        text("SELECT revision FROM dataset WHERE id = :id AND deleted_at IS NULL"), params={"id": dataset_id}
    )
    revision: int | None = found.scalar()
    if revision is None:
        raise no_such_dataset()
    return revision


async def record(
    session: AsyncSession,
    dataset_id: int,
    *,
    kind: str,
    actor: str,
    summary: str,
    undoable: bool = True,
    job_id: int | None = None,
) -> Recorded:
    """Take the dataset's next revision, and its row until the commit."""
    row = await session.exec(  # type: ignore[call-overload]
        text(
            """
            WITH head AS (
                UPDATE dataset SET revision = revision + 1, updated_at = clock_timestamp()
                WHERE id = :dataset_id AND deleted_at IS NULL RETURNING id, revision
            )
            INSERT INTO change (dataset_id, revision, kind, actor, summary, undoable, job_id)
            SELECT id, revision, :kind, :actor, :summary, :undoable, CAST(:job_id AS bigint) FROM head
            RETURNING id, revision
            """
        ),
        params={
            "dataset_id": dataset_id,
            "kind": kind,
            "actor": actor,
            "summary": summary,
            "undoable": undoable,
            "job_id": job_id,
        },
    )
    found = row.one_or_none()
    if found is None:
        raise no_such_dataset()
    return Recorded(id=found.id, revision=found.revision)


def no_such_dataset() -> NotFound:
    return NotFound("There is no such dataset; list them with `datasets`.", code="DATASET_NOT_FOUND")
