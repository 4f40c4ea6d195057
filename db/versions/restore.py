"""Rows put back as they were at an earlier revision, with their ids, as part of a new change.

What a span of revisions (early, late] did to the facts lies in temporary tables: the rows that it ended as they were
before (`was_…`), and the ids of all that it touched (`touched_…`). What is touched and was not there before, goes.
Whoever restores has the dataset to himself, so nothing moves meanwhile.
"""

from dataclasses import dataclass
from typing import Final

from sqlmodel.ext.asyncio.session import AsyncSession

from db import statements
from db.changes import Recorded

LAST: Final = 2**63 - 1

TABLES: Final = (
    *(
        f"CREATE TEMP TABLE IF NOT EXISTS was_{fact} (LIKE {fact}_past) ON COMMIT DELETE ROWS"
        for fact in ("label", "sample", "annotation")
    ),
    *(
        f"CREATE TEMP TABLE IF NOT EXISTS touched_{fact} (id bigint PRIMARY KEY) ON COMMIT DELETE ROWS"
        for fact in ("label", "sample")
    ),
)

WAS: Final = """
INSERT INTO was_{fact} SELECT * FROM {fact}_past
WHERE dataset_id = :dataset_id AND until > :early AND until <= :late AND since <= :early
"""

TOUCHED: Final = """
INSERT INTO touched_{fact}
SELECT id FROM was_{fact}
UNION SELECT id FROM {fact} WHERE dataset_id = :dataset_id AND since > :early AND since <= :late
UNION SELECT id FROM {fact}_past WHERE dataset_id = :dataset_id AND since > :early AND since <= :late AND until > :late
"""

# A source that moved has taken its sample's path along. One that is gone gives way to what lies in its place now, as
# in a sync; but not to what another sample shows.
PLACE: Final = """
UPDATE was_sample w SET source_id = coalesce(here.id, old.id),
                        path = CASE old.status WHEN 'GONE' THEN w.path ELSE old.path END
FROM was_sample same JOIN source old ON old.id = same.source_id
LEFT JOIN source here ON old.status = 'GONE' AND here.dataset_id = same.dataset_id AND here.path = same.path
    AND here.status = 'PRESENT'
    AND NOT EXISTS (SELECT FROM was_sample other WHERE other.source_id = here.id)
    AND NOT EXISTS (SELECT FROM sample s WHERE s.source_id = here.id AND s.id <> same.id
                    AND NOT (s.id IN (SELECT id FROM touched_sample) AND s.id NOT IN (SELECT id FROM was_sample)))
WHERE same.id = w.id AND (old.status = 'GONE' OR old.path <> w.path)
"""

# Samples that would stand in the place of one that comes back: showing its source, or at its path.
IN_THE_WAY: Final = """
SELECT s.since, s.path FROM was_sample w JOIN sample s
    ON (s.source_id = w.source_id OR (s.dataset_id = w.dataset_id AND s.path = w.path)) AND s.id <> w.id
WHERE s.id NOT IN (SELECT id FROM touched_sample)
   OR EXISTS (SELECT FROM was_sample o WHERE o.id = s.id AND (o.source_id = w.source_id OR o.path = w.path))
"""

UNANNOTATE: Final = """
DELETE FROM annotation a USING touched_sample t WHERE a.sample_id = t.id AND a.since > :early AND a.since <= :late
"""
RELABEL: Final = """
UPDATE label SET name = w.name, color = w.color, shortcut = w.shortcut, since = :since
FROM was_label w WHERE label.id = w.id
"""
LABEL: Final = """
INSERT INTO label (id, dataset_id, name, color, shortcut, since)
SELECT id, dataset_id, name, color, shortcut, :since FROM was_label w
WHERE NOT EXISTS (SELECT FROM label l WHERE l.id = w.id) ORDER BY id
"""
REMOVE: Final = """
DELETE FROM sample s USING touched_sample t
WHERE s.id = t.id AND s.since > :early AND s.since <= :late AND NOT EXISTS (SELECT FROM was_sample w WHERE w.id = s.id)
"""
CHANGE: Final = """
UPDATE sample SET source_id = w.source_id, path = w.path, created_at = w.created_at, added_at = w.added_at,
    state = w.state, label_ids = w.label_ids, labeled_by = w.labeled_by, labeled_at = w.labeled_at,
    labeled_origin = w.labeled_origin, hard = w.hard, usage = w.usage, since = :since
FROM was_sample w WHERE sample.id = w.id AND sample.since <= :late
"""
BRING: Final = """
INSERT INTO sample (id, dataset_id, source_id, path, created_at, added_at, state, label_ids, labeled_by, labeled_at,
                    labeled_origin, hard, usage, since)
SELECT id, dataset_id, source_id, path, created_at, added_at, state, label_ids, labeled_by, labeled_at,
       labeled_origin, hard, usage, :since
FROM was_sample w WHERE NOT EXISTS (SELECT FROM sample s WHERE s.id = w.id) ORDER BY id
"""
ANNOTATE: Final = """
INSERT INTO annotation (id, dataset_id, sample_id, label_id, labeled_by, labeled_at, origin, confidence, confirmed,
                        shape, since)
SELECT id, dataset_id, sample_id, label_id, labeled_by, labeled_at, origin, confidence, confirmed, shape, :since
FROM was_annotation ORDER BY id
"""

