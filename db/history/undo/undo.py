from dataclasses import dataclass
from typing import Final

from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from db.errors import Invalid, NotFound
from db.history.changes import RecordedChange, find_visible, lock_dataset, record
from db.history.undo.conflicts import expect_none
from db.history.versions.base import is_clean, lock_base, remember_base, set_base
from db.history.versions.restore import Span, load, restore
from db.identity.tokens import Identity
from db.postgres.models import Base, BaseBefore, Change, Version

SUMMARY: Final = 200  # characters of the undone change's summary


@dataclass(frozen=True, slots=True)
class Undone:
    """`change`: the one that undid."""

    dataset_id: int
    change: int


async def undo(session: AsyncSession, change_id: int, *, by: Identity) -> Undone:
    """Make what the change touched what it was before. Refused where later changes touched the same."""
    undone = await find_visible(session, Change, change_id, by)
    if undone is None:
        raise NotFound("There is no such change; list them with `dataset { changes }`.")
    if not undone.undoable:
        raise Invalid("This change deleted source files, and cannot be undone.")
    dataset_id = undone.dataset_id
    revision = await lock_dataset(session, dataset_id, by, exclusive=True)
    base = await lock_base(session, dataset_id)
    span = await load(session, Span(dataset_id, undone.revision - 1, undone.revision))
    await expect_none(session, span, undone)
    change = await record(session, dataset_id, by.name, "UNDO", f"Undid: {undone.summary[:SUMMARY]}")
    await restore(session, span, change)
    await _restore_base(session, base, undone, revision, change)
    undone.undone_by = change.id
    await session.flush()
    return Undone(dataset_id, change.id)


async def _restore_base(
    session: AsyncSession, base: Base, undone: Change, revision: int, change: RecordedChange
) -> None:
    """The base of the working set, where undoing brought back what it was based on, or a state that equals it."""
    is_last = undone.revision == revision
    found = await session.exec(
        select(BaseBefore.was_clean, Version.id)
        .join(Version, col(Version.id) == col(BaseBefore.version_id), isouter=True)
        .where(col(BaseBefore.change_id) == undone.id)
    )
    before = found.one_or_none()
    if before is not None:
        was_clean, version_id = before
        await remember_base(session, change.id, base, was_clean=is_clean(base, revision))
        await set_base(session, base, version_id, change.revision if was_clean and is_last else 0)
    elif is_last and base.version_id is not None and base.revision == revision - 1:
        await set_base(session, base, base.version_id, change.revision)
