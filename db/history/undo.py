"""Undoing one change, or all of a job: their rows are inverted, as a change of its own. What others did stays, or
prevents the undo.

Facts that are no longer as the change left them prevent it. A later change that was undone itself prevents nothing; nor
does another label on the same sample.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import asyncpg
import sqlalchemy
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from db import jobs
from db.errors import Conflict, Forbidden, Invalid, NotFound
from db.history.changes import MAX_REPORTED, RecordedChange, find_visible, lock_dataset, record
from db.history.derived_state import SURENESS
from db.history.restore import FILE, LABELLING, OBSTACLES, SpanChanges, find_obstacle, load, restore
from db.history.versions import is_clean, lock_base, remember_base, set_base
from db.identity.tokens import Identity, Scope
from db.postgres import sql
from db.postgres.models import Base, BaseBefore, Change, Dataset, Job, Version
from db.queries.rows import table_of
from db.queries.types.change import is_own_labelling

SQL: Final = sql.load(__file__)
SUMMARY: Final = 200  # characters of the undone change's summary
MAX_SPAN: Final = 100  # changes of a job that are undone by the same statements
# Whose changes can be undone together, by type.
JOBS: Final = {"SyncJob": "SYNC", "ImportJob": "IMPORT", "AutoLabelJob": "AUTO_LABEL"}
# Columns of a sample that nobody sets by themselves.
NO_FACTS: Final = {*FILE, *LABELLING, *SURENESS, "created_at", "added_at"}


@dataclass(frozen=True, slots=True)
class Undone:
    """`change`: the one that undid."""

    dataset_id: int
    change: int


async def undo(session: AsyncSession, change_id: int, *, by: Identity) -> Undone:
    """Make what the change touched what it was before. Refused where later changes touched the same."""
    undone = await find_visible(session, Change, change_id, by)
    if undone is None:
        raise NotFound("There is no such change; list them with `dataset { changes }`.")
    if not by.may(Scope.MANAGE) and not await _is_own_labelling(session, undone, by):
        raise Forbidden(
            "A token with the scope label undoes its own labelling, and what it undid of that. Other changes need the "
            "scope manage.",
            needed=Scope.MANAGE.name,
            held=by.scope.name,
        )
    if not undone.undoable:
        raise Invalid("This change deleted source files, and cannot be undone.")
    dataset_id = undone.dataset_id
    revision = await lock_dataset(session, dataset_id, by, exclusive=True)
    base = await lock_base(session, dataset_id)
    span = await load(session, dataset_id, undone.revision - 1, undone.revision)
    if undone.revision == revision:
        _expect_none(await find_obstacle(session, span))
    else:
        await _expect_no_conflicts(session, span, dataset_id, undone.revision, undone_by=undone.undone_by)
    change = await record(session, dataset_id, by.name, "UNDO", _summary(undone))
    await restore(session, span, change)
    await _restore_base(session, base, undone, revision, change)
    undone.undone_by = change.id
    await session.flush()
    return Undone(dataset_id, change.id)


async def undo_job(session: AsyncSession, job_id: int, *, by: Identity, type_name: str) -> Undone:
    """Make what the changes of a sync, an import or an auto labelling touched what it was before, the latest first, as
    one change. Those that were undone before stay undone. Refused as a whole where later changes touched the same."""
    found = await session.exec(
        select(Job.dataset_id, Job.status)
        .join(Dataset, col(Dataset.id) == Job.dataset_id)
        .where(col(Job.id) == job_id, col(Job.kind) == JOBS.get(type_name), col(Dataset.deleted_at).is_(None))
    )
    job = found.one_or_none()
    if job is None or not by.sees(job[0]):
        message = "There is no such sync, import or auto labelling; list them with `dataset { jobs }`."
        raise NotFound(message, code="JOB_NOT_FOUND")
    if not by.may(Scope.MANAGE):
        message = "Undoing a job needs the scope manage."
        raise Forbidden(message, needed=Scope.MANAGE.name, held=by.scope.name)
    dataset_id, status = job
    if status in jobs.ACTIVE:
        message = "The job is queued or running; cancel it, or wait until it ends, and repeat."
        raise Conflict(message, code="DATASET_BUSY", jobId=f"{type_name}:{job_id}")
    revision = await lock_dataset(session, dataset_id, by, exclusive=True)
    base = await lock_base(session, dataset_id)
    every = await sql.run(session, SQL.changes_of_job, dataset_id=dataset_id, job_id=job_id)
    undone = [row for row in every if row["in_force"]]
    if not undone:
        if not every:
            raise Invalid("This job changed nothing, so there is nothing to undo.")
        message = "All changes of this job are already undone; to restore them, undo the change that undid them."
        raise Conflict(message, changes=[])
    change = await record(session, dataset_id, by.name, "UNDO", _summary_of_job(undone))
    spans = _spans([row["revision"] for row in undone])
    for number, (early, late) in enumerate(spans):
        span = await load(session, dataset_id, early, late)
        await _expect_no_conflicts(session, span, dataset_id, late)
        await restore(session, span, change, spans=(number, len(spans)))
    was_clean = base.version_id is not None and base.revision == undone[0]["revision"] - 1
    if was_clean and revision - base.revision == len(undone):  # nobody else changed anything
        await set_base(session, base, base.version_id, change.revision)
    await sql.run(session, SQL.mark_undone, change=change.id, ids=[row["id"] for row in undone])
    return Undone(dataset_id, change.id)


def _spans(revisions: Sequence[int]) -> list[tuple[int, int]]:
    """Ranges of revisions (early, late] without those of others, the latest first."""
    spans: list[tuple[int, int]] = []
    for revision in reversed(revisions):
        if spans and spans[-1][0] == revision and spans[-1][1] - revision < MAX_SPAN:
            spans[-1] = revision - 1, spans[-1][1]
        else:
            spans.append((revision - 1, revision))
    return spans


def _summary_of_job(undone: Sequence[asyncpg.Record]) -> str:
    if len(undone) == 1:
        return f"Undid: {undone[0]['summary'][:SUMMARY]}"
    if undone[0]["kind"] == "SUGGEST_ANNOTATIONS":
        return f"Undid: Auto labelling, {len(undone)} changes"
    return f"Undid: {undone[0]['summary'].partition(':')[0]}, {len(undone)} changes"


def _summary(undone: Change) -> str:
    """What a change did is undone, redone, and undone again, whichever of these changes is undone."""
    if undone.kind != "UNDO":
        return f"Undid: {undone.summary[:SUMMARY]}"
    verb, _, done = undone.summary.partition(": ")
    return f"{'Redid' if verb == 'Undid' else 'Undid'}: {done}"


async def _is_own_labelling(session: AsyncSession, change: Change, by: Identity) -> bool:
    own = is_own_labelling(lambda name: sqlalchemy.literal_column(f"change.{name}"), sqlalchemy.literal(by.name))
    statement = sqlalchemy.select(own).select_from(table_of(Change)).where(col(Change.id) == change.id)
    return bool((await session.exec(statement)).scalar_one())  # type: ignore[call-overload]


async def _restore_base(
    session: AsyncSession, base: Base, undone: Change, revision: int, change: RecordedChange
) -> None:
    """The base of the working set, where undoing brought back what it was based on, or a state that equals it."""
    is_last = undone.revision == revision
    found = await session.exec(
        select(BaseBefore.was_clean, Version.id)
        .join(Version, col(Version.id) == col(BaseBefore.version_id), isouter=True)
        .where(col(BaseBefore.change_id) == undone.id)
    )
    before = found.one_or_none()
    if before is not None:
        was_clean, version_id = before
        await remember_base(session, change.id, base, was_clean=is_clean(base, revision))
        await set_base(session, base, version_id, change.revision if was_clean and is_last else 0)
    elif is_last and base.version_id is not None and base.revision == revision - 1:
        await set_base(session, base, base.version_id, change.revision)


async def _expect_no_conflicts(
    session: AsyncSession, span: SpanChanges, dataset_id: int, undone: int, *, undone_by: int | None = None
) -> None:
    """Raises CONFLICT, naming the later changes. `undone`: the last revision to undo; `undone_by`: the change that
    undid it already."""
    found = await sql.run(session, _conflicts(span), undone=undone)
    if not found:
        return
    revisions = [row["revision"] for row in found if row["revision"] is not None]
    if all(revision <= undone for revision in revisions):
        _expect_none(await sql.first(session, OBSTACLES))
    values = {"dataset_id": dataset_id, "revisions": revisions, "undone": undone}
    ids = [row["id"] for row in await sql.run(session, SQL.changes, **values, limit=MAX_REPORTED)]
    message = "Later changes affect the same samples or labels; undo those first, the latest first."
    if undone_by in ids:
        message = "This change is already undone; to restore it, undo the change that undid it."
    raise Conflict(message, changes=[f"Change:{id}" for id in ids])


def _expect_none(obstacle: asyncpg.Record | None) -> None:
    """Raises CONFLICT where something is in the way that came there by the very change: a file that moved to where
    another was. Of the dataset's last change nothing else can be."""
    if obstacle is not None:
        raise Conflict(
            f"A sample cannot be restored to `{obstacle['path']}`, because the file of another sample is there now; "
            "move that file, sync, and repeat.",
            changes=[],
            path=obstacle["path"],
        )


def _conflicts(span: SpanChanges) -> str:
    """A statement that returns the revisions of the changes that prevent it."""
    names = [name for name in span.columns["sample"] if name not in NO_FACTS]
    since = {name: f"s.{name} IS DISTINCT FROM x.{name}" for name in names}
    twice = [f"b.{name} IS DISTINCT FROM x.{name} AND {since[name]}" for name in names]
    changed = {
        fact: SQL.changed_rows.format(fact=fact, now=span.row(fact, "n"), after=span.row(fact, "x"))
        for fact in span.columns
        if fact != "sample"
    }
    changed["sample"] = SQL.changed_samples.format(
        changed_since=" OR ".join(since.values()), changed_twice=" OR ".join(twice)
    )
    revisions = [SQL.revisions.format(fact=fact, ids=ids) for fact, ids in changed.items()]
    needs = [SQL.unmet_needs.format(obstacles=OBSTACLES)]
    if "verdict" in span.columns:
        needs.append(SQL.unmet_needs_of_verdicts)
    return " UNION ".join([*revisions, *needs])
