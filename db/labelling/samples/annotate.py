"""Annotating: labels with shapes, put on samples, moved, turned into others and taken off, in sets."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import asyncpg
from sqlmodel.ext.asyncio.session import AsyncSession

from db.errors import Invalid
from db.history.changes import RecordedChange, expect_revision, lock_dataset, record
from db.identity.tokens import Identity
from db.labelling import annotations, label_resolution, labels
from db.labelling.samples import edits as edits_
from db.labelling.samples.edits import MOST, MOST_OF_SAMPLE, TOLD, Edit, Fact, Image, Intents, Plan
from db.labelling.samples.outcomes import Labelled
from db.labelling.samples.selection import LockedSamples, Selection, lock_samples
from db.postgres import sql

IMAGES = """
SELECT sample.id, dataset.type AS kind, source.width, source.height
FROM selected JOIN sample USING (id) JOIN source ON source.id = source_id JOIN dataset ON dataset.id = sample.dataset_id
"""
NAMED = "SELECT id, sample_id, label_id, shape::text, confirmed FROM annotation WHERE id = ANY(:ids::bigint[])"
GONE = "SELECT DISTINCT id, sample_id FROM annotation_past WHERE id = ANY(:ids::bigint[])"

# What is there already of what is asked for. Grouped, not joined: it costs the same however many shapes a sample has.
THERE = """
SELECT max(n) AS n, coalesce(min(id) FILTER (WHERE confirmed), min(id)) AS id, bool_or(confirmed) AS confirmed
FROM (
    SELECT sample_id, label_id, shape::jsonb, n::int, NULL::bigint AS id, NULL::boolean AS confirmed
    FROM unnest(:samples::bigint[], :labels::bigint[], :shapes::text[])
        WITH ORDINALITY AS given (sample_id, label_id, shape, n)
    UNION ALL
    SELECT sample_id, label_id, shape, NULL, id, confirmed FROM annotation
    WHERE sample_id = ANY(:samples::bigint[]) AND id <> ALL(:going::bigint[])
) AS fact
GROUP BY sample_id, label_id, shape HAVING count(n) > 0 AND count(id) > 0
"""
FULL = """
SELECT sample_id, count(*) AS n FROM annotation WHERE sample_id = ANY(:samples::bigint[]) GROUP BY sample_id
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class AnnotateWith:
    """Whether unknown labels are made, and the guard. Without it the last writer wins."""

    create_missing: bool = False
    expected_revision: int | None = None


async def annotate(
    session: AsyncSession, dataset_id: int, edits: Sequence[Edit], how: AnnotateWith, *, by: Identity
) -> Labelled:
    """Carry out the edits as one change. What is so already is left so."""
    edits = _bounded(edits)
    revision = await lock_dataset(session, dataset_id, by)
    await expect_revision(session, dataset_id, how.expected_revision, revision)
    wanted = label_resolution.distinct(name for edit in edits for name in edit.names())
    known = await labels.in_use(session, dataset_id, wanted)
    missing = label_resolution.missing(wanted, known, create=how.create_missing)
    asked = [edit.sample for edit in edits]
    matched = await lock_samples(session, dataset_id, Selection(ids=asked))
    outcome = Labelled(dataset_id, matched.count, 0, matched.not_found, await matched.first_page(session, asked))
    new = {name: -place for place, name in enumerate(missing, 1)}  # stand for ids until the labels are made
    plan = await _plan(session, edits_.intents(edits, known | new, await _images(session, matched)))
    changing = replace(matched, count=len(plan.samples()), ids=plan.samples())
    if not changing.count:
        await expect_revision(session, dataset_id, how.expected_revision)
        return outcome
    await _expect_room(session, plan)
    summary = _summary(plan, changing.count)
    change = await record(
        session, dataset_id, by.name, "ANNOTATE_SAMPLES", summary, expected_revision=how.expected_revision
    )
    used = [name for name, id in new.items() if any(fact.label == id for fact in (*plan.put, *plan.turn))]
    made = {new[name]: id for name, id in (await label_resolution.make(session, dataset_id, used, change)).items()}
    await _write(session, changing, plan, made, change, by)
    return replace(outcome, changed=changing.count, change=change.id)


def _bounded(edits: Sequence[Edit]) -> Sequence[Edit]:
    if not edits:
        raise Invalid("No samples are given; name at least one.", code="EMPTY_SELECTION")
    named = sum(len(edit.add) + len(edit.update) + len(edit.remove) for edit in edits)
    if named > MOST:
        raise Invalid(f"At most {MOST:,} annotations are named in one call.", most=MOST, given=named)
    return edits


