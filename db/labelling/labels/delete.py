"""Deleting labels, and with them, if requested, the samples that have no other, and their files."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final, Literal

from sqlalchemy import delete as delete_rows
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from db.errors import Invalid
from db.history.changes import lock_dataset, record
from db.identity.tokens import Identity
from db.labelling import annotations, source_references
from db.labelling.labels.create import listed
from db.labelling.labels.find import dataset_of, no_such_ids
from db.labelling.samples.delete import delete_where
from db.labelling.samples.selection import lock_samples_where
from db.labelling.source_references import Impact
from db.postgres.models import Label

DeleteMode = Literal["LABEL_ONLY", "LABEL_AND_SAMPLES", "LABEL_SAMPLES_AND_SOURCES"]
MAX_LABELS: Final = 1_000  # in one call

CARRYING: Final = "sample.id IN (SELECT a.sample_id FROM annotation a WHERE a.label_id = ANY(:labels::bigint[]))"
# A sample goes with its labels when it has some, and none that stays. A machine's suggestions do not count.
GOING: Final = "sample.label_ids <> '{}' AND sample.label_ids <@ :labels::bigint[]"


@dataclass(frozen=True, slots=True)
class Deleted:
    """Of a dry run: what would be. `with_sources`: files are to be deleted after the commit, for the change."""

    dataset_id: int
    labels: tuple[int, ...]
    affected_samples: int
    deleted_samples: int
    with_sources: bool = False
    change: int | None = None
    warnings: tuple[Impact, ...] = ()


async def delete(
    session: AsyncSession, label_ids: Sequence[int], *, mode: DeleteMode, by: Identity, dry_run: bool = False
) -> Deleted:
    """Delete labels of one dataset. The same, whether several at once or one after another in any order."""
    if not label_ids:
        raise Invalid("No labels are selected; name at least one.", code="EMPTY_SELECTION")
    if len(label_ids) > MAX_LABELS:
        raise Invalid(f"At most {MAX_LABELS} labels are deleted in one call.", most=MAX_LABELS)
    ids = list(dict.fromkeys(label_ids))
    dataset_id = await dataset_of(session, ids, by)
    await lock_dataset(session, dataset_id, by)
    locked = await session.exec(
        select(Label.id, Label.name)
        .where(col(Label.dataset_id) == dataset_id, col(Label.id).in_(ids))
        .order_by(col(Label.id))
        .with_for_update()
    )
    names = dict(locked.all())
    if len(names) < len(ids):
        raise no_such_ids([id for id in ids if id not in names])
    samples = await lock_samples_where(session, dataset_id, CARRYING, "UPDATE", labels=ids)
    going = 0 if mode == "LABEL_ONLY" else await samples.count_where(session, GOING, labels=ids)
    with_sources = mode == "LABEL_SAMPLES_AND_SOURCES"
    warnings: tuple[Impact, ...] = ()
    if with_sources and going:
        warnings = await source_references.warnings(session, samples, by, GOING, labels=ids)
    planned = Deleted(dataset_id, tuple(ids), samples.count, going, with_sources, None, warnings)
    if dry_run:
        return planned
    summary = f"Deleted {listed(names.values())}" + (f" and {going} samples" if going else "")
    undoable = not (with_sources and going)
    change = await record(session, dataset_id, by.name, "DELETE_LABELS", summary, undoable=undoable)
    await annotations.remove_labels(session, samples, ids)
    if going:
        await delete_where(session, samples, change, GOING, with_sources=with_sources, labels=ids)
    await annotations.refresh_derived_state(session, samples, change)
    await session.exec(delete_rows(Label).where(col(Label.id).in_(ids)))
    return replace(planned, change=change.id)
