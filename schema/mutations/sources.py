"""Deleting files after the commit that let go of them, for as long as a client will wait."""

import asyncio
from typing import Final

from db.storage import object_deletion
from db.storage.object_deletion import DeletionResult
from schema.mutations.payloads import SourceFailure
from schema.mutations.resolver import Info

SECONDS: Final = 20  # then a worker goes on with it


async def delete_objects(info: Info, change: int | None, planned: int) -> DeletionResult:
    """What became of the files of a change; of a dry run, what would."""
    if change is None or not planned:
        return DeletionResult(planned, ())
    context = info.context
    try:
        async with asyncio.timeout(SECONDS):
            await object_deletion.delete_objects(context.database, context.stores.open, change_id=change)
    except TimeoutError:
        pass
    return await object_deletion.told(context.database, change)


def failures(carried: DeletionResult) -> list[SourceFailure]:
    return [SourceFailure(path=each.path, message=each.message) for each in carried.failures]
