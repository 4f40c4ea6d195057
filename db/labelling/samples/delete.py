"""Deleting samples, and their files where asked for."""

from dataclasses import replace

from sqlmodel.ext.asyncio.session import AsyncSession

from db.history.changes import lock_dataset, record
from db.identity.tokens import Identity
from db.labelling import source_references
from db.labelling.samples.outcomes import Deleted
from db.labelling.samples.removal import remove
from db.labelling.samples.selection import Selection, lock_samples


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
    """Take samples out of the working set. Kept files are not synced again, unless they change or it is asked for."""
    await lock_dataset(session, dataset_id, by)
    selected = await lock_samples(session, dataset_id, selection, "UPDATE")
    selected.expect(expected_count)
    warnings = await source_references.warnings(session, selected, by) if delete_sources else ()
    planned = Deleted(dataset_id, selected.count, selected.not_found, delete_sources, None, warnings)
    if dry_run or not selected.count:
        return planned
    noun = "1 sample" if selected.count == 1 else f"{selected.count} samples"
    summary = f"Deleted {noun}" + (" with their files" if delete_sources else "")
    change = await record(session, dataset_id, by.name, "DELETE_SAMPLES", summary, undoable=not delete_sources)
    await remove(session, selected, change, sources=delete_sources)
    return replace(planned, change=change.id)
