"""Requests of clients for jobs: to sync a dataset, to import a manifest, to cancel."""

from dataclasses import asdict, dataclass, replace
from typing import Final

from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from db import jobs
from db.errors import Forbidden, Invalid, NotFound
from db.history.changes import expect_revision, lock_dataset, no_such_dataset
from db.identity.tokens import Identity, Scope
from db.ingest import imports, sync
from db.postgres import sql
from db.postgres.models import Dataset, Job

SQL: Final = sql.load(__file__)
Options = sync.Options | imports.Options


@dataclass(frozen=True, slots=True)
class StartedJob:
    job: int


async def request(
    session: AsyncSession,
    dataset_id: int,
    options: Options,
    *,
    by: Identity,
    expected_revision: int | None = None,
    uploaded: bytes | None = None,
) -> StartedJob:
    """Start a sync or an import. While another one runs it is refused with SYNC_ALREADY_RUNNING or DATASET_BUSY."""
    if isinstance(options, sync.Options) and options.verify_contents and not by.may(Scope.MANAGE):
        message = "`verifyContents` reads every file; it needs a token with the scope manage, in a dry run, too."
        raise Forbidden(message, needed=Scope.MANAGE.name, held=by.scope.name)
    revision = await lock_dataset(session, dataset_id, by, dry_run=_is_dry_sync(options))
    await expect_revision(session, dataset_id, expected_revision, revision)
    if isinstance(options, imports.Options) and by.dataset_ids is not None:
        options = replace(options, dataset_ids=sorted(by.dataset_ids))
    job_id = await start(session, dataset_id, options, requested_by=by.name)
    if uploaded is not None:
        await sql.run(session, SQL.keep_uploaded, job_id=job_id, data=uploaded)
    return StartedJob(job_id)


async def start(session: AsyncSession, dataset_id: int, options: Options, *, requested_by: str) -> int:
    """Request a job, of which at most one runs in a dataset; a worker begins when the transaction commits. Returns the
    job's id. A dry run of a sync does not start while such a job runs, but such a job may start while it runs: tokens
    that may only read do not block others."""
    kind = "SYNC" if isinstance(options, sync.Options) else "IMPORT"
    if _is_dry_sync(options):
        await jobs.expect_no_ingest(session, dataset_id, starting=kind)
    job_id = await jobs.enqueue(session, dataset_id, kind, requested_by=requested_by, arguments=asdict(options))
    if job_id is None:
        if _is_dry_sync(options):
            await jobs.expect_no_dry_run(session, dataset_id, requested_by=requested_by)
        await jobs.expect_no_ingest(session, dataset_id, starting=kind)
        raise no_such_dataset()
    return job_id


def _is_dry_sync(options: Options) -> bool:
    return isinstance(options, sync.Options) and options.dry_run


async def cancel(session: AsyncSession, job_id: int, *, by: Identity, type_name: str = "SyncJob") -> StartedJob:
    """Request that a job of a dataset that the token may see stops. Whoever may not manage stops their own exports, and
    dry runs of syncs."""
    kind = next((kind for kind, name in jobs.TYPE_NAMES.items() if name == type_name), None)
    statement = (
        select(Job.dataset_id, Job.requested_by, Job.is_dry_run)
        .join(Dataset, col(Dataset.id) == Job.dataset_id)
        .where(col(Job.id) == job_id, col(Job.kind) == kind, col(Dataset.deleted_at).is_(None))
    )
    forbidden = Forbidden(
        "A token without the scope manage cancels only the exports and the dry runs of syncs that it started.",
        needed=Scope.MANAGE.name,
        held=by.scope.name,
    )
    found = (await session.exec(statement)).first()
    if found is not None and not by.sees(found[0]):
        found = None
    is_own = found is not None and found[1] == by.name and (kind == "EXPORT" or (kind == "SYNC" and found[2]))
    if not is_own and not by.may(Scope.MANAGE) and (found is not None or kind != "EXPORT"):
        raise forbidden
    if found is None:
        raise NotFound("There is no such job; list them with `dataset { jobs }`.", code="JOB_NOT_FOUND")
    if kind == jobs.FOREGROUND:
        raise Invalid("The change of a mutation cannot be canceled; when it is done, undo it with `undoChange`.")
    await jobs.cancel(session, job_id)
    return StartedJob(job_id)
