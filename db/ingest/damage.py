"""Files that end before their images do. The last bytes of nearly all files show that they are whole; the few others
are read and, where there is no end in them at all, decoded."""

import asyncio
from collections.abc import Mapping
from typing import Final

from db.errors import StorageError
from db.formats import images
from db.formats.images import ImageLimits, UnreadableImage
from db.storage import Head, RootMissing, Store

ENDS_AT_ONCE: Final = 16  # files whose last bytes are read side by side
FILES_AT_ONCE: Final = 4  # files in memory at once
MESSAGE: Final = "The file ends before its image does, so a part of the picture is missing. Replace it by a whole one."


async def find(store: Store, heads: Mapping[str, Head], limits: ImageLimits) -> set[str]:
    """The paths of damaged images. What cannot be read again is not said to be damaged. Raises RootMissing."""
    ends, files = asyncio.Semaphore(ENDS_AT_ONCE), asyncio.Semaphore(FILES_AT_ONCE)

    async def is_damaged(path: str, head: Head) -> bool:
        try:
            async with ends:
                start = max(0, head.size - images.TAIL_SIZE)
                tail = head.data if head.whole else await store.read(path, start=start, length=images.TAIL_SIZE)
            if not images.may_be_truncated(head.data, tail[-images.TAIL_SIZE :], head.size):
                return False
            async with files:
                data = head.data if head.whole else await store.read(path, length=limits.size)
                return await is_cut(data, limits)
        except RootMissing:
            raise
        except StorageError:
            return False

    tasks = {path: asyncio.create_task(is_damaged(path, head)) for path, head in heads.items()}
    try:
        await asyncio.gather(*tasks.values())
    finally:
        for task in tasks.values():
            task.cancel()
    return {path for path, task in tasks.items() if task.result()}


async def is_cut(data: bytes, limits: ImageLimits) -> bool:
    """Whether this file ends before its image does. If finding its end takes too much, it has none."""
    if not images.may_be_truncated(data[: images.HEAD_SIZE], data[-images.TAIL_SIZE :], len(data)):
        return False
    try:
        return not await limits.is_complete(data)
    except UnreadableImage:
        return True
