"""Requests to have a version's manifest written, which a job does (`db/exports/manifests.py`)."""

from dataclasses import dataclass

from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from db import jobs
from db.errors import Invalid
from db.history.changes import lock_dataset
from db.history.versions.base import find_version
from db.identity.tokens import Identity
from db.postgres.models import Dataset, Job


@dataclass(frozen=True, slots=True)
class ManifestRequested:
    job: int


async def write_manifest(session: AsyncSession, version_id: int, *, by: Identity) -> ManifestRequested:
    """Have a version's manifest written, again if need be."""
    version = await find_version(session, version_id, by)
    await lock_dataset(session, version.dataset_id, by)
    job = await request_manifest(session, version.dataset_id, version_id, requested_by=by.name)
    if job is None:
        raise Invalid("The dataset has no output path, so nothing is written of its versions.")
    return ManifestRequested(job)


async def request_manifest(session: AsyncSession, dataset_id: int, version_id: int, *, requested_by: str) -> int | None:
    """The new job, or the one that is active already. None: the dataset has no output path."""
    output_path = await session.exec(select(Dataset.output_path).where(col(Dataset.id) == dataset_id))
    if output_path.one() is None:
        return None
    active = select(Job.id).where(
        col(Job.version_id) == version_id, col(Job.kind) == "MANIFEST", col(Job.status).in_(("QUEUED", "RUNNING"))
    )
    while True:
        job = await jobs.enqueue(session, dataset_id, "MANIFEST", requested_by=requested_by, version_id=version_id)
        if job is None:
            job = (await session.exec(active)).one_or_none()
        if job is not None:  # else the active one has ended since
            return job
