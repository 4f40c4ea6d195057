"""Annotating: annotations with shapes are added, moved, relabelled and removed, in sets."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from sqlmodel.ext.asyncio.session import AsyncSession

from db.errors import Invalid
from db.history.changes import RecordedChange, expect_revision, lock_dataset, record
from db.identity.tokens import Identity
from db.labelling import annotations, label_resolution, labels
from db.labelling.samples import edits as checking
from db.labelling.samples.edits import MAX_REPORTED, AnnotationRow, CheckedEdits, Edit, Image, Plan
from db.labelling.samples.label import Labelled
from db.labelling.samples.selection import LockedSamples, Selection, lock_samples
from db.postgres import sql

SQL: Final = sql.load(__file__)
MAX_NAMED: Final = 100_000  # annotations in one call
MAX_PER_SAMPLE: Final = 10_000  # annotations that a sample can get through calls; a sidecar can bring as many


@dataclass(frozen=True, slots=True, kw_only=True)
class AnnotateWith:
    """Whether unknown labels are made, and the guard. Without it the last writer wins."""

    create_missing: bool = False
    expected_revision: int | None = None


async def annotate(
    session: AsyncSession, dataset_id: int, edits: Sequence[Edit], how: AnnotateWith, *, by: Identity
) -> Labelled:
    """Carry out the edits as one change. What is so already is left so."""
    if not edits:
        raise Invalid("No samples are given; name at least one.", code="EMPTY_SELECTION")
    count = sum(len(edit.add) + len(edit.update) + len(edit.remove) for edit in edits)
    if count > MAX_NAMED:
        raise Invalid(f"At most {MAX_NAMED:,} annotations are named in one call.", most=MAX_NAMED, given=count)
    revision = await lock_dataset(session, dataset_id, by)
    await expect_revision(session, dataset_id, how.expected_revision, revision)
    names = label_resolution.distinct(name for edit in edits for name in edit.names())
    known = await labels.lock_labels(session, dataset_id, names)
    missing = label_resolution.missing(names, known, create=how.create_missing)
    ids = [edit.sample for edit in edits]
    matched = await lock_samples(session, dataset_id, Selection(ids=ids))
    page = await matched.first_page(session, ids)
    unchanged = Labelled(dataset_id, matched.count, 0, matched.not_found, page)
    images = {
        row["id"]: Image(row["kind"], row["width"], row["height"]) for row in await matched.run(session, SQL.images)
    }
    provisional = {name: -number for number, name in enumerate(missing, 1)}  # ids until the labels are made
    plan = await _plan(session, checking.check(edits, known | provisional, images))
    changing = replace(matched, count=len(plan.samples()), ids=plan.samples())
    if not changing.count:
        await expect_revision(session, dataset_id, how.expected_revision)
        return unchanged
    await _expect_room(session, plan)
    change = await record(
        session,
        dataset_id,
        by.name,
        "ANNOTATE_SAMPLES",
        _summary(plan, changing.count),
        expected_revision=how.expected_revision,
    )
    used = {row.label for row in (*plan.insert, *plan.update)}
    new = [name for name, id in provisional.items() if id in used]
    made = await label_resolution.make(session, dataset_id, new, change)
    await _write(session, changing, plan, {provisional[name]: id for name, id in made.items()}, change, by)
    return replace(unchanged, changed=changing.count, change=change.id)


async def _plan(session: AsyncSession, edits: CheckedEdits) -> Plan:
    """What the edits come to, given the annotations that exist."""
    existing = await _existing(session, edits)
    updated = edits.updated(existing)
    update = [row for row in updated if row.key != existing[row.id].key or not existing[row.id].confirmed]
    delete = {id: sample for id, sample in edits.remove.items() if id in existing}
    keys = {row.key for row in updated}
    insert = [row for key, row in edits.add.items() if key not in keys]
    whole = [row for row in update if row.shape is None]
    equal = await _equal(session, [*insert, *whole], except_ids=[*delete, *(row.id for row in update)])
    for row in whole:  # of two that become the same, the one that was named stays
        if row in equal:
            delete[equal[row].id] = equal[row].sample
    update += [replace(row, id=equal[row].id) for row in insert if row in equal and not equal[row].confirmed]
    return Plan([row for row in insert if row not in equal], update, delete)


async def _existing(session: AsyncSession, edits: CheckedEdits) -> dict[int, AnnotationRow]:
    """The annotations that are updated or removed, as they are now."""
    ids = [*edits.update, *edits.remove]
    existing = {
        row["id"]: AnnotationRow(
            row["sample_id"], row["label_id"], checking.canonical(row["shape"]), row["id"], row["confirmed"]
        )
        for row in (await sql.run(session, SQL.existing, ids=ids) if ids else ())
    }
    missing = [id for id in edits.remove if id not in existing]
    removed = await sql.run(session, SQL.removed_before, ids=missing) if missing else ()
    edits.expect_existing(existing, {row["id"]: row["sample_id"] for row in removed})
    return existing


async def _equal(
    session: AsyncSession, rows: Sequence[AnnotationRow], *, except_ids: Sequence[int]
) -> dict[AnnotationRow, AnnotationRow]:
    """The annotations that are the same as these, and exist."""
    if not rows:
        return {}
    found = await sql.run(session, SQL.equal, **_columns(rows), except_ids=except_ids)
    by_row = ((rows[each["n"] - 1], each) for each in found)
    return {row: replace(row, id=each["id"], confirmed=each["confirmed"]) for row, each in by_row}


async def _expect_room(session: AsyncSession, plan: Plan) -> None:
    growth = plan.growth()
    rows = await sql.run(session, SQL.counts, samples=list(growth)) if growth else ()
    counts = {row["sample_id"]: row["n"] for row in rows}
    full = [sample for sample, more in growth.items() if counts.get(sample, 0) + more > MAX_PER_SAMPLE]
    if full:
        raise Invalid(
            f"A sample has at most {MAX_PER_SAMPLE:,} annotations.",
            most=MAX_PER_SAMPLE,
            samples=[f"Sample:{sample}" for sample in full[:MAX_REPORTED]],
        )


async def _write(
    session: AsyncSession,
    samples: LockedSamples,
    plan: Plan,
    label_ids: Mapping[int, int],
    change: RecordedChange,
    by: Identity,
) -> None:
    """`label_ids`: those of labels that were made, by their provisional ids."""
    insert, update = (
        [replace(row, label=label_ids.get(row.label, row.label)) for row in rows] for rows in (plan.insert, plan.update)
    )
    if plan.delete:
        await annotations.delete(session, list(plan.delete))
    if update:
        columns = _columns(update)
        ids, shapes = [row.id for row in update], columns["shapes"]
        await annotations.update(session, change, actor=by.name, ids=ids, labels=columns["labels"], shapes=shapes)
    if insert:
        await annotations.insert(session, change, actor=by.name, **_columns(insert))
    await annotations.refresh_derived_state(session, samples, change, actor=by.name)


def _columns(rows: Sequence[AnnotationRow]) -> dict[str, list[Any]]:
    return {
        "samples": [row.sample for row in rows],
        "labels": [row.label for row in rows],
        "shapes": [row.shape for row in rows],
    }


def _summary(plan: Plan, count: int) -> str:
    parts = {"added": len(plan.insert), "changed": len(plan.update), "removed": len(plan.delete)}
    what = ", ".join(f"{number} {word}" for word, number in parts.items() if number)
    return f"Annotated {'1 sample' if count == 1 else f'{count} samples'}: {what}"