async def _images(session: AsyncSession, matched: LockedSamples) -> dict[int, Image]:
    rows = await matched.run(session, IMAGES)
    return {row["id"]: Image(row["kind"], row["width"], row["height"]) for row in rows}


async def _plan(session: AsyncSession, asked: Intents) -> Plan:
    """What the intents come to, beside what is there."""
    rows = await _named(session, asked)
    finals = edits_.finals(asked, rows)
    turn = [fact for fact in finals if edits_.is_other(fact, rows[fact.id])]
    take = {id: sample for id, sample in asked.remove.items() if id in rows}
    going = [*take, *(fact.id for fact in turn)]
    kept = {fact.key for fact in finals}
    put = [fact for key, fact in asked.add.items() if key not in kept]
    whole = [fact for fact in turn if fact.shape is None]
    there = await _there(session, [*put, *whole], going)
    for fact in whole:  # of two that become the same, the one that was named stays
        double = there.get(fact)
        if double is not None:
            take[double.id] = double.sample
    turn += [replace(fact, id=there[fact].id) for fact in put if fact in there and not there[fact].confirmed]
    return Plan([fact for fact in put if fact not in there], turn, take)


async def _named(session: AsyncSession, asked: Intents) -> dict[int, Fact]:
    """The annotations that are updated or removed, as they are now."""
    ids = [*asked.update, *asked.remove]
    if not ids:
        return {}
    rows = {row["id"]: _fact(row) for row in await sql.run(session, NAMED, ids=ids)}
    missing = [id for id in asked.remove if id not in rows]
    gone = await sql.run(session, GONE, ids=missing) if missing else ()
    edits_.expect_there(asked, rows, {row["id"]: row["sample_id"] for row in gone})
    return rows


def _fact(row: asyncpg.Record) -> Fact:
    return Fact(row["sample_id"], row["label_id"], edits_.canonical(row["shape"]), row["id"], row["confirmed"])


async def _there(session: AsyncSession, facts: Sequence[Fact], going: Sequence[int]) -> dict[Fact, Fact]:
    """Of these, those that their samples have already beside what is going, with what they have."""
    if not facts:
        return {}
    samples, names, shapes = _columns(facts)
    rows = await sql.run(session, THERE, going=going, samples=samples, labels=names, shapes=shapes)
    found = ((facts[row["n"] - 1], row) for row in rows)
    return {fact: replace(fact, id=row["id"], confirmed=row["confirmed"]) for fact, row in found}


async def _expect_room(session: AsyncSession, plan: Plan) -> None:
    growing = plan.growing()
    rows = await sql.run(session, FULL, samples=list(growing)) if growing else ()
    has = {row["sample_id"]: row["n"] for row in rows}
    full = [sample for sample, more in growing.items() if has.get(sample, 0) + more > MOST_OF_SAMPLE]
    if full:
        raise Invalid(
            f"A sample has at most {MOST_OF_SAMPLE:,} annotations.",
            most=MOST_OF_SAMPLE,
            samples=[f"Sample:{sample}" for sample in full[:TOLD]],
        )


async def _write(
    session: AsyncSession,
    changing: LockedSamples,
    plan: Plan,
    made: Mapping[int, int],
    change: RecordedChange,
    by: Identity,
) -> None:
    put, turn = edits_.renumbered(plan.put, made), edits_.renumbered(plan.turn, made)
    if plan.take:
        await annotations.delete(session, list(plan.take))
    if turn:
        ids, (_, names, shapes) = [fact.id for fact in turn], _columns(turn)
        await annotations.update(session, change, actor=by.name, ids=ids, labels=names, shapes=shapes)
    if put:
        samples, names, shapes = _columns(put)
        await annotations.insert(session, change, actor=by.name, samples=samples, labels=names, shapes=shapes)
    await annotations.refresh_derived_state(session, changing, change, actor=by.name)


def _columns(facts: Sequence[Fact]) -> tuple[list[int], list[int], list[str | None]]:
    """Samples, labels, shapes."""
    return [each.sample for each in facts], [each.label for each in facts], [each.shape for each in facts]


def _summary(plan: Plan, count: int) -> str:
    parts = {"added": len(plan.put), "changed": len(plan.turn), "removed": len(plan.take)}
    what = ", ".join(f"{number} {word}" for word, number in parts.items() if number)
    return f"Annotated {'1 sample' if count == 1 else f'{count} samples'}: {what}"
