"""What stands in the way of undoing: later changes of the same rows. Of a sample only what its annotations do not tell
counts as its own; two who put different labels on one sample did not touch the same."""

from sqlmodel.ext.asyncio.session import AsyncSession

from db import statements
from db.errors import Conflict
from db.versions.restore import IN_THE_WAY

TOLD = 100  # conflicting changes that an error names, the earliest first

# The revisions of such changes; null where a change left no trace. :done is the revision to undo.
LATER = f"""
-- annotations that it made, and somebody ended
SELECT p.until AS revision FROM touched_sample t JOIN annotation_past p ON p.sample_id = t.id WHERE p.since = :done
-- annotations that it ended, and somebody brought back
UNION SELECT a.since FROM was_annotation w JOIN annotation a ON a.id = w.id WHERE a.since > :done
UNION SELECT p.since FROM was_annotation w JOIN annotation_past p ON p.id = w.id WHERE p.since > :done
-- annotations that it ended, whose label or sample is not there any more
UNION SELECT (SELECT max(until) FROM label_past p WHERE p.id = w.label_id) FROM was_annotation w
    WHERE NOT EXISTS (SELECT FROM label l WHERE l.id = w.label_id)
      AND NOT EXISTS (SELECT FROM was_label l WHERE l.id = w.label_id)
UNION SELECT (SELECT max(until) FROM sample_past p WHERE p.id = w.sample_id) FROM was_annotation w
    WHERE NOT EXISTS (SELECT FROM sample s WHERE s.id = w.sample_id)
      AND NOT EXISTS (SELECT FROM was_sample s WHERE s.id = w.sample_id)
-- annotations that it ended, and somebody put anew
UNION SELECT a.since FROM was_annotation w JOIN annotation a
    ON a.sample_id = w.sample_id AND a.label_id = w.label_id AND a.shape IS NULL AND w.shape IS NULL
    WHERE a.since > :done
-- samples that it made, and somebody touched
UNION SELECT s.since FROM touched_sample t JOIN sample s ON s.id = t.id
    WHERE s.since > :done AND NOT EXISTS (SELECT FROM was_sample w WHERE w.id = t.id)
UNION SELECT p.until FROM touched_sample t JOIN sample_past p ON p.id = t.id
    WHERE p.since >= :done AND NOT EXISTS (SELECT FROM was_sample w WHERE w.id = t.id)
-- samples that it changed, and somebody removed
UNION SELECT p.until FROM was_sample w JOIN sample_past p ON p.id = w.id
    WHERE p.since >= :done AND NOT EXISTS (SELECT FROM sample s WHERE s.id = w.id)
-- samples that it removed, and somebody brought back
UNION SELECT s.since FROM was_sample w JOIN sample s ON s.id = w.id
    WHERE s.since > :done AND NOT EXISTS (SELECT FROM sample_past p WHERE p.id = w.id AND p.since = :done)
-- samples that it marked, and somebody touched
UNION SELECT p.until FROM was_sample w JOIN sample_past p ON p.id = w.id AND p.since = :done
    WHERE (w.hard, w.usage) IS DISTINCT FROM (p.hard, p.usage)
-- labels
UNION SELECT l.since FROM touched_label t JOIN label l ON l.id = t.id WHERE l.since > :done
UNION SELECT p.until FROM touched_label t JOIN label_past p ON p.id = t.id WHERE p.since >= :done
UNION SELECT a.since FROM touched_label t JOIN annotation a ON a.label_id = t.id
    WHERE a.since > :done AND NOT EXISTS (SELECT FROM was_label w WHERE w.id = t.id)
UNION SELECT l.since FROM was_label w JOIN label l ON l.dataset_id = w.dataset_id
    AND (l.name = w.name OR l.shortcut = w.shortcut) AND l.id <> w.id AND l.id NOT IN (SELECT id FROM touched_label)
-- samples in the place of one that comes back
UNION SELECT since FROM ({IN_THE_WAY}) AS place
"""
CHANGES = """
SELECT id FROM change WHERE dataset_id = :dataset_id AND revision = ANY(:revisions::bigint[])
ORDER BY revision LIMIT :told
"""


async def expect_none(session: AsyncSession, dataset_id: int, done: int) -> None:
    """Raises CONFLICT, naming the changes."""
    found = await statements.run(session, LATER, done=done)
    if not found:
        return
    revisions = [row["revision"] for row in found if row["revision"] is not None]
    rows = await statements.run(session, CHANGES, dataset_id=dataset_id, revisions=revisions, told=TOLD)
    raise Conflict(
        "Later changes touched the same samples or labels; undo those first, the latest first.",
        changes=[f"Change:{row['id']}" for row in rows],
    )
