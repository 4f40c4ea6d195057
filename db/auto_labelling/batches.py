"""Batches of an auto labelling. Images are looked at while suggestions are written, and both commit one after the
other, so that no batch writes an older checkpoint over a newer one."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from db import jobs
from db.jobs import Batch, Claim
from db.postgres.engine import Database


@dataclass(slots=True)
class Batches:
    database: Database
    job: Claim
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def commit(self, work: Callable[[Batch], Awaitable[None]]) -> None:
        """As `jobs.in_batch`. A batch that sets no checkpoint has the one before: it is progress, too."""

        async def progress(batch: Batch) -> None:
            await work(batch)
            batch.checkpoint = batch.checkpoint or self.job.checkpoint

        async with self.turn:
            await jobs.in_batch(self.database, self.job, progress)
