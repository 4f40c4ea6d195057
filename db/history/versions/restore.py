"""Rows put back as they were at an earlier revision, with their ids, as part of a new change.

What a span of revisions (early, late] did to the facts lies in temporary tables: the rows that it ended, as they were
before (`was_…`), and the rows that it left (`made_…`). What was made, and was not there before, goes. Whoever restores
has the dataset to himself, so nothing moves meanwhile.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Final

from sqlmodel.ext.asyncio.session import AsyncSession

from db.history import derived_state
from db.history.changes import RecordedChange
from db.postgres import sql

LAST: Final = 2**63 - 1
FACTS: Final = ("label", "sample", "annotation")

# From the catalog, so that what a later migration adds is restored too, by an older server as well.
COLUMNS: Final = """
SELECT c.relname, array_agg(quote_ident(a.attname) ORDER BY a.attnum) AS columns
FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid
WHERE c.oid = ANY(ARRAY['label', 'sample', 'annotation']::regclass[]) AND a.attnum > 0 AND NOT a.attisdropped
  AND a.attgenerated = '' AND a.attname <> ALL(ARRAY['id', 'dataset_id', 'since'])
GROUP BY c.relname
"""
# Columns of a sample that say how it is labelled, and those that say which file it shows.
LABELLING: Final = ("state", "label_ids", "labeled_by", "labeled_at", "labeled_origin")
PLACING: Final = ("source_id", "path")

TABLES: Final = tuple(
    f"CREATE TEMP TABLE {when}_{fact} (LIKE {fact}_past, PRIMARY KEY (id)) ON COMMIT DROP"
    for fact in FACTS
    for when in ("was", "made")
)

WAS: Final = """
INSERT INTO was_{fact} ({row}, until) SELECT {row}, until FROM {fact}_past
WHERE dataset_id = :dataset_id AND until > :early AND until <= :late AND since <= :early
"""

MADE: Final = f"""
INSERT INTO made_{{fact}} ({{row}}, until)
SELECT {{row}}, {LAST} FROM {{fact}} WHERE dataset_id = :dataset_id AND since > :early AND since <= :late
UNION ALL
SELECT {{row}}, until FROM {{fact}}_past
WHERE dataset_id = :dataset_id AND since > :early AND since <= :late AND until > :late
"""

# By their samples, which every change of an annotation changes too.
MADE_ANNOTATION: Final = f"""
INSERT INTO made_annotation ({{row}}, until)
SELECT {{annotations}}, {LAST} FROM made_sample m JOIN annotation a ON a.sample_id = m.id
WHERE a.since > :early AND a.since <= :late
UNION ALL
SELECT {{annotations}}, a.until FROM made_sample m JOIN annotation_past a ON a.sample_id = m.id
WHERE a.since > :early AND a.since <= :late AND a.until > :late
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
SAME: Final = """
WITH same AS (
    SELECT w.id FROM was_{fact} w JOIN made_{fact} m USING (id) WHERE {was} IS NOT DISTINCT FROM {made} {only}
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
UPDATE label SET {assignments}, since = :since FROM was_label w WHERE label.id = w.id
"""
BRING: Final = """
INSERT INTO {fact} (id, dataset_id, {columns}, since)
SELECT id, dataset_id, {columns}, :since
FROM was_{fact} w WHERE NOT EXISTS (SELECT FROM {fact} f WHERE f.id = w.id) ORDER BY id
"""
REMOVE: Final = """
DELETE FROM sample s USING made_sample m
WHERE s.id = m.id AND NOT EXISTS (SELECT FROM was_sample w WHERE w.id = s.id)
"""
# What others have done to a sample since stays: its labelling as a whole, and each column that the span did not touch.
KEEP: Final = """
UPDATE was_sample w SET {assignments}
FROM made_sample m JOIN sample s ON s.id = m.id
WHERE m.id = w.id AND {now} IS DISTINCT FROM {made}
"""
CHANGE: Final = """
UPDATE sample SET {assignments}, since = :since FROM was_sample w, made_sample m WHERE sample.id = w.id AND m.id = w.id
"""

