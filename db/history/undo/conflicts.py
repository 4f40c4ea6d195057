"""What stands in the way of undoing: facts that are not any more as the change left them. Whoever changed them and took
that back is not in the way; nor is he who put another label on the same sample."""

from sqlmodel.ext.asyncio.session import AsyncSession

from db.errors import Conflict
from db.history.versions.restore import IN_THE_WAY, LABELLING, PLACING, Gathered
from db.postgres import sql

TOLD = 100  # conflicting changes that an error names, the earliest first

ANNOTATIONS = """
SELECT m.id FROM made_annotation m LEFT JOIN annotation a ON a.id = m.id
WHERE a.id IS NULL OR {now} IS DISTINCT FROM {made}
UNION SELECT w.id FROM was_annotation w JOIN annotation a ON a.id = w.id
WHERE NOT EXISTS (SELECT FROM made_annotation m WHERE m.id = w.id)
"""

# A sample that the change made goes with all that is on it. One that it changed need only be there, and marked alike.
SAMPLES = """
SELECT m.id FROM made_sample m LEFT JOIN sample s ON s.id = m.id LEFT JOIN was_sample w ON w.id = m.id
WHERE s.id IS NULL
   OR w.id IS NULL AND (
        s.label_ids <> m.label_ids OR {marked_since}
        OR EXISTS (SELECT FROM annotation a WHERE a.sample_id = s.id
                   AND NOT EXISTS (SELECT FROM made_annotation k WHERE k.id = a.id)))
   OR w.id IS NOT NULL AND ({marked_twice})
UNION SELECT w.id FROM was_sample w JOIN sample s ON s.id = w.id
WHERE NOT EXISTS (SELECT FROM made_sample m WHERE m.id = w.id)
"""
# Columns of a sample that are no marks of its own.
UNMARKED = {*PLACING, *LABELLING, "created_at", "added_at"}

LABELS = """
SELECT m.id FROM made_label m LEFT JOIN label l ON l.id = m.id WHERE l.id IS NULL OR {now} IS DISTINCT FROM {made}
UNION SELECT w.id FROM was_label w JOIN label l ON l.id = w.id
WHERE NOT EXISTS (SELECT FROM made_label m WHERE m.id = w.id)
"""

# The revisions after the one to undo, :done, that made a fact another.
HISTORY = """
SELECT p.until AS revision FROM {fact}_past p WHERE p.id IN ({ids}) AND p.until > :done
UNION SELECT f.since FROM {fact} f WHERE f.id IN ({ids}) AND f.since > :done
"""

# Annotations that come back need their sample, their label and their place; so do labels and samples.
NEEDS = f"""
SELECT (SELECT max(until) FROM label_past p WHERE p.id = w.label_id) AS revision FROM was_annotation w
WHERE NOT EXISTS (SELECT FROM label l WHERE l.id = w.label_id)
  AND NOT EXISTS (SELECT FROM was_label l WHERE l.id = w.label_id)
UNION SELECT (SELECT max(until) FROM sample_past p WHERE p.id = w.sample_id) FROM was_annotation w
WHERE NOT EXISTS (SELECT FROM sample s WHERE s.id = w.sample_id)
  AND NOT EXISTS (SELECT FROM was_sample s WHERE s.id = w.sample_id)
UNION SELECT a.since FROM was_annotation w JOIN annotation a ON a.sample_id = w.sample_id AND a.label_id = w.label_id
WHERE a.shape IS NULL AND w.shape IS NULL AND NOT EXISTS (SELECT FROM made_annotation m WHERE m.id = a.id)
UNION SELECT a.since FROM made_label m JOIN annotation a ON a.label_id = m.id
WHERE NOT EXISTS (SELECT FROM was_label w WHERE w.id = m.id)
  AND NOT EXISTS (SELECT FROM made_annotation k WHERE k.id = a.id)
UNION SELECT l.since FROM was_label w JOIN label l ON l.dataset_id = w.dataset_id
    AND (l.name = w.name OR l.shortcut = w.shortcut) AND l.id <> w.id
WHERE NOT EXISTS (SELECT FROM made_label m WHERE m.id = l.id)
UNION SELECT since FROM ({IN_THE_WAY}) AS place
"""

# Those that were undone, and what undid them, are named only where nothing else is there to name.
CHANGES = """
SELECT id FROM (
    SELECT id, revision, is_moot, bool_and(is_moot) OVER () AS all_moot
    FROM (SELECT c.id, c.revision,
                 EXISTS (SELECT FROM change u WHERE u.id = c.undone_by AND u.undone_by IS NULL)
                 OR c.undone_by IS NULL
                    AND EXISTS (SELECT FROM change x WHERE x.undone_by = c.id AND x.revision > :done) AS is_moot
          FROM change c WHERE c.dataset_id = :dataset_id AND c.revision = ANY(:revisions::bigint[])) AS each
) AS judged
WHERE all_moot OR NOT is_moot ORDER BY revision LIMIT :told
"""


async def _expect_room(session: AsyncSession) -> None:
    """What is in the way may have come there by the very change: a file that moved to where another was."""
    row = await sql.first(session, IN_THE_WAY)
    if row is not None:
        raise Conflict(
            f"Another sample's file lies at `{row['path']}` now, where a sample would come back; move it away, sync, "
            "and repeat.",
            changes=[],
            path=row["path"],
        )


async def expect_none(session: AsyncSession, gathered: Gathered, dataset_id: int, done: int) -> None:
    """Raises CONFLICT, naming the changes."""
    found = await sql.run(session, _later(gathered), done=done)
    if not found:
        return
    revisions = [row["revision"] for row in found if row["revision"] is not None]
    if all(revision <= done for revision in revisions):
        await _expect_room(session)
    rows = await sql.run(session, CHANGES, dataset_id=dataset_id, revisions=revisions, done=done, told=TOLD)
    raise Conflict(
        "Later changes touched the same samples or labels; undo those first, the latest first.",
        changes=[f"Change:{row['id']}" for row in rows],
    )


def _later(gathered: Gathered) -> str:
    """The revisions that stand in the way."""
    marks = [name for name in gathered.columns["sample"] if name not in UNMARKED]
    since = {name: f"s.{name} IS DISTINCT FROM m.{name}" for name in marks}
    twice = [f"w.{name} IS DISTINCT FROM m.{name} AND {since[name]}" for name in marks]
    touched = {
        "annotation": ANNOTATIONS.format(now=gathered.row("annotation", "a"), made=gathered.row("annotation", "m")),
        "sample": SAMPLES.format(marked_since=" OR ".join(since.values()), marked_twice=" OR ".join(twice)),
        "label": LABELS.format(now=gathered.row("label", "l"), made=gathered.row("label", "m")),
    }
    return " UNION ".join([*(HISTORY.format(fact=fact, ids=ids) for fact, ids in touched.items()), NEEDS])
