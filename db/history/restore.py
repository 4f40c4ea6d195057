"""Restoring rows as they were at an earlier revision, with their ids, as part of a new change.

Temporary tables contain what a span of revisions (early, late] did to the facts: the rows that it ended, as they were
before, and the rows that it left. What the span made, and was not there before, goes. The dataset is locked
exclusively, so nothing changes at the same time.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Final

import asyncpg
from sqlmodel.ext.asyncio.session import AsyncSession

from db.history import derived_state
from db.history.changes import RecordedChange
from db.history.large_changes import expect_samples, report
from db.postgres import sql
from db.postgres.engine import allow_time_for

SQL: Final = sql.load(__file__)
LAST: Final = 2**63 - 1
FACTS: Final = ("label", "sample", "annotation")
WITH_VERDICTS: Final = (*FACTS, "verdict")
LABELLING: Final = ("state", "label_ids", "labeled_by", "labeled_at", "labeled_origin")  # columns that say how a sample
FILE: Final = ("source_id", "path")  # is labelled, and which file it shows

# The sample `s` leaves, since the span made it.
LEAVES: Final = """
(EXISTS (SELECT FROM after_sample a WHERE a.id = s.id) AND NOT EXISTS (SELECT FROM before_sample b WHERE b.id = s.id))
"""
# The span left the annotations of the sample `b` as they were.
SAME_ANNOTATIONS: Final = """
NOT EXISTS (SELECT FROM before_annotation x WHERE x.sample_id = b.id)
AND NOT EXISTS (SELECT FROM after_annotation x WHERE x.sample_id = b.id)
"""
# What plans need to know of the temporary tables.
ANALYZED: Final = {
    "label": "id, until",
    "sample": "id, source_id, path, until",
    "annotation": "id, sample_id, label_id, shape, until",
    "verdict": "id, sample_id, label_id, until",
}
OBSTACLES: Final = SQL.obstacles.format(leaves=LEAVES)

# Samples that were changed after the span.
CHANGED_SINCE: Final = f"SELECT id FROM after_sample JOIN sample USING (id) WHERE until < {LAST}"
# Their labels are those of the annotations that they have now: a label can have come and gone with one shape, and be
# there with another. Any other sample has the annotations that it had, and so the labels.
DERIVED: Final = ("label_ids", "state", *derived_state.SURENESS)
REFRESH: Final = f"""
WITH selected AS ({CHANGED_SINCE})
{derived_state.REFRESH}
AND ({", ".join(f"sample.{name}" for name in DERIVED)})
    IS DISTINCT FROM ({", ".join(f"derived.{name}" for name in DERIVED)})
"""


@dataclass(frozen=True, slots=True)
class SpanChanges:
    """What the temporary tables contain. `columns` of each fact: all but `id`, `dataset_id` and `since`. `files_moved`:
    samples come back to another path or file than they had, or the span moved some."""

    columns: Mapping[str, tuple[str, ...]]
    is_empty: bool
    files_moved: bool

    def row(self, fact: str, table: str) -> str:
        """The fact's columns in a table, as a row to compare."""
        return _row(table, self.columns[fact])


