"""Purging a deleted dataset: its rows go in batches, so that no transaction is long; the files stay."""

from sqlmodel.ext.asyncio.session import AsyncSession

from db import jobs


async def start(session: AsyncSession, dataset_id: int, *, requested_by: str) -> None:
    """Ask for a deleted dataset's rows to be removed."""
    await jobs.enqueue(session, dataset_id, "PURGE", requested_by=requested_by)
