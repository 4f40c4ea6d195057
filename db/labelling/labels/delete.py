"""Deleting labels, and with them, where asked for, the samples that had no other, and their files."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

from sqlmodel.ext.asyncio.session import AsyncSession

from db.errors import Invalid
from db.history.changes import lock_dataset, record
from db.identity.tokens import Identity
from db.labelling import annotations, source_references
from db.labelling.labels.create import listed
from db.labelling.labels.find import no_such_ids, owner
from db.labelling.labels.outcomes import Deleted
from db.labelling.samples.removal import remove
from db.labelling.samples.selection import lock_samples_where
from db.postgres import sql

DeleteMode = Literal["LABEL_ONLY", "LABEL_AND_SAMPLES", "LABEL_SAMPLES_AND_SOURCES"]
MOST = 1_000  # labels that one call deletes

LOCK = "SELECT id, name FROM label WHERE dataset_id = :dataset_id AND id = ANY(:ids::bigint[]) ORDER BY id FOR UPDATE"
CARRY = "sample.id IN (SELECT a.sample_id FROM annotation a WHERE a.label_id = ANY(:labels::bigint[]))"
# A sample goes with its labels when it has some, and none that stays. A machine's suggestions do not count.
GOING = "sample.label_ids <> '{}' AND sample.label_ids <@ :labels::bigint[]"


async def delete(
    session: AsyncSession, label_ids: Sequence[int], *, mode: DeleteMode, by: Identity, dry_run: bool = False
) -> Deleted:
    """Delete labels of one dataset. The same, whether several at once or one after another in any order."""
    labels = _few(label_ids)
    dataset_id = await owner(session, labels, by)
    await lock_dataset(session, dataset_id, by)
    rows = await sql.run(session, LOCK, dataset_id=dataset_id, ids=labels)
    if len(rows) < len(labels):
        raise no_such_ids([id for id in labels if id not in {row["id"] for row in rows}])
    selected = await lock_samples_where(session, dataset_id, CARRY, "UPDATE", labels=labels)
    going = 0 if mode == "LABEL_ONLY" else await selected.count_where(session, GOING, labels=labels)
    sources = mode == "LABEL_SAMPLES_AND_SOURCES"
    warnings = (
        await source_references.warnings(session, selected, by, GOING, labels=labels) if sources and going else ()
    )
    planned = Deleted(dataset_id, tuple(labels), selected.count, going, sources, None, warnings)
    if dry_run:
        return planned
    summary = f"Deleted {listed(row['name'] for row in rows)}" + (f" and {going} samples" if going else "")
    undoable = not (sources and going)
    change = await record(session, dataset_id, by.name, "DELETE_LABELS", summary, undoable=undoable)
    await annotations.remove_labels(session, selected, labels)
    if going:
        await remove(session, selected, change, GOING, sources=sources, labels=labels)
    await annotations.refresh_derived_state(session, selected, change)
    await sql.run(session, "DELETE FROM label WHERE id = ANY(:ids::bigint[])", ids=labels)
    return replace(planned, change=change.id)


def _few(label_ids: Sequence[int]) -> list[int]:
    if not label_ids:
        raise Invalid("No labels are selected; name at least one.", code="EMPTY_SELECTION")
    if len(label_ids) > MOST:
        raise Invalid(f"At most {MOST} labels are deleted in one call.", most=MOST)
    return list(dict.fromkeys(label_ids))
