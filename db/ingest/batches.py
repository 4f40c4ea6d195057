"""How a job goes over its entries: they are staged, then merged batch after batch, each with its checkpoint."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from functools import partial

from db.ingest.entry import Entry, RefusedName
from db.ingest.merge import merge
from db.ingest.policy import Policy
from db.jobs import Batch, Claim, in_batch
from db.postgres.engine import Database


async def stage(
    database: Database,
    job: Claim,
    table: str,
    columns: Sequence[str],
    records: Sequence[Sequence[object]],
    warnings: Sequence[tuple[str, str]],
    refused_names: Sequence[RefusedName] = (),
) -> None:
    """Copy records into a staging table, with the warnings about what was read for them."""

    async def copy(batch: Batch) -> None:
        batch.warnings.extend(warnings)
        for refused in refused_names:
            batch.warn_label(refused.name, refused.location, refused.message, refused.count)
        await batch.connection.copy_records_to_table(table, records=records, columns=columns)

    await in_batch(database, job, copy)


async def merge_all(
    database: Database,
    job: Claim,
    policy: Policy,
    *,
    after: int,
    read: Callable[[int], Awaitable[Sequence[Entry]]],
    advance: Callable[[Batch, int], None],
) -> None:
    """Merge all entries after a position. While one batch is written, the next is read.

    `read`: the entries after a position, as many as one transaction takes; none at the end. `advance`: writes into a
    batch the checkpoint and the progress of a job that has merged everything up to a position.
    """

    async def write(batch: Batch, entries: Sequence[Entry]) -> None:
        await merge(batch, job=job, entries=entries, policy=policy)
        advance(batch, entries[-1].position)

    ahead = asyncio.ensure_future(read(after))
    try:
        while entries := await ahead:
            ahead = asyncio.ensure_future(read(entries[-1].position))
            await in_batch(database, job, partial(write, entries=entries))
    finally:
        ahead.cancel()
        await asyncio.gather(ahead, return_exceptions=True)
