"""Samples leave a working set. Their source rows stay: a source without a live sample is a tombstone to sync."""

from typing import Any

from sqlmodel.ext.asyncio.session import AsyncSession

from db.history.changes import RecordedChange
from db.labelling.samples.selection import LockedSamples

INTENTS = """
INSERT INTO source_deletion (dataset_id, source_id, change_id, path, etag)
SELECT sample.dataset_id, source.id, :change_id, source.path, source.etag
FROM selected JOIN sample USING (id) JOIN source ON source.id = sample.source_id
WHERE CONDITION
ORDER BY selected.id
"""
ANNOTATIONS = """
DELETE FROM annotation USING selected JOIN sample USING (id) WHERE annotation.sample_id = selected.id AND (CONDITION)
"""
SAMPLES = "DELETE FROM sample USING selected WHERE sample.id = selected.id AND (CONDITION)"


async def remove(
    session: AsyncSession,
    selected: LockedSamples,
    change: RecordedChange,
    condition: str = "true",
    *,
    sources: bool,
    **values: Any,
) -> None:
    """Remove the selected samples that are like this; with `sources`, the intent to delete their files commits too."""
    if sources:
        await selected.run(session, INTENTS.replace("CONDITION", condition), change_id=change.id, **values)
    await selected.run(session, ANNOTATIONS.replace("CONDITION", condition), **values)
    await selected.run(session, SAMPLES.replace("CONDITION", condition), **values)