# The labels of a sample are those of the annotations that it has now: a label can have come and gone with one shape,
# and be there with another. Its state follows.
REFRESH: Final = f"""
WITH selected AS (SELECT s.id FROM made_sample m JOIN sample s USING (id))
{derived_state.REFRESH}
AND (sample.label_ids, sample.state) IS DISTINCT FROM (derived.label_ids, derived.state)
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


@dataclass(frozen=True, slots=True)
class Gathered:
    """What lies in the temporary tables. `columns` of each fact: all but `id`, `dataset_id` and `since`."""

    columns: Mapping[str, tuple[str, ...]]
    is_empty: bool

    def row(self, fact: str, table: str) -> str:
        """The fact's columns in a table, as a row to compare."""
        return _row(table, self.columns[fact])


async def gather(session: AsyncSession, span: Span) -> Gathered:
    """Fill the temporary tables with what the span did."""
    columns = {row["relname"]: tuple(row["columns"]) for row in await sql.run(session, COLUMNS)}
    for statement in TABLES:
        await sql.run(session, statement)
    await _fill(session, span, columns)
    await sql.run(session, PLACE)
    gathered = Gathered(columns, is_empty=False)
    for fact in ("label", "annotation", "sample"):
        only = ALSO_ITS_MARKS if fact == "sample" else ""
        same = SAME.format(fact=fact, was=gathered.row(fact, "w"), made=gathered.row(fact, "m"), only=only)
        await sql.run(session, same)
    tables = " UNION ALL ".join(f"SELECT FROM {when}_{fact}" for when in ("was", "made") for fact in FACTS)
    row = await sql.first(session, f"SELECT FROM ({tables}) AS any_row LIMIT 1")
    return Gathered(columns, is_empty=row is None)


async def put_back(session: AsyncSession, gathered: Gathered, change: RecordedChange) -> None:
    """Make what the span changed what it was before, as of the change. Names may change hands meanwhile."""
    since = change.revision
    columns = {fact: ", ".join(names) for fact, names in gathered.columns.items()}
    assignments = {fact: ", ".join(f"{name} = w.{name}" for name in names) for fact, names in gathered.columns.items()}
    bring = {fact: BRING.format(fact=fact, columns=columns[fact]) for fact in FACTS}
    await sql.run(session, "SET CONSTRAINTS label_name_key, label_shortcut_key DEFERRED")
    await sql.run(session, UNANNOTATE)
    await sql.run(session, RELABEL.format(assignments=assignments["label"]), since=since)
    await sql.run(session, bring["label"], since=since)
    await sql.run(session, REMOVE)
    await sql.run(session, _keep(gathered))
    for statement in (CHANGE.format(assignments=assignments["sample"]), bring["sample"], bring["annotation"]):
        await sql.run(session, statement, since=since)
    await sql.run(session, REFRESH, actor=None, origin=None, latest=False, since=since)
    await sql.run(session, UNLABEL)
    await sql.run(session, "SET CONSTRAINTS label_name_key, label_shortcut_key IMMEDIATE")


async def _fill(session: AsyncSession, span: Span, columns: Mapping[str, tuple[str, ...]]) -> None:
    rows = {fact: ("id", "dataset_id", *columns[fact], "since") for fact in FACTS}
    values = {"dataset_id": span.dataset_id, "early": span.early, "late": span.late}
    for fact in FACTS:
        await sql.run(session, WAS.format(fact=fact, row=", ".join(rows[fact])), **values)
    for fact in ("label", "sample"):
        await sql.run(session, MADE.format(fact=fact, row=", ".join(rows[fact])), **values)
    made = MADE_ANNOTATION.format(
        row=", ".join(rows["annotation"]), annotations=", ".join(f"a.{name}" for name in rows["annotation"])
    )
    await sql.run(session, made, early=span.early, late=span.late)
    await sql.run(session, "ANALYZE was_label, was_sample, was_annotation, made_label, made_sample, made_annotation")


def _keep(gathered: Gathered) -> str:
    now, made = (_row(table, LABELLING) for table in "sm")
    assignments = [
        f"{name} = CASE WHEN {now} IS NOT DISTINCT FROM {made} THEN w.{name} ELSE s.{name} END" for name in LABELLING
    ]
    assignments += [
        f"{name} = CASE WHEN w.{name} IS DISTINCT FROM m.{name} THEN w.{name} ELSE s.{name} END"
        for name in gathered.columns["sample"]
        if name not in (*LABELLING, *PLACING)
    ]
    return KEEP.format(
        assignments=", ".join(assignments), now=gathered.row("sample", "s"), made=gathered.row("sample", "m")
    )


def _row(table: str, columns: Collection[str]) -> str:
    return "ROW(" + ", ".join(f"{table}.{name}" for name in columns) + ")"
