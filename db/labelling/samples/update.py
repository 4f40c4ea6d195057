"""Setting what samples are marked as: whether they are hard examples, and what they are for."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from sqlmodel.ext.asyncio.session import AsyncSession

from db.errors import Invalid
from db.history import large_changes
from db.history.changes import expect_revision, lock_dataset, record
from db.identity.tokens import Identity
from db.labelling.samples.label import Labelled
from db.labelling.samples.selection import Selection, lock_samples
from db.postgres import sql

SQL: Final = sql.load(__file__)
DIFFERS: Final = """sample.hard <> coalesce(:hard::boolean, sample.hard)
    OR :set_usage::boolean AND sample.usage IS DISTINCT FROM :usage::text"""


async def update(
    session: AsyncSession,
    dataset_id: int,
    selection: Selection,
    marks: Mapping[str, Any],
    *,
    by: Identity,
    expected_count: int | None = None,
    expected_revision: int | None = None,
) -> Labelled:
    """Set the marks `hard` and `usage` that are given, on all selected samples; a usage of None takes it away."""
    if not marks:
        raise Invalid("There is nothing to set: give `isHard` or `usage`.")
    values = {"hard": marks.get("hard"), "set_usage": "usage" in marks, "usage": marks.get("usage")}
    revision = await lock_dataset(session, dataset_id, by)
    await expect_revision(session, dataset_id, expected_revision, revision)
    matched = await lock_samples(session, dataset_id, selection)
    matched.expect(expected_count)
    unchanged = await Labelled.unchanged(session, matched)
    changing = await matched.narrow(session, DIFFERS, **values)
    if not changing.count:
        await expect_revision(session, dataset_id, expected_revision)
        return unchanged
    hard = {True: ["hard"], False: ["not hard"], None: []}[marks.get("hard")]
    usage = [f"for {marks['usage'] or 'no use'}"] if "usage" in marks else []
    summary = f"Marked {changing.counted} as {', '.join(hard + usage)}"
    change = await record(session, dataset_id, by.name, "UPDATE_SAMPLES", summary, expected_revision=expected_revision)
    for part in await changing.parts(session):
        await part.run(session, SQL.set, **values, since=change.revision)
        large_changes.report(session, part.share)
    return replace(unchanged, changed=changing.count, change=change.id)
