"""Changes: every committed operation on a working set, numbered without gaps.

All writers lock in one order, so that none waits for another in a circle:
`lock_dataset` → label rows by id → sample rows by id → `record`, which locks the dataset's row until the commit →
the set-based writes, with `since` = the change's revision.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, TypeVar

from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from db.errors import Conflict, NotFound
from db.history import large_changes
from db.history.turns import take_turn
from db.identity.tokens import Identity
from db.postgres import sql
from db.postgres.models import Change, ChangeKind, Dataset, Version

SQL: Final = sql.load(__file__)
MAX_REPORTED: Final = 100  # conflicting changes that an error names, the earliest first

Row = TypeVar("Row", Change, Version)


class RetryTransaction(Exception):
    """Another writer has just created what was missing: `transactions.write` rolls back and tries again."""


@dataclass(frozen=True, slots=True)
class RecordedChange:
    """A change that is about to be committed: its id, and the revision that its rows carry in `since`."""

    id: int
    revision: int


async def lock_dataset(
    session: AsyncSession, dataset_id: int, by: Identity | None, *, exclusive: bool = False, dry_run: bool = False
) -> int:
    """Lock the dataset for writing, until the commit, and return its revision. The lock is shared with other writers,
    or `exclusive`; a dry run takes none. A dataset that the token may not see does not exist; without a token (jobs)
    every one is seen."""
    if by is not None and not by.sees(dataset_id):
        raise no_such_dataset()
    if by is not None:
        session.info[large_changes.ACTOR] = by.name
    if not dry_run:
        await take_turn(session, dataset_id)
        await sql.run(session, SQL.lock_exclusive if exclusive else SQL.lock_shared, dataset_id=dataset_id)
    revision: int | None = await sql.value(session, SQL.revision, dataset_id=dataset_id)
    if revision is None:
        raise no_such_dataset()
    return revision


async def lock_shared(session: AsyncSession, dataset_id: int) -> None:
    """As `lock_dataset`, for who learns of the dataset by `lock_head`."""
    await sql.run(session, SQL.lock_shared, dataset_id=dataset_id)


async def lock_head(session: AsyncSession, dataset_id: int) -> int | None:
    """The dataset's revision, which only this transaction changes until its commit. None: there is no such dataset."""
    revision: int | None = await sql.value(session, SQL.lock_head, dataset_id=dataset_id)
    return revision


async def find_visible(session: AsyncSession, model: type[Row], id: int, by: Identity) -> Row | None:
    """A row of a dataset that is not deleted and that the token may see."""
    found = await session.exec(
        select(model)
        .join(Dataset, col(Dataset.id) == col(model.dataset_id))
        .where(col(model.id) == id, col(Dataset.deleted_at).is_(None))
    )
    row = found.one_or_none()
    return row if row is not None and by.sees(row.dataset_id) else None


async def record(
    session: AsyncSession,
    dataset_id: int,
    actor: str,
    kind: ChangeKind,
    summary: str,
    *,
    undoable: bool = True,
    job_id: int | None = None,
    expected_revision: int | None = None,
) -> RecordedChange:
    """Take the dataset's next revision, and its row until the commit: no other writer of the dataset gets this far."""
    job = large_changes.job_of(session)
    row = await sql.first(
        session,
        SQL.record,
        dataset_id=dataset_id,
        kind=kind,
        actor=actor,
        summary=summary,
        undoable=undoable,
        job_id=job_id if job is None else job.id,
    )
    if row is None:
        raise no_such_dataset()
    await expect_revision(session, dataset_id, expected_revision, row["revision"] - 1)
    return RecordedChange(row["id"], row["revision"])


async def number_changes(session: AsyncSession, revision: int, count: int) -> list[RecordedChange]:
    """Changes that follow this revision of a dataset, to be recorded when all has been written. What the transaction
    writes from here on is of the first of them."""
    ids = await sql.value(session, SQL.number_changes, count=count, revision=revision + 1)
    return [RecordedChange(id, revision + number) for number, id in enumerate(ids, 1)]


async def write_next(session: AsyncSession, change: RecordedChange) -> None:
    """What this transaction writes from here on is of this change."""
    await sql.run(session, SQL.write_next, revision=change.revision)


async def record_written(
    session: AsyncSession,
    dataset_id: int,
    kind: ChangeKind,
    changes: Sequence[RecordedChange],
    summaries: Sequence[tuple[str, str]],
) -> None:
    """Record changes that were written, and change the counters, under the lock of the dataset's row, which is at the
    revision before them. `summaries`: the actor and the summary of each."""
    await sql.run(
        session,
        SQL.record_written,
        dataset_id=dataset_id,
        kind=kind,
        ids=[change.id for change in changes],
        revisions=[change.revision for change in changes],
        actors=[actor for actor, _ in summaries],
        summaries=[summary for _, summary in summaries],
    )


async def expect_revision(
    session: AsyncSession, dataset_id: int, expected: int | None, revision: int | None = None
) -> None:
    """Refuse when the dataset is in another state than the caller knows, and name what happened since.

    Without `revision` the current one is read: what was read before a wait for locks may be old.
    """
    if expected is None:
        return
    if revision is None:
        revision = await lock_dataset(session, dataset_id, None)
    if expected == revision:
        return
    first = min(expected, revision)
    rows = await sql.run(
        session, SQL.between, dataset_id=dataset_id, expected=first, revision=revision, limit=MAX_REPORTED
    )
    raise Conflict(
        f"The dataset is at revision {revision}, not {expected}: it was changed in the meantime. Load it again and "
        "repeat.",
        revision=revision,
        changes=[f"Change:{row['id']}" for row in rows],
    )


def no_such_dataset() -> NotFound:
    return NotFound("There is no such dataset; list them with `datasets`.", code="DATASET_NOT_FOUND")
