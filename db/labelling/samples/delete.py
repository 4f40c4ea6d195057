"""Deleting samples, with their files if requested. Source rows stay: a sync sees by them what was deleted here."""

from dataclasses import dataclass, replace
from typing import Any, Final

from sqlmodel.ext.asyncio.session import AsyncSession

from db.history import large_changes
from db.history.changes import RecordedChange, lock_dataset, record
from db.identity.tokens import Identity
from db.labelling import source_references
from db.labelling.samples.selection import LockedSamples, Selection, lock_samples
from db.labelling.source_references import Impact
from db.postgres import sql

SQL: Final = sql.load(__file__)


@dataclass(frozen=True, slots=True)
class Deleted:
    """Of a dry run: what would be. `with_sources`: files are to be deleted after the commit, for the change."""

    dataset_id: int
    deleted: int
    not_found: tuple[int, ...] = ()
    with_sources: bool = False
    change: int | None = None
    impacts: tuple[Impact, ...] = ()
    not_found_paths: tuple[str, ...] = ()


async def delete(
    session: AsyncSession,
    dataset_id: int,
    selection: Selection,
    *,
    by: Identity,
    delete_sources: bool = False,
    expected_count: int | None = None,
    dry_run: bool = False,
) -> Deleted:
    """Delete samples from the working set. A sync takes kept files again only if they change, or on request."""
    await lock_dataset(session, dataset_id, by, dry_run=dry_run)
    samples = await lock_samples(session, dataset_id, selection, None if dry_run else "UPDATE")
    samples.expect(expected_count)
    impacts = await source_references.impacts(session, samples, by) if delete_sources else ()
    missing = samples.not_found_paths
    planned = Deleted(dataset_id, samples.count, samples.not_found, delete_sources, None, impacts, missing)
    if dry_run or not samples.count:
        return planned
    summary = f"Deleted {samples.counted}" + (" with their files" if delete_sources else "")
    change = await record(session, dataset_id, by.name, "DELETE_SAMPLES", summary, undoable=not delete_sources)
    for part in await samples.parts(session):
        await delete_where(session, part, change, with_sources=delete_sources)
        large_changes.report(session, part.share)
    return replace(planned, change=change.id)


async def delete_where(
    session: AsyncSession,
    samples: LockedSamples,
    change: RecordedChange,
    condition: str = "true",
    *,
    with_sources: bool,
    **values: Any,
) -> None:
    """Delete those that meet a condition on `sample`, and their annotations."""
    if with_sources:
        statement = SQL.plan_source_deletions.format(condition=condition)
        await samples.run(session, statement, change_id=change.id, **values)
    await samples.run(session, SQL.delete_annotations.format(condition=condition), **values)
    await samples.run(session, SQL.delete_samples.format(condition=condition), **values)
