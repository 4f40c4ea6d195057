"""Annotations, and what a sample knows because of them: its label ids, its state, who labelled it last.

`label_id + 0` keeps Postgres to the samples' index. By the labels' index it would read every annotation of a label for
each sample, whenever its statistics are older than the label: 72 s instead of 0.1 s for 50,000 samples.
"""

from collections.abc import Sequence

from sqlmodel.ext.asyncio.session import AsyncSession

from db.history.changes import RecordedChange
from db.labelling.samples.selection import LockedSamples
from db.postgres import sql

CONFIRM = """
UPDATE annotation SET confirmed = true, labeled_by = :actor, labeled_at = now(), origin = 'MANUAL', since = :since
FROM selected
WHERE sample_id = selected.id AND label_id + 0 = ANY(:labels::bigint[]) AND NOT confirmed
"""

PUT = """
INSERT INTO annotation (dataset_id, sample_id, label_id, labeled_by, labeled_at, origin, since)
SELECT :dataset_id, selected.id, wanted.id, :actor, now(), 'MANUAL', :since
FROM selected CROSS JOIN unnest(:labels::bigint[]) AS wanted (id)
WHERE NOT EXISTS (SELECT FROM annotation a WHERE a.sample_id = selected.id AND a.label_id + 0 = wanted.id)
ORDER BY selected.id, wanted.id
"""

TAKE = "DELETE FROM annotation USING selected WHERE sample_id = selected.id AND label_id + 0 = ANY(:labels::bigint[])"

KEEP_ONLY = "DELETE FROM annotation USING selected WHERE sample_id = selected.id AND label_id <> ALL(:labels::bigint[])"

# Whole-image annotations are one to a label. Where a sample has both labels one goes: a suggestion before a fact.
DROP_DOUBLE = """
DELETE FROM annotation gone USING selected
WHERE gone.sample_id = selected.id AND gone.shape IS NULL AND (
    gone.label_id + 0 = :before AND EXISTS (
        SELECT FROM annotation a
        WHERE a.sample_id = selected.id AND a.label_id + 0 = :after AND (a.confirmed OR NOT gone.confirmed))
    OR gone.label_id + 0 = :after AND NOT gone.confirmed AND EXISTS (
        SELECT FROM annotation a
        WHERE a.sample_id = selected.id AND a.label_id + 0 = :before AND a.confirmed AND a.shape IS NULL)
)
"""

TURN = """
UPDATE annotation SET
    label_id = :after, since = :since,
    labeled_by = coalesce(:actor::text, labeled_by),
    labeled_at = CASE WHEN :actor::text IS NULL THEN labeled_at ELSE now() END,
    origin = CASE WHEN :actor::text IS NULL THEN origin ELSE 'MANUAL' END,
    confidence = CASE WHEN :actor::text IS NULL THEN confidence END
FROM selected
WHERE sample_id = selected.id AND label_id + 0 = :before
"""

ADD = """
INSERT INTO annotation (dataset_id, sample_id, label_id, shape, labeled_by, labeled_at, origin, since)
SELECT sample.dataset_id, sample_id, label_id, shape::jsonb, :actor, now(), 'MANUAL', :since
FROM unnest(:samples::bigint[], :labels::bigint[], :shapes::text[])
    WITH ORDINALITY AS given (sample_id, label_id, shape, n)
JOIN sample ON sample.id = sample_id
ORDER BY n
"""

GIVEN = "unnest(:ids::bigint[], :labels::bigint[], :shapes::text[]) AS given (id, label_id, shape)"
BECOMES_OTHER = "(annotation.label_id, annotation.shape) IS DISTINCT FROM (given.label_id, given.shape::jsonb)"

# Two labels of whole images may change places, and no index waits for the end of a statement: out of its sight first.
PARK = f"""
UPDATE annotation SET shape = '{{}}', since = :since FROM {GIVEN}
WHERE annotation.id = given.id AND annotation.shape IS NULL AND {BECOMES_OTHER}
"""

CHANGE = f"""
UPDATE annotation SET
    label_id = given.label_id, shape = given.shape::jsonb, confirmed = true, labeled_by = :actor, labeled_at = now(),
    origin = 'MANUAL', since = :since, confidence = CASE WHEN {BECOMES_OTHER} THEN NULL ELSE confidence END
FROM {GIVEN} WHERE annotation.id = given.id
"""

