"""Few connections of a process write one dataset at a time. Whoever else is to write it waits in memory for a turn, in
order of arrival: where a large change has locked a dataset, its writers would soon hold all connections otherwise, and
nobody could write any other dataset.

The dataset of a write is known once its transaction has begun. Where too many are there already, the transaction ends
with `Crowded`, before it has written anything, and begins again with its turn.
"""

from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Final

from sqlmodel.ext.asyncio.session import AsyncSession

from db.concurrency_limits import ConcurrencyLimit
from db.postgres.engine import Database

TURNS: Final = "turns"


class Crowded(Exception):
    """As many connections as may write the dataset do so, or wait for it: `transactions.write` waits for a turn."""

    def __init__(self, dataset_id: int) -> None:
        super().__init__(dataset_id)
        self.dataset_id = dataset_id


@dataclass(frozen=True, slots=True)
class Turns:
    """The turns that a transaction has, by dataset."""

    limit: ConcurrencyLimit
    stack: AsyncExitStack
    dataset_ids: set[int] = field(default_factory=set)

    async def take(self, dataset_id: int) -> None:
        """Wait for a turn, and keep it."""
        if dataset_id not in self.dataset_ids:
            await self.stack.enter_async_context(self.limit.slot(dataset_id))
            self.dataset_ids.add(dataset_id)

    def expect_room(self, dataset_id: int) -> None:
        if dataset_id not in self.dataset_ids and self.limit.is_full(dataset_id):
            raise Crowded(dataset_id)


@asynccontextmanager
async def turns(database: Database) -> AsyncGenerator[Turns, None]:
    """Those of a transaction, which ends within the block."""
    async with AsyncExitStack() as stack:
        yield Turns(database.writers_of_dataset, stack)


async def take_turn(session: AsyncSession, dataset_id: int) -> None:
    """Raises Crowded where this transaction would have to wait for a turn. Jobs, of which there are few, take none."""
    own: Turns | None = session.info.get(TURNS)
    if own is not None:
        own.expect_room(dataset_id)
        await own.take(dataset_id)
