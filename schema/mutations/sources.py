"""Deleting files after the commit that let go of them, for as long as a client will wait."""

import asyncio
from typing import Final

from db.storage import deletion
from db.storage.deletion import Carried
from schema.mutations.payloads import SourceFailure
from schema.mutations.resolver import Info

SECONDS: Final = 20  # then a worker goes on with it


async def carry_out(info: Info, change: int | None, planned: int) -> Carried:
    """What became of the files of a change; of a dry run, what would."""
    if change is None or not planned:
        return Carried(planned, ())
    context = info.context
    try:
        async with asyncio.timeout(SECONDS):
            await deletion.carry_out(context.database, context.stores.open, change_id=change)
    except TimeoutError:
        pass
    return await deletion.told(context.database, change)


def failures(carried: Carried) -> list[SourceFailure]:
    return [SourceFailure(path=each.path, message=each.message) for each in carried.failures]
