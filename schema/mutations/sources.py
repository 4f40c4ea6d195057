"""Deleting files after the commit that deleted their sources, while the client waits."""

import asyncio
from typing import Final

from db.storage import object_deletion
from db.storage.object_deletion import DeletionResult
from schema.mutations.payloads import SourceFailure
from schema.mutations.resolver import Info

MAX_SECONDS: Final = 20  # then a worker continues


async def delete_objects(info: Info, change: int | None, planned: int) -> DeletionResult:
    """The result for the files of a change; of a dry run, the expected one."""
    if change is None or not planned:
        return DeletionResult(planned, ())
    context = info.context
    try:
        async with asyncio.timeout(MAX_SECONDS):
            await object_deletion.delete_objects(context.database, context.stores.open, change_id=change)
    except TimeoutError:
        pass
    return await object_deletion.result_of(context.database, change)


def failures(result: DeletionResult) -> list[SourceFailure]:
    return [SourceFailure(path=each.path, message=each.message) for each in result.failures]
