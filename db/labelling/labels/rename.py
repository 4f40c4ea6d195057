"""Renaming a label: one row, however many samples carry it. Onto another's name only as a merge."""

from dataclasses import dataclass
from typing import Literal

from sqlalchemy import delete, or_
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from db.formats import names
from db.history.changes import lock_dataset, record
from db.identity.tokens import Identity
from db.labelling import annotations
from db.labelling.labels.create import name_taken
from db.labelling.labels.find import dataset_of, no_such_ids, rule_of
from db.labelling.samples.selection import lock_samples_where
from db.postgres.models import Label, LabelCount

OnConflict = Literal["ERROR", "MERGE"]


@dataclass(frozen=True, slots=True)
class Renamed:
    """`label` is the one that has the name now: after a merge, the one that had it before."""

    dataset_id: int
    label: int
    affected_samples: int
    change: int | None = None


async def rename(
    session: AsyncSession,
    label_id: int,
    *,
    to: str,
    by: Identity,
    on_conflict: OnConflict = "ERROR",
    dry_run: bool = False,
) -> Renamed:
    """Give a label another name. MERGE onto a name in use: its samples get that label, and this one goes."""
    dataset_id = await dataset_of(session, [label_id], by)
    await lock_dataset(session, dataset_id, by)
    name = names.label_name(to, await rule_of(session, dataset_id))
    # The label and the one that has the name, in the order of ids: labelling with either waits, and neither goes away.
    locked = await session.exec(
        select(Label)
        .where(col(Label.dataset_id) == dataset_id, or_(col(Label.id) == label_id, col(Label.name) == name))
        .order_by(col(Label.id))
        .with_for_update()
    )
    labels = {label.id: label for label in locked}
    label = labels.pop(label_id, None)
    if label is None:
        raise no_such_ids([label_id])
    if label.name == name:
        return Renamed(dataset_id, label_id, 0)
    if labels and on_conflict == "ERROR":
        raise name_taken([name])
    if labels:
        return await _merge(session, label, next(iter(labels.values())), by, dry_run=dry_run)
    affected = select(LabelCount.sample_count).where(col(LabelCount.label_id) == label_id)
    if dry_run:
        return Renamed(dataset_id, label_id, (await session.exec(affected)).one())
    change = await record(session, dataset_id, by.name, "RENAME_LABEL", f"Renamed `{label.name}` to `{name}`")
    label.name, label.since = name, change.revision
    await session.flush()
    return Renamed(dataset_id, label_id, (await session.exec(affected)).one(), change.id)


async def _merge(session: AsyncSession, label: Label, into: Label, by: Identity, *, dry_run: bool) -> Renamed:
    dataset_id = label.dataset_id
    carrying = "sample.id IN (SELECT a.sample_id FROM annotation a WHERE a.label_id = :merged)"
    samples = await lock_samples_where(session, dataset_id, carrying, merged=label.id)
    if dry_run:
        return Renamed(dataset_id, into.id, samples.count)
    change = await record(session, dataset_id, by.name, "MERGE_LABELS", f"Merged `{label.name}` into `{into.name}`")
    await annotations.replace_label(session, samples, label.id, into.id, change)
    await annotations.refresh_derived_state(session, samples, change)
    await session.exec(delete(Label).where(col(Label.id) == label.id))
    return Renamed(dataset_id, into.id, samples.count, change.id)
