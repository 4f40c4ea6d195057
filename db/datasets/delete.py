"""Deleting a dataset. The files in its input and output path stay."""

from dataclasses import dataclass

from sqlalchemy import func, update
from sqlmodel import col
from sqlmodel.ext.asyncio.session import AsyncSession

from db import jobs
from db.datasets import purge
from db.history.changes import no_such_dataset
from db.identity.tokens import Identity
from db.postgres.models import Dataset


@dataclass(frozen=True, slots=True)
class Deleted:
    dataset_id: int


async def delete(session: AsyncSession, dataset_id: int, *, by: Identity) -> Deleted:
    """Delete a dataset: its name is free at once, its jobs stop, and a job purges its rows."""
    deleted = by.sees(dataset_id) and await session.exec(
        update(Dataset)
        .where(col(Dataset.id) == dataset_id, col(Dataset.deleted_at).is_(None))
        .values(deleted_at=func.now())
        .returning(col(Dataset.id))
    )
    if not deleted or deleted.scalar_one_or_none() is None:
        raise no_such_dataset()
    await jobs.cancel_all(session, dataset_id)
    await purge.start(session, dataset_id, requested_by=by.name)
    return Deleted(dataset_id)
