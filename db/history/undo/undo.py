from dataclasses import dataclass

import asyncpg
from sqlmodel.ext.asyncio.session import AsyncSession

from db.errors import Invalid, NotFound
from db.history.changes import RecordedChange, lock_dataset, record
from db.history.undo.conflicts import expect_none
from db.history.versions import base
from db.history.versions.base import Base
from db.history.versions.restore import Span, gather, put_back
from db.history.versions.switch import remember
from db.identity.tokens import Identity
from db.postgres import sql

SUMMARY = 200  # characters of the undone change's summary
FIND = """
SELECT c.id, c.dataset_id, c.revision, c.summary, c.undoable
FROM change c JOIN dataset d ON d.id = c.dataset_id WHERE c.id = :id AND d.deleted_at IS NULL
"""
MARK = "UPDATE change SET undone_by = :undo WHERE id = :id"
BEFORE = """
SELECT v.id AS version_id, b.was_clean FROM base_before b LEFT JOIN version v ON v.id = b.version_id
WHERE b.change_id = :id
"""


@dataclass(frozen=True, slots=True)
class Undone:
    """`change`: the one that undid."""

    dataset_id: int
    change: int


async def undo(session: AsyncSession, change_id: int, *, by: Identity) -> Undone:
    """Make what the change touched what it was before. Refused where later changes touched the same."""
    done = await _find(session, change_id, by)
    dataset_id = done["dataset_id"]
    revision = await lock_dataset(session, dataset_id, by, exclusive=True)
    before = await base.take(session, dataset_id)
    span = Span(dataset_id, done["revision"] - 1, done["revision"])
    gathered = await gather(session, span)
    await expect_none(session, gathered, dataset_id, done["revision"])
    change = await record(session, dataset_id, by.name, "UNDO", f"Undid: {done['summary'][:SUMMARY]}")
    await put_back(session, gathered, change)
    await sql.run(session, MARK, id=change_id, undo=change.id)
    await _rebase(session, done, before, revision, change)
    return Undone(dataset_id, change.id)


async def _find(session: AsyncSession, change_id: int, by: Identity) -> asyncpg.Record:
    row = await sql.first(session, FIND, id=change_id)
    if row is None or not by.sees(row["dataset_id"]):
        raise NotFound("There is no such change; list them with `dataset { changes }`.")
    if not row["undoable"]:
        raise Invalid("This change deleted source files, and cannot be undone.")
    return row


async def _rebase(
    session: AsyncSession, done: asyncpg.Record, before: Base, revision: int, change: RecordedChange
) -> None:
    """The base of the working set, where undoing brought back what it was based on, or a state that equals it."""
    is_last = done["revision"] == revision
    row = await sql.first(session, BEFORE, id=done["id"])
    if row is not None:
        await remember(session, done["dataset_id"], change.id, before, is_clean=before.is_clean(revision))
        clean = change.revision if row["was_clean"] and is_last else 0
        await base.put(session, done["dataset_id"], row["version_id"], clean)
    elif is_last and before.version_id is not None and before.revision == revision - 1:
        await base.put(session, done["dataset_id"], before.version_id, change.revision)
