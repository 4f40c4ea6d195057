"""Renaming a label: one row, however many samples carry it. Onto another's name only as a merge."""

from typing import Literal

from sqlmodel.ext.asyncio.session import AsyncSession

from db.formats import names
from db.history.changes import lock_dataset, record
from db.identity.tokens import Identity
from db.labelling import annotations
from db.labelling.labels.create import name_taken
from db.labelling.labels.find import no_such_ids, owner, rule_of
from db.labelling.labels.outcomes import Renamed
from db.labelling.samples.selection import LockedSamples, lock_samples_where
from db.postgres import sql

OnConflict = Literal["ERROR", "MERGE"]

# The label and whoever has the name, in the order of ids: labelling with either waits, and neither goes away.
LOCK = """
    SELECT id, name FROM label WHERE dataset_id = :dataset_id AND (id = :id OR name = :name) ORDER BY id FOR UPDATE
"""
CARRYING = "SELECT sample_count FROM label_count WHERE label_id = :id"
CARRIES = "sample.id IN (SELECT a.sample_id FROM annotation a WHERE a.label_id = :carried)"


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
    dataset_id = await owner(session, [label_id], by)
    await lock_dataset(session, dataset_id, by)
    name = names.label_name(to, await rule_of(session, dataset_id))
    rows = {
        row["id"]: row["name"] for row in await sql.run(session, LOCK, dataset_id=dataset_id, id=label_id, name=name)
    }
    if label_id not in rows:
        raise no_such_ids([label_id])
    before = rows.pop(label_id)
    if before == name:
        return Renamed(dataset_id, label_id, 0)
    if rows and on_conflict == "ERROR":
        raise name_taken([name])
    survivor = next(iter(rows), label_id)
    if survivor != label_id:
        return await _merge(session, dataset_id, label_id, survivor, f"Merged `{before}` into `{name}`", by, dry_run)
    affected = await _carrying(session, label_id)
    if dry_run:
        return Renamed(dataset_id, label_id, affected)
    change = await record(session, dataset_id, by.name, "RENAME_LABEL", f"Renamed `{before}` to `{name}`")
    statement = "UPDATE label SET name = :name, since = :since WHERE id = :id"
    await sql.run(session, statement, id=label_id, name=name, since=change.revision)
    return Renamed(dataset_id, label_id, await _carrying(session, label_id), change.id)


async def _merge(
    session: AsyncSession, dataset_id: int, before: int, after: int, summary: str, by: Identity, dry_run: bool
) -> Renamed:
    selected: LockedSamples = await lock_samples_where(session, dataset_id, CARRIES, carried=before)
    if dry_run:
        return Renamed(dataset_id, after, selected.count)
    change = await record(session, dataset_id, by.name, "MERGE_LABELS", summary)
    await annotations.replace_label(session, selected, before, after, change)
    await annotations.refresh_derived_state(session, selected, change)
    await sql.run(session, "DELETE FROM label WHERE id = :id", id=before)
    return Renamed(dataset_id, after, selected.count, change.id)


async def _carrying(session: AsyncSession, label_id: int) -> int:
    row = await sql.first(session, CARRYING, id=label_id)
    return int(row["sample_count"]) if row else 0
