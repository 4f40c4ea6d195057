"""Compiled reads, cached for the next request with the same selection."""

from collections.abc import Callable, Hashable

from db.concurrency_limits import ConcurrencyLimit
from db.queries import Plan
from schema.execution.lru_cache import LruCache
from schema.execution.worker_thread import WorkerThread


class Plans:
    """Plans are dropped, least recently used first, by the total length of their statements. A plan takes some thirty
    times as much memory as the text of its statement."""

    def __init__(self, worker_thread: WorkerThread, characters: int = 750_000) -> None:
        self._worker_thread = worker_thread
        self._turns = ConcurrencyLimit(limit=1, per_key=1)
        self._plans = LruCache[Plan](lambda plan: len(plan.text), max_size=characters)
        self.hits = self.misses = 0

    def __len__(self) -> int:
        return len(self._plans)

    async def get(self, owner: Hashable, key: Hashable, compiled: Callable[[], Plan]) -> Plan:
        """The plan under this key. A missing one is compiled in the worker thread, since a large one takes long: one
        for each owner in turn, so that whoever needs many delays the others by one."""
        plan = self._plans.get(key)
        if plan is not None:
            self.hits += 1
        else:
            self.misses += 1
            async with self._turns.slot(owner):
                plan = self._plans.get(key)  # another request may have compiled it
                if plan is None:
                    plan = await self._worker_thread.run(compiled)
                    self._plans.add(key, plan)
        return plan
