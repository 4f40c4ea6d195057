"""Rows put back as they were at an earlier revision, with their ids, as part of a new change.

What a span of revisions (early, late] did to the facts lies in temporary tables: the rows that it ended, as they were
before (`was_…`), and the rows that it left (`made_…`). What was made, and was not there before, goes. Whoever restores
has the dataset to himself, so nothing moves meanwhile.
"""

from dataclasses import dataclass
from typing import Final

from sqlmodel.ext.asyncio.session import AsyncSession

from db import statements
from db.changes import Recorded

LAST: Final = 2**63 - 1
FACTS: Final = ("label", "sample", "annotation")

TABLES: Final = tuple(
    f"CREATE TEMP TABLE IF NOT EXISTS {when}_{fact} (LIKE {fact}_past, PRIMARY KEY (id)) ON COMMIT DELETE ROWS"
    for fact in FACTS
    for when in ("was", "made")
)

WAS: Final = """
INSERT INTO was_{fact} SELECT * FROM {fact}_past
WHERE dataset_id = :dataset_id AND until > :early AND until <= :late AND since <= :early
"""

MADE: Final = f"""
INSERT INTO made_{{fact}}
SELECT *, {LAST} FROM {{fact}} WHERE dataset_id = :dataset_id AND since > :early AND since <= :late
UNION ALL
SELECT * FROM {{fact}}_past WHERE dataset_id = :dataset_id AND since > :early AND since <= :late AND until > :late
"""

# By their samples, which every change of an annotation changes too.
MADE_ANNOTATION: Final = f"""
INSERT INTO made_annotation
SELECT a.*, {LAST} FROM made_sample m JOIN annotation a ON a.sample_id = m.id
WHERE a.since > :early AND a.since <= :late
UNION ALL
SELECT p.* FROM made_sample m JOIN annotation_past p ON p.sample_id = m.id
WHERE p.since > :early AND p.since <= :late AND p.until > :late
"""

LEAVES: Final = """(EXISTS (SELECT FROM made_sample m WHERE m.id = s.id)
         AND NOT EXISTS (SELECT FROM was_sample w WHERE w.id = s.id))"""

# A source that moved has taken its sample's path along. One that is gone gives way to what lies in its place now, as
# in a sync; but not to what another sample shows.
PLACE: Final = f"""
UPDATE was_sample w SET source_id = coalesce(here.id, old.id),
                        path = CASE old.status WHEN 'GONE' THEN w.path ELSE old.path END
FROM was_sample same JOIN source old ON old.id = same.source_id
LEFT JOIN source here ON old.status = 'GONE' AND here.dataset_id = same.dataset_id AND here.path = same.path
    AND here.status = 'PRESENT'
    AND NOT EXISTS (SELECT FROM was_sample other WHERE other.source_id = here.id)
    AND NOT EXISTS (SELECT FROM sample s WHERE s.source_id = here.id AND s.id <> same.id AND NOT {LEAVES})
WHERE same.id = w.id AND (old.status = 'GONE' OR old.path <> w.path)
"""

# Samples that would stand in the place of one that comes back: showing its source, or at its path.
IN_THE_WAY: Final = f"""
SELECT s.since, s.path FROM was_sample back JOIN sample s
    ON (s.source_id = back.source_id OR (s.dataset_id = back.dataset_id AND s.path = back.path)) AND s.id <> back.id
WHERE NOT {LEAVES} AND NOT EXISTS (
    SELECT FROM was_sample w WHERE w.id = s.id AND w.source_id <> back.source_id AND w.path <> back.path)
"""

# What a span made as it was before, it did not touch: facts that came to be the same again.
COLUMNS: Final = {
    "label": ("name", "color", "shortcut"),
    "annotation": ("label_id", "labeled_by", "labeled_at", "origin", "confidence", "confirmed", "shape"),
    "sample": (
        *("source_id", "path", "created_at", "added_at", "state", "label_ids", "labeled_by", "labeled_at"),
        *("labeled_origin", "hard", "usage"),
    ),
}
SAME: Final = """
WITH same AS (
    SELECT w.id FROM was_{fact} w JOIN made_{fact} m USING (id) WHERE ({was}) IS NOT DISTINCT FROM ({made}) {only}
), was AS (DELETE FROM was_{fact} w USING same WHERE w.id = same.id)
DELETE FROM made_{fact} m USING same WHERE m.id = same.id
"""
ALSO_ITS_MARKS: Final = """
AND NOT EXISTS (SELECT FROM was_annotation a WHERE a.sample_id = w.id)
AND NOT EXISTS (SELECT FROM made_annotation a WHERE a.sample_id = w.id)
"""

