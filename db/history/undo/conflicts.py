"""What prevents an undo: facts that are no longer as the change left them. A later change that was undone itself
prevents nothing; nor does another label on the same sample."""

from typing import Final

from sqlmodel.ext.asyncio.session import AsyncSession

from db.errors import Conflict
from db.history.changes import MAX_REPORTED
from db.history.versions.restore import FILE, LABELLING, OBSTACLES, SpanChanges
from db.postgres import sql
from db.postgres.models import Change

SQL: Final = sql.load(__file__)
NO_FACTS: Final = {*FILE, *LABELLING, "created_at", "added_at"}  # columns of a sample that nobody sets by themselves


async def expect_none(session: AsyncSession, span: SpanChanges, undone: Change) -> None:
    """Raises CONFLICT, naming the later changes. `undone`: the change to undo."""
    found = await sql.run(session, _conflicts(span), undone=undone.revision)
    if not found:
        return
    revisions = [row["revision"] for row in found if row["revision"] is not None]
    if all(revision <= undone.revision for revision in revisions):
        # What is in the way may have come there by the very change: a file that moved to where another was.
        obstacle = await sql.first(session, OBSTACLES)
        if obstacle is not None:
            raise Conflict(
                f"Another sample's file lies at `{obstacle['path']}` now, where a sample would come back; move it "
                "away, sync, and repeat.",
                changes=[],
                path=obstacle["path"],
            )
    values = {"dataset_id": undone.dataset_id, "revisions": revisions, "undone": undone.revision}
    ids = [row["id"] for row in await sql.run(session, SQL.changes, **values, limit=MAX_REPORTED)]
    message = "Later changes touched the same samples or labels; undo those first, the latest first."
    if undone.undone_by in ids:
        message = "This change was undone already; to have it back, undo the change that undid it."
    raise Conflict(message, changes=[f"Change:{id}" for id in ids])


def _conflicts(span: SpanChanges) -> str:
    """A statement that returns the revisions of the changes that prevent it."""
    names = [name for name in span.columns["sample"] if name not in NO_FACTS]
    since = {name: f"s.{name} IS DISTINCT FROM x.{name}" for name in names}
    twice = [f"b.{name} IS DISTINCT FROM x.{name} AND {since[name]}" for name in names]
    changed = {
        "annotation": SQL.changed_annotations.format(
            now=span.row("annotation", "a"), after=span.row("annotation", "x")
        ),
        "sample": SQL.changed_samples.format(
            changed_since=" OR ".join(since.values()), changed_twice=" OR ".join(twice)
        ),
        "label": SQL.changed_labels.format(now=span.row("label", "l"), after=span.row("label", "x")),
    }
    revisions = [SQL.revisions.format(fact=fact, ids=ids) for fact, ids in changed.items()]
    return " UNION ".join([*revisions, SQL.unmet_needs.format(obstacles=OBSTACLES)])
