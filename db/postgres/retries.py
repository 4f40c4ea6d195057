"""Doing a transaction again, from its start, after Postgres rolled it back."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

T = TypeVar("T")
MAX_ATTEMPTS: Final = 6


async def retry(transaction: Callable[[], Awaitable[T]], is_transient: Callable[[Exception], bool]) -> T:
    """The transaction's result. Each pause is about twice as long as the one before, two seconds in all at most. Raises
    the error of the last attempt, or the first one that is not transient."""
    attempts = 1
    while True:
        try:
            return await transaction()
        except Exception as error:
            if attempts == MAX_ATTEMPTS or not is_transient(error):
                raise
        await asyncio.sleep(random.uniform(0.01, 0.03) * 2**attempts)  # noqa: S311 (jitter)
        attempts += 1