DROP = "DELETE FROM annotation WHERE id = ANY(:ids::bigint[])"

SETTLE = """
UPDATE sample SET
    label_ids = fresh.label_ids,
    state = CASE WHEN cardinality(fresh.label_ids) > 0 THEN 'LABELED' WHEN fresh.suggested THEN 'PENDING'
                 ELSE 'UNLABELED' END,
    labeled_by = CASE WHEN cardinality(fresh.label_ids) > 0 THEN coalesce(:actor::text, labeled_by) END,
    labeled_at = CASE WHEN cardinality(fresh.label_ids) = 0 THEN NULL WHEN :actor::text IS NULL THEN labeled_at
                      ELSE now() END,
    labeled_origin = CASE WHEN :actor::text IS NULL AND cardinality(fresh.label_ids) > 0 THEN labeled_origin
                          ELSE 'MANUAL' END,
    since = :since
FROM (
    SELECT selected.id, coalesce(bool_or(NOT confirmed), false) AS suggested,
           coalesce(array_agg(DISTINCT label_id ORDER BY label_id) FILTER (WHERE confirmed), '{}') AS label_ids
    FROM selected LEFT JOIN annotation ON sample_id = selected.id
    GROUP BY selected.id
) AS fresh
WHERE sample.id = fresh.id
"""


async def add_labels(
    session: AsyncSession, selected: LockedSamples, labels: list[int], change: RecordedChange, *, actor: str
) -> None:
    """Put labels on samples that lack them. A machine's suggestion of one is confirmed, its shape kept."""
    await selected.run(session, CONFIRM, labels=labels, actor=actor, since=change.revision)
    values = {"dataset_id": selected.dataset_id, "labels": labels, "actor": actor, "since": change.revision}
    await selected.run(session, PUT, **values)


async def remove_labels(session: AsyncSession, selected: LockedSamples, labels: list[int]) -> None:
    """Take labels off, with every shape they have."""
    await selected.run(session, TAKE, labels=labels)


async def remove_other_labels(session: AsyncSession, selected: LockedSamples, labels: list[int]) -> None:
    """Take every other label off; what stays keeps whoever put it."""
    await selected.run(session, KEEP_ONLY, labels=labels)


async def replace_label(
    session: AsyncSession,
    selected: LockedSamples,
    before: int,
    after: int,
    change: RecordedChange,
    *,
    actor: str | None = None,
) -> None:
    """Turn one label into another, shapes kept. With an actor it is his doing; without, the labels were merged."""
    await selected.run(session, DROP_DOUBLE, before=before, after=after)
    await selected.run(session, TURN, before=before, after=after, since=change.revision, actor=actor)


async def insert(
    session: AsyncSession,
    change: RecordedChange,
    *,
    actor: str,
    samples: Sequence[int],
    labels: Sequence[int],
    shapes: Sequence[str | None],
) -> None:
    """Make annotations that are not there yet, in this order. A shape is JSON text, None the whole image."""
    values = {"samples": samples, "labels": labels, "shapes": shapes, "actor": actor}
    await sql.run(session, ADD, since=change.revision, **values)


async def update(
    session: AsyncSession,
    change: RecordedChange,
    *,
    actor: str,
    ids: Sequence[int],
    labels: Sequence[int],
    shapes: Sequence[str | None],
) -> None:
    """Give annotations these labels and shapes, by a person: they are confirmed, and no model was sure of them."""
    values = {"ids": ids, "labels": labels, "shapes": shapes, "since": change.revision}
    if None in shapes:
        await sql.run(session, PARK, **values)
    await sql.run(session, CHANGE, actor=actor, **values)


async def delete(session: AsyncSession, ids: Sequence[int]) -> None:
    await sql.run(session, DROP, ids=ids)


async def refresh_derived_state(
    session: AsyncSession, selected: LockedSamples, change: RecordedChange, *, actor: str | None = None
) -> None:
    """Draw from their annotations what the samples' rows say. Without an actor nobody has labelled: a label went."""
    await selected.run(session, SETTLE, since=change.revision, actor=actor)