async def load(session: AsyncSession, dataset_id: int, early: int, late: int = LAST) -> SpanChanges:
    """Fill the temporary tables with what the revisions after `early`, up to and with `late`, did. A transaction that
    restores several spans, the latest first, fills them again."""
    facts = WITH_VERDICTS if await sql.value(session, SQL.has_models, dataset_id=dataset_id) else FACTS
    every = await sql.run(session, SQL.columns)
    columns = {row["relname"]: tuple(row["columns"]) for row in every if row["relname"] in facts}
    tables = [f"{time}_{fact}" for time in ("before", "after") for fact in facts]
    if await sql.value(session, SQL.has_tables):
        await sql.run(session, SQL.clear_tables.format(tables=", ".join(tables)))
    else:
        await sql.run(session, SQL.create_tables)
        if facts == WITH_VERDICTS:
            await sql.run(session, SQL.create_verdict_tables)
    rows = {fact: ("id", "dataset_id", *columns[fact], "since") for fact in facts}
    values = {"dataset_id": dataset_id, "early": early, "late": late}
    for fact in facts:
        statement = SQL.load_before.format(fact=fact, row=", ".join(rows[fact]))
        count = await sql.count(session, statement, **values)
        if fact == "sample":
            await expect_samples(session, dataset_id, count)
        else:
            await allow_time_for(session, count)
    for fact in (fact for fact in facts if fact != "annotation"):
        statement = SQL.load_after.format(fact=fact, row=", ".join(rows[fact]))
        count = await sql.count(session, statement, **values)
        if fact == "verdict":
            await allow_time_for(session, count)
        else:
            await expect_samples(session, dataset_id, count)
    statement = SQL.load_annotations_after.format(
        row=", ".join(rows["annotation"]), annotations=", ".join(f"a.{name}" for name in rows["annotation"])
    )
    await sql.run(session, statement, early=early, late=late)
    analyzed = ", ".join(f"{time}_{fact} ({ANALYZED[fact]})" for time in ("before", "after") for fact in facts)
    await sql.run(session, SQL.analyze.format(tables=analyzed))
    files_moved = await sql.count(session, SQL.follow_files.format(leaves=LEAVES)) > 0
    for fact in sorted(facts, key="sample".__eq__):  # samples last: whether annotations changed is asked
        statement = SQL.drop_unchanged.format(
            fact=fact,
            before=_row("b", columns[fact]),
            after=_row("a", columns[fact]),
            condition=SAME_ANNOTATIONS if fact == "sample" else "true",
        )
        await sql.run(session, statement)
    any_change = " OR ".join(f"EXISTS (SELECT FROM {table})" for table in tables)
    files_moved = files_moved or bool(await sql.value(session, SQL.have_moved))
    return SpanChanges(columns, not await sql.value(session, f"SELECT {any_change}"), files_moved)


async def find_obstacle(session: AsyncSession, span: SpanChanges) -> asyncpg.Record | None:
    """Of a span that ends now: the sample, if any, that is at the path or has the file of one that comes back.

    It had another path or file before the span, for no two samples have the same: so it is searched for only if files
    moved.
    """
    if not span.files_moved:
        return None
    return await sql.first(session, f"{OBSTACLES} ORDER BY s.path LIMIT 1")


async def restore(
    session: AsyncSession, span: SpanChanges, change: RecordedChange, *, spans: tuple[int, int] = (0, 1)
) -> None:
    """Make what the span changed what it was before, as of the change. Labels may exchange their names. `spans`: how
    many were restored before, and how many there are."""
    since = change.revision
    insert = {
        fact: SQL.insert_rows.format(fact=fact, columns=", ".join(columns)) for fact, columns in span.columns.items()
    }
    assignments = {fact: ", ".join(f"{name} = b.{name}" for name in columns) for fact, columns in span.columns.items()}
    verdicts = "verdict" in span.columns
    steps = (
        SQL.defer_names,
        SQL.delete_rows.format(fact="annotation"),
        *((SQL.delete_rows.format(fact="verdict"),) if verdicts else ()),
        SQL.update_labels.format(assignments=assignments["label"]),
        insert["label"],
        SQL.delete_samples,
        _keep_later_values(span),
        *((SQL.vacate_paths,) if span.files_moved else ()),
        SQL.update_samples.format(assignments=assignments["sample"]),
        insert["sample"],
        insert["annotation"],
        *((insert["verdict"],) if verdicts else ()),
        REFRESH,
        SQL.delete_labels,
        SQL.check_names,
    )
    before, every = spans
    for number, statement in enumerate(steps, 1):
        await sql.run(session, statement, since=since, actor=None, origin=None, latest=False)
        report(session, (before + number / len(steps)) / every)


def _keep_later_values(span: SpanChanges) -> str:
    now, after = (_row(table, LABELLING) for table in "sa")
    assignments = [
        f"{name} = CASE WHEN {now} IS NOT DISTINCT FROM {after} THEN b.{name} ELSE s.{name} END" for name in LABELLING
    ]
    assignments += [
        f"{name} = CASE WHEN b.{name} IS DISTINCT FROM a.{name} THEN b.{name} ELSE s.{name} END"
        for name in span.columns["sample"]
        if name not in (*LABELLING, *FILE)
    ]
    return SQL.keep_later_values.format(
        assignments=", ".join(assignments), now=span.row("sample", "s"), after=span.row("sample", "a")
    )


def _row(table: str, columns: Collection[str]) -> str:
    return "ROW(" + ", ".join(f"{table}.{name}" for name in columns) + ")"