# Samples that changes after the span touched too: what their rows say follows from the annotations they have now.
SETTLE: Final = """
UPDATE sample SET label_ids = fresh.label_ids,
    state = CASE WHEN cardinality(fresh.label_ids) > 0 THEN 'LABELED' WHEN fresh.suggested THEN 'PENDING'
                 ELSE 'UNLABELED' END,
    labeled_by = CASE WHEN cardinality(fresh.label_ids) > 0 THEN coalesce(sample.labeled_by, fresh.labeled_by) END,
    labeled_at = CASE WHEN cardinality(fresh.label_ids) > 0 THEN coalesce(sample.labeled_at, fresh.labeled_at) END,
    since = :since
FROM (
    SELECT s.id, coalesce(bool_or(NOT a.confirmed), false) AS suggested,
           coalesce(array_agg(DISTINCT a.label_id ORDER BY a.label_id) FILTER (WHERE a.confirmed), '{}') AS label_ids,
           (array_agg(a.labeled_by ORDER BY a.labeled_at DESC, a.id DESC) FILTER (WHERE a.confirmed))[1] AS labeled_by,
           max(a.labeled_at) FILTER (WHERE a.confirmed) AS labeled_at
    FROM touched_sample t JOIN sample s ON s.id = t.id LEFT JOIN annotation a ON a.sample_id = s.id
    WHERE s.since > :late AND s.since < :since
    GROUP BY s.id
) AS fresh
WHERE sample.id = fresh.id
"""
UNLABEL: Final = """
DELETE FROM label USING touched_label t
WHERE label.id = t.id AND NOT EXISTS (SELECT FROM was_label w WHERE w.id = label.id)
"""


@dataclass(frozen=True, slots=True)
class Span:
    """The revisions after `early`, up to and with `late`, of a dataset."""

    dataset_id: int
    early: int
    late: int = LAST


async def gather(session: AsyncSession, span: Span) -> bool:
    """Fill the temporary tables with what the span did. Whether it did anything."""
    for sql in TABLES:
        await statements.run(session, sql)
    values = {"dataset_id": span.dataset_id, "early": span.early, "late": span.late}
    for fact in ("label", "sample", "annotation"):
        await statements.run(session, WAS.format(fact=fact), **values)
    for fact in ("label", "sample"):
        await statements.run(session, TOUCHED.format(fact=fact), **values)
    await statements.run(session, "ANALYZE was_label, was_sample, was_annotation, touched_label, touched_sample")
    await statements.run(session, PLACE)
    found = "SELECT EXISTS (SELECT FROM touched_sample) OR EXISTS (SELECT FROM touched_label) AS yes"
    row = await statements.first(session, found)
    return bool(row and row["yes"])


async def put_back(session: AsyncSession, span: Span, change: Recorded) -> None:
    """Make what the span touched what it was before, as of the change. Names may change hands meanwhile."""
    early, late, since = span.early, span.late, change.revision
    await statements.run(session, "SET CONSTRAINTS label_name_key, label_shortcut_key DEFERRED")
    await statements.run(session, UNANNOTATE, early=early, late=late)
    await statements.run(session, RELABEL, since=since)
    await statements.run(session, LABEL, since=since)
    await statements.run(session, REMOVE, early=early, late=late)
    await statements.run(session, CHANGE, late=late, since=since)
    await statements.run(session, BRING, since=since)
    await statements.run(session, ANNOTATE, since=since)
    await statements.run(session, SETTLE, late=late, since=since)
    await statements.run(session, UNLABEL)
    await statements.run(session, "SET CONSTRAINTS label_name_key, label_shortcut_key IMMEDIATE")