UNANNOTATE: Final = """
DELETE FROM annotation a USING made_annotation m WHERE a.id = m.id
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
DELETE FROM sample s USING made_sample m
WHERE s.id = m.id AND NOT EXISTS (SELECT FROM was_sample w WHERE w.id = s.id)
"""
# Where nobody has labelled since, a sample's row says again exactly what it said.
CHANGE: Final = """
UPDATE sample SET source_id = w.source_id, path = w.path, created_at = w.created_at, added_at = w.added_at,
    state = w.state, label_ids = w.label_ids, labeled_by = w.labeled_by, labeled_at = w.labeled_at,
    labeled_origin = w.labeled_origin, hard = w.hard, usage = w.usage, since = :since
FROM was_sample w, made_sample m
WHERE sample.id = w.id AND m.id = w.id
  AND (sample.state, sample.label_ids, sample.labeled_by, sample.labeled_at, sample.labeled_origin)
      IS NOT DISTINCT FROM (m.state, m.label_ids, m.labeled_by, m.labeled_at, m.labeled_origin)
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

# Elsewhere what it says follows from the annotations that it has now; everywhere, which labels it has. A label can have
# come and gone with one shape, and be there with another.
SETTLE: Final = """
UPDATE sample SET label_ids = fresh.label_ids, state = fresh.state,
    labeled_by = CASE fresh.state WHEN 'LABELED' THEN coalesce(sample.labeled_by, fresh.labeled_by) END,
    labeled_at = CASE fresh.state WHEN 'LABELED' THEN coalesce(sample.labeled_at, fresh.labeled_at) END,
    since = :since
FROM (
    SELECT s.id,
           coalesce(array_agg(DISTINCT a.label_id ORDER BY a.label_id) FILTER (WHERE a.confirmed), '{}') AS label_ids,
           CASE WHEN bool_or(a.confirmed) THEN 'LABELED' WHEN bool_or(NOT a.confirmed) THEN 'PENDING'
                ELSE 'UNLABELED' END AS state,
           (array_agg(a.labeled_by ORDER BY a.labeled_at DESC, a.id DESC) FILTER (WHERE a.confirmed))[1] AS labeled_by,
           max(a.labeled_at) FILTER (WHERE a.confirmed) AS labeled_at
    FROM made_sample m JOIN sample s ON s.id = m.id LEFT JOIN annotation a ON a.sample_id = s.id
    GROUP BY s.id
) AS fresh
WHERE sample.id = fresh.id
  AND (sample.since < :since OR (sample.label_ids, sample.state) IS DISTINCT FROM (fresh.label_ids, fresh.state))
"""
UNLABEL: Final = """
DELETE FROM label USING made_label m
WHERE label.id = m.id AND NOT EXISTS (SELECT FROM was_label w WHERE w.id = label.id)
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
    for fact in FACTS:
        await statements.run(session, WAS.format(fact=fact), **values)
    for fact in ("label", "sample"):
        await statements.run(session, MADE.format(fact=fact), **values)
    await statements.run(session, MADE_ANNOTATION, early=span.early, late=span.late)
    await statements.run(
        session, "ANALYZE was_label, was_sample, was_annotation, made_label, made_sample, made_annotation"
    )
    await statements.run(session, PLACE)
    for fact in COLUMNS:
        await statements.run(session, _same(fact))
    tables = " UNION ALL ".join(f"SELECT FROM {when}_{fact}" for when in ("was", "made") for fact in FACTS)
    return await statements.first(session, f"SELECT FROM ({tables}) AS any_row LIMIT 1") is not None


async def put_back(session: AsyncSession, change: Recorded) -> None:
    """Make what the span changed what it was before, as of the change. Names may change hands meanwhile."""
    since = change.revision
    await statements.run(session, "SET CONSTRAINTS label_name_key, label_shortcut_key DEFERRED")
    await statements.run(session, UNANNOTATE)
    for sql in (RELABEL, LABEL):
        await statements.run(session, sql, since=since)
    await statements.run(session, REMOVE)
    for sql in (CHANGE, BRING, ANNOTATE, SETTLE):
        await statements.run(session, sql, since=since)
    await statements.run(session, UNLABEL)
    await statements.run(session, "SET CONSTRAINTS label_name_key, label_shortcut_key IMMEDIATE")


def _same(fact: str) -> str:
    was, made = (", ".join(f"{side}.{column}" for column in COLUMNS[fact]) for side in "wm")
    return SAME.format(fact=fact, was=was, made=made, only=ALSO_ITS_MARKS if fact == "sample" else "")
